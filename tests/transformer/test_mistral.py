"""Mistral and Llama equal transformers: outputs, gradients, window, positions and folders."""
import json
import os

import numpy as np
import pytest

from scratch_embed.nn.dropout import Dropout
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.text.packed import pack
from scratch_embed.transformer.mistral import (
    FIELDS,
    Config,
    Mistral,
    decoder_layer,
    head_tensors,
    read_config,
    rotations,
    tensors,
)
from tests.golden import make_mistral
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

TINY = Config(vocab=5, dim=6, layers=2, heads=2, kv_heads=1, head_dim=4, ff=3, positions=8,
              sliding_window=3, theta=100.0, eps=1e-5)
TIED = TINY._replace(tied=True, sliding_window=None)


def model(config=TINY, dtype=np.float32, head=True):
    declared = tensors(config) | (head_tensors(config) if head else {})
    return Mistral(config, random_params(declared, 0, dtype))


@pytest.fixture
def folder(tmp_path):
    model().save(tmp_path)
    return tmp_path


# ---- worked by hand ------------------------------------------------------------------------------

def test_a_layer_worked_by_hand():
    """Window 2, equal scores: attention is the mean of a token's and the previous normed input.

    All inputs have mean square 1, so RMSNorm leaves them unchanged.  With m = RMSNorm(h),
    W_gate = W_up = (1, 0) and W_down = (0, 1) add silu(m_1) m_1 to the second component.
    """
    config = Config(vocab=2, dim=2, layers=1, heads=1, kv_heads=1, head_dim=2, ff=1, positions=4,
                    sliding_window=2, eps=1e-30)
    p = Params(tensors(config), np.float64)
    for name in ("layers.0.attn_norm.weight", "layers.0.mlp_norm.weight"):
        p[name][...] = 1
    for part in "vo":
        p[f"layers.0.attn.{part}.weight"][...] = np.eye(2)
    x, batch = np.array([[1.0, 1], [1, -1], [-1, -1]]), pack([[0, 0, 0]])
    rope = rotations(batch, config, np.float64)
    h, _ = decoder_layer(x, p, "layers.0.", batch.offsets, rope, config)
    np.testing.assert_allclose(h, [[2, 2], [2, -1], [-1, -2]], rtol=1e-14)
    p["layers.0.mlp.gate.weight"][...] = p["layers.0.mlp.up.weight"][...] = [[1, 0]]
    p["layers.0.mlp.down.weight"][...] = [[0], [1]]
    y, _ = decoder_layer(x, p, "layers.0.", batch.offsets, rope, config)
    m = np.array([1, 2 / 2.5**0.5, -1 / 2.5**0.5])
    np.testing.assert_allclose(y - h, np.stack([0 * m, m * m / (1 + np.exp(-m))], 1), atol=1e-15)


def test_each_layer_extends_the_reach_of_a_token_by_the_window_minus_one():
    """Window 3: one layer sees two tokens back, two layers four.  The gradient of others is 0."""
    for layers, reach in ((1, 2), (2, 4)):
        config = TINY._replace(vocab=8, layers=layers)
        mistral = model(config, np.float64)
        x, backward = mistral.encode(pack([np.arange(8)]))
        dx, g = np.zeros_like(x), mistral.p.like()
        dx[6] = 1 + np.arange(6)
        backward(dx, g)
        reached = g["embed.tokens.weight"].any(1)
        assert reached.tolist() == [6 - reach <= i <= 6 for i in range(8)]


@dtypes
def test_vectors_depend_on_distances_between_tokens_not_on_positions(dtype):
    """The last six tokens have the same vectors after 0, 1, 7 or 500 tokens that they cannot see.

    Float32 is as accurate at position 500: sines are computed in float64 and rounded once.
    """
    mistral, text = model(TINY, dtype), [1, 4, 2, 0, 3, 3]
    rng = np.random.default_rng(0)
    near, *others = (mistral.infer(pack([[*rng.integers(0, 5, n), 2, 0, 1, 4, *text]]))[-6:]
                     for n in (0, 1, 7, 500))
    for x in others:
        np.testing.assert_allclose(x, near, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-12)
    full = model(TIED, dtype)
    assert abs(full.infer(pack([[0, 1, 2]]))[-1] - full.infer(pack([[1, 0, 2]]))[-1]).max() > 0.01


def test_dropout_is_applied_to_attention_weights_only():
    """With window 1 a token has one attention weight, which is dropped or doubled (1/(1 − ½) = 2).

    Each of the two layers has these two cases, so there are four different vectors.
    """
    mistral = model(TINY._replace(sliding_window=1, heads=1), np.float64)
    vectors = {tuple(mistral.encode(pack([[3]]), Dropout(0.5, key))[0][0].round(12))
               for key in range(60)}
    assert len(vectors) == 4


def test_kv_heads_that_do_not_divide_heads_and_an_odd_head_dim_are_refused():
    for wrong_field in ({"kv_heads": 3}, {"head_dim": 3}):
        with pytest.raises(ValueError, match="expected kv_heads that divide heads, and an even"):
            tensors(TINY._replace(**wrong_field))


@dtypes
def test_ids_without_an_embedding_are_refused(dtype):
    with pytest.raises(ValueError, match="embed.tokens: ids must be in 0..4, got 1..5"):
        model(dtype=dtype).infer(pack([[1, 5]]))


def test_a_model_without_a_head_has_no_logits():
    with pytest.raises(ValueError, match="no next-token head"):
        model(head=False).lm_head(np.zeros((1, 6), np.float32))
    assert model(TIED, head=False).lm_head(np.zeros((1, 6), np.float32))[0].shape == (1, 5)


# ---- the golden files ----------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["mistral_window", "mistral_tied", "mistral_model"])
def test_outputs_and_gradients_equal_transformers(name, tmp_path):
    case = Case.from_golden(Mistral, name, tmp_path)
    assert_outputs(case)
    assert_gradients(case)


@pytest.mark.parametrize("name, wrong_field", [
    ("mistral_window", {"sliding_window": 4}), ("mistral_window", {"sliding_window": None}),
    ("mistral_window", {"theta": 1e4}), ("mistral_window", {"eps": 1e-3}),
    ("mistral_tied", {"sliding_window": 11}), ("mistral_tied", {"theta": 1e3}),
    ("mistral_model", {"eps": 1e-5}), ("mistral_model", {"sliding_window": 3})])
def test_the_golden_files_detect_a_wrong_config(name, wrong_field, tmp_path):
    case = Case.from_golden(Mistral, name, tmp_path)
    right = case.model(np.float64)
    x = Mistral(right.config._replace(**wrong_field), right.p).infer(case.batch)
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
    groups, max_length = int(rng.integers(1, 4)), int(rng.integers(2, 14))
    config = {"vocab_size": int(rng.integers(20, 60)), "hidden_size": int(rng.integers(5, 30)),
              "num_hidden_layers": int(rng.integers(1, 4)), "num_key_value_heads": groups,
              "num_attention_heads": groups * int(rng.integers(1, 4)),
              "head_dim": 2 * int(rng.integers(2, 5)), "rope_theta": [10_000.0, 50.0][seed % 2],
              "intermediate_size": int(rng.integers(5, 40)), "max_position_embeddings": 16,
              "sliding_window": [None, 2, 4, 5][seed], "rms_norm_eps": [1e-6, 1e-5][seed % 2],
              "tie_word_embeddings": seed == 2}
    kind = ["MistralForCausalLM", "MistralModel"][seed % 2]
    lengths = [max_length, *map(int, rng.integers(1, max_length + 1, rng.integers(0, 5)))]
    case = Case(Mistral, *make_mistral.make(kind, config, lengths, seed), tmp_path)
    assert_outputs(case)
    assert_gradients(case)


@pytest.mark.parametrize("config, head, kind", [
    (TINY, True, "MistralForCausalLM"), (TIED, True, "MistralForCausalLM"),
    (TINY, False, "MistralModel"), (TIED, True, "MistralModel"), (TINY, False, "AutoModel")])
def test_transformers_loads_our_folder_and_gets_the_same_vectors(transformers, tmp_path, config,
                                                                 head, kind):
    import torch
    ours = model(config, head=head)
    ours.save(tmp_path)
    theirs, info = getattr(transformers, kind).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())                  # no missing or unexpected tensors
    ids = np.array([[1, 2, 3, 4, 0, 0, 1], [4, 1, 1, 2, 3, 4, 1]])
    with torch.no_grad():
        x = theirs.eval().base_model(torch.tensor(ids)).last_hidden_state
    np.testing.assert_allclose(ours.infer(pack(ids)), x.numpy().reshape(14, 6), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["MistralForCausalLM", "MistralModel"])
@pytest.mark.parametrize("tied", [False, True])
def test_we_load_a_transformers_folder(transformers, tmp_path, kind, tied):
    theirs, _ = make_mistral.original(kind, {
        "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 5, "max_position_embeddings": 7,
        "sliding_window": 4, "rope_theta": 77.0, "tie_word_embeddings": tied})
    theirs.save_pretrained(tmp_path)
    loaded = Mistral.load(tmp_path)
    config, p = loaded.config, loaded.p
    assert config == Config(9, 8, 2, 4, 2, 2, 5, 7, 4, 77.0, 1e-6, tied)
    assert ("lm_head.weight" in p) == (kind == "MistralForCausalLM" and not tied)
    layer = theirs.base_model.layers[1]
    for name, weight in (("attn.k", layer.self_attn.k_proj), ("mlp.gate", layer.mlp.gate_proj),
                         ("mlp_norm", layer.post_attention_layernorm)):
        np.testing.assert_array_equal(p[f"layers.1.{name}.weight"], weight.weight.detach().numpy())


# ---- folders -------------------------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize("config, head", [(TINY, True), (TINY, False), (TIED, True)])
def test_a_saved_model_is_loaded_bit_for_bit(tmp_path, config, head, dtype):
    ours = model(config, dtype, head)
    ours.save(tmp_path / "new")
    loaded = Mistral.load(tmp_path / "new", dtype)
    assert loaded.config == config == read_config(tmp_path / "new" / "config.json")
    assert_same(loaded.p, ours.p)


def test_the_file_has_the_original_names_and_shapes(folder):
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["MistralForCausalLM"]
    found, metadata = read_header(folder / "model.safetensors")
    assert metadata == {"format": "pt"} and len(found) == 1 + 2 * 9 + 2
    assert found["lm_head.weight"].shape == (5, 6)
    assert found["model.layers.1.self_attn.k_proj.weight"].shape == (4, 6)
    model(head=False).save(folder)
    assert "layers.1.mlp.down_proj.weight" in read_header(folder / "model.safetensors")[0]
    assert '"MistralModel"' in (folder / "config.json").read_text()


@pytest.mark.parametrize("form", [
    lambda t: t | {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2)},
    lambda t: {name.removeprefix("model."): x for name, x in t.items()}])
def test_other_names_of_the_same_weights_are_read(folder, form):
    change_tensors(folder, form)
    assert_same(Mistral.load(folder).p, model().p)


def test_a_model_in_several_files_is_read_as_one(folder):
    """Mistral 7B has two files, and an index that names the file of each tensor."""
    found, _ = read_safetensors(folder / "model.safetensors")
    os.remove(folder / "model.safetensors")
    weight_map = {name: f"model-0000{1 + n % 2}-of-00002.safetensors"
                  for n, name in enumerate(found)}
    for file in set(weight_map.values()):
        write_safetensors(folder / file, {n: x for n, x in found.items() if weight_map[n] == file})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_same(Mistral.load(folder).p, model().p)


def test_a_tied_head_may_be_stored_if_it_equals_the_embeddings(tmp_path):
    model(TIED).save(tmp_path)
    change_tensors(tmp_path, lambda t: t | {"lm_head.weight": t["model.embed_tokens.weight"]})
    assert_same(Mistral.load(tmp_path).p, model(TIED).p)
    change_tensors(tmp_path, lambda t: t | {"lm_head.weight": t["lm_head.weight"] + 1})
    with pytest.raises(FormatError, match="expected the numbers of embed_tokens.weight, to which"):
        Mistral.load(tmp_path)


@pytest.mark.parametrize("fields, expected", [
    ({"sliding_window": ...}, {"sliding_window": 4096}),
    ({"sliding_window": None}, {"sliding_window": None}),
    ({"head_dim": ..., "hidden_size": 8}, {"dim": 8, "head_dim": 4}),
    ({"head_dim": None, "hidden_size": 8}, {"dim": 8, "head_dim": 4}),
    ({"num_key_value_heads": ...}, {"kv_heads": 2}),
    ({"rope_parameters": ...}, {"theta": 100.0}),               # transformers 4
    ({"rope_parameters": None, "rope_theta": ...}, {"theta": 10_000.0}),
    ({"rope_theta": ...}, {"theta": 100.0}),                    # transformers 5
    ({"rope_parameters": {"rope_theta": 100}}, {"theta": 100.0}),       # both, and equal
    ({"rope_parameters": {"rope_theta": 7}, "rope_theta": ...}, {"theta": 7.0}),
    ({"rope_parameters": None, "rope_scaling": {"rope_type": "default"}}, {"theta": 100.0}),
    ({"rope_parameters": None, "rope_scaling": {"type": "default"}}, {"theta": 100.0}),
    ({"rms_norm_eps": ..., "tie_word_embeddings": ..., "hidden_act": ..., "rope_scaling": None,
      "attention_dropout": 0.1}, {"eps": 1e-6})])
def test_missing_or_null_fields_get_transformers_defaults(folder, fields, expected):
    change_config(folder, **fields)
    assert read_config(folder / "config.json") == TINY._replace(**expected)


@pytest.mark.parametrize("fields, message", [
    ({"model_type": "llama"}, "field 'model_type': expected \"mistral\", found 'llama'"),
    ({"num_local_experts": 8}, "field 'num_local_experts': expected only"),
    ({"hidden_act": "gelu"}, "field 'hidden_act': expected \"silu\", found 'gelu'"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}},
     "rope_scaling, field 'type': expected \"default\", because scaled RoPE is not "
     "supported, found 'linear'"),
    ({"rope_scaling": {"rope_type": "default", "factor": 2.0}},
     "rope_scaling, field 'factor': expected only rope_type, type, rope_theta"),
    ({"rope_parameters": {"rope_theta": 7}},
     "fields rope_theta, rope_parameters.rope_theta: expected one number, found 100.0, 7"),
    ({"rope_scaling": {"rope_theta": 7}}, "expected one number, found 100.0, 100.0, 7"),
    ({"rope_parameters": {"rope_type": "yarn"}},
     "rope_parameters, field 'rope_type': expected \"default\", because scaled RoPE is not "
     "supported, found 'yarn'"),
    ({"rope_parameters": {"partial_rotary_factor": 0.5}},
     "rope_parameters, field 'partial_rotary_factor': expected only rope_type, type, rope_theta"),
    ({"rope_parameters": []}, "rope_parameters: expected an object, found []"),
    ({"rope_theta": 0}, "field 'rope_theta': expected a number above 0, found 0"),
    ({"num_key_value_heads": 3}, "expected a divisor of num_attention_heads, 2, found 3"),
    ({"head_dim": 3}, "field 'head_dim': expected an even number"),
    ({"sliding_window": 0}, "field 'sliding_window': expected a whole number of at least 1"),
    ({"tie_word_embeddings": 1}, "field 'tie_word_embeddings': expected true or false, found 1"),
    ({"num_hidden_layers": 10**9}, "expected the tensors of 1000000000 layers, found 21 tensors")])
def test_the_error_names_an_unsupported_field(folder, fields, message):
    change_config(folder, **fields)
    with pytest.raises(FormatError) as error:
        Mistral.load(folder)
    assert message in str(error.value) and str(folder) in str(error.value)


@pytest.mark.parametrize("field", [FIELDS[ours] for ours in (
    "vocab", "dim", "layers", "heads", "ff", "positions")])
def test_a_missing_size_is_refused(folder, field):
    change_config(folder, **{field: ...})
    with pytest.raises(FormatError, match=f"field '{field}': expected a whole number"):
        read_config(folder / "config.json")


def test_a_truncated_file_is_refused(folder):
    for name, step in (("config.json", 1), ("model.safetensors", 97)):
        data = (folder / name).read_bytes()
        for end in range(0, len(data) - 1, step):
            (folder / name).write_bytes(data[:end])
            with pytest.raises(FormatError, match=name):
                Mistral.load(folder)
        (folder / name).write_bytes(data)
    assert_same(Mistral.load(folder).p, model().p)


@pytest.mark.parametrize("change, message", [
    (lambda t: {n: x for n, x in t.items() if "layers.1.mlp.gate" not in n},
     "expected 1 more of the tensors that config.json requires, found no layers.1.mlp.gate_proj"),
    (lambda t: t | {"model.layers.0.self_attn.k_proj.weight": np.zeros((8, 6))},
     "expected floats of shape (4, 6), as config.json says, found F64 of shape (8, 6)"),
    (lambda t: t | {"model.layers.0.self_attn.q_proj.bias": np.zeros(8)},
     "expected a tensor of MistralModel of 2 layers and its heads, found an unknown one")])
def test_the_error_names_an_invalid_tensor(folder, change, message):
    change_tensors(folder, change)
    with pytest.raises(FormatError) as error:
        Mistral.load(folder)
    assert message in str(error.value)


def test_parameters_of_another_config_are_not_saved(folder):
    with pytest.raises(ValueError, match="the parameters are not those of this config"):
        Mistral(TINY._replace(ff=4), model().p).save(folder)
    assert_same(Mistral.load(folder).p, model().p)              # the old model
