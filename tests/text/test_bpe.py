"""Every byte string is restored; ids, types and texts are those of the tokenizers library."""
import json
import runpy
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.numerics.json_files import Fields
from scratch_embed.testing.tokenizer import check_tokenizer
from scratch_embed.text import word_cache
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.bpe import BPE, slices_before_spaces
from scratch_embed.text.bpe_json import parse, to_json
from scratch_embed.text.bpe_training import train_bpe
from scratch_embed.text.byte_level import (
    BYTE_OF_CHAR,
    CLIP,
    GPT2,
    LLAMA3,
    PATTERNS,
    split,
)
from scratch_embed.text.normal_forms import CLIP_NORMALIZER, TextNormalizer

GOLDEN = Path(__file__).parents[1] / "golden"
STORED = json.loads((GOLDEN / "bpe.json").read_text("ascii"))
ORIGINAL = runpy.run_path(str(GOLDEN / "make_bpe.py"))
KINDS = [*STORED["tokenizers"]]
few, flags = settings(max_examples=25), st.booleans()
OURS = {name: parse(Fields("stored", kind["file"])) for name, kind in STORED["tokenizers"].items()}


# ---- worked by hand -----------------------------------------------------------------------------

def test_a_space_belongs_to_the_word_after_it():
    bpe = BPE([*"Ġlow", "lo", "low", "Ġlow"], [("l", "o"), ("lo", "w"), ("Ġ", "low")])
    assert bpe.tokenize("low low  wol") == ["low", "Ġlow", "Ġ", "Ġ", "w", "o", "l"]
    assert bpe.encode("low low").ids.tolist() == [5, 6]
    with_space = BPE(bpe.pieces, bpe.merges, prefix_space=True)
    assert with_space.tokenize("low") == ["Ġlow"] == with_space.tokenize(" low")
    assert with_space.tokenize("") == []


def test_clips_last_pieces_of_words_have_a_suffix():
    bpe = BPE([*"lowé", "w</w>", "o</w>", "©</w>", "lo", "low</w>", "Ã"],
              [("l", "o"), ("lo", "w</w>")], normalizer=CLIP_NORMALIZER, patterns=[CLIP, GPT2],
              suffix="</w>")
    assert bpe.tokenize("LOW  lo lowE\u0301") == ["low</w>", "l", "o</w>", "lo", "w", "Ã", "©</w>"]
    assert bpe.decode(bpe.token_ids("LOW lo")) == "low lo"


def test_bytes_without_a_piece_are_unknown_or_left_out():
    pieces, merges = ["?", *"ab", "ab"], [("a", "b")]
    assert BPE(pieces, merges).tokenize("axbxxa") == ["ab", "a"]
    assert BPE(pieces, merges, unk="?").tokenize("axbxxa") == [*"a?b??a"]
    assert BPE(pieces, merges, unk="?", fuse_unk=True).tokenize("xxaxxxb xx") == [*"?a?b?"[:4], "?"]
    assert BPE(pieces, merges, unk="?", fuse_unk=True).tokenize("x x") == ["?", "?"]


def test_a_word_that_is_a_piece_may_be_kept_whole():
    pieces, merges = [*"abc", "ab", "abc"], [("a", "b")]
    assert BPE(pieces, merges).tokenize("abc") == ["ab", "c"]
    assert BPE(pieces, merges, ignore_merges=True).tokenize("abc") == ["abc"]


def test_half_of_a_character_is_decoded_to_a_replacement_character():
    bpe = OURS["gpt2"]
    ids = bpe.encode_bytes("a é".encode()[:-1])
    assert bpe.decode(ids) == "a \ufffd" and bpe.decode_bytes(ids) == b"a \xc3"


# ---- properties ---------------------------------------------------------------------------------

@few
@given(st.binary(max_size=40))
def test_every_byte_string_is_restored(data):
    for name in "gpt2", "llama3":
        bpe = OURS[name]
        assert bpe.decode_bytes(bpe.encode_bytes(data)) == data
        assert bpe.decode(bpe.encode_bytes(data)) == data.decode("utf-8", "replace")


@few
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_bytes_and_text_have_the_same_ids(text):
    for name in "gpt2", "llama3":
        bpe = OURS[name]
        if "<" not in text:
            assert bpe.encode_bytes(text.encode()).tolist() == bpe.token_ids(text)
        assert bpe.decode(bpe.token_ids(text), skip_special=False) == text


@pytest.mark.parametrize("kind", ["gpt2", "llama3"])
def test_the_checks_of_any_tokenizer_hold(kind):
    bpe = OURS[kind]
    check_tokenizer(lambda text: bpe.encode(text).ids, lambda ids: bpe.decode(ids, False), len(bpe),
                    encode_batch=lambda texts: [bpe.encode(text).ids for text in texts],
                    encode_cut=lambda text, length: bpe.encode(text, max_length=length).ids,
                    max_examples=10)


@few
@given(st.text("ab cé'1\n", max_size=30), st.sampled_from(KINDS))
def test_encoding_does_not_depend_on_texts_encoded_before(text, kind):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_cache, "KNOWN_BYTES", 800)
        small_cache = parse(Fields("stored", STORED["tokenizers"][kind]["file"]))
        for part in text[:len(text) // 2], text[-1:], text, text:
            assert small_cache.token_ids(part) == OURS[kind].token_ids(part)
            assert len(small_cache._cache.ids) <= 4          # at least 142 bytes each, beside 184


@few
@given(st.text("ab \n\u3000é\x1c.", max_size=40), st.integers(1, 9), st.sampled_from([*PATTERNS]))
def test_a_long_text_is_split_in_parts_as_in_one(text, size, pattern):
    parts = [*slices_before_spaces(text, size)]
    assert "".join(parts) == text
    assert split(text, pattern) == [word for part in parts for word in split(part, pattern)]


def test_a_text_of_one_word_takes_about_n_log_n():
    """Eight times the letters take at most 32 times as long; n² would take 64 times."""
    def seconds(text):
        best = float("inf")
        for _ in range(3):
            bpe = parse(Fields("stored", STORED["tokenizers"]["gpt2"]["file"]))
            start = time.process_time()
            assert bpe.decode(bpe.token_ids(text)) == text
            best = min(best, time.process_time() - start)
        return best
    for unit in "a", "the", "e\u0301\u0316":
        assert seconds(unit * 40_000) < 32 * seconds(unit * 5_000) + 0.05


# ---- what is refused ----------------------------------------------------------------------------

@pytest.mark.parametrize("make, message", [
    (lambda: BPE(["a", "a"], []), "twice"),
    (lambda: BPE(["a"], [("a", "a")]), r"merge 0 is \('a', 'a'\): expected 'aa' among the pieces"),
    (lambda: BPE(["a"], [], unk="?"), "expected '\\?', the token of unknown bytes"),
    (lambda: BPE(["a"], [], patterns=[r"\w+"]), "patterns: expected those of text/byte_level.py"),
    (lambda: BPE(["a"], [], patterns=[LLAMA3], prefix_space=True), "prefix_space=True: expected"),
    (lambda: OURS["gpt2"].token_ids("a\ud800"), "a text: expected Unicode text, got the lone"),
    (lambda: OURS["gpt2"].decode_bytes([10_000]), "token ids must be in 0")])
def test_wrong_arguments_are_value_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- parity with the library --------------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS)
def test_ids_types_and_texts_equal_those_stored_from_the_library(kind):
    for text, pair, ids, types, decoded, with_special in STORED["tokenizers"][kind]["cases"]:
        found = OURS[kind].encode(text, pair)
        assert (found.ids.tolist(), found.types.tolist()) == (ids, types), (text, pair)
        assert (OURS[kind].decode(ids), OURS[kind].decode(ids, False)) == (decoded, with_special)


@pytest.fixture(scope="module")
def library():
    """{kind: (the library's tokenizer, the one that it reads from our tokenizer.json)}."""
    read = pytest.importorskip("tokenizers").Tokenizer.from_str
    return {name: (read(json.dumps(kind["file"])), read(json.dumps(to_json(OURS[name]))))
            for name, kind in STORED["tokenizers"].items()}


@pytest.mark.skipif(unicodedata.unidata_version != STORED["unicode"],
                    reason="the characters left out are those of another Unicode version")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.campaign)])
def test_fuzzed_texts_are_encoded_as_by_the_library(library, kind, count):
    """Fragments and characters of every category; some texts in pairs."""
    texts = [*ORIGINAL["fuzzed"](count, KINDS.index(kind), STORED["older"])]
    pairs = [text[::-1] if number % 5 == 0 else None for number, text in enumerate(texts)]
    theirs, written = library[kind]
    for text, pair in zip(texts, pairs):
        found, expected = OURS[kind].encode(text, pair), theirs.encode(text, pair)
        assert found.ids.tolist() == expected.ids == written.encode(text, pair).ids, ascii(text)
        assert found.types.tolist() == expected.type_ids
        assert [OURS[kind].decode(expected.ids), OURS[kind].decode(expected.ids, False)] == (
            ORIGINAL["decoded"](theirs, expected.ids, OURS[kind].suffix)), ascii(text)


@few
@given(st.data())
def test_merges_in_any_order_are_applied_as_by_the_library(data):
    """Merges whose pieces come from later merges; bytes without a piece; with and without unk."""
    tokenizers = pytest.importorskip("tokenizers")
    pieces, merges = ["?", *"abc"], []
    for _ in range(data.draw(st.integers(0, 8))):
        pair = data.draw(st.tuples(*[st.sampled_from(pieces[1:])] * 2))
        merges.append(pair)
        pieces += ["".join(pair)] * ("".join(pair) not in pieces)
    merges = data.draw(st.permutations(merges))
    unk, fuse, whole = (data.draw(st.sampled_from(values)) for values in (
        [None, "?"], [False, True], [False, True]))
    ours = BPE(pieces, merges, unk=unk, fuse_unk=fuse, ignore_merges=whole)
    theirs = tokenizers.Tokenizer.from_str(json.dumps(to_json(ours)))
    text = data.draw(st.text("abcx ", max_size=20))
    assert ours.token_ids(text) == theirs.encode(text).ids


TOKENS = ["new", "New York", "<t>", "<t>x", "É", "ab", "Ġ", " low", "the", "'s", "\n", "日本"]


@st.composite
def added_tokens(draw):
    """Added tokens with all flags, but none is both special and normalized."""
    index, found, following = OURS["gpt2"].index, [], len(OURS["gpt2"].pieces)
    for name in draw(st.lists(st.sampled_from(TOKENS), unique=True, max_size=4)):
        number = index.get(name, following)
        following += number == following
        special = draw(flags)
        found.append(AddedToken(name, number, special, not special and draw(flags),
                                *draw(st.tuples(*[flags] * 3))))
    return found


@few
@given(st.data())
def test_tokenizers_of_any_settings_encode_as_in_the_library(data):
    tokenizers = pytest.importorskip("tokenizers")
    patterns = data.draw(st.sampled_from([(), (GPT2,), (CLIP, GPT2), (LLAMA3,), (LLAMA3, CLIP)]))
    ours = BPE(OURS["gpt2"].pieces, OURS["gpt2"].merges, data.draw(added_tokens()),
               normalizer=TextNormalizer(*data.draw(st.tuples(*[flags] * 3))), patterns=patterns,
               prefix_space=data.draw(flags) and patterns in ((), (GPT2,)),
               ignore_merges=data.draw(flags))
    theirs = tokenizers.Tokenizer.from_str(json.dumps(to_json(ours)))
    known = st.sampled_from([*TOKENS, *ORIGINAL["FRAGMENTS"], "a", " "])
    for text in data.draw(st.lists(st.lists(known, max_size=9).map("".join), max_size=9)):
        assert ours.token_ids(text) == theirs.encode(text).ids, ascii(text)


def test_added_tokens_are_found_before_words():
    bpe = train_bpe(["abc abc"] * 2, 262, special=["<|endoftext|>"])
    added = [*bpe.added, AddedToken("new", len(bpe.pieces), special=False, lstrip=True)]
    bpe = BPE(bpe.pieces, bpe.merges, added)
    assert bpe.tokenize("abc new abc<|endoftext|>") == ["abc", "new", "Ġabc", "<|endoftext|>"]
    assert len(bpe) == len(bpe.pieces) + 1 and bpe.token_to_id("new") == len(bpe.pieces)


def test_a_batch_is_packed():
    packed = OURS["roberta"].encode_batch(["It's", "", "3 cats"])
    one = [OURS["roberta"].encode(text).ids for text in ("It's", "", "3 cats")]
    assert packed.ids.tolist() == np.concatenate(one).tolist()
    assert np.diff(packed.offsets).tolist() == [*map(len, one)]


def test_the_kinds_have_the_settings_of_their_models():
    gpt2, roberta, clip, llama = (OURS[name] for name in KINDS)
    assert gpt2.patterns == roberta.patterns == (GPT2,) and llama.patterns == (LLAMA3,)
    assert roberta.prefix_space and not gpt2.prefix_space and clip.suffix == "</w>"
    assert clip.normalizer == CLIP_NORMALIZER and clip.unk == "<|endoftext|>"
    assert set(BYTE_OF_CHAR) <= set(gpt2.pieces)
