"""No token is lost when lines are split; a pair is of consecutive segments or random."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.sequences import (
    encode_lines,
    line_sequences,
    next_sentence_pairs,
    split_long_lines,
    tokens_per_text,
)
from scratch_embed.text.tokenizer import NO_TEMPLATE, Part, Template, bert_template
from scratch_embed.text.wordpiece import WordPiece

CLS, SEP = 1, 2
BERT_TEMPLATE = bert_template(CLS, SEP)
# not BERT's: special tokens first, of type 1; the second text before the first
UNUSUAL_TEMPLATE = Template((Part(None, (8, 9), 1), Part(0, (), 0)),
                      (Part(1, (), 1), Part(None, (), 0), Part(None, (9,), 0), Part(0, (), 0)))
texts = st.lists(st.lists(st.integers(10, 99), max_size=9), min_size=1, max_size=12).filter(any)


def character_lines(text):
    """Lines in which each character is a token."""
    return encode_lines(text.split("\n"), lambda line: [ord(c) for c in line])


def id_lines(lines):
    return encode_lines(lines, list)


def unpack(batch):
    return [batch.ids[a:b].tolist() for a, b in zip(batch.offsets, batch.offsets[1:])]


# ---- worked by hand -----------------------------------------------------------------------------

def test_lines_are_packed_and_a_blank_line_ends_a_document():
    lines = character_lines("ab\nc\n\n\nd")
    assert "".join(map(chr, lines.ids)) == "abcd" and lines.offsets.tolist() == [0, 2, 3, 4]
    assert lines.starts_document.tolist() == [True, False, True]
    assert (lines.ids.dtype, lines.offsets.dtype) == (np.int32, np.int64)


def test_a_long_line_is_split_into_equal_segments_and_only_the_first_starts_a_document():
    segments = split_long_lines(id_lines([[1, 2, 3, 4, 5, 6, 7], [8]]), 3)
    assert segments.offsets.tolist() == [0, 2, 4, 7, 8]
    assert segments.starts_document.tolist() == [True, False, False, False]


def test_a_sequence_is_a_line_with_special_tokens():
    batch = line_sequences(id_lines([[5, 6], [7, 8, 9]]), BERT_TEMPLATE, 4)
    assert unpack(batch) == [[CLS, 5, 6, SEP], [CLS, 7, SEP], [CLS, 8, 9, SEP]]
    assert not batch.types.any() and batch.types.dtype == batch.ids.dtype == np.int32
    assert unpack(line_sequences(id_lines([[5, 6]]), NO_TEMPLATE, 4)) == [[5, 6]]
    batch = line_sequences(id_lines([[5, 6]]), UNUSUAL_TEMPLATE, 4)
    assert unpack(batch) == [[8, 9, 5, 6]] and batch.types.tolist() == [1, 1, 0, 0]


def test_of_the_pairs_of_three_lines_only_the_last_is_random():
    """No line follows the last one, so its pair is random: one of three, half rounded down."""
    pairs, labels = next_sentence_pairs(id_lines([[5], [6], [7, 8]]), BERT_TEMPLATE, 7, seed=0)
    assert labels.tolist() == [0, 0, 1]
    assert unpack(pairs) == [[CLS, 5, SEP, 6, SEP], [CLS, 6, SEP, 7, 8, SEP],
                             [CLS, 7, 8, SEP, 6, SEP]]
    assert pairs.types.tolist() == [0, 0, 0, 1, 1] + [0, 0, 0, 1, 1, 1] + [0, 0, 0, 0, 1, 1]


def test_the_parts_of_a_template_may_be_in_any_order():
    pairs, labels = next_sentence_pairs(id_lines([[5], [6], [7]]), UNUSUAL_TEMPLATE, 7, seed=0)
    assert unpack(pairs)[0] == [6, 9, 5] and pairs.types[:3].tolist() == [1, 0, 0]


# ---- properties ---------------------------------------------------------------------------------

@given(texts, st.integers(3, 12))
def test_no_token_is_lost_and_no_sequence_is_too_long(lines, max_length):
    batch = line_sequences(id_lines(lines), BERT_TEMPLATE, max_length)
    inner = [ids[1:-1] for ids in unpack(batch)]
    assert sum(inner, []) == sum(lines, [])
    assert all(1 <= len(ids) <= max_length - 2 for ids in inner)
    assert all(ids[0] == CLS and ids[-1] == SEP for ids in unpack(batch))


@given(texts, st.integers(1, 9))
def test_segments_are_as_few_as_possible_and_of_equal_length_to_within_one(lines, room):
    segments, start = split_long_lines(id_lines(lines), room), 0
    for line in filter(None, lines):
        count = -(-len(line) // room)
        lengths = np.diff(segments.offsets)[start:start + count]
        assert sum(lengths) == len(line) and max(lengths) - min(lengths) <= 1
        start += count
    assert start == len(segments.starts_document)


@given(texts, st.integers(5, 14), st.integers(0, 9))
def test_each_segment_is_first_in_one_pair_and_the_expected_number_of_pairs_is_random(
        lines, max_length, seed):
    """Half of the pairs, rounded down, or one per document if this is more."""
    room, text = (max_length - 3) // 2, id_lines(lines)
    segments = split_long_lines(text, room)
    P, documents = len(segments.starts_document), int(segments.starts_document.sum())
    if P < 3:
        with pytest.raises(ValueError, match=f"expected at least 3 lines, got {P}"):
            next_sentence_pairs(text, BERT_TEMPLATE, max_length, seed)
        return
    pairs, labels = next_sentence_pairs(text, BERT_TEMPLATE, max_length, seed)
    assert labels.sum() == max(P // 2, documents) and len(labels) == P
    assert np.diff(pairs.offsets).max() <= max_length
    separate = unpack(segments)
    for n, ids in enumerate(unpack(pairs)):
        types = pairs.types[pairs.offsets[n]:pairs.offsets[n + 1]]
        a, b = ids[1:len(separate[n]) + 1], ids[len(separate[n]) + 2:-1]
        assert a == separate[n] and types.sum() == len(b) + 1 and b in separate
        if not labels[n]:
            assert b == separate[n + 1] and not segments.starts_document[n + 1]


@given(st.integers(3, 40), st.integers(0, 9))
def test_a_random_second_segment_is_neither_the_first_nor_the_next(n, seed):
    lines = id_lines([[10 + i] for i in range(n)])
    pairs, labels = next_sentence_pairs(lines, BERT_TEMPLATE, 5, seed)
    first, second = pairs.ids[1::5] - 10, pairs.ids[3::5] - 10
    assert (first == np.arange(n)).all() and ((second - first) % n >= 1).all()
    assert (((second - first) % n == 1) == (labels == 0)).all()


def test_random_segments_are_drawn_uniformly_from_the_text():
    """Each tenth of the range has 300 of 3,000 draws, to within five standard deviations, √300."""
    pairs, labels = next_sentence_pairs(id_lines([[i] for i in range(6000)]), NO_TEMPLATE, 2, 1)
    first, second = pairs.ids.reshape(-1, 2)[labels == 1].T
    shift = np.histogram((second - first) % 6000, 10, (0, 6000))[0]
    assert shift.sum() == 3000 and (abs(shift - 300) < 5 * 300 ** 0.5).all()


def test_the_same_seed_draws_the_same_pairs_and_another_seed_other_pairs():
    text = id_lines([[10 + i] for i in range(30)])
    a, b, c = (next_sentence_pairs(text, BERT_TEMPLATE, 9, seed) for seed in (1, 1, 2))
    assert (a[0].ids == b[0].ids).all() and (a[1] == b[1]).all() and (a[1] != c[1]).any()


def test_single_line_documents_have_only_random_pairs():
    _, labels = next_sentence_pairs(character_lines("a\n\nb\n\nc\n\nd"), BERT_TEMPLATE, 5, seed=3)
    assert labels.tolist() == [1, 1, 1, 1]


# ---- with the tokenizer -------------------------------------------------------------------------

def test_sequences_and_pairs_equal_those_that_the_tokenizer_encodes():
    tokenizer = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b"])
    lines = ["a b", "ab abb", "c [MASK]"]
    encoded = encode_lines(lines, tokenizer.token_ids)
    ours = line_sequences(encoded, tokenizer.template, 9)
    for array, expected in zip(ours, tokenizer.encode_batch(lines)):
        np.testing.assert_array_equal(array, expected)
    pairs, labels = next_sentence_pairs(encoded, tokenizer.template, 20, seed=0)
    expected = tokenizer.encode(lines[0], lines[1])
    assert labels[0] == 0 and unpack(pairs)[0] == expected.ids.tolist()
    assert pairs.types[:pairs.offsets[1]].tolist() == expected.types.tolist()


# ---- refused ------------------------------------------------------------------------------------

@pytest.mark.parametrize("parts, least", [(BERT_TEMPLATE.single, 3), (BERT_TEMPLATE.pair, 5),
                                          (NO_TEMPLATE.single, 1),
                                          (UNUSUAL_TEMPLATE.pair, 3)])
def test_a_length_without_room_is_refused(parts, least):
    assert tokens_per_text(parts, least) == 1
    with pytest.raises(ValueError, match=f"max_length={least - 1}: expected at least {least}"):
        tokens_per_text(parts, least - 1)
