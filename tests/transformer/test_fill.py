"""fill_mask: the most probable tokens at masked positions, with their probabilities."""
import numpy as np
import pytest

from scratch_embed.nn.params import init_params
from scratch_embed.text.packed import pack, take
from scratch_embed.transformer.bert import Bert, Config, head_tensors, tensors
from scratch_embed.transformer.fill import fill_mask
from scratch_embed.transformer.masked_lm import masked_lm

CONFIG = Config(vocab=11, dim=8, layers=2, heads=2, ff=12, positions=9)
BATCH = pack([[1, 5, 4, 2], [1, 4, 7, 4, 8, 2]])
POSITIONS = np.flatnonzero(BATCH.ids == 4)     # 2 in the first text, 5 and 7 in the second


@pytest.fixture
def model():
    declared = tensors(CONFIG, std=1) | head_tensors(CONFIG, std=1)
    return Bert(CONFIG, init_params(declared, 1, np.float64))


def test_if_the_heads_norm_gives_0_the_bias_gives_the_probabilities(model):
    """The logits are b = (0, log 2, log 3, 0, ...), so p = (1, 2, 3, 1, ...)/14."""
    model.p["mlm.norm.weight"][:] = 0
    model.p["mlm.norm.bias"][:] = 0
    model.p["mlm.bias"][1:3] = np.log([2, 3])
    ids, probabilities = fill_mask(BATCH, POSITIONS, model, 4)
    assert ids.tolist() == [[2, 1, 0, 3]] * 3
    np.testing.assert_allclose(probabilities, np.array([[3, 2, 1, 1]] * 3) / 14, rtol=1e-14)


def test_minus_the_logarithm_of_a_probability_is_the_loss(model):
    ids, probabilities = fill_mask(BATCH, POSITIONS, model, 11)
    assert (np.diff(probabilities) <= 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-14)
    x, _ = model.encode(BATCH)
    for m, position in enumerate(POSITIONS):
        for id, probability in zip(ids[m], probabilities[m]):
            loss, _ = masked_lm(x, np.array([position]), np.array([id]), model.p, CONFIG)
            assert -np.log(probability) == pytest.approx(loss, rel=1e-12)


def test_a_prediction_does_not_depend_on_other_texts_in_the_batch(model):
    ids, probabilities = fill_mask(BATCH, POSITIONS, model, 5)
    ids_alone, probabilities_alone = fill_mask(take(BATCH, [1]), np.array([1, 3]), model, 5)
    assert (ids_alone == ids[1:]).all()
    np.testing.assert_allclose(probabilities_alone, probabilities[1:], rtol=1e-12)


def test_k_above_v_returns_all_tokens(model):
    assert fill_mask(BATCH, POSITIONS, model, 99)[0].shape == (3, 11)


def test_a_model_without_the_head_is_refused(model):
    bare = Bert(CONFIG, model.p.only(tensors(CONFIG)))
    with pytest.raises(ValueError, match="11 tokens has no masked-LM head"):
        fill_mask(BATCH, POSITIONS, bare)
