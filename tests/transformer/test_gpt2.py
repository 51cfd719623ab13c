"""GPT-2 equals transformers: outputs, gradients, initial weights, dropout and folders."""
import json
import os

import numpy as np
import pytest

from scratch_embed.nn.activations import gelu, gelu_tanh, tanh
from scratch_embed.nn.dropout import Dropout, factors
from scratch_embed.nn.params import Params, init_params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_header, read_safetensors
from scratch_embed.text.packed import pack
from scratch_embed.transformer.gpt2 import (
    ONLY,
    Config,
    Gpt2,
    decoder_layer,
    read_config,
    tensors,
)
from tests.golden import make_gpt2
from tests.rounding import dtypes
from tests.transformer.causal_parity import (
    Case,
    assert_gradients,
    assert_outputs,
    assert_same,
    change_config,
    change_tensors,
    random_params,
)

TINY = Config(vocab=5, dim=4, layers=2, heads=2, ff=3, positions=6, eps=1e-6, activation=gelu)


def model(config=TINY, dtype=np.float32):
    return Gpt2(config, random_params(tensors(config), 0, dtype))


@pytest.fixture
def folder(tmp_path):
    model().save(tmp_path)
    return tmp_path


# ---- worked by hand ------------------------------------------------------------------------------

def one_layer():
    """A model with D = 2 whose matrices are zero and whose norms have weight 1 and bias 0."""
    config = Config(vocab=2, dim=2, layers=1, heads=1, ff=1, positions=4, eps=1e-30)
    p = Params(tensors(config), np.float64)
    for name in ("layers.0.attn_norm", "layers.0.mlp_norm", "norm"):
        p[name + ".weight"][...] = 1
    return config, p


X = np.array([[3.0, 1], [3, 1], [0, 4]])           # their layer norms: (1, −1), (1, −1), (−1, 1)


def test_a_layer_with_zero_output_matrices_is_the_identity():
    """This holds for pre-norm only; in BERT's post-norm layer the norms would remain."""
    config, p = one_layer()
    y, _ = decoder_layer(X, p, "layers.0.", np.array([0, 3]), config)
    np.testing.assert_array_equal(y, X)


def test_a_layer_worked_by_hand():
    """Scores are equal, so attention is the mean of the normed inputs up to each token.

    These means are (1, −1), (1, −1), (⅓, −⅓); Wₒ doubles them.  W₁ = 0 with bias 1 and W₂ = (10, 0)
    add (10 gelu(1), 0) to every token.
    """
    config, p = one_layer()
    p["layers.0.attn.v.weight"][...] = np.eye(2)
    p["layers.0.attn.o.weight"][...] = 2 * np.eye(2)
    p["layers.0.mlp.up.bias"][...] = 1
    p["layers.0.mlp.down.weight"][...] = [[10], [0]]
    y, _ = decoder_layer(X, p, "layers.0.", np.array([0, 3]), config)
    gelu_of_1 = 0.8411919906082768
    np.testing.assert_allclose(y - [10 * gelu_of_1, 0], [[5, -1], [5, -1], [2 / 3, 10 / 3]],
                               rtol=1e-14)


def test_the_last_matrix_of_each_sublayer_starts_with_std_002_over_root_2l():
    """Then the sum of the outputs of 2L sublayers has the variance of one output with std 0.02."""
    p = init_params(tensors(Config(vocab=300, dim=120, layers=8, heads=2, ff=480)), 0, np.float64)
    for n in range(8):
        for name, std in (("attn.q", 0.02), ("attn.o", 0.005), ("mlp.up", 0.02),
                          ("mlp.down", 0.005)):
            assert p[f"layers.{n}.{name}.weight"].std() == pytest.approx(std, rel=0.04)
    assert p["embed.positions.weight"].std() == pytest.approx(0.02, rel=0.02)
    assert not p["layers.3.attn.o.bias"].any() and (p["norm.weight"] == 1).all()


def test_a_number_of_heads_that_does_not_divide_dim_is_refused():
    with pytest.raises(ValueError, match="heads: expected a divisor of dim=4, got 3"):
        tensors(TINY._replace(heads=3))


@dtypes
@pytest.mark.parametrize("ids, message", [
    ([1] * 7, "embed.positions: ids must be in 0..5, got 0..6"),
    ([1, -1], "embed.tokens: ids must be in 0..4, got -1..1")])
def test_ids_and_positions_without_an_embedding_are_refused(dtype, ids, message):
    with pytest.raises(ValueError, match=message):
        model(dtype=dtype).infer(pack([ids]))


# ---- the golden files ----------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["gpt2_model", "gpt2_lm"])
def test_outputs_and_gradients_equal_transformers(name, tmp_path):
    case = Case.from_golden(Gpt2, name, tmp_path)
    assert_outputs(case)
    assert_gradients(case)


@pytest.mark.parametrize("name, wrong_field", [
    ("gpt2_model", {"activation": gelu_tanh}), ("gpt2_model", {"eps": 1e-5}),
    ("gpt2_lm", {"activation": gelu}), ("gpt2_lm", {"heads": 2})])
def test_the_golden_files_detect_a_wrong_config(name, wrong_field, tmp_path):
    case = Case.from_golden(Gpt2, name, tmp_path)
    right = case.model(np.float64)
    x = Gpt2(right.config._replace(**wrong_field), right.p).infer(case.batch)
    assert abs(x - case.arrays["hidden64"]).max() > 1e-5


# ---- transformers as installed -------------------------------------------------------------------

@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@pytest.mark.parametrize("seed", range(4))
def test_models_of_random_shapes_equal_transformers(transformers, seed, tmp_path):
    rng = np.random.default_rng(seed)
    heads, max_length = int(rng.integers(1, 5)), int(rng.integers(2, 14))
    config = {"vocab_size": int(rng.integers(20, 60)), "n_embd": heads * int(rng.integers(2, 9)),
              "n_layer": int(rng.integers(1, 4)), "n_head": heads, "n_positions": max_length,
              "n_inner": [None, int(rng.integers(5, 40))][seed % 2],
              "activation_function": ["gelu_new", "gelu", "gelu_pytorch_tanh"][seed % 3],
              "layer_norm_epsilon": [1e-12, 1e-5][seed % 2]}
    lengths = [max_length, 1, *map(int, rng.integers(1, max_length + 1, rng.integers(0, 5)))]
    kind = ["GPT2LMHeadModel", "GPT2Model"][seed % 2]
    case = Case(Gpt2, *make_gpt2.make(kind, config, lengths, seed), tmp_path)
    assert_outputs(case)
    assert_gradients(case)


def test_dropout_is_applied_where_transformers_applies_it(transformers, tmp_path):
    """With our masks in place of its Dropout modules, transformers gives the same vectors."""
    import torch

    class FixedMask(torch.nn.Module):
        def __init__(self, dropout, *shape):
            super().__init__()
            self.mask = torch.tensor(factors(shape, dropout).astype(np.float32))

        def forward(self, x):
            return x * self.mask.reshape(x.shape)
    dropout, t, D, H, L = Dropout(0.3, 11), 8, 12, 3, 2
    theirs, _ = make_gpt2.original("GPT2Model", {
        "vocab_size": 13, "n_embd": D, "n_layer": L, "n_head": H, "n_positions": t,
        "reorder_and_upcast_attn": True})         # so that attention calls attn_dropout
    make_gpt2.draw_weights(theirs, np.random.default_rng(0), inputs_axis=0)
    theirs.save_pretrained(tmp_path)
    theirs.drop = FixedMask(dropout.at(L), t, D)
    for n, block in enumerate(theirs.h):
        block.attn.attn_dropout = FixedMask(dropout.at(n).at(0).at(0), H, t, t)
        block.attn.resid_dropout = FixedMask(dropout.at(n).at(1), t, D)
        block.mlp.dropout = FixedMask(dropout.at(n).at(2), t, D)
    ids = np.random.default_rng(1).integers(0, 13, t)
    with torch.no_grad():
        x = theirs(torch.tensor(ids[None])).last_hidden_state[0].numpy()
    y, _ = Gpt2.load(tmp_path).encode(pack([ids]), dropout)
    np.testing.assert_allclose(y, x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["GPT2LMHeadModel", "GPT2Model", "AutoModel"])
@pytest.mark.parametrize("activation", [gelu, gelu_tanh])
def test_transformers_loads_our_folder_and_gets_the_same_vectors(transformers, tmp_path, kind,
                                                                 activation):
    import torch
    ours = model(TINY._replace(activation=activation))
    ours.save(tmp_path)
    theirs, info = getattr(transformers, kind).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())                  # no missing or unexpected tensors
    ids = np.array([[1, 2, 3, 4], [4, 1, 1, 2]])
    with torch.no_grad():
        x = theirs.eval().base_model(torch.tensor(ids)).last_hidden_state
    np.testing.assert_allclose(ours.infer(pack(ids)), x.numpy().reshape(8, 4), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["GPT2LMHeadModel", "GPT2Model"])
def test_we_load_a_transformers_folder(transformers, tmp_path, kind):
    theirs, _ = make_gpt2.original(kind, {"vocab_size": 9, "n_embd": 6, "n_layer": 2, "n_head": 2,
                                          "n_positions": 7, "n_inner": 5})
    theirs.save_pretrained(tmp_path)
    loaded = Gpt2.load(tmp_path)
    config, p = loaded.config, loaded.p
    assert config == Config(9, 6, 2, 2, 5, 7, 1e-5, gelu_tanh)
    fused = theirs.base_model.h[1].attn.c_attn.weight.detach().numpy()             # (D, 3 D)
    np.testing.assert_array_equal(p["layers.1.attn.k.weight"], fused[:, 6:12].T)
    np.testing.assert_array_equal(p["layers.1.mlp.down.weight"],
                                  theirs.base_model.h[1].mlp.c_proj.weight.detach().numpy().T)
    np.testing.assert_array_equal(p["embed.tokens.weight"],
                                  theirs.base_model.wte.weight.detach().numpy())


# ---- folders -------------------------------------------------------------------------------------

@dtypes
def test_a_saved_model_is_loaded_bit_for_bit(tmp_path, dtype):
    ours = model(dtype=dtype)
    ours.save(tmp_path / "new")
    loaded = Gpt2.load(tmp_path / "new", dtype)
    assert loaded.config == TINY == read_config(tmp_path / "new" / "config.json")
    assert_same(loaded.p, ours.p)


def test_the_file_has_the_original_names_and_shapes(folder):
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"] and config["model_type"] == "gpt2"
    found, metadata = read_header(folder / "model.safetensors")
    assert metadata == {"format": "pt"} and len(found) == 2 + 2 * 12 + 2
    assert found["transformer.h.1.attn.c_attn.weight"].shape == (4, 12)
    assert found["transformer.h.1.mlp.c_proj.weight"].shape == (3, 4)
    assert found["transformer.ln_f.bias"].shape == (4,)


def openai_names(t):
    """As in openai-community/gpt2: no prefix, and the causal mask is stored with the weights."""
    return {name.removeprefix("transformer."): x for name, x in t.items()} | {
        "h.0.attn.bias": np.tri(6, dtype=np.float32)[None, None],
        "h.1.attn.masked_bias": np.array(-1e4, np.float32)}


def with_head(t):
    return t | {"lm_head.weight": t["transformer.wte.weight"]}


def head_alone(t):
    return {("lm_head.weight" if "wte" in name else name): x for name, x in t.items()}


@pytest.mark.parametrize("form", [openai_names, with_head, head_alone])
def test_other_names_of_the_same_weights_are_read(folder, form):
    change_tensors(folder, form)
    assert_same(Gpt2.load(folder).p, model().p)


def test_missing_fields_get_their_defaults(folder):
    change_config(folder, n_inner=None, activation_function=..., layer_norm_epsilon=...,
                  **dict.fromkeys(ONLY, ...), n_ctx=6, resid_pdrop=0.3, use_cache=False)
    assert read_config(folder / "config.json") == TINY._replace(ff=16, eps=1e-5,
                                                                activation=gelu_tanh)


@pytest.mark.parametrize("field, value, message", [
    ("model_type", "bert", "expected \"gpt2\", found 'bert'"),
    ("scale_attn_weights", False, "expected true, found False"),
    ("scale_attn_by_inverse_layer_idx", True, "expected false, found True"),
    ("add_cross_attention", True, "expected one of false, null, found True"),
    ("tie_word_embeddings", False, "expected true, found False"),
    ("activation_function", "relu", 'expected one of "gelu", "gelu_new", "gelu_pytorch_tanh", "qu'),
    ("quantization_config", {"bits": 4}, "expected null, found {'bits': 4}"),
    ("alibi", True, "expected only "),
    ("n_head", 3, "expected a divisor of n_embd, 4, found 3"),
    ("n_ctx", 5, "expected 6, the n_positions, or null, found 5"),
    ("n_inner", 0, "expected a whole number of at least 1, found 0"),
    ("n_positions", None, "expected a whole number of at least 1, found None")])
def test_the_error_names_an_unsupported_field(folder, field, value, message):
    change_config(folder, **{field: value})
    with pytest.raises(FormatError) as error:
        Gpt2.load(folder)
    assert f"config.json: field '{field}': {message}" in str(error.value)


def test_a_truncated_file_is_refused(folder):
    for name, step in (("config.json", 1), ("model.safetensors", 97)):
        data = (folder / name).read_bytes()
        for end in range(0, len(data) - 1, step):
            (folder / name).write_bytes(data[:end])
            with pytest.raises(FormatError, match=name):
                Gpt2.load(folder)
        (folder / name).write_bytes(data)
    assert_same(Gpt2.load(folder).p, model().p)


@pytest.mark.parametrize("change, message", [
    (lambda t: {n: x for n, x in t.items() if "h.1.attn.c_attn" not in n},
     "expected 2 more of the tensors that config.json requires, found no h.1.attn.c_attn.weight"),
    (lambda t: t | {"transformer.h.0.attn.c_attn.weight": np.zeros((12, 4))},
     "expected floats of shape (4, 12), as config.json says, found F64 of shape (12, 4)"),
    (lambda t: t | {"lm_head.weight": np.zeros((5, 4))},
     "expected the numbers of wte.weight, to which it is tied here, found others"),
    (lambda t: t | {"score.weight": np.zeros((2, 4))},
     "tensor 'score.weight': expected a tensor of GPT2Model of 2 layers and its heads, found an "
     "unknown one")])
def test_the_error_names_an_invalid_tensor(folder, change, message):
    change_tensors(folder, change)
    with pytest.raises(FormatError) as error:
        Gpt2.load(folder)
    assert message in str(error.value)


@pytest.mark.parametrize("config, message", [
    (TINY._replace(activation=tanh), "activation: config.json has names for gelu"),
    (TINY._replace(vocab=6), "the parameters are not those of this config")])
def test_a_model_that_cannot_be_saved_leaves_the_old_folder_unchanged(folder, config, message):
    with pytest.raises(ValueError, match=message):
        Gpt2(config, model().p).save(folder)
    assert_same(Gpt2.load(folder).p, model().p)    # the old model


def test_c_attn_is_q_k_and_v_concatenated_and_transposed(folder):
    found, _ = read_safetensors(folder / "model.safetensors")
    p = model().p
    whole = np.concatenate([p[f"layers.0.attn.{part}.weight"] for part in "qkv"])
    np.testing.assert_array_equal(found["transformer.h.0.attn.c_attn.weight"], whole.T)
