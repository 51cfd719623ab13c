"""Parameters are windows on one buffer; their names say which are norms, and which decay."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.params import Params, decays, initial, is_norm
from scratch_embed.numerics.safetensors import read_safetensors

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPES = {"a.weight": (2, 3), "a.bias": (2,), "LayerNorm.weight": (3,), "LayerNorm.bias": (3,),
          "one": (), "none": (0, 4)}
shapes = st.dictionaries(st.text("abc.", min_size=1, max_size=5),
                         st.lists(st.integers(0, 4), max_size=3).map(tuple), max_size=6)


def test_names_are_windows_worked_by_hand():
    p = Params({"w": (2, 2), "b": (2,)}, np.float64)
    p.flat[:] = range(6)
    assert p["w"].tolist() == [[0, 1], [2, 3]] and p["b"].tolist() == [4, 5]
    p["w"][1, 0] = 7
    p["b"] += 10                                        # += writes through the view
    assert p.flat.tolist() == [0, 1, 7, 3, 14, 15]


@given(shapes)
def test_the_windows_are_the_whole_buffer_in_order_and_do_not_overlap(shapes):
    p = Params(shapes, np.float64)
    p.flat[:] = np.arange(p.flat.size)
    assert {name: view.shape for name, view in p.items()} == p.shapes == shapes
    assert list(p) == list(shapes)
    views = [view.ravel() for view in p.values()]
    np.testing.assert_array_equal(np.concatenate([*views, []]), p.flat)
    assert all(np.shares_memory(view, p.flat) for view in p.values() if view.size)


def test_an_array_in_a_windows_place_would_leave_flat_behind_and_is_refused():
    p = Params(SHAPES)
    with pytest.raises(TypeError, match=r"'a.weight'.*write into it, p\['a.weight'\]\[...\] ="):
        p["a.weight"] = np.ones((2, 3))
    with pytest.raises(TypeError):
        p["a.weight"] = p["a.weight"] + 1
    with pytest.raises(KeyError):
        p["new"] = np.ones(2)
    assert not p.flat.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_twin_is_zero_and_a_copy_is_equal_and_neither_is_the_original(dtype):
    p = initial(SHAPES, 0, dtype)
    g, other = p.like(), p.copy()
    assert g.flat.dtype == other.flat.dtype == p.flat.dtype == dtype
    assert not g.flat.any() and g.shapes == p.shapes
    np.testing.assert_array_equal(other.flat, p.flat)
    g.flat += 1
    other.flat += 1
    np.testing.assert_array_equal(p.flat, initial(SHAPES, 0, dtype).flat)


def test_a_copy_in_float64_holds_the_same_numbers():
    p = initial(SHAPES, 0)
    twin = p.copy(np.float64)
    assert twin.flat.dtype == np.float64
    np.testing.assert_array_equal(twin.flat, p.flat)


# ---- first values -------------------------------------------------------------------------------

def test_first_weights_are_normal_norms_one_and_biases_zero():
    """20,000 draws: the mean within 5 σ/√n of 0, the deviation within 5 σ/√(2n) of 0.02."""
    p = initial({"e.weight": (100, 200), "e.bias": (100,), "LayerNorm.weight": (9,),
                 "LayerNorm.bias": (9,)}, seed=3, dtype=np.float64)
    w = p["e.weight"]
    assert abs(w.mean()) < 5 * 0.02 / 20_000**0.5
    assert abs(w.std() - 0.02) < 5 * 0.02 / 40_000**0.5
    assert (p["LayerNorm.weight"] == 1).all()
    assert not p["LayerNorm.bias"].any() and not p["e.bias"].any()


def test_a_tensor_more_changes_no_other_and_another_seed_changes_all():
    few = initial({"a.weight": (3, 4)}, 1)
    many = initial({"b.weight": (3, 4), "a.weight": (3, 4)}, 1)
    np.testing.assert_array_equal(few["a.weight"], many["a.weight"])
    assert (many["a.weight"] != many["b.weight"]).all()
    assert (few["a.weight"] != initial({"a.weight": (3, 4)}, 2)["a.weight"]).all()


def test_float32_begins_where_float64_does_but_for_its_rounding():
    np.testing.assert_array_equal(initial(SHAPES, 1).flat,
                                  initial(SHAPES, 1, np.float64).flat.astype(np.float32))


# ---- names --------------------------------------------------------------------------------------

NORMS = ["embeddings.LayerNorm", "encoder.layer.11.attention.output.LayerNorm",       # BERT
         "h.0.ln_1", "h.11.ln_2", "ln_f",                                             # GPT-2
         "layers.0.input_layernorm", "layers.0.post_attention_layernorm", "norm",     # Mistral
         "encoder.layers.0.layer_norm1", "encoder.layers.0.layer_norm2",              # CLIP
         "pre_layrnorm", "post_layernorm", "final_layer_norm",
         "layer.0.layernorm_before", "layer.0.layernorm_after",                       # ViT
         "blocks.0.norm1", "blocks.0.norm2"]
OTHERS = ["embeddings.word_embeddings", "encoder.layer.0.attention.self.query", "h.0.mlp.c_fc",
          "layers.0.mlp.gate_proj", "visual_projection", "normal.dense", "mlp.dense",
          "cls.predictions.transform.dense"]


@pytest.mark.parametrize("name", NORMS)
def test_norms_do_not_decay_whatever_the_original_calls_them(name):
    assert is_norm(name + ".weight") and is_norm(name + ".bias")
    assert not decays(name + ".weight") and not decays(name + ".bias")


@pytest.mark.parametrize("name", OTHERS)
def test_other_weights_decay_and_their_biases_do_not(name):
    assert not is_norm(name + ".weight") and decays(name + ".weight")
    assert not decays(name + ".bias")


@pytest.mark.parametrize("name", ["bert_pretraining", "bert_masked"])
def test_of_a_real_model_what_decays_is_what_has_two_axes(name):
    """BERT has no matrix that is a bias or a norm, and no vector that is neither."""
    tensors, metadata = read_safetensors(GOLDEN / f"{name}.safetensors")
    assert json.loads(metadata["config"])["model"].startswith("BertFor")
    weights = {key[7:]: x for key, x in tensors.items() if key.startswith("weight.")}
    assert len(weights) > 20
    assert {key for key in weights if decays(key)} == {
        key for key, x in weights.items() if x.ndim == 2}
