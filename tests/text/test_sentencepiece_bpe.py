"""SentencePiece's BPE: characters, bytes and merges; parity is in test_unigram.py."""
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.bpe_merging import merge_word, numbered
from scratch_embed.text.metaspace import Metaspace
from scratch_embed.text.sentencepiece import Rules
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.unigram_json import parse

STORED = json.loads((Path(__file__).parents[1] / "golden/unigram.json").read_text("ascii"))
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = ["<unk>", "▁", "l", "o", "w", "e", "▁l", "lo", "ow", "▁low", "low", "▁▁"]
MERGES = [("▁", "l"), ("l", "o"), ("o", "w"), ("▁l", "ow"), ("lo", "w"), ("▁", "▁")]
WITH_BYTES = SentencePieceBPE(PIECES + BYTES, MERGES)
small = settings(max_examples=25)


@pytest.mark.parametrize("text, pieces", [
    ("low", ["▁low"]),                             # ▁ l o w, ▁l o w, ▁l ow, ▁low
    ("", []), ("  low", ["▁▁", "▁low"]), ("a", ["▁", "<0x61>"]), ("é", ["▁", "<0xC3>", "<0xA9>"]),
    ("wolow", ["▁", "w", "o", "low"])])
def test_merging_worked_by_hand(text, pieces):
    assert WITH_BYTES.tokenize(text) == pieces


@pytest.mark.parametrize("fuse, expected", [(True, ["▁", "<unk>", "l"]),
                                            (False, ["▁", "<unk>", "<unk>", "l"])])
def test_without_byte_fallback_characters_are_unknown(fuse, expected):
    tokenizer = SentencePieceBPE(PIECES, MERGES, fuse_unk=fuse)
    assert tokenizer.tokenize("xyl") == expected
    assert tokenizer.tokenize("lxy") == ["▁l", *expected[1:-1]]


def test_an_unknown_character_before_bytes_comes_after_them_as_in_the_library():
    """This can occur if some bytes have no piece: "y" is one of bytes, "x" is unknown."""
    tokenizer = SentencePieceBPE([*PIECES, "<0x79>"], MERGES)
    assert tokenizer.tokenize("xyyl") == ["▁", "<0x79>", "<0x79>", "<unk>", "l"]


def test_ignored_merges_are_not_needed_for_a_word_that_is_a_piece():
    rules = Rules(metaspace=Metaspace(split=True))
    kinds = [SentencePieceBPE([*PIECES, "▁wow"], MERGES, rules=rules, ignore_merges=ignore)
             for ignore in (False, True)]
    assert [kind.tokenize("wow") for kind in kinds] == [["▁", "w", "ow"], ["▁wow"]]
    assert SentencePieceBPE([*PIECES, "▁wow"], MERGES, ignore_merges=True).tokenize(
        "wow low") == ["▁", "w", "ow", "▁low"]     # one word: "▁wow▁low" is no piece
    assert kinds[1].tokenize("wow wowl") == ["▁wow", "▁", "w", "ow", "l"]


@small
@given(st.text("low ▁e", max_size=30))
def test_cutting_the_text_before_spaces_changes_no_id(text):
    merges = numbered(MERGES, WITH_BYTES.index)
    whole = merge_word([WITH_BYTES.index[c] for c in WITH_BYTES.rules.normalise(text)], merges)
    assert WITH_BYTES._cut and WITH_BYTES.token_ids(text) == whole


def test_a_text_is_not_cut_if_a_piece_has_a_space_inside():
    tokenizer = SentencePieceBPE([*PIECES, "w▁"], [("w", "▁"), *MERGES])
    assert not tokenizer._cut and tokenizer.tokenize("low low") == ["▁l", "o", "w▁", "low"]


def test_a_text_is_not_cut_if_an_unknown_run_may_go_on_after_a_space():
    tokenizer = SentencePieceBPE(["<unk>", "a"], [])
    assert not tokenizer._cut and tokenizer.tokenize("x x a") == ["<unk>", "a"]


@small
@given(st.text(max_size=20))
def test_decoding_restores_any_text_with_byte_fallback(text):
    assert WITH_BYTES.decode(WITH_BYTES.token_ids(text)) == text.replace("▁", " ")


@pytest.mark.parametrize("unit", ["l", "low", "é", " ", "日", "\u0301"])
def test_one_long_word_takes_time_of_n_log_n(unit):
    """An O(n²) form would take minutes."""
    assert len(WITH_BYTES.token_ids(unit * 100_000)) <= 300_001


@pytest.mark.parametrize("pieces, merges, message", [
    (PIECES, [("l", "x")], "expected 'x' among the pieces"), (PIECES[1:], MERGES, "'<unk>'"),
    (PIECES, [("l", "w")], "expected 'lw' among the pieces")])
def test_wrong_arguments_are_value_errors(pieces, merges, message):
    with pytest.raises(ValueError, match=message):
        SentencePieceBPE(pieces, merges)


def test_a_stored_llama_has_no_unknown_piece_but_all_bytes():
    tokenizer = parse(Fields("stored", STORED["llama"]["file"]))
    assert tokenizer.unk is None and tokenizer.tokenize("\0") == ["▁", "<0x00>"]
