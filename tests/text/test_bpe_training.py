"""Each step joins the most frequent pair; merges and pieces are those of the library."""
import json
import runpy
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.text.bpe_training import (
    END_OF_TEXT,
    START_OF_TEXT,
    count_words,
    first_pieces,
    join,
    join_pairs,
    train_bpe,
    train_clip_bpe,
)
from scratch_embed.text.byte_level import BYTE_OF_CHAR, CLIP, split, to_characters
from scratch_embed.text.normal_forms import CLIP_NORMALIZER

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
    assert join([2, 0, 1, 3], (0, 1), 7) == (
        [2, 7, 3], [((2, 0), -1), ((2, 7), 1), ((1, 3), -1), ((7, 3), 1)])
    new, changes = join([0, 0, 0, 0, 0], (0, 0), 7)
    assert new == [7, 7, 0]
    total = Counter()
    for pair, change in changes:
        total[pair] += change
    assert +total == {(7, 7): 1, (7, 0): 1}


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
        spelled = {word: join(parts, best, best[0] + best[1])[0] for word, parts in spelled.items()}
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
        spelled = {word: join(parts, pair, "".join(pair))[0] for word, parts in spelled.items()}
    assert [bpe.tokenize(text) for text in texts] == [
        [piece for word in words_of(text) for piece in spelled[word]] for text in texts]
    assert [bpe.decode(bpe.encode(text).ids) for text in texts] == texts


def words_of(text):
    """The words of a text, written in bytes, with repetitions."""
    return [to_characters(word.encode()) for word in split(text)]


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
