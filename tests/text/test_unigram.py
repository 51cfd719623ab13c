"""The best split equals brute force; ids and texts are those of the tokenizers library."""
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.metaspace import Metaspace
from scratch_embed.text.sentencepiece import Rules
from scratch_embed.text.unigram import Unigram, UnigramTrie, as_library, viterbi
from scratch_embed.text.unigram_json import parse, to_json
from tests.text.sentencepiece_texts import assert_alike, random_texts

STORED = json.loads((Path(__file__).parents[1] / "golden/unigram.json").read_text("ascii"))
PIECES = ["<unk>", "▁", "h", "u", "g", "s", "hug", "▁hug", "ugs", "gs"]
SCORES = [0.0, -3.0, -4.0, -4.0, -4.0, -2.5, -6.0, -5.0, -5.5, -7.0]
AS_IT_IS = Rules(metaspace=None, decoders=())
small = settings(max_examples=25)


# ---- worked by hand -----------------------------------------------------------------------------

@pytest.mark.parametrize("word, pieces", [
    ("hugs", ["hug", "s"]),                        # -6 - 2.5; h ugs: -4 - 5.5; hu gs: -15
    ("▁hugs", ["▁hug", "s"]), ("", []), ("u", ["u"]), ("x", ["<unk>"]), ("xy", ["<unk>"]),
    ("xhx", ["<unk>", "h", "<unk>"]), ("gugs", ["g", "ugs"])])
def test_the_most_probable_split_worked_by_hand(word, pieces):
    tokenizer = Unigram(PIECES, SCORES, rules=AS_IT_IS)
    assert tokenizer.tokenize(word) == pieces
    assert [PIECES[i] for i in viterbi(word, tokenizer.index, SCORES, 0, 4).ids] == pieces


def test_of_equal_sums_the_split_with_the_longer_last_piece_is_taken():
    tokenizer = Unigram(["<unk>", "a", "aa", "b", "ab"], [0.0, -1.0, -2.0, -1.0, -2.0],
                        rules=AS_IT_IS)
    assert tokenizer.tokenize("aab") == ["a", "ab"] and tokenizer.tokenize("aaa") == ["a", "aa"]


def test_an_unknown_character_costs_ten_more_than_the_worst_piece():
    """Three known letters (-3 · 21) lose against the piece of all three, two do not."""
    score = -1.0
    for worst, expected in [(-9.0, ["<unk>"]), (-30.0, ["<unk>"])]:
        tokenizer = Unigram(["<unk>", "a", "b"], [score, worst, -1.0], rules=AS_IT_IS)
        assert tokenizer._trie.unk_score == worst - 10
        assert tokenizer.tokenize("x") == expected
    assert tokenizer.tokenize("abx") == ["a", "b", "<unk>"]


def test_a_run_of_unknown_characters_becomes_its_bytes_if_all_have_pieces():
    of_bytes = ["<0xC3>", "<0xA9>", "<0xBC>"]
    tokenizer = Unigram([*PIECES, *of_bytes], [*SCORES, 0, 0, 0], byte_fallback=True)
    assert tokenizer.tokenize("hugé") == ["▁hug", "<0xC3>", "<0xA9>"]
    assert tokenizer.tokenize("éü") == ["▁", "<0xC3>", "<0xA9>", "<0xC3>", "<0xBC>"]
    assert tokenizer.tokenize("éx") == ["▁", "<unk>"]                  # no piece for x
    assert Unigram([*PIECES, *of_bytes], [*SCORES, 0, 0, 0]).tokenize("é") == ["▁", "<unk>"]


def test_an_unknown_run_that_is_spelled_like_a_piece_becomes_this_piece():
    """Only with positive scores can two unknown characters beat their piece."""
    tokenizer = Unigram(["<unk>", "xy", "a"], [50.0, 30.0, 30.0], rules=AS_IT_IS)
    assert tokenizer.tokenize("xy") == ["xy"] and tokenizer.tokenize("x") == ["<unk>"]


def test_the_library_rounds_a_score_twice():
    """15985743522644043 has 54 bits: the nearest float64 ends in 4, and is divided by 1e15."""
    assert as_library(-15.985743522644043) == -15.985743522644045
    assert as_library(-2.225073858507203e-309) == pytest.approx(-2.225073858507203e-309)
    assert [as_library(x) for x in (0.0, -1.5, 1e-7, 5, -123456.0)] == [0, -1.5, 1e-7, 5, -123456]


def test_a_last_bit_decides_between_two_orders_of_the_same_pieces():
    """With the scores as they are, "a a aaa" would come first."""
    tokenizer = Unigram(["<unk>", "a", "aa", "aaa"], [0.0, -2.155, -5.829, -1.4031979813723545],
                        rules=AS_IT_IS)
    assert tokenizer.tokenize("aaaaa") == ["a", "aaa", "a"]


@small
@given(st.lists(st.floats(-100, -1e-9), min_size=1, max_size=20))
def test_scores_are_rounded_as_by_the_library(scores):
    library = pytest.importorskip("tokenizers").Tokenizer
    tokenizer = Unigram(["<unk>", *(f"p{i}" for i in range(len(scores)))], [0.0, *scores])
    read = json.loads(library.from_str(json.dumps(to_json(tokenizer))).to_str())
    assert [score for _, score in read["model"]["vocab"]] == tokenizer._trie.scores.tolist()


# ---- the definition -----------------------------------------------------------------------------

vocabularies = st.dictionaries(st.text("abc", min_size=1, max_size=3),
                               st.integers(-9, -1).map(float), min_size=1, max_size=8)


def all_splits(word):
    for cuts in itertools.product([False, True], repeat=max(0, len(word) - 1)):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(word)]
        yield [word[begin:end] for begin, end in zip([0, *ends], ends)] if word else []


def total(split, scores):
    """The score of a split; -inf if a part is neither a piece nor one unknown letter."""
    unk = min(0.0, *scores.values()) - 10
    return sum(scores.get(part, unk if len(part) == 1 else -np.inf) for part in split)


@small
@given(vocabularies, st.text("abcd", max_size=7))
def test_the_best_split_equals_brute_force(scores, word):
    pieces = ["<unk>", *scores]
    trie = UnigramTrie.build(pieces, [0.0, *scores.values()], 0)
    index = {piece: number for number, piece in enumerate(pieces)}
    best = max(total(split, scores) for split in all_splits(word))
    plain, fast = viterbi(word, index, trie.scores, 0, 5), trie.split(word)
    for ids, begins in plain, fast:
        ends = [*begins[1:].tolist(), len(word)]
        parts = [word[begin:end] for begin, end in zip(begins, ends)]
        assert "".join(parts) == word
        letters = [part if index.get(part) == i else [*part] for part, i in zip(parts, ids)]
        assert sum(total(part if isinstance(part, list) else [part], scores)
                   for part in letters) == best
    assert (plain.ids == fast.ids).all() and (plain.begins == fast.begins).all()


@small
@given(st.lists(st.tuples(st.text("ab▁é日🙂", min_size=1, max_size=5),
                          st.floats(-20, 0)), unique_by=lambda pair: pair[0], max_size=20),
       st.text("ab▁é日🙂x", max_size=40))
def test_the_kernel_equals_the_plain_form(vocabulary, word):
    pieces = ["<unk>", *(piece for piece, _ in vocabulary)]
    trie = UnigramTrie.build(pieces, [-1.0, *(score for _, score in vocabulary)], 0)
    index = {piece: number for number, piece in enumerate(pieces)}
    plain, fast = viterbi(word, index, trie.scores, 0, 5), trie.split(word)
    assert (plain.ids.tolist(), plain.begins.tolist()) == (fast.ids.tolist(), fast.begins.tolist())


def test_a_trie_has_a_node_for_each_prefix():
    trie = UnigramTrie.build(["ab", "abc", "b", "<unk>"], [0, 0, 0, 0], 3)
    assert len(trie.pieces) == 1 + len({"a", "ab", "abc", "b", "<", "<u", "<un", "<unk", "<unk>"})
    assert sorted(trie.pieces[trie.pieces >= 0].tolist()) == [0, 1, 2, 3]


# ---- cost ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("unit, count", [("a", 300_000), ("ab", 150_000), ("\u0301", 300_000),
                                         ("x", 300_000), ("▁", 300_000), ("日x", 150_000)])
def test_one_long_word_takes_time_in_proportion_to_its_length(unit, count):
    """An O(n²) form would take minutes."""
    tokenizer = Unigram(["<unk>", "▁", "a", "ab", "a" * 16, "日"], [0, -2, -2, -3, -9, -1],
                        rules=Rules(metaspace=Metaspace(split=False)))
    assert 0 < len(tokenizer.token_ids(unit * count)) <= 300_001


# ---- what is refused ----------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, message", [
    ((["<unk>", "a"], [0.0]), "a finite number for each of 2 pieces, got 1"),
    ((["<unk>", "a"], [0.0, np.nan]), "of which 1 are finite"),
    ((["a"], [0.0]), "expected '<unk>'"), ((["<unk>", "a", "a"], [0.0] * 3), "twice")])
def test_wrong_arguments_are_value_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Unigram(*arguments)


def test_a_lone_surrogate_is_refused():
    with pytest.raises(ValueError, match="lone surrogate"):
        Unigram(PIECES, SCORES).encode("a\ud800")


# ---- parity with the library --------------------------------------------------------------------

@pytest.mark.parametrize("kind", STORED)
def test_ids_types_and_texts_equal_those_stored_from_the_library(kind):
    tokenizer = parse(Fields("stored", STORED[kind]["file"]))
    for text, pair, ids, types, decoded, with_special in STORED[kind]["cases"]:
        ours = tokenizer.encode(text, pair)
        assert (ours.ids.tolist(), ours.types.tolist()) == (ids, types), (text, pair)
        assert (tokenizer.decode(ids), tokenizer.decode(ids, False)) == (decoded, with_special)


@pytest.mark.parametrize("count", [60, pytest.param(20_000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("kind", STORED)
def test_texts_of_all_sorts_are_encoded_as_by_the_library(kind, count):
    library = pytest.importorskip("tokenizers").Tokenizer
    ours = parse(Fields("stored", STORED[kind]["file"]))
    theirs = library.from_str(json.dumps(STORED[kind]["file"]))
    for text in random_texts(count, seed=len(kind)):
        assert_alike(ours, theirs, text)
