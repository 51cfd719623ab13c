"""Ablations of CLIP: the halves of the loss, what is frozen, prompts, and a tiny run."""
from functools import partial

import numpy as np
import pytest

from scratch_embed.multimodal.clip import clip_loss
from scratch_embed.multimodal.clip_verdict import report
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.params import Constant, Params, Tensor, init_params
from scratch_embed.why import clip
from scratch_embed.why.ablations import measure_ablations
from scratch_embed.why.clip import (
    ABLATIONS,
    BASE,
    OTHERS,
    PROMPTS,
    Learned,
    bare_word,
    beside_baselines,
    draw_task,
    ensemble,
    images_choose,
    initial,
    measures,
    one_prompt,
    prompted,
    templates,
    texts_choose,
    trained,
    words,
)

X, Y = np.random.default_rng(0).standard_normal((2, 5, 4))


def scale(value=1.0):
    return init_params({"log_scale": Tensor((), Constant(value))}, 1, np.float64)


@pytest.fixture(scope="module")
def task():
    return draw_task(1, scenes=80)


def few_steps(ablation):
    return ablation._replace(settings=ablation.settings | dict(steps=1), variants={
        name: (change | dict(steps=1), predicted)
        for name, (change, predicted) in ablation.variants.items()})


# ---- losses --------------------------------------------------------------------------------------

def test_clips_loss_is_the_mean_of_its_halves():
    p = scale()
    whole, images, texts = (loss(X, Y, p)[0] for loss in (clip_loss, images_choose, texts_choose))
    assert whole == pytest.approx((images + texts) / 2) and images != texts


def test_a_half_worked_by_hand():
    """Both images are most like the first text; cosines 1 and 0, temperature 1."""
    x, y = np.array([[1.0, 0], [1, 0]]), np.eye(2)
    p = scale(0.0)
    right, wrong = np.log(1 + np.exp(-1)), np.log(1 + np.exp(1))
    assert images_choose(x, y, p)[0] == pytest.approx((right + wrong) / 2)
    assert texts_choose(x, y, p)[0] == pytest.approx(np.log(2))          # equal columns


@pytest.mark.parametrize("loss", [images_choose, texts_choose])
def test_the_gradient_of_a_half_is_its_derivative(loss):
    p = Params({"x": X.shape, "y": Y.shape, "log_scale": ()}, np.float64)
    p["x"][...], p["y"][...], p["log_scale"][...] = X, Y, 1.3

    def of(p):
        value, back = loss(p["x"], p["y"], p)

        def backward(g):
            dx, dy = back(1.0, g)
            g["x"] += dx
            g["y"] += dy
        return value, backward
    check_loss(of, p)


# ---- settings ------------------------------------------------------------------------------------

def test_the_base_is_clip_as_it_is(task):
    p = initial(BASE, task)
    assert p.frozen == () and BASE["loss"] is clip_loss
    np.testing.assert_allclose(p.flat, task.start.p.flat, rtol=1e-6)


def test_what_does_not_learn_is_frozen(task):
    fixed = initial(BASE | dict(learned=False, tau=0.01), task)
    assert fixed.frozen == ("log_scale",) and np.exp(fixed["log_scale"]) == pytest.approx(100)
    tower = initial(BASE | dict(frozen=("image.",)), task)
    assert {name.split(".")[0] for name in tower.frozen} == {"image"}
    learning = tower.trainable_views()
    assert "image.projection.weight" in learning and "text.tokens.weight" in learning


def test_a_frozen_tower_keeps_its_weights_and_the_other_learns(task):
    after = trained(BASE | dict(frozen=("text.",), steps=2, batch_size=8), task)
    np.testing.assert_array_equal(after.p["text.tokens.weight"], task.start.p["text.tokens.weight"])
    assert np.any(after.p["text.projection.weight"] != task.start.p["text.projection.weight"])
    assert np.any(after.p["image.class"] != task.start.p["image.class"])


def test_prompts():
    assert one_prompt("colour", 0) == ["a red thing"]
    assert bare_word("shape", 1) == ["square"]
    assert words("colour", 0) == ["a red thing", "a crimson thing", "a scarlet thing"]
    assert len(ensemble("size", 0)) == 9 and set(templates("size", 0)) < set(ensemble("size", 0))


# ---- a tiny run ----------------------------------------------------------------------------------

def test_every_variant_is_measured_after_one_step(task, monkeypatch):
    monkeypatch.setattr(clip, "report", partial(report, n=40))
    other = draw_task(2, scenes=80)
    variants = [few_steps(ablation) for ablation in ABLATIONS]
    for ablation, effects in zip(variants, measure_ablations(variants, [task, other], trained,
                                                             score=measures)):
        assert [effect.variant for effect in effects] == [*ablation.variants]
        assert all(len(effect.others) == len(OTHERS) for effect in effects)
        assert all(np.isfinite([effect.with_it, effect.without]).all() for effect in effects)
    learned = [Learned(one, one.start) for one in (task, other)]
    effects, = measure_ablations(PROMPTS, learned, prompted, score=lambda _, x: x)
    assert all(10 < effect.with_it < 60 for effect in effects)           # chance is 27


def test_baselines_stand_in_every_row(task):
    rows = beside_baselines(task.start, task.start, 1, n=40)
    assert rows["zero-shot colour"][2:] == pytest.approx([100 / 6, 100])
    for name, (before, after, chance, best) in rows.items():
        assert before == after and 0 < chance < best <= 100, name
