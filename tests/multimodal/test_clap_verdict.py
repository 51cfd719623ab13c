"""CLAP on the toy scenes: scores and baselines by hand, bounds, and a short training run."""
import numpy as np

from scratch_embed.multimodal import htsat
from scratch_embed.multimodal.clap_verdict import (
    HEARD,
    RECIPE,
    bags,
    bounds,
    nearest,
    report,
    ridge,
    ridge_map,
    roberta_tokenizer,
    scores,
    train_on_scenes,
    untrained,
)
from scratch_embed.nn.optim import Optim
from scratch_embed.training.session import RunOptions
from scratch_embed.worlds.scenes import NAMES, Scenes

SMALL = RECIPE._replace(
    scenes=60, test=40, steps=12, batch_size=16, text=(16, 1), dim=8, optim=Optim(lr=1e-2),
    tower=htsat.Config(mels=32, size=64, patch=16, stride=16, dim=8, depths=(1,), heads=(2,),
                       window=4))


def test_scores_worked_by_hand():
    """Scenes 0 and 1 sound alike, scene 2 does not.  Sound 0 finds text 1, sound 2 text 0."""
    labels = np.zeros((3, len(NAMES)), int)
    labels[2, NAMES.index("motion")] = 1
    labels[1, NAMES.index("colour")] = 1                       # cannot be heard
    similarity = np.array([[0.5, 0.9, 0], [0, 1, 0], [0.7, 0.1, 0.6]])
    found = scores(similarity, Scenes(labels))
    assert found.exact_text == 2 / 3                           # sound 2 finds a text of another
    assert found.exact_sound == 2 / 3                          # text 0 finds sound 2
    assert found.recall_text == found.recall_sound == 1        # among 3, all are in the first 10
    assert "colour" not in HEARD


def test_ties_count_against_recall():
    equal = scores(np.zeros((11, 11)), Scenes(np.zeros((11, len(NAMES)), int)))
    assert equal.recall_text == 0 and equal.exact_text == 1


def test_ridge_finds_a_linear_map_and_nearest_the_nearest_row():
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((2000, 3)), rng.standard_normal((3, 4))
    Y = X @ W
    found = ridge(X[:1900], Y[:1900], X[1900:])
    want = Y[1900:] - Y[:1900].mean(0)
    np.testing.assert_allclose(found, want / np.linalg.norm(want, axis=1, keepdims=True), atol=2e-3)
    np.testing.assert_array_equal(nearest(X, Y, X[:5] + 1e-6), Y[:5])


def test_ridge_chooses_its_penalty_on_rows_that_it_holds_out():
    """120 rows of 100 columns, one of which counts: a small penalty fits the noise."""
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((120, 100)), rng.standard_normal((300, 100))
    Y, truth = X[:, :1] * [1, -1] + rng.standard_normal((120, 2)), Z[:, :1] * [1, -1]

    def right(found):
        return (np.sign(found[:, 0]) == np.sign(truth[:, 0])).mean()
    assert right(ridge(X, Y, Z)) > right(Z @ ridge_map(X, Y, 1.0))


def test_bags_have_the_tokens_of_a_caption_once_and_norm_1():
    model = untrained(["a ring", "a square"])
    both = bags(model, ["a ring ring", "a ring"])
    ids = model.tokenize(["a ring"]).ids
    assert np.flatnonzero(both[1]).tolist() == sorted(ids)
    np.testing.assert_allclose(both @ both.T, 1, rtol=1e-6)


def test_chance_and_the_best_possible_scores():
    chance, best = bounds(seed=1)
    assert 0.02 < chance.exact_text < 0.025 and chance.recall_text == 0.01     # 1/48, about
    assert best.exact_text == 1 and 0.4 < best.recall_text < 0.6


def test_the_tokenizer_has_robertas_special_tokens():
    tokenizer = roberta_tokenizer(["a ring"] * 2, 300)
    ids = tokenizer.encode("a ring").ids
    assert (ids[0], ids[-1]) == (0, 2) and tokenizer.token_to_id("<pad>") == 1


def test_a_short_run_learns_and_its_report_names_every_search():
    start, trained, run = train_on_scenes(SMALL, RunOptions(seed=3))
    assert run.losses[-1] < run.losses[0]
    rows = report(start, trained, 3, SMALL)
    assert [*rows] == ["CLAP", "before training", "log-mel, linear map",
                       "untrained tower, linear map", "log-mel, nearest neighbour"]
    assert all(0 <= number <= 1 for row in rows.values() for number in row)
