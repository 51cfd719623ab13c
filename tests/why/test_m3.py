"""BGE-M3 on a toy world: the data that it must not have seen, a tiny run, and the claims."""
import numpy as np
import pytest

from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.why import m3
from scratch_embed.why.effects import HELPS


@pytest.fixture(scope="module")
def task():
    return m3.draw_task(1, documents=60, pairs=80)


def test_no_code_and_no_query_of_the_evaluation_is_among_the_training_pairs(task):
    def codes(texts):
        return {text.split()[-1] for text in texts if " file " in text}
    queries, reports = task.pairs
    assert codes(reports) and not codes(reports) & codes(task.lookups.corpus.values())
    assert not set(queries) & set(task.lookups.queries.values())
    named = [" file " in query for query in queries]
    assert sum(named) == len(queries) // 2
    assert all(query.split()[-1] == report.split()[-1]
               for query, report, code in zip(queries, reports, named) if code)


def test_a_code_is_split_into_pieces(task):
    pieces = task.start.tokenizer.tokenize("kx-417")
    assert len(pieces) > 2 and "".join(p.removeprefix("##") for p in pieces) == "kx-417"


def test_bm25_finds_every_code_and_is_the_row_of_its_own_search(task):
    questions, codes, mean, composed = m3.bm25(task)
    assert codes == 100 and questions < 100 and 0 < composed < 100
    assert mean == pytest.approx((questions + codes) / 2)
    assert BM25([text.split() for text in task.lookups.corpus.values()])


def test_every_row_is_measured_after_one_step(task):
    rows, deviations, recall = m3.compared(task, steps=1)
    assert np.isfinite([*rows.values()]).all() and len(rows) == 15
    assert [*deviations] == ["questions", "codes", "composed"]
    assert all(len(row) == 3 and min(row) > 0 for row in deviations.values())
    assert recall == sorted(recall) and len(recall) == len(m3.DEPTHS) and recall[-1] == 100
    for claim in m3.CLAIMS:
        assert {claim.one, claim.other} <= rows.keys() and claim.column in m3.COLUMNS


def test_a_difference_is_paired_by_seed():
    rows = {"sparse": np.array([[1, 9, 5], [2, 8, 5.0]]), "dense": np.array([[0, 1, 0.5]] * 2)}
    found, = m3.differences(rows, m3.CLAIMS[:1])             # of the codes
    assert found.mean == 7.5 and m3.CLAIMS[0].predicted == HELPS


def test_with_as_many_candidates_as_documents_the_best_are_found(task):
    few, whole = m3.candidate_recall(task, task.start, (1, 60))
    assert 0 < few < whole == 100
