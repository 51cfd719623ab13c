"""Each step joins the most frequent pair; merges and pieces are those of the library."""
import json
import runpy
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.text import bpe_training
from scratch_embed.text.bpe_training import (
    END_OF_TEXT,
    NONE,
    START_OF_TEXT,
    count_pairs,
    count_words,
    first_pieces,
    join,
    join_pairs,
    link_letters,
    train_bpe,
    train_clip_bpe,
)
from scratch_embed.text.byte_level import BYTE_OF_CHAR, CLIP, split, to_characters
from scratch_embed.text.normal_forms import CLIP_NORMALIZER
from tests.text.plain_joins import replace_pair

GOLDEN = Path(__file__).parents[1] / "golden"
STORED = json.loads((GOLDEN / "bpe.json").read_text("ascii"))["training"]
ORIGINAL = runpy.run_path(str(GOLDEN / "make_bpe.py"))
texts = st.lists(st.text("abc é", max_size=12), max_size=6)


# ---- worked by hand -----------------------------------------------------------------------------

def test_joins_worked_by_hand():
    """(l, o) is seen 5 times, (o, w) 3 and (o, t) 2; then (lo, w) 3, (lo, t) 2."""
    words = {"low": 3, "lot": 2}
    assert join_pairs(words, [*"lotw"], 9) == (
        [*"lotw", "lo", "low", "lot"], [("l", "o"), ("lo", "w"), ("lo", "t")])
    assert join_pairs(words, [*"lotw"], 5) == ([*"lotw", "lo"], [("l", "o")])
    assert join_pairs(words, [*"lotw"], 9, min_frequency=3)[1] == [("l", "o"), ("lo", "w")]


def test_on_a_tie_the_pair_with_lower_ids_is_joined_first():
    assert join_pairs({"cd": 1, "ab": 1, "cb": 1}, [*"abcd"], 99)[1] == [
        ("a", "b"), ("c", "b"), ("c", "d")]


def test_a_pair_that_spells_a_special_token_is_joined_to_that_token():
    words = {"ab": 3, "abc": 2}
    assert join_pairs(words, ["ab", *"abc"], 99) == (
        ["ab", *"abc", "abc"], [("a", "b"), ("ab", "c")])


def test_a_join_changes_the_counts_of_neighbouring_pairs():
    """The word dabc occurs twice, its letters have the ids 3 0 1 2: (a, b) becomes piece 7."""
    linked = link_letters({"dabc": 2}, {"a": 0, "b": 1, "c": 2, "d": 3})
    total, places = count_pairs(linked)
    assert total == {(3, 0): 2, (0, 1): 2, (1, 2): 2} and [*places[0, 1]] == [1]
    assert join((0, 1), 7, linked, total, places) == {(3, 7), (7, 2)}
    assert total == {(3, 0): 0, (0, 1): 2, (1, 2): 0, (3, 7): 2, (7, 2): 2}
    assert pieces_of(linked) == [3, 7, 2]


def test_in_a_run_of_one_letter_pairs_are_joined_from_the_left():
    """aaaaa -> aa aa a: of the pairs with the new piece, (aa, aa) and (aa, a) remain."""
    linked = link_letters({"aaaaa": 1}, {"a": 0})
    total, places = count_pairs(linked)
    join((0, 0), 7, linked, total, places)
    assert pieces_of(linked) == [7, 7, 0]
    assert total[7, 7] == total[7, 0] == 1 and total[0, 7] == 0


def pieces_of(linked):
    """The pieces of the first word, by its links; both directions must agree."""
    forward, i = [], 0
    while i != NONE:
        forward.append(i)
        i = linked.following[i]
    assert [linked.previous[i] for i in forward] == [NONE, *forward[:-1]]
    return [linked.piece[i] for i in forward]


def test_words_are_split_and_written_as_for_encoding():
    assert count_words(["it's it's"]) == {"it": 1, "'s": 2, "Ġit": 1}
    assert count_words(["it's", ""], prefix_space=True) == {"Ġit": 1, "'s": 1}
    assert count_words(["ÉTÉ 42"], CLIP_NORMALIZER, [CLIP]) == {"Ã©tÃ©": 1, "4": 1, "2": 1}


def test_the_first_pieces_are_special_tokens_and_the_bytes():
    assert first_pieces(["xyz"], ["<s>"]) == ["<s>", *sorted(BYTE_OF_CHAR)]
    assert first_pieces(["xyz", "ab"], [], "</w>")[256:] == ["b</w>", "z</w>"]


# ---- properties ---------------------------------------------------------------------------------

def brute_force_join_pairs(words, pieces, size, min_frequency):
    """Count all pairs again for each join."""
    pieces, merges = list(pieces), []
    spelled = {word: [*word] for word in words}
    while len(pieces) < size:
        total = Counter()
        for word, parts in spelled.items():
            for pair in zip(parts, parts[1:]):
                total[pair] += words[word]
        if not total or max(total.values()) < min_frequency:
            break
        best = min(total, key=lambda pair: (-total[pair], *map(pieces.index, pair)))
        assert best[0] + best[1] not in pieces, "two pairs were joined to the same piece"
        pieces.append(best[0] + best[1])
        merges.append(best)
        spelled = {word: replace_pair(parts, best, best[0] + best[1])
                   for word, parts in spelled.items()}
    return pieces, merges


@settings(max_examples=25)
@given(st.dictionaries(st.text("abc", max_size=9), st.integers(1, 3), max_size=9),
       st.integers(3, 30), st.integers(1, 4))
def test_equals_counting_all_pairs_again_for_each_join(words, size, min_frequency):
    assert (join_pairs(words, "abc", size, min_frequency)
            == brute_force_join_pairs(words, "abc", size, min_frequency))


@settings(max_examples=25)
@given(texts, st.integers(257, 300))
def test_a_tokenizer_encodes_its_own_texts_to_the_pieces_of_training(texts, size):
    """The pieces of each word are those that training has left of it."""
    bpe = train_bpe(texts, size, min_frequency=1)
    words = count_words(texts)
    spelled = {word: [*word] for word in words}
    for pair in bpe.merges:
        spelled = {word: replace_pair(parts, pair, "".join(pair))
                   for word, parts in spelled.items()}
    assert [bpe.tokenize(text) for text in texts] == [
        [piece for word in words_of(text) for piece in spelled[word]] for text in texts]
    assert [bpe.decode(bpe.encode(text).ids) for text in texts] == texts


def words_of(text):
    """The words of a text, written in bytes, with repetitions."""
    return [to_characters(word.encode()) for word in split(text)]


# ---- cost ---------------------------------------------------------------------------------------

def lines_run(function, file):
    """How many lines of a file Python runs in a call, a line of a loop once for each round."""
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        if frame.f_code.co_filename != file:
            return None
        lines += event == "line"
        return trace
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("letters", ["ab", "abcdefgh"])
def test_the_work_on_one_long_word_grows_hardly_faster_than_its_length(letters):
    """From 1,000 to 4,000 letters n log n grows 4.8 times.

    Joins go on until no pair occurs twice, so their number grows with the word: if each read the
    whole word, the lines run would grow 7 to 9 times.
    """
    rng = np.random.default_rng(1)
    work = [lines_run(partial(join_pairs, {"".join(rng.choice([*letters], n)): 1}, letters, 10 ** 9,
                              2), bpe_training.__file__) for n in (1000, 4000)]
    assert 3 < work[1] / work[0] < 5


# ---- what is refused ----------------------------------------------------------------------------

def test_one_string_and_a_size_that_is_too_small_are_refused():
    with pytest.raises(TypeError, match="got one string"):
        train_bpe("abc")
    with pytest.raises(ValueError, match="vocab_size=256: expected at least 257"):
        train_bpe(["abc"], 256)


# ---- parity with the library --------------------------------------------------------------------

@pytest.mark.parametrize("stored", STORED)
def test_merges_equal_those_stored_from_the_library(stored):
    special = stored.get("special", [])
    bpe = train_bpe(stored["texts"], stored["size"], special=special,
                    min_frequency=stored["min_frequency"])
    assert bpe.merges == [tuple(pair) for pair in stored["merges"]]
    assert bpe.pieces[len({*special, *BYTE_OF_CHAR}):] == stored["joined"]


@settings(max_examples=25)
@given(texts, st.integers(257, 300), st.integers(0, 4), st.booleans(),
       st.lists(st.sampled_from(["<s>", "ab", "a", "Ġa"]), unique=True, max_size=3))
def test_merges_equal_those_of_the_installed_library(texts, size, min_frequency, space, special):
    pytest.importorskip("tokenizers")
    size += 3
    theirs = json.loads(ORIGINAL["train"](texts, size, min_frequency, special,
                                          prefix_space=space).to_str())["model"]
    ours = train_bpe(texts, size, special=special, min_frequency=min_frequency, prefix_space=space)
    assert ours.merges == [tuple(pair) for pair in theirs["merges"]]
    assert ours.index == theirs["vocab"]


def test_with_a_suffix_and_the_order_of_its_letters_merges_equal_the_librarys():
    pytest.importorskip("tokenizers")
    texts = [text.lower() for text in ORIGINAL["PROSE"]]
    theirs = json.loads(ORIGINAL["train"](texts, 500, 1, suffix="</w>").to_str())["model"]
    pieces = sorted(theirs["vocab"], key=theirs["vocab"].get)
    words = count_words(texts)
    letters = first_pieces(words, (), "</w>")
    assert sorted(letters) == sorted(pieces[:len(letters)])
    found = join_pairs(words, pieces[:len(letters)], 500, 1, suffix="</w>")
    assert found == (pieces, [tuple(pair) for pair in theirs["merges"]])


# ---- CLIP's --------------------------------------------------------------------------------------

def test_clips_pieces_are_bytes_twice_then_merges_then_the_special_tokens():
    bpe = train_clip_bpe(["low lower", "low"], 520)
    assert len(bpe) == 516 == len(set(bpe.pieces))                 # low</w> and nothing else: twice
    assert bpe.merges == [("l", "o"), ("lo", "w</w>")]
    assert bpe.pieces[-2:] == [START_OF_TEXT, END_OF_TEXT]
    assert [bpe.id_to_token(n) for n in bpe.encode("LOW é").ids] == [
        START_OF_TEXT, "low</w>", "Ã", "©</w>", END_OF_TEXT]
    with pytest.raises(ValueError, match="vocab_size=513: expected at least 514"):
        train_clip_bpe(["low"], 513)
