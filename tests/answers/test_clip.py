"""Answer 5: its measures by hand, its tables in a small run, and words that follow the numbers."""
import numpy as np
import pytest

from scratch_embed.answers.clip import (
    BATCHES,
    CENTRED,
    CHANCE,
    COLUMNS,
    DISTANCES,
    LOSSES,
    TRAINED,
    UNTRAINED,
    answer,
    batch_loss,
    distances,
    paragraphs,
    space,
)
from scratch_embed.losses.infonce import symmetric_infonce

MEASURED = ("recall@10, text to image", "recall@10, image to text",
            *(f"zero-shot {name}" for name in ("shape", "colour", "size", "position", "seen pairs",
                                               "unseen pairs", "unseen shape", "unseen colour")),
            "probe, seen pairs", "probe, unseen pairs", "probe, unseen, fitted to all")
BATCH_NAMES = ("1 pair", "2 pairs", "16 pairs", "128 pairs")
RNG = np.random.default_rng(0)


def units(n, E=6):
    x = RNG.standard_normal((n, E))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


# ---- measures, worked by hand --------------------------------------------------------------------

def test_distances_worked_by_hand():
    """Two images at right angles, both captions opposite to the first."""
    u, v = np.eye(2), np.array([[-1.0, 0], [-1, 0]])
    gap, own, other, same = distances(u, v)
    assert gap == pytest.approx(np.hypot(1.5, 0.5))      # (½, ½) and (−1, 0)
    assert own == -0.5 and other == -0.5                 # own: −1, 0;  another's: −1, 0
    assert same == 50            # the first: 0 above −1; the second: 0 and 0, which is not nearer


def test_the_nearest_vector_of_an_image_is_its_caption_if_they_are_equal():
    u = units(20)
    gap, own, _, same = distances(u, u)
    assert gap == 0 and own == pytest.approx(1) and same == 0


def test_a_batch_of_one_has_no_loss_and_no_gradient():
    u, v = units(5), units(5)
    assert batch_loss(u, v, 1, 0.07) == 0
    _, backward = symmetric_infonce(u[:1], v[:1], 0.07)
    assert not any(np.any(gradient) for gradient in backward())


def test_the_loss_is_log_B_if_all_cosines_are_equal():
    u, v = np.tile([1.0, 0], (9, 1)), np.tile([0.6, 0.8], (9, 1))
    for B in (2, 3, 9):
        assert batch_loss(u, v, B, 0.07) == pytest.approx(np.log(B), rel=1e-12)


def test_the_first_axis_of_the_figure_is_the_gap():
    u, v = units(8) + 2, units(8) - 2
    found = space(u, v)
    np.testing.assert_allclose(found.images[:, 0].mean() - found.texts[:, 0].mean(),
                               np.linalg.norm(u.mean(0) - v.mean(0)))
    assert found.own.shape == (8,) and found.others.shape == (56,)
    np.testing.assert_allclose(found.own, (u * v).sum(1))


# ---- the words -----------------------------------------------------------------------------------

def equal(value):
    """The numbers of two seeds, all equal to a value."""
    return ({name: np.full((2, len(COLUMNS)), value) for name in MEASURED},
            {name: np.full((2, len(DISTANCES)), value) for name in (UNTRAINED, TRAINED, CENTRED)},
            {name: np.full((2, len(LOSSES)), value) for name in BATCH_NAMES})


def test_where_nothing_differs_the_answer_says_so_and_gives_no_advice():
    parts = paragraphs(*equal(50.0), scale=20.0)
    for part in parts:
        assert str(part).count("This run does not show that") == len(part.claims)
        assert "So do not rank" not in str(part)
    assert sum(len(part.claims) for part in parts) == 15
    assert "1/tau went from 14.3 to 20.0" in str(parts[1])


def test_each_claim_compares_the_rows_that_it_names():
    """The claims are about numbers that are in the right order here; then in the opposite one."""
    scores, spaces, losses = equal(0.0)
    for rank, name in enumerate(MEASURED):
        scores[name] += [1, 100 - rank, 2, 100]          # later rows are lower after training
    scores["probe, unseen, fitted to all"][:, 1] = 95
    spaces[UNTRAINED] += [3, 0, 0, 0]
    spaces[TRAINED] += [2, 1, 0, 90]
    losses["128 pairs"] += [5, 5, 6, 1]
    assert all(claim.holds for part in paragraphs(scores, spaces, losses, 20)
               for claim in part.claims)
    opposite = [{name: -rows for name, rows in table.items()} for table in
                (scores, spaces, losses)]
    assert not any(claim.holds for part in paragraphs(*opposite, 20) for claim in part.claims)


# ---- a run ---------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def small():
    from scratch_embed.answers import clip
    recipe = clip.RECIPE
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clip, "RECIPE", recipe._replace(dim=16, patch=8, batch_size=60))
        return answer([1, 2], documents=20, steps=1)


def test_a_small_run_has_three_tables_with_all_rows(small):
    scores, spaces, losses = small.tables
    assert tuple(scores.rows) == MEASURED and len(small.claims) == 15
    assert [*spaces.rows] == [UNTRAINED, TRAINED, CENTRED]
    assert [*losses.rows] == [name for name, B in zip(BATCH_NAMES, BATCHES) if B <= 20]
    for table in small.tables:
        for rows in table.rows.values():
            assert rows.shape == (2, len(table.columns)) == (2, len(table.digits))
            assert np.isfinite(rows).all()
    assert scores.rows["recall@10, text to image"][:, CHANCE].tolist() == [50, 50]     # 10 of 20
    assert not losses.rows["1 pair"].any()


def test_centred_senses_have_a_smaller_gap(small):
    gaps = {name: rows[:, 0] for name, rows in small.tables[1].rows.items()}
    assert (gaps[CENTRED] < gaps[TRAINED]).all() and (gaps[TRAINED] > 0.5).all()


@pytest.mark.campaign
def test_every_claim_holds_over_five_seeds():
    for claim in answer([1, 2, 3, 4, 5]).claims:
        assert claim.holds, claim.sentence()
