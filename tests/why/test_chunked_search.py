"""Search in chunks: which chunks are evidence, which questions have no answer."""
from functools import cache

import numpy as np
import pytest

from scratch_embed.evaluate.context import context_recall, tokens_needed
from scratch_embed.why.chunked_search import (
    Chunks,
    Collection,
    bm25,
    by_encoder,
    cut,
    document_ndcg,
    draw_collection,
    evidence,
    facts_cut,
    passages,
    untrained,
)
from scratch_embed.worlds.facts import VALUE_OF, states_all, values_named
from scratch_embed.worlds.long_documents import FILL, TEMPLATES


@cache
def small() -> Collection:
    return draw_collection(seed=1, documents=40)


@pytest.mark.parametrize("size, overlap", [(16, 0), (32, 13), (None, 0)])
def test_a_chunk_with_the_whole_fact_states_all_its_values(size, overlap):
    collection = small()
    chunks, facts = cut(collection, size, overlap), [*collection.world.document_facts.values()]
    stated = values_named(chunks.texts)
    assert (stated[chunks.has_fact] == np.array(facts)[chunks.document[chunks.has_fact]]).all()
    assert [len(text.split()) for text in chunks.texts] == chunks.lengths.tolist()


def test_an_overlap_of_the_longest_sentence_less_1_cuts_no_fact():
    collection = small()
    assert facts_cut(cut(collection, 32, 13), 40) == facts_cut(cut(collection, None), 40) == 0
    assert facts_cut(cut(collection, 8), 40) > 0.8           # the shortest sentence has 9 words


def test_evidence_is_in_documents_with_all_values_of_the_question():
    collection = small()
    chunks = cut(collection, 32, 13)
    right = states_all(values_named(collection.questions), values_named(chunks.texts))
    assert (evidence(collection, chunks) == right & chunks.has_fact).all()
    assert evidence(collection, chunks).any(axis=1).all()    # every question has an answer


def test_no_document_answers_a_near_miss_and_it_has_two_values_of_its_question():
    collection = small()
    asked, changed = values_named(collection.questions), values_named(collection.unanswerable)
    stated = np.array([*collection.world.document_facts.values()])
    assert not states_all(changed, stated).any()
    assert ((asked != changed).sum(axis=1) == 1).all()       # of the same three slots
    assert ((asked < 0) == (changed < 0)).all()


def test_a_search_by_the_evidence_itself_needs_one_chunk_and_has_the_best_ndcg():
    collection = small()
    chunks = cut(collection, 32, 13)
    needed = tokens_needed(evidence(collection, chunks), chunks.lengths,
                           evidence(collection, chunks))
    assert context_recall(needed, 32) == 1
    perfect = collection.gains[:, chunks.document]
    assert document_ndcg(collection, chunks, perfect) == pytest.approx(100)


def test_a_document_scores_as_its_best_chunk():
    """Two chunks of each of the first two documents, of which document 0 alone is relevant."""
    gains = (np.arange(40) == 0) * np.ones((20, 1))
    collection = small()._replace(gains=gains)
    chunks = Chunks(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), np.ones(4), np.ones(4, bool))
    for scores, rank in ([0.0, 9, 1, 5], 1), ([9.0, -1, 5, -2], 1), ([0.0, 1, 9, 5], 2):
        found = document_ndcg(collection, chunks, np.tile(scores, (20, 1)))
        assert found == pytest.approx(100 / np.log2(1 + rank))


def test_passages_hold_their_report_among_irrelevant_sentences():
    reports = ["the weary seaman mended the lantern near the shore"] * 30
    found = passages(reports, seed=1)
    filler = {word for template in TEMPLATES for word in template.split()} | {
        word for words in FILL.values() for word in words}
    assert all(f" . {reports[0]} . " in f" . {text} . " for text in found) and len(set(found)) > 20
    assert {text.count(" . ") for text in found} == {1, 2, 3}
    assert not filler & VALUE_OF.keys()


def test_searches_have_a_score_for_each_question_and_chunk():
    collection = small()
    encode = untrained(collection, seed=1).encode
    assert bm25(["the sailor"], ["a sailor", "a ship", "the sea"]).argmax() == 0
    scores = by_encoder(encode, lambda texts: -encode(texts))(["the sailor"], ["the sailor"])
    assert scores == pytest.approx(-1)
