"""Who did what: the task, the start of the cross-encoder, its candidates, the curve."""
import numpy as np
import pytest

from scratch_embed.evaluate.ranking import ndcg
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_training import LABELS
from scratch_embed.text.packed import pack
from scratch_embed.why.rerank import (
    ABLATIONS,
    BASE,
    MASKED_LM,
    Experiment,
    experiment,
    from_bi_encoder,
    from_masked_lm,
    measures,
    trained,
    without_segments,
)
from scratch_embed.why.who_did_what import (
    MEASURES,
    candidates,
    compared,
    curve,
    draw_task,
    initial,
    order_by,
    ranking_of,
    train_bi,
    train_cross,
    with_matching,
)
from scratch_embed.worlds.bindings import synonyms_alone

TASK = draw_task(1, groups=4, queries=6, training=40)
BI = train_bi(TASK, steps=2, batch_size=8)
GIVEN = Experiment(TASK, BI)


def facts_of(text):
    """{the words of each sentence of a document}."""
    return {frozenset(sentence.split()) for sentence in text.split(" . ")}


def test_training_texts_are_a_query_and_the_three_documents_of_a_group():
    queries, *columns = TASK.training
    assert not set(queries) & set(TASK.queries)
    for texts in zip(*columns):
        assert len({tuple(sorted(text.split())) for text in texts}) == 1      # the same words
        assert not facts_of(texts[0]) & facts_of(texts[1])


def test_with_matching_a_token_attends_most_to_tokens_with_similar_vectors():
    """Token ids 9 and 9, 20 and 20 in the two texts: without positions, each attends to itself."""
    encoder = with_matching(initial(TASK), seed=1)
    p = encoder.model.p
    np.testing.assert_array_equal(p["layers.0.attn.q.weight"], p["layers.0.attn.k.weight"])
    x = p["embed.tokens.weight"][[9, 20, 9, 20]]
    x = x / x.std(axis=1, keepdims=True)                          # as the norm does
    q = x @ p["layers.0.attn.q.weight"].T
    scores = q @ q.T
    assert scores[0, 2] == pytest.approx(scores[0, 0]) and scores[0, 0] > scores[0, 1] + 1
    before = initial(TASK).model.p
    assert all((p[name] == before[name]).all() for name in p if "layers.0.attn" not in name)


def test_candidates_are_the_positive_first_and_negatives_of_each_kind():
    rows = candidates(TASK, BI, group=2, mined=1, random=3)
    queries, positives, *others = TASK.training
    assert [row[:3] for row in rows] == [list(row) for row in zip(positives, *others)]
    assert all(len(row) == 7 and set(row[3:]) <= set(positives) for row in rows)
    assert all(row[3] != row[0] for row in rows)                  # mined: not the positive
    assert candidates(TASK, BI, group=0, mined=0, random=0) == [[text] for text in positives]


def test_training_with_either_loss_lowers_it_and_leaves_the_start_alone():
    start, rows = from_bi_encoder(GIVEN), candidates(TASK, BI)
    before = start.model.p.flat.copy()
    for loss in (LABELS, BASE["loss"]):
        cross = train_cross(TASK, start, rows, loss, steps=2, batch_size=4)
        assert isinstance(cross, CrossEncoder)
    assert (start.model.p.flat == before).all()


def test_the_curve_of_a_perfect_reranker_is_bounded_by_recall():
    """A model that knows the gains, in place of the cross-encoder."""
    class Perfect:
        def predict(self, pairs):
            return np.array([TASK.gains[TASK.queries.index(query), TASK.documents.index(document)]
                             for query, document in pairs], float)
    points = curve(TASK, BI, Perfect(), depths=(1, 6, 12), timed=1)
    assert points[12].ndcg == pytest.approx(100) and points[12].recall == pytest.approx(100)
    assert points[0].ndcg == points[1].ndcg <= points[6].ndcg     # depth 1 changes nothing
    assert [points[depth].passes for depth in (0, 1, 6, 12)] == [1, 2, 7, 13]
    assert points[1].recall <= points[6].recall and points[6].milliseconds > 0


def test_the_order_of_the_others_is_that_of_the_bi_encoder():
    ids, _ = order_by(TASK, BI)

    class LowestFirst:
        def predict(self, pairs):
            return -np.array([TASK.documents.index(document) for _, document in pairs], float)
    points = curve(TASK, BI, LowestFirst(), depths=(2,), timed=1)
    moved = np.concatenate([np.sort(ids[:, :2], axis=1), ids[:, 2:]], axis=1)
    assert points[2].ndcg == pytest.approx(100 * ndcg(ranking_of(TASK, moved), 10).mean())


def test_the_table_has_the_baselines_and_every_depth():
    cross = CrossEncoder.warm_start(BI)
    rows = compared(TASK, BI, cross, {"another": BI})
    assert list(rows)[:5] == ["BM25", "bag of words, upper bound", "synonyms, no word order",
                              "another", "bi-encoder: 1 pass"]
    assert all(row.shape == (len(MEASURES),) for row in rows.values())
    assert rows["another"][1] == rows["bi-encoder: 1 pass"][1]


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_cross_encoder_knows_who_did_what_and_a_bi_encoder_only_the_words(seed):
    """Half a minute per seed.  Both read the same training texts."""
    given = experiment(seed)
    points = curve(given.task, given.bi, trained(BASE, given), depths=(10, 50))
    words = 100 * synonyms_alone(given.task.world)
    assert points[0].ndcg == pytest.approx(words, abs=8)
    assert points[50].recall > 99 and points[50].ndcg >= 95 > 80 > points[10].ndcg


# ---- the ablations ------------------------------------------------------------------------------

def test_every_ablation_trains_and_is_measured(monkeypatch):
    monkeypatch.setitem(MASKED_LM, "steps", 1)
    small = BASE | dict(steps=1, batch_size=2)
    changes = [change for ablation in ABLATIONS for change, _ in ablation.variants.values()]
    assert dict(start=from_masked_lm) in changes
    for change in changes:
        assert measures(GIVEN, trained(small | change, GIVEN)).shape == (3,)


def test_without_segments_both_texts_have_the_same_embedding_also_after_training():
    cross = trained(BASE | dict(steps=2, batch_size=2, start=without_segments), GIVEN)
    types = cross.model.p["embed.types.weight"]
    assert (types[0] == types[1]).all()
    one, other = (cross.model.infer(pack([[2, 9, 3, 9, 3]], [kinds]))
                  for kinds in ([0, 0, 0, 0, 0], [0, 0, 0, 1, 1]))
    np.testing.assert_array_equal(one, other)
