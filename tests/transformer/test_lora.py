"""LoRA: the same model at first, trained without its own weights, merged to the same model."""
import numpy as np
import pytest

from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import AdamW
from scratch_embed.text.packed import pack
from scratch_embed.transformer import bert, gpt2, mistral
from scratch_embed.transformer.lora import (
    Lora,
    find_targets,
    linear_layers,
    lora_layers,
    merged,
    update,
    with_lora,
)
from tests.rounding import dtypes
from tests.transformer.causal_parity import random_params

MISTRAL = mistral.Config(vocab=9, dim=6, layers=2, heads=3, kv_heads=1, head_dim=4, ff=5,
                         positions=8, sliding_window=3)
GPT2 = gpt2.Config(vocab=9, dim=6, layers=2, heads=3, ff=5, positions=8)
BERT = bert.Config(vocab=9, dim=6, layers=2, heads=3, ff=5, positions=8, types=1)
BATCH = pack([[1, 4, 2, 8], [3], [5, 0, 7, 6, 2]])


def mistral_model(dtype=np.float64):
    return mistral.Mistral(MISTRAL, random_params(mistral.tensors(MISTRAL), 0, dtype))


def all_families(dtype=np.float64):
    return [mistral_model(dtype), gpt2.Gpt2(GPT2, random_params(gpt2.tensors(GPT2), 0, dtype)),
            bert.Bert(BERT, random_params(bert.tensors(BERT), 0, dtype))]


def trained(model):
    """The model with LoRA, with random A and B as if it had been trained."""
    model = with_lora(model, Lora(rank=2, alpha=3.0))
    rng = np.random.default_rng(1)
    model.p.flat[:] = 0.5 * rng.standard_normal(model.p.flat.size)
    return model


# ---- with_lora -----------------------------------------------------------------------------------

def test_b_is_zero_and_a_is_uniform_as_in_peft():
    p = with_lora(mistral_model(), Lora(rank=400)).p
    A, B = p["layers.1.mlp.down.lora_a"], p["layers.1.mlp.down.lora_b"]
    assert A.shape == (400, 5) and B.shape == (6, 400) and not B.any()
    bound = 5 ** -0.5                              # kaiming_uniform_ with a = √5: 1/√inputs
    assert abs(A).max() <= bound and abs(A).max() > 0.99 * bound
    assert abs(A.mean()) < 0.02 and abs(A.std() - bound / 3 ** 0.5) < 0.01


@dtypes
def test_at_first_the_vectors_are_those_of_the_model(dtype):
    for model in all_families(dtype):
        x = with_lora(model).infer(BATCH)
        np.testing.assert_array_equal(x, model.infer(BATCH), strict=True)


def test_only_a_and_b_are_trainable_and_the_model_is_not_copied():
    model = mistral_model()
    adapted = with_lora(model, Lora(rank=2, targets=("attn.q", "mlp.down")))
    q, down = 2 * (6 + 3 * 4), 2 * (5 + 6)         # r (I + O) of a layer
    assert adapted.p.flat.size == 2 * (q + down)
    assert set(adapted.p.like()) == {f"layers.{n}.{part}.lora_{letter}" for n in (0, 1)
                                     for part in ("attn.q", "mlp.down") for letter in "ab"}
    assert all(np.shares_memory(adapted.p[name], view) for name, view in model.p.items())


def test_a_step_changes_a_and_b_alone():
    model = mistral_model()
    adapted, before = trained(model), model.p.flat.copy()
    x, backward = adapted.encode(BATCH)
    g = adapted.p.like()
    backward(np.ones_like(x), g)
    a = adapted.p["layers.0.attn.k.lora_a"].copy()
    AdamW(adapted.p).step([g], lr=0.1)
    np.testing.assert_array_equal(model.p.flat, before)
    assert (adapted.p["layers.0.attn.k.lora_a"] != a).all()


@pytest.mark.parametrize("targets, found", [
    (("attn.q",), ["layers.0.attn.q", "layers.1.attn.q"]), (("layers.1.mlp.up",),
                                                           ["layers.1.mlp.up"])])
def test_targets_are_ends_of_names(targets, found):
    assert find_targets(mistral_model().p, targets) == found


def test_by_default_every_linear_layer_is_a_target_but_the_head():
    model = mistral.Mistral(MISTRAL, random_params(
        mistral.tensors(MISTRAL) | mistral.head_tensors(MISTRAL)))
    assert linear_layers(model.p)[-1] == "lm_head"
    assert find_targets(model.p) == linear_layers(model.p)[:-1] and len(find_targets(model.p)) == 14


def test_the_error_names_the_targets_that_there_are():
    with pytest.raises(ValueError, match="targets: expected some of attn.q, attn.k, attn.v, "
                                         "attn.o, mlp.gate, mlp.up, mlp.down, got 'q_proj'"):
        with_lora(mistral_model(), Lora(targets=("attn.q", "q_proj")))
    with pytest.raises(ValueError, match="expected one without LoRA, got one with it in layers.0"):
        with_lora(with_lora(mistral_model()))
    with pytest.raises(ValueError, match="rank=0: expected a whole number, 1 to"):
        with_lora(mistral_model(), Lora(rank=0))
    with pytest.raises(ValueError, match="alpha=0: expected a number above 0"):
        with_lora(mistral_model(), Lora(alpha=0))


# ---- gradients and merging -----------------------------------------------------------------------

@pytest.mark.parametrize("model", all_families(), ids=repr)
def test_the_gradients_of_a_model_with_lora_are_right(model):
    adapted = trained(model)
    push = np.random.default_rng(2).standard_normal((len(BATCH.ids), 6))

    def loss(p):
        x, backward = adapted.with_params(p).encode(BATCH)
        return (x * push).sum(), lambda g: backward(push, g)
    check_loss(loss, adapted.p)


@dtypes
def test_a_merged_model_has_the_same_vectors_and_no_lora(dtype):
    for model in all_families(dtype):
        adapted = trained(model)
        x, whole = adapted.infer(BATCH), merged(adapted)
        assert abs(x - model.infer(BATCH)).max() > 0.1
        np.testing.assert_allclose(whole.infer(BATCH), x, rtol=0,
                                   atol=2e-5 if dtype == np.float32 else 1e-12)
        np.testing.assert_array_equal(adapted.encode(BATCH)[0], x)
        assert list(whole.p) == list(model.p) and whole.p.flat.size == model.p.flat.size


def test_the_merged_matrix_is_w_plus_the_scaled_product():
    adapted = trained(mistral_model())
    p, name = adapted.p, "layers.1.attn.v"
    expected = p[name + ".weight"] + 1.5 * p[name + ".lora_b"] @ p[name + ".lora_a"]
    np.testing.assert_allclose(merged(adapted).p[name + ".weight"], expected, rtol=1e-14)
    assert np.linalg.matrix_rank(update(p, name)) == 2


def test_merging_does_not_change_the_model_that_is_merged():
    model = mistral_model()
    adapted, before = trained(model), model.p.flat.copy()
    merged(adapted).p.flat[:] = 0
    np.testing.assert_array_equal(model.p.flat, before)
    assert lora_layers(adapted.p) and not lora_layers(merged(adapted).p)


def test_a_rank_of_all_dimensions_can_express_any_change():
    """B = I and s = 1: the update is A itself."""
    model = with_lora(mistral_model(), Lora(rank=6, alpha=6.0, targets=("layers.0.attn.o",)))
    change = np.random.default_rng(3).standard_normal((6, 12))
    model.p["layers.0.attn.o.lora_a"][...], model.p["layers.0.attn.o.lora_b"][...] = (
        change, np.eye(6))
    np.testing.assert_array_equal(update(model.p, "layers.0.attn.o"), change)


def test_a_model_with_lora_is_merged_before_it_is_saved(tmp_path):
    adapted = trained(mistral_model())
    with pytest.raises(ValueError, match="these differ: .*lora_a"):
        adapted.save(tmp_path)
    merged(adapted).save(tmp_path)
    np.testing.assert_array_equal(mistral.Mistral.load(tmp_path, np.float64).p.flat,
                                  merged(adapted).p.flat)
