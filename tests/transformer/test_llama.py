"""Llama: a Mistral without a window, with optional biases, equals transformers; its folders."""
import json

import numpy as np
import pytest

from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.packed import pack
from scratch_embed.transformer.mistral import (
    Config,
    Llama,
    Mistral,
    head_tensors,
    read_llama_config,
    tensors,
)
from tests.golden import make_mistral
from tests.transformer.causal_parity import (
    Case,
    assert_gradients,
    assert_outputs,
    assert_same,
    change_config,
    random_params,
)

TINY = Config(vocab=5, dim=6, layers=2, heads=2, kv_heads=1, head_dim=4, ff=3, positions=8,
              theta=100.0, eps=1e-5, attn_bias=True)


def model(config=TINY, dtype=np.float32):
    return Llama(config, random_params(tensors(config) | head_tensors(config), 0, dtype))


@pytest.fixture
def folder(tmp_path):
    model().save(tmp_path)
    return tmp_path


def test_without_biases_and_window_llama_and_mistral_are_the_same_functions():
    config = TINY._replace(attn_bias=False)
    p, batch = random_params(tensors(config)), pack([[1, 4, 2, 0, 3], [2]])
    np.testing.assert_array_equal(Llama(config, p).infer(batch), Mistral(config, p).infer(batch))


def test_biases_are_added_where_the_config_says_so():
    for attn, mlp in ((True, False), (False, True)):
        names = tensors(TINY._replace(attn_bias=attn, mlp_bias=mlp))
        assert ("layers.1.attn.o.bias" in names, "layers.1.mlp.down.bias" in names) == (attn, mlp)


# ---- transformers --------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["llama_lm", "llama_model"])
def test_outputs_and_gradients_equal_transformers(name, tmp_path):
    case = Case.from_golden(Llama, name, tmp_path)
    assert_outputs(case)
    assert_gradients(case)


@pytest.mark.parametrize("name, wrong_field", [
    ("llama_lm", {"theta": 1e4}), ("llama_lm", {"eps": 1e-2}),
    ("llama_model", {"sliding_window": 4}), ("llama_model", {"theta": 500.0})])
def test_the_golden_files_detect_a_wrong_config(name, wrong_field, tmp_path):
    case = Case.from_golden(Llama, name, tmp_path)
    right = case.model(np.float64)
    x = Llama(right.config._replace(**wrong_field), right.p).infer(case.batch)
    assert abs(x - case.arrays["hidden64"]).max() > 1e-5


def test_the_golden_files_detect_missing_biases(tmp_path):
    case = Case.from_golden(Llama, "llama_lm", tmp_path)
    for part in ("attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.up", "mlp.down"):
        right = case.model(np.float64)
        right.p[f"layers.0.{part}.bias"][...] = 0
        assert abs(right.infer(case.batch) - case.arrays["hidden64"]).max() > 1e-5, part


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@pytest.mark.parametrize("seed", range(2))
def test_models_of_random_shapes_equal_transformers(transformers, seed, tmp_path):
    rng = np.random.default_rng(seed)
    groups, per_group = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    heads = groups * per_group                     # hidden_size must be a multiple of it
    config = {"vocab_size": int(rng.integers(20, 60)), "hidden_size": 3 * heads,
              "num_hidden_layers": int(rng.integers(1, 3)), "num_key_value_heads": groups,
              "num_attention_heads": heads, "head_dim": 6,
              "rope_theta": 50.0, "intermediate_size": int(rng.integers(5, 40)),
              "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "attention_bias": seed == 0,
              "mlp_bias": seed == 1, "tie_word_embeddings": seed == 0}
    kind = ["LlamaForCausalLM", "LlamaModel"][seed % 2]
    case = Case(Llama, *make_mistral.make(kind, config, [9, 1, 4], seed), tmp_path)
    assert_outputs(case)
    assert_gradients(case)


@pytest.mark.parametrize("config", [TINY, TINY._replace(attn_bias=False, mlp_bias=True, tied=True)])
def test_transformers_loads_our_folder_and_gets_the_same_vectors(transformers, tmp_path, config):
    import torch
    ours = model(config)
    ours.save(tmp_path)
    theirs, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path,
                                                                     output_loading_info=True)
    assert type(theirs).__name__ == "LlamaForCausalLM" and not any(info.values())
    ids = np.array([[1, 2, 3, 4, 0, 0, 1]])
    with torch.no_grad():
        x = theirs.eval().base_model(torch.tensor(ids)).last_hidden_state.numpy()[0]
    np.testing.assert_allclose(ours.infer(pack(ids)), x, rtol=0, atol=1e-5)


# ---- folders -------------------------------------------------------------------------------------

@pytest.mark.parametrize("config", [TINY, TINY._replace(attn_bias=False, mlp_bias=True, tied=True)])
def test_a_saved_model_is_loaded_bit_for_bit(tmp_path, config):
    model(config).save(tmp_path)
    loaded = Llama.load(tmp_path)
    assert loaded.config == config == read_llama_config(tmp_path / "config.json")
    assert_same(loaded.p, model(config).p)
    fields = json.loads((tmp_path / "config.json").read_text())
    assert fields["architectures"] == ["LlamaForCausalLM"] and "sliding_window" not in fields


@pytest.mark.parametrize("fields, expected", [
    ({"attention_bias": ..., "mlp_bias": ...}, {"attn_bias": False}),
    ({"rope_parameters": {"rope_theta": 7, "rope_type": "default"}, "rope_theta": ...},
     {"theta": 7.0}),
    ({"rope_scaling": {"rope_type": "default"}}, {}), ({"rope_scaling": None}, {}),
    ({"num_key_value_heads": ..., "pretraining_tp": 1}, {"kv_heads": 2})])
def test_missing_fields_get_transformers_defaults(folder, fields, expected):
    change_config(folder, **fields)
    assert read_llama_config(folder / "config.json") == TINY._replace(**expected)


@pytest.mark.parametrize("fields", [
    {}, {"rope_theta": 7.0}, {"rope_theta": 7.0, "rope_scaling": None},
    {"rope_theta": 7.0, "rope_scaling": {"type": "default"}},
    {"rope_theta": 7.0, "rope_parameters": {"rope_type": "default", "rope_theta": 7}},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 7.0}, "rope_scaling": {}}])
def test_the_base_of_the_rotations_is_that_of_transformers(folder, fields):
    theirs = pytest.importorskip("transformers").LlamaConfig.from_dict(dict(fields))
    change_config(folder, **dict.fromkeys(("rope_theta", "rope_parameters", "rope_scaling"), ...))
    change_config(folder, **fields)
    theta = read_llama_config(folder / "config.json").theta
    assert theta == theirs.rope_parameters["rope_theta"]


@pytest.mark.parametrize("fields, message", [
    ({"model_type": "mistral"}, "field 'model_type': expected \"llama\", found 'mistral'"),
    ({"sliding_window": 4}, "field 'sliding_window': expected only"),
    ({"attention_bias": 1}, "field 'attention_bias': expected true or false, found 1"),
    ({"mlp_bias": True}, "found no layers.0.mlp.gate_proj.bias"),
    ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
     "rope_scaling, field 'rope_type': expected \"default\", because scaled RoPE is not "
     "supported, found 'llama3'"),
    ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5}},
     "rope_parameters, field 'rope_type': expected \"default\", because scaled RoPE is not "
     "supported, found 'llama3'")])
def test_the_error_names_an_unsupported_field(folder, fields, message):
    change_config(folder, **fields)
    with pytest.raises(FormatError) as error:
        Llama.load(folder)
    assert message in str(error.value) and str(folder) in str(error.value)


def test_what_a_family_cannot_express_is_not_saved(tmp_path):
    for family, changes, message in (
            (Llama, {"sliding_window": 4}, "sliding_window: a llama has none, got 4"),
            (Mistral, {"mlp_bias": True}, "attn_bias: a mistral has none, got True")):
        config = TINY._replace(**changes)
        with pytest.raises(ValueError, match=message):
            family(config, Params(tensors(config))).save(tmp_path)
    assert not any(tmp_path.iterdir())
