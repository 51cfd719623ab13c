"""Short vectors: the tasks, the scores, the ways to fewer numbers, and the ablations."""
import inspect

import numpy as np
import pytest

from scratch_embed.losses.matryoshka import matryoshka
from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.space.compress import prefix
from scratch_embed.why.ablations import measure_ablations
from scratch_embed.why.compression import floats, truncate_normalised
from scratch_embed.why.matryoshka import (
    ABLATIONS,
    BASE,
    OTHERS,
    measures,
    positives,
    regressed,
    trained,
)
from scratch_embed.why.prefixes import (
    LONGER,
    MATRYOSHKA,
    OWN,
    PRECISIONS,
    PROJECTED,
    TRAINING,
    TRUNCATED,
    UNTRAINED,
    compare,
    few,
    flat,
    precisions,
    score,
    train,
    train_models,
    tree,
    unit_vectors,
)
from scratch_embed.worlds.taxonomy import PATHS


@pytest.fixture(scope="module")
def task():
    return tree(1, per_kind=1, pairs=80)


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch):
    monkeypatch.setattr("scratch_embed.why.matryoshka.PAIRS", 60)


def one_hot_levels(paths):
    """The known truth as vectors: 4 + 16 + 64 numbers, so that cosines are shared levels / 3."""
    levels = [sorted({path[:depth] for path in PATHS}) for depth in (1, 2, 3)]
    return np.array([[path[:len(name)] == name for names in levels for name in names]
                     for path in paths], np.float32) / np.float32(3**.5)


# ---- the tasks and the scores -------------------------------------------------------------------

def test_the_taxonomys_collection_has_equally_many_documents_of_each_kind(task):
    assert len(task.documents) == 64 and sorted(task.paths[1]) == sorted(PATHS)
    assert len(task.queries) == 4 * 64 and len(task.pairs[0]) == len(task.targets) > 60
    evaluated = {*task.queries, *task.documents}
    assert len(evaluated) == 5 * 64 and not evaluated & {*task.pairs[0], *task.pairs[1]}


def test_the_ten_best_documents_are_of_the_kind_the_family_and_the_realm():
    gains = tree(1, pairs=4).gains
    assert np.sort(gains[0])[::-1][:10].tolist() == [3, 3, 2, 2, 2, 2, 2, 2, 1, 1]


def test_the_flat_world_has_queries_that_are_not_in_its_pairs():
    task = flat(1, documents=60, pairs=40)
    assert task.gains.shape == (9, 60) and task.paths is None and task.gains.max() == 2
    assert not set(task.queries) & set(task.pairs[0])


def test_vectors_of_the_known_truth_have_perfect_scores(task):
    """Equal vectors all have one score, which is that of the documents added first."""
    Q, X = (one_hot_levels(paths) for paths in task.paths)
    np.testing.assert_allclose(score(task, floats(X), Q), 100)
    same = np.ones((1, 2), np.float32)
    ndcg, *right = score(task, floats(same.repeat(64, axis=0)), same.repeat(256, axis=0))
    assert ndcg < 60 and right == [25, 6.25, 1.5625]


# ---- training and the ways to fewer numbers -----------------------------------------------------

def test_a_prefix_that_is_not_in_the_loss_gets_no_gradient(task):
    """With the loss on 4 numbers, only columns 0 to 3 of the vectors have a gradient."""
    def loss(views):
        value, backward = task.objective.loss(views, task.targets[:8], None)
        return value, lambda: backward(None)
    views = [task.start.encode(view[:8]) for view in task.pairs]
    _, backward = matryoshka(loss, views, dims=[4])
    for dy in backward():
        assert np.abs(dy[:, :4]).max() > 0 and not dy[:, 4:].any()


def test_training_does_not_change_the_start_and_is_the_same_for_the_same_seed(task):
    before = task.start.model.p.flat.copy()
    one, two = (train(task, steps=2, batch_size=8) for _ in range(2))
    np.testing.assert_array_equal(task.start.model.p.flat, before)
    np.testing.assert_array_equal(one.model.p.flat, two.model.p.flat)
    assert (one.model.p.flat != before).any()


def test_truncate_dim_is_the_normalised_prefix_as_in_text_embedding_3(task):
    """OpenAI's `dimensions`: cut, then scale to norm 1."""
    encoder = train(task, steps=1, batch_size=8)
    whole = encoder.encode(task.queries)
    for m in (64, 16, 3, 1):
        short = encoder.encode(task.queries, truncate_dim=m)
        np.testing.assert_allclose(short, prefix(whole, m), atol=4e-7)
        np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1, atol=1e-6)


def test_every_way_has_a_score_at_each_size_and_whole_vectors_are_not_shortened(task):
    found = compare(task, train_models(task, dims=(64, 4), steps=2, batch_size=8))
    assert all(rows.shape == (2, 4) for rows in found.values())
    np.testing.assert_array_equal(found[TRUNCATED][0], found[OWN][0])
    Q, X = unit_vectors(task, task.start)
    np.testing.assert_array_equal(found[UNTRAINED][0], score(task, floats(X), Q))
    assert (found[OWN][1] != found[TRUNCATED][1]).any()


def test_few_documents_are_the_first_of_each_kind():
    task = tree(1, per_kind=3, pairs=4)
    part = few(task)
    assert len(part.documents) == 128 and part.gains.shape == (256, 128)
    at = [task.documents.index(text) for text in part.documents]
    np.testing.assert_array_equal(part.gains, task.gains[:, at])
    assert at == sorted(at) and [task.paths[1][n] for n in at] == part.paths[1]


def test_dimensions_and_precisions_store_what_they_say(task):
    found = precisions(task, task.start, dims=(64, 12), rounds=1)
    sizes = {key: stage.bytes for key, stage in found.items()}
    assert sizes == {(64, "float32"): 256, (64, "int8"): 64, (64, "bits, float x bits, int8"): 72,
                     (64, "bits, float x bits"): 8, (64, "bits (Hamming)"): 8,
                     (12, "float32"): 48, (12, "int8"): 12, (12, "bits, float x bits, int8"): 14,
                     (12, "bits, float x bits"): 2, (12, "bits (Hamming)"): 2,
                     (12, LONGER): 256}
    assert all(stage.rate > 0 and (0 <= stage.score).all() for stage in found.values())
    Q, X = unit_vectors(task, task.start)
    np.testing.assert_array_equal(found[12, "float32"].score,
                                  score(task, truncate_normalised(X, 12), Q))


# ---- the ablations ------------------------------------------------------------------------------

def test_every_setting_is_an_argument_of_train_or_of_the_ablations():
    known = {*inspect.signature(sbert.train).parameters, *Optim._fields, "dims", "weights"}
    assert set(TRAINING) <= known and set(BASE) == set(TRAINING) | {"pairs", "form"}


def test_other_pairs_and_losses_of_the_ablations(task):
    assert set(regressed(task).targets.tolist()) <= {0, 1 / 3, 2 / 3, 1}
    same = positives(task, levels=(3,))
    assert same.targets is None and 50 < len(same.pairs[0]) <= 60
    assert not {*task.queries, *task.documents} & {*same.pairs[0], *same.pairs[1]}


@pytest.mark.parametrize("ablations", [
    ABLATIONS[2:3], pytest.param(ABLATIONS, marks=pytest.mark.campaign)])
def test_every_ablation_is_measured_with_all_its_numbers(task, ablations):
    short = [ablation._replace(settings=dict(ablation.settings, steps=1, batch_size=8))
             for ablation in ablations]
    measured = measure_ablations(short, [task, task._replace(seed=2)], trained, score=measures)
    for ablation, effects in zip(short, measured, strict=True):
        assert [effect.variant for effect in effects] == list(ablation.variants)
        assert all(len(effect.others) == len(OTHERS) for effect in effects)


@pytest.mark.campaign
def test_trained_prefixes_beat_truncation_and_PCA_at_4_numbers_of_the_tree():
    """Margins are about half of the smallest difference found in five seeds."""
    for seed in (1, 2, 3):
        task = tree(seed)
        scores = compare(task, train_models(task, dims=(64, 16, 4)))
        found = {name: rows[:, 0] for name, rows in scores.items()}
        assert found[MATRYOSHKA][2] > found[PROJECTED][2] + 2 > found[TRUNCATED][2] + 4
        assert found[MATRYOSHKA][0] > found[TRUNCATED][0] - 2
        assert found[MATRYOSHKA][2] > found[UNTRAINED][0] + 10


@pytest.mark.campaign
def test_eight_bytes_are_enough_for_the_kind_and_one_bit_per_number_is_not():
    task = tree(1, per_kind=32, pairs=3000)
    found = precisions(task, train(task), rounds=1)
    assert found[8, "int8"].bytes == 8 and found[8, "int8"].score[0] > 98
    assert found[8, "bits (Hamming)"].score[0] < 95
    assert found[4, LONGER].score[0] > found[4, "float32"].score[0]
    assert {(m, name) for m in TRAINING["dims"] for name in PRECISIONS} < set(found)
