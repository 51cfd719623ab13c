"""Long documents: one sentence states the fact; the upper bound of a model that truncates."""
import numpy as np
import pytest

from scratch_embed.worlds.bounds import chance_ndcg
from scratch_embed.worlds.facts import WORDS, facts, gain_table
from scratch_embed.worlds.long_documents import (
    FILL,
    TEMPLATES,
    LongDocuments,
    lengthen,
    upper_bound,
)

WORLD = facts(1, 400, 40, sentences=0, pairs=0)
LONG = lengthen(WORLD, sentences=40)
VALUE_OF = {word: (slot, value) for slot, values in enumerate(WORDS)
            for value, words in enumerate(values) for word in words}


def test_one_sentence_states_the_fact_and_its_end_is_recorded():
    for document, text in LONG.corpus.items():
        words, end = text.split(), LONG.end[document]
        assert text.count(" . ") == 40 and (end == len(words) or words[end] == ".")
        begin = max([i + 1 for i, word in enumerate(words[:end]) if word == "."], default=0)
        assert begin == LONG.start[document]
        stated = dict(VALUE_OF[word] for word in words[begin:end] if word in VALUE_OF)
        assert tuple(stated[slot] for slot in range(5)) == WORLD.document_facts[document]
        assert not set(words[:begin] + words[end:]) & set(VALUE_OF)


def test_all_positions_of_the_fact_are_equally_likely():
    not_first = np.array([text[:text.index(" . ") + 1].count(" ") < end
                          for text, end in zip(LONG.corpus.values(), LONG.end.values())])
    assert 0.9 < not_first.mean() < 1                      # the fact is first in 1 of 41 documents
    share = np.array([LONG.end[d] / len(LONG.corpus[d].split()) for d in LONG.corpus])
    assert np.abs(np.quantile(share, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.12


def test_filler_sentences_have_no_word_of_a_fact():
    filler = {word for template in TEMPLATES for word in template.split()}
    assert not (filler | {word for words in FILL.values() for word in words}) & set(VALUE_OF)


def test_the_upper_bound_rises_from_chance_to_1_with_the_number_of_words_read():
    gains = gain_table(LONG.qrels, list(LONG.corpus))
    last = max(LONG.end.values())
    bounds = [upper_bound(LONG, words) for words in (0, 32, 128, last)]
    assert bounds[0] == pytest.approx(chance_ndcg(gains)) and bounds[-1] == pytest.approx(1)
    assert bounds == sorted(bounds) and bounds[1] < bounds[2] < 0.99


def test_a_fact_counts_as_read_if_its_last_word_is_read():
    two = LongDocuments({"d0": "", "d1": ""}, {"q": ""}, {"q": {"d0": 1}}, {}, {},
                        {"d0": 5, "d1": 5}, {"d0": 0, "d1": 0})
    assert upper_bound(two, 5) == 1.0
    assert upper_bound(two, 4) == pytest.approx((1 + 1 / np.log2(3)) / 2)      # in random order


def test_without_filler_the_documents_are_the_reports():
    short = lengthen(WORLD, sentences=0)
    assert all(len(text.split()) == short.end[d] for d, text in short.corpus.items())
    with pytest.raises(ValueError, match="sentences=-1: expected a whole number, 0 to"):
        lengthen(WORLD, sentences=-1)


def test_the_same_seed_draws_the_same_documents():
    assert lengthen(WORLD, 3) == lengthen(WORLD, 3) != lengthen(WORLD, 4)
