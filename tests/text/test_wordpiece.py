"""Pieces are the longest from the left; ids, types and text are those of the tokenizers library."""
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratch_embed.text import word_cache
from scratch_embed.text.added_tokens import AddedToken, make_finder, split_at_tokens
from scratch_embed.text.basic_tokenizer import CASED, Normalizer, split_words
from scratch_embed.text.corpus import READ_SIZE
from scratch_embed.text.tokenizer import NO_TEMPLATE, Part, Template, share_room
from scratch_embed.text.wordpiece import SPECIAL, WordPiece, longest_match
from scratch_embed.text.wordpiece_json import Fields, parse, to_json

STORED = json.loads((Path(__file__).parents[1] / "golden/wordpiece.json").read_text("ascii"))
DIFFER = "".join(chr(code) for ranges in STORED["differ"].values() for first, last in ranges
                 for code in range(first, last + 1))
PIECES = [*SPECIAL, "un", "##aff", "##able", "a", "b", "c", "##a", "##b", "##c", "ab", "##bc",
          ".", ",", "'", "!", "##er", "new", "日", "é", "##é", "σ", "##ς"]
INDEX = {piece: i for i, piece in enumerate(PIECES)}
letters = st.text("abc", min_size=1, max_size=7)
# what a text may contain: pieces, special tokens, punctuation, accents, ideographs, emoji, controls
fragments = st.sampled_from([
    *PIECES, "[MASK", "MASK]", "Ab", "É", "e\u0301", "ΑΣ", "ς", "日本", "🙂", "\u00a0", "\u200b",
    "\ue000", "İ", "New York", "new", "york", "<t>", "x", "unaffable", "\u3000", "…", "\x00",
    "\x0b", "\x1c", "\ufffd", "##", "_"])
spaces = st.sampled_from(["", " ", "  ", "\t", "\n"])
mixed = st.lists(st.tuples(fragments, spaces), max_size=8).map(
    lambda parts: "".join(fragment + space for fragment, space in parts))


@pytest.fixture(scope="module")
def bert():
    return WordPiece(PIECES)


def library(tokenizer):
    """The same tokenizer in the library, from the JSON that ours writes."""
    return pytest.importorskip("tokenizers").Tokenizer.from_str(
        json.dumps(to_json(tokenizer)))


# ---- worked by hand -----------------------------------------------------------------------------

def test_unaffable_as_in_berts_code(bert):
    assert bert.tokenize("unaffable") == ["un", "##aff", "##able"]
    assert bert.tokenize("UNaffable, un-able") == ["un", "##aff", "##able", ",", "un", "[UNK]",
                                                "[UNK]"]


@pytest.mark.parametrize("word, pieces", [
    ("una", ["un", "##a"]), ("abc", ["ab", "##c"]), ("bbc", ["b", "##bc"]), ("aff", None),
    ("x", None), ("ax", None), ("", [])])
def test_the_longest_piece_is_taken_or_the_word_is_unknown(word, pieces):
    found = longest_match(word, INDEX)
    assert found == (pieces and [INDEX[piece] for piece in pieces])


def test_a_greedy_split_can_miss_one_that_exists():
    index = {"un": 0, "una": 1, "##aff": 2}
    assert longest_match("unaff", index) is None
    assert longest_match("unaff", index | {"##ff": 3}) == [1, 3]


def test_special_tokens_and_types_of_a_text_and_a_pair(bert):
    ids, types = bert.encode("a [MASK]b")
    assert [PIECES[i] for i in ids] == ["[CLS]", "a", "[MASK]", "b", "[SEP]"]
    assert types.tolist() == [0] * 5
    ids, types = bert.encode("ab.", "c")
    assert [PIECES[i] for i in ids] == ["[CLS]", "ab", ".", "[SEP]", "c", "[SEP]"]
    assert types.tolist() == [0, 0, 0, 0, 1, 1]
    assert ids.dtype == types.dtype == np.int32


def test_a_word_longer_than_max_word_is_unknown():
    for limit in 100, 200:
        bert = WordPiece(PIECES, max_word=limit)
        assert bert.tokenize("a" * limit) == ["a"] + ["##a"] * (limit - 1)
        assert bert.tokenize("a" * (limit + 1)) == ["[UNK]"]


@pytest.mark.parametrize("a, b, room, expected", [
    (3, 9, 12, (3, 9)), (3, 9, 10, (3, 7)), (9, 3, 10, (7, 3)), (9, 9, 10, (5, 5)),
    (3, 9, 5, (2, 3)), (9, 3, 5, (3, 2)), (9, 9, 5, (2, 3)), (9, 0, 5, (5, 0)), (2, 3, 0, (0, 0))])
def test_the_longer_text_is_truncated_first(a, b, room, expected):
    assert share_room(a, b, room) == expected


@pytest.mark.parametrize("text, back", [
    ("Unaffable, ab!", "unaffable, ab!"), ("a ' b", "a ' b"), ("[MASK] a", "a"), ("", "")])
def test_decoding_restores_the_text_except_for_normalisation(bert, text, back):
    assert bert.decode(bert.encode(text).ids) == back


def test_decoding_joins_pieces_and_keeps_special_tokens_on_demand(bert):
    ids = bert.encode("[MASK] unaffable.").ids
    assert bert.decode(ids, skip_special=False) == "[CLS] [MASK] unaffable. [SEP]"
    assert WordPiece(PIECES, cleanup=False).decode(ids) == "unaffable ."
    assert bert.decode([INDEX["##aff"], INDEX["##a"]]) == "##affa"


# ---- added tokens -------------------------------------------------------------------------------

def split_at_added_token(text, **flags):
    token = AddedToken("<t>", 7, **flags)
    return ["<t>" if isinstance(part, AddedToken) else part
            for part in split_at_tokens(text, make_finder([token], str))]


def test_flags_of_added_tokens_worked_by_hand():
    assert split_at_added_token("a <t> b") == ["a ", "<t>", " b"]
    assert split_at_added_token("a <t> b", lstrip=True) == ["a", "<t>", " b"]
    assert split_at_added_token("a <t> \n<t>b", rstrip=True) == ["a ", "<t>", "<t>", "b"]
    assert split_at_added_token("a<t> <t>_ <t>, <t>é<t>", single_word=True) == [
        "a<t> <t>_ ", "<t>", ", <t>é<t>"]
    assert split_at_added_token("<t><t>") == ["<t>", "<t>"] and split_at_added_token("") == []


def test_white_space_that_a_token_has_taken_is_not_another_token():
    finder = make_finder([AddedToken("\n", 7, lstrip=True, rstrip=True)], str)
    assert [getattr(part, "id", part) for part in split_at_tokens("a \n\r\nb", finder)] == [
        "a", 7, "b"]


def test_of_several_tokens_that_match_the_longest_is_taken():
    finder = make_finder([AddedToken("ab", 0), AddedToken("abc", 1), AddedToken("bcd", 2)], str)
    assert [getattr(part, "id", part) for part in split_at_tokens("xabcdab", finder)] == [
        "x", 1, "d", 0]


def test_a_normalized_token_is_searched_for_in_the_normalised_text():
    added = [AddedToken("New York", len(PIECES), special=False, normalized=True)]
    bert = WordPiece(PIECES, added=added)
    assert len(bert) == len(PIECES) + 1 and bert.token_to_id("New York") == len(PIECES)
    assert bert.tokenize("a NÉW YORK") == ["a", "new york"]
    assert bert.tokenize("[MASK]") == ["[UNK]"] * 3           # not added here


# ---- properties ---------------------------------------------------------------------------------

@given(letters)
def test_the_pieces_of_a_word_join_to_the_word(word):
    ids = longest_match(word, INDEX)
    pieces = [PIECES[i] for i in ids]
    assert pieces[0] + "".join(piece.removeprefix("##") for piece in pieces[1:]) == word
    assert all(piece.startswith("##") for piece in pieces[1:])


@given(st.lists(letters, max_size=8))
def test_decoding_restores_words_of_known_letters(words):
    bert = WordPiece(PIECES)
    ids = bert.encode(text := " ".join(words)).ids
    assert bert.decode(ids) == text
    assert (bert.encode(bert.decode(ids)).ids == ids).all()


@given(st.lists(mixed, max_size=5), st.sampled_from([None, 3, 4, 7]), st.booleans())
def test_encode_batch_packs_what_encode_returns(texts, max_length, in_pairs):
    bert = WordPiece(PIECES)
    pairs = texts[::-1] if in_pairs else None
    packed = bert.encode_batch(iter(texts), pairs, max_length)
    assert [a.dtype for a in packed] == [np.int32, np.int64, np.int32]
    assert packed.offsets[0] == 0 and packed.offsets[-1] == len(packed.ids) == len(packed.types)
    assert len(packed.offsets) == len(texts) + 1
    for i, text in enumerate(texts):
        one = bert.encode(text, pairs[i] if pairs else None, max_length)
        here = slice(packed.offsets[i], packed.offsets[i + 1])
        assert packed.ids[here].tolist() == one.ids.tolist()
        assert packed.types[here].tolist() == one.types.tolist()


@given(mixed, mixed, st.integers(3, 12))
def test_no_token_is_added_or_lost_except_by_truncation(a, b, max_length):
    bert = WordPiece(PIECES)
    inner = [bert.token_ids(a), bert.token_ids(b)]
    full = bert.encode(a, b)
    assert len(full.ids) == len(inner[0]) + len(inner[1]) + 3
    cut = bert.encode(a, b, max_length)
    assert len(cut.ids) == min(len(full.ids), max_length)
    first, second = (cut.types == 0).sum() - 2, (cut.types == 1).sum() - 1
    assert cut.ids[1:1 + first].tolist() == inner[0][:first]
    assert cut.ids[2 + first:-1].tolist() == inner[1][:second]


@given(mixed)
def test_encoding_does_not_depend_on_texts_encoded_before(text):
    bert = WordPiece(PIECES)
    first = bert.token_ids(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_cache, "KNOWN_BYTES", 800)
        small_cache = WordPiece(PIECES)
        assert small_cache.token_ids(text) == small_cache.token_ids(text) == first
        assert bert.token_ids(text) == first
        assert len(small_cache._cache.ids) <= 4          # at least 142 bytes each, beside 184


def test_a_text_may_be_truncated_from_the_left():
    """The library's rule for pairs, with the beginnings cut off."""
    bert = WordPiece([*SPECIAL, *"abcdefgh"], truncation_side="left")
    words = " ".join
    assert bert.encode(words("abcd"), max_length=4).ids.tolist() == [2, 7, 8, 3]
    assert bert.encode(words("abcd"), words("efgh"), 8).ids.tolist() == [2, 7, 8, 3, 10, 11, 12, 3]
    assert bert.encode(words("abcd"), max_length=2).ids.tolist() == [2, 3]
    with pytest.raises(ValueError, match="truncation_side='middle': expected 'right' or 'left'"):
        WordPiece(SPECIAL, truncation_side="middle")


def test_the_lengths_before_truncation_are_returned():
    bert = WordPiece([*SPECIAL, *"abcd"])
    batch, lengths = bert.encode_with_lengths(["a b c d", "a", ""], max_length=4)
    assert np.diff(batch.offsets).tolist() == [4, 3, 2] and lengths.tolist() == [6, 3, 2]
    batch, lengths = bert.encode_with_lengths(["a b"], ["c d"], max_length=6)
    assert np.diff(batch.offsets).tolist() == [6] and lengths.tolist() == [7]


@given(st.text("abcx ", max_size=20))
def test_each_word_is_tokenized_separately_to_at_least_one_piece(text):
    bert = WordPiece(PIECES)
    assert bert.token_ids(text) == [i for word in split_words(text) for i in bert.token_ids(word)]
    assert len(bert.token_ids(text)) >= len(split_words(text))


# ---- what is refused ----------------------------------------------------------------------------

@pytest.mark.parametrize("make, message", [
    (lambda: WordPiece(["[UNK]", "a", "a"]), "twice"),
    (lambda: WordPiece(["a"]), r"expected '\[UNK\]'"),
    (lambda: WordPiece(["[UNK]"], added=[AddedToken("x", 5)]), "expected id 1, got"),
    (lambda: WordPiece(["[UNK]", "x"], added=[AddedToken("x", 0)]), "expected id 1, got"),
    (lambda: WordPiece(["[UNK]"], added=[AddedToken("", 1)]), "expected a character"),
    (lambda: WordPiece(["[UNK]"], added=[AddedToken("x", 1, normalized=True),
                                         AddedToken("X", 2, normalized=True)]), "another token is"),
    (lambda: WordPiece(["[UNK]"], template=Template((Part(None, (3,), 0),), ())), "below 1, got 3"),
    (lambda: WordPiece(PIECES).encode("a", "b", max_length=2), "expected at least 3"),
    (lambda: WordPiece(PIECES).encode_batch(["a"], ["b", "c"]), "each of 1 texts, got 2"),
    (lambda: WordPiece(PIECES).decode([len(PIECES)]), "token ids must be in 0"),
    (lambda: WordPiece(PIECES).decode([-1]), "token ids must be in 0")])
def test_wrong_arguments_are_value_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("call", [
    lambda t: t.encode(b"a"), lambda t: t.encode(None), lambda t: t.encode_batch("abc"),
    lambda t: t.encode_batch(["a"], "b"), lambda t: t.encode_batch([["a"]])])
def test_an_argument_that_is_not_a_text_is_a_type_error(bert, call):
    with pytest.raises(TypeError, match="str"):
        call(bert)


# ---- parity with the library --------------------------------------------------------------------

@pytest.mark.parametrize("stored", STORED["tokenizers"], ids=["uncased", "cased", "added"])
def test_ids_types_and_texts_equal_those_stored_from_the_library(stored):
    tokenizer = parse(Fields("stored", stored["file"]))
    for text, pair, max_length, ids, types, decoded, with_special in stored["cases"]:
        ours = tokenizer.encode(text, pair, max_length)
        assert (ours.ids.tolist(), ours.types.tolist()) == (ids, types), (text, pair, max_length)
        assert (tokenizer.decode(ids), tokenizer.decode(ids, False)) == (decoded, with_special)


def assert_alike(ours, theirs, text, pair, max_length=None):
    if max_length is None:
        theirs.no_truncation()
    else:
        theirs.enable_truncation(max_length)
    found, expected = ours.encode(text, pair, max_length), theirs.encode(text, pair)
    assert found.ids.tolist() == expected.ids and found.types.tolist() == expected.type_ids
    assert ours.decode(expected.ids) == theirs.decode(expected.ids)
    assert (ours.decode(expected.ids, False)
            == theirs.decode(expected.ids, skip_special_tokens=False))


flags = st.builds(Normalizer, st.booleans(), st.booleans(), st.sampled_from([None, True, False]),
                  st.booleans())


@given(mixed, st.none() | mixed, st.none() | st.integers(3, 9), flags)
def test_texts_of_all_sorts_are_encoded_as_by_the_library(text, pair, max_length, normalizer):
    ours = WordPiece(PIECES, normalizer)
    assert_alike(ours, library(ours), text, pair, max_length)


assigned = st.characters(exclude_categories=["Cs", "Cn"], exclude_characters=DIFFER)


@pytest.mark.skipif(unicodedata.unidata_version != STORED["unicode"],
                    reason="the differences listed are those of another Unicode version")
@given(st.text(assigned, max_size=30), flags)
def test_all_of_unicode_is_encoded_as_by_the_library(text, normalizer):
    """The vocabulary has every character that occurs, so that no difference hides behind [UNK]."""
    known = sorted(set(text + text.lower()) | {"x"})
    ours = WordPiece([*SPECIAL, *known, *("##" + c for c in known)], normalizer)
    assert_alike(ours, library(ours), text, None)


spellings = st.lists(st.sampled_from(["New York", "<t>", "<t>x", "É", "ab", "##", "yes"]),
                     unique=True, max_size=4)


@given(mixed, spellings, st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=4,
                                  max_size=4), st.sampled_from([Normalizer(), CASED]))
def test_added_tokens_are_found_as_by_the_library(text, names, flags, normalizer):
    ids = iter(range(len(PIECES), 99))
    added = [AddedToken(name, INDEX[name] if name in INDEX else next(ids), *token_flags)
             for name, token_flags in zip(names, flags)]
    ours = WordPiece(PIECES, normalizer, added, NO_TEMPLATE)
    assume(not any(token.special and token.normalized for token in added))     # see Differs
    assert_alike(ours, library(ours), text, text[::-1])


def test_a_long_text_in_one_line_is_split_part_by_part_with_the_same_ids():
    """token_ids() works on about a million characters at a time; a token may lie at a cut."""
    tokenizer = WordPiece([*SPECIAL, "ab", "##c", "d"])
    unit = "abc [MASK] d "
    text = unit * (3 * READ_SIZE // len(unit))
    assert tokenizer.token_ids(text) == tokenizer.token_ids(unit) * (len(text) // len(unit))
