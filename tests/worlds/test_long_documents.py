"""One sentence among many states the fact; the upper bound for a model that reads k words."""
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
        said = dict(VALUE_OF[word] for word in words[begin:end] if word in VALUE_OF)
        assert tuple(said[slot] for slot in range(5)) == WORLD.document_facts[document]
        assert not set(words[:begin] + words[end:]) & set(VALUE_OF)


def test_all_positions_of_the_fact_are_equally_likely():
    later = np.array([text[:text.index(" . ") + 1].count(" ") < end
                      for text, end in zip(LONG.corpus.values(), LONG.end.values())])
    assert 0.9 < later.mean() < 1                               # the first place in 1 of 41
    share = np.array([LONG.end[d] / len(LONG.corpus[d].split()) for d in LONG.corpus])
    assert np.abs(np.quantile(share, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.12


def test_no_word_that_fills_a_document_is_one_of_the_facts():
    filler = {word for template in TEMPLATES for word in template.split()}
    assert not (filler | {word for words in FILL.values() for word in words}) & set(VALUE_OF)


def test_the_upper_bound_rises_from_chance_to_1_with_the_words_that_are_read():
    gains = gain_table(LONG.qrels, list(LONG.corpus))
    last = max(LONG.end.values())
    at = [upper_bound(LONG, words) for words in (0, 32, 128, last)]
    assert at[0] == pytest.approx(chance_ndcg(gains)) and at[-1] == pytest.approx(1)
    assert at == sorted(at) and at[1] < at[2] < 0.99


def test_a_fact_is_read_when_its_last_word_is():
    two = LongDocuments({"d0": "", "d1": ""}, {"q": ""}, {"q": {"d0": 1}}, {}, {},
                        {"d0": 5, "d1": 5})
    assert upper_bound(two, 5) == 1.0
    assert upper_bound(two, 4) == pytest.approx((1 + 1 / np.log2(3)) / 2)      # either goes first


def test_without_filler_the_documents_are_the_reports():
    short = lengthen(WORLD, sentences=0)
    assert all(len(text.split()) == short.end[d] for d, text in short.corpus.items())
    with pytest.raises(ValueError, match="sentences=-1: expected a whole number, 0 to"):
        lengthen(WORLD, sentences=-1)


def test_the_same_seed_draws_the_same_documents():
    assert lengthen(WORLD, 3) == lengthen(WORLD, 3) != lengthen(WORLD, 4)
