"""Each step joins the most frequent pair; given the order of the letters, as the library does."""
import json
import runpy
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.basic_tokenizer import CASED
from scratch_embed.text.bpe_training import join_pairs
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.text.wordpiece_training import count_words, first_pieces, learn_pieces
from tests.text.plain_joins import replace_pair

GOLDEN = Path(__file__).parents[1] / "golden"
STORED = json.loads((GOLDEN / "wordpiece.json").read_text("ascii"))["training"]
ORIGINAL = runpy.run_path(str(GOLDEN / "make_wordpiece.py"))
sentences = st.lists(st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=6).map(
    " ".join), min_size=1, max_size=8)


def joined(words, pieces, size, min_frequency=0):
    """The pieces that joining pairs adds, with "##" inside words."""
    return join_pairs(words, pieces, size, min_frequency, "##")[0]


# ---- worked by hand -----------------------------------------------------------------------------

def test_joins_worked_by_hand():
    """(l, ##o) is seen 5 times, (##o, ##w) 3 and (##o, ##t) 2; then (lo, ##w) 3, (lo, ##t) 2."""
    learned = learn_pieces(["low low lot lot low"], 9, special=["[UNK]"], min_frequency=0)
    assert learned == ["[UNK]", "l", "o", "t", "w", "##o", "##t", "##w", "lo"]
    assert learn_pieces(["low low lot lot low"], 99, special=["[UNK]"], min_frequency=0)[9:] == [
        "low", "lot"]
    assert learn_pieces(["low low lot lot low"], 99, special=["[UNK]"], min_frequency=3)[9:] == [
        "low"]


def test_on_a_tie_the_pair_with_lower_ids_is_joined_first():
    assert learn_pieces(["cd ab cb"], 99, special=["[UNK]"], min_frequency=0) == [
        "[UNK]", "a", "b", "c", "d", "##b", "##d", "ab", "cb", "cd"]


def test_letters_are_sorted_and_have_a_prefixed_form_only_if_needed():
    assert first_pieces({"ba": 1, "c": 2, "ad": 1}, ["[UNK]"]) == [
        "[UNK]", "a", "b", "c", "d", "##a", "##d"]


def test_the_most_frequent_letters_are_kept_and_others_dropped_from_words():
    words = {"xaby": 3, "az": 3, "b": 1}
    assert first_pieces(words, ["[UNK]"], 2) == ["[UNK]", "a", "b", "##a", "##b"]
    assert joined(words, first_pieces(words, ["[UNK]"], 2), 99) == [
        "[UNK]", "a", "b", "##a", "##b", "##ab"]


def test_text_is_normalised_as_for_encoding():
    assert count_words(["Été, été!", "ÉTÉ"]) == {"ete": 3, ",": 1, "!": 1}
    assert count_words(["Été"], CASED) == {"Été": 1}


# ---- properties ---------------------------------------------------------------------------------

def brute_force_join_pairs(words, pieces, size, min_frequency):
    """Count all pairs again for each join."""
    pieces, number = list(pieces), {piece: i for i, piece in enumerate(pieces)}
    spelled = {word: [number[("##" if i else "") + c] for i, c in enumerate(word)]
               for word in words}
    while len(pieces) < size:
        total = Counter()
        for word, ids in spelled.items():
            for pair in zip(ids, ids[1:]):
                total[pair] += words[word]
        if not total or max(total.values()) < min_frequency:
            break
        best = min(total, key=lambda pair: (-total[pair], pair))
        new = pieces[best[0]] + pieces[best[1]].removeprefix("##")
        assert new not in number, "two pairs were joined to the same piece"
        number[new] = len(pieces)
        pieces.append(new)
        spelled = {word: replace_pair(ids, best, number[new]) for word, ids in spelled.items()}
    return pieces


@given(sentences, st.integers(8, 40), st.integers(1, 4))
def test_equals_counting_all_pairs_again_for_each_join(texts, size, min_frequency):
    words, pieces = count_words(texts), first_pieces(count_words(texts))
    assert (joined(words, pieces, size, min_frequency)
            == brute_force_join_pairs(words, pieces, size, min_frequency))


def test_a_pair_that_spells_a_special_token_is_joined_to_that_token():
    words = {"ab": 3, "abc": 2}
    assert joined(words, first_pieces(words, ["[UNK]", "ab"]), 99) == [
        "[UNK]", "ab", "a", "b", "c", "##b", "##c", "abc"]


@given(sentences, st.integers(11, 40), st.integers(0, 4), st.randoms(use_true_random=False))
def test_the_order_of_the_sentences_does_not_matter(texts, size, min_frequency, random):
    shuffled = random.sample(texts, len(texts))
    assert (learn_pieces(texts, size, min_frequency=min_frequency)
            == learn_pieces(iter(shuffled), size, min_frequency=min_frequency))


@given(sentences, st.integers(11, 60))
def test_a_larger_vocabulary_begins_with_the_smaller_and_has_no_repetitions(texts, size):
    small, large = (learn_pieces(texts, n, min_frequency=0) for n in (size, size + 20))
    assert small == large[:len(small)] and len(small) <= size and len(set(large)) == len(large)
    assert small[:5] == list(SPECIAL)


@given(sentences)
def test_a_vocabulary_encodes_its_own_text_without_unknown_words(texts):
    bert = WordPiece(learn_pieces(texts, 30, min_frequency=0))
    assert bert.index["[UNK]"] not in bert.encode_batch(texts).ids
    assert [bert.decode(bert.encode(text).ids) for text in texts] == texts


# ---- what is refused ----------------------------------------------------------------------------

@pytest.mark.parametrize("texts", ["one string", b"bytes"])
def test_a_string_where_sentences_are_expected_is_refused(texts):
    with pytest.raises(TypeError, match="got one string"):
        learn_pieces(texts)


@pytest.mark.parametrize("texts", [[], [""], [" \n", "\x00"]])
def test_a_text_without_words_is_refused(texts):
    with pytest.raises(ValueError, match="expected a text with words"):
        learn_pieces(texts)


def test_a_size_too_small_for_the_letters_says_how_many_there_are():
    with pytest.raises(ValueError, match="size=7: expected at least 9"):
        learn_pieces(["abc"], 7, special=["[UNK]", "[CLS]", "[SEP]", "[PAD]"])


# ---- parity with the library --------------------------------------------------------------------

def assert_pieces_are(theirs, texts, size, min_frequency, limit):
    """Assert that the letters equal the library's and, given their order, that all pieces do."""
    words = count_words(texts)
    first = first_pieces(words, SPECIAL, limit)
    assert first == theirs[:5] + sorted(theirs[5:len(first)], key=lambda p: (len(p) > 1, p))
    assert joined(words, theirs[:len(first)], size, min_frequency) == theirs


@pytest.mark.parametrize("stored", STORED)
def test_pieces_equal_those_stored_from_the_library(stored):
    assert_pieces_are(stored["pieces"], stored["sentences"], stored["size"],
                      stored["min_frequency"], stored["limit"])


@given(sentences, st.integers(11, 60), st.integers(0, 4))
def test_pieces_equal_those_of_the_installed_library(texts, size, min_frequency):
    pytest.importorskip("tokenizers")
    theirs = ORIGINAL["train"](texts, size, min_frequency, None)
    assert_pieces_are(theirs, texts, size, min_frequency, None)


@pytest.mark.parametrize("limit", [3, 5, 9])
def test_the_alphabet_is_limited_as_by_the_library(limit):
    """Letter i is seen 20 − i times, so that there are no ties between letters."""
    pytest.importorskip("tokenizers")
    texts = [" ".join("abcdefghij"[i:] + "abcdefghij"[:i] for i in range(3))] * 3
    texts += ["abcdefghij"[:i] for i in range(1, 10)]
    assert_pieces_are(ORIGINAL["train"](texts, 50, 0, limit), texts, 50, 0, limit)
