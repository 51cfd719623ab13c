"""BERT folders: round trips, exchange with transformers, and errors for invalid folders."""
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.activations import gelu, gelu_tanh, tanh
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.text.packed import pack
from scratch_embed.transformer.bert import (
    FIELDS,
    NAMES,
    ONLY,
    Bert,
    Config,
    config_fields,
    head_tensors,
    original_class,
    read_config,
    tensors,
)

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = Config(vocab=5, dim=4, layers=1, heads=2, ff=3, positions=6, types=2, eps=1e-6,
              activation=gelu_tanh)
POOLER, MASKED, NEXT = "pooler.", "mlm.", "next_sentence."
CLASSES = {"BertForPreTraining": (POOLER, MASKED, NEXT), "BertForMaskedLM": (MASKED,),
           "BertForNextSentencePrediction": (POOLER, NEXT), "BertModel": (POOLER,)}


def model(config=TINY, heads=(POOLER, MASKED, NEXT), dtype=np.float32, seed=0):
    """Parameters of order 1, all of them different."""
    p = Params(tensors(config) | {name: tensor for name, tensor in head_tensors(config).items()
                                  if name.startswith(heads)}, dtype)
    p.flat[:] = np.random.default_rng(seed).standard_normal(p.flat.size)
    return p


def save(folder, p, config=TINY):
    Bert(config, p).save(folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of the saved TINY model with all heads, for reading only."""
    folder = tmp_path_factory.mktemp("written")
    save(folder, model())
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy of the saved TINY model with all heads, for a test to change."""
    return shutil.copytree(written, tmp_path / "bert")


def change_config(folder, **fields):
    """Set fields of config.json; the value ... (Ellipsis) deletes a field."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))


def change_tensors(folder, change):
    """Replace the tensors of model.safetensors by change(tensors)."""
    path = folder / "model.safetensors"
    tensors, metadata = read_safetensors(path)
    write_safetensors(path, change(tensors), metadata)


def assert_same(p, q):
    assert list(p) == list(q)
    np.testing.assert_array_equal(p.flat, q.flat, strict=True)


# ---- round trips --------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("heads", [*CLASSES.values(), (), (POOLER, MASKED)])
def test_a_saved_model_is_loaded_bit_for_bit(tmp_path, heads, dtype):
    p = model(heads=heads, dtype=dtype)
    save(tmp_path / "new" / "bert", p)
    loaded = Bert.load(tmp_path / "new" / "bert", dtype)
    config, q = loaded.config, loaded.p
    assert config == TINY
    assert_same(p, q)


@given(vocab=st.integers(1, 9), heads=st.integers(1, 3), d=st.integers(1, 3),
       layers=st.integers(1, 99), ff=st.integers(1, 5), positions=st.integers(1, 9),
       types=st.integers(1, 3), eps=st.floats(1e-300, 1e300), tanh_form=st.booleans())
def test_every_config_survives_a_round_trip(tmp_path_factory, vocab, heads, d, layers, ff,
                                            positions, types, eps, tanh_form):
    config = Config(vocab, heads * d, layers, heads, ff, positions, types, eps,
                    gelu_tanh if tanh_form else gelu)
    path = tmp_path_factory.getbasetemp() / "every.json"
    path.write_text(json.dumps(config_fields(config)))
    assert read_config(path) == config


def test_a_folder_has_two_files_and_names_its_transformers_class(folder):
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["BertForPreTraining"] and config["hidden_act"] == "gelu_new"
    names, metadata = read_header(folder / "model.safetensors")
    assert metadata == {"format": "pt"}
    assert {name.split(".")[0] for name in names} == {"bert", "cls"}
    assert "bert.pooler.dense.weight" in names and len(names) == len(model())


@pytest.mark.parametrize("kind, heads", CLASSES.items())
def test_original_class_is_the_class_with_these_heads(kind, heads):
    assert original_class(TINY, model(heads=heads)) == kind


# ---- other formats of the same model ------------------------------------------------------------

def bare(tensors):
    return {name.removeprefix("bert."): x for name, x in tensors.items()}


def tensorflow_names(tensors):
    return {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"): x for name, x in tensors.items()}


def with_position_ids(tensors):
    return tensors | {"bert.embeddings.position_ids": np.arange(6)[None]}


def with_decoder(tensors):
    return tensors | {"cls.predictions.decoder.weight":
                      tensors["bert.embeddings.word_embeddings.weight"],
                      "cls.predictions.decoder.bias": tensors["cls.predictions.bias"]}


def decoder_alone(tensors):
    tensors = with_decoder(tensors)
    del tensors["bert.embeddings.word_embeddings.weight"], tensors["cls.predictions.bias"]
    return tensors


@pytest.mark.parametrize("form", [bare, tensorflow_names, with_position_ids,
                                  with_decoder, decoder_alone])
def test_other_names_of_the_same_weights_are_read(folder, form):
    change_tensors(folder, form)
    assert_same(Bert.load(folder).p, model())


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_are_converted_to_the_requested_type(folder, dtype):
    change_tensors(folder, lambda tensors: {n: x.astype(dtype) for n, x in tensors.items()})
    p = Bert.load(folder).p
    assert p.flat.dtype == np.float32
    np.testing.assert_array_equal(p.flat, model().flat.astype(dtype).astype(np.float32))


def test_missing_fields_get_their_defaults(folder):
    change_config(folder, hidden_act=..., layer_norm_eps=..., model_type=...,
                  position_embedding_type=...)
    assert Bert.load(folder).config == TINY._replace(activation=gelu, eps=1e-12)


def test_fields_that_do_not_change_the_computation_are_ignored(folder):
    change_config(folder, hidden_dropout_prob=0.1, use_cache=True, transformers_version="4.1",
                  id2label={"0": "A"}, torch_dtype="float16", is_decoder=False)
    assert Bert.load(folder).config == TINY


@pytest.mark.parametrize("name, activation", [("gelu", gelu), ("gelu_new", gelu_tanh),
                                              ("gelu_pytorch_tanh", gelu_tanh)])
def test_the_name_of_the_activation_chooses_the_function(folder, name, activation):
    change_config(folder, hidden_act=name)
    assert read_config(folder / "config.json").activation is activation


# ---- invalid config.json ------------------------------------------------------------------------

@pytest.mark.parametrize("field, value, message", [
    ("model_type", "roberta", "field 'model_type': expected \"bert\", found 'roberta'"),
    ("position_embedding_type", "relative_key",
     "field 'position_embedding_type': expected \"absolute\", found 'relative_key'"),
    ("is_decoder", True, "field 'is_decoder': expected one of false, null, found True"),
    ("add_cross_attention", 1, "field 'add_cross_attention': expected one of false, null, found 1"),
    ("pruned_heads", {"0": [1]},
     "field 'pruned_heads': expected one of {}, null, found {'0': [1]}"),
    ("hidden_act", "relu", "field 'hidden_act': expected one of \"gelu\", \"gelu_new\", "
                           "\"gelu_pytorch_tanh\", \"quick_gelu\", found 'relu'"),
    ("hidden_act", ["gelu"], "field 'hidden_act': expected one of"),
    ("layer_norm_eps", 0, "field 'layer_norm_eps': expected a number above 0, found 0"),
    ("layer_norm_eps", "1e-12", "field 'layer_norm_eps': expected a number above 0, found '1e-12'"),
    ("num_attention_heads", 3, "field 'num_attention_heads': expected a divisor of hidden_size, 4, "
                               "found 3"),
    ("num_hidden_layers", 10**9, "the header: expected the tensors of 1000000000 layers, found 30 "
                                 "tensors in all"),
    ("vocab_size", 6, "tensor 'bert.embeddings.word_embeddings.weight': expected floats of shape "
                      "(6, 4), as config.json says, found F32 of shape (5, 4)")])
def test_the_error_names_an_unsupported_field(folder, field, value, message):
    change_config(folder, **{field: value})
    with pytest.raises(FormatError) as error:
        Bert.load(folder)
    assert message in str(error.value) and str(error.value).startswith(str(folder))


@pytest.mark.parametrize("field", FIELDS.values())
@pytest.mark.parametrize("value, found", [
    (..., "no such field"), (None, "None"), (0, "0"), (-1, "-1"), (2.0, "2.0"), ("4", "'4'"),
    (True, "True"), ([4], "[4]")])
def test_a_size_must_be_a_positive_integer(folder, field, value, found):
    change_config(folder, **{field: value})
    with pytest.raises(FormatError) as error:
        read_config(folder / "config.json")
    assert (f"config.json: field {field!r}: expected a whole number of at least 1, found {found}"
            in str(error.value))


def test_a_config_cut_at_any_byte_is_refused(folder):
    path = folder / "config.json"
    data = path.read_bytes()
    for end in range(len(data) - 1):               # the last byte is a line end
        path.write_bytes(data[:end])
        with pytest.raises(FormatError, match="config.json: the file: expected a JSON object"):
            Bert.load(folder)


@given(start=st.integers(0, 400), inserted=st.binary(max_size=3), deleted=st.integers(0, 5))
def test_a_damaged_config_raises_format_error_or_is_still_a_config(tmp_path_factory, start,
                                                                   inserted, deleted):
    path = tmp_path_factory.getbasetemp() / "config.json"
    data = json.dumps(config_fields(TINY), indent=2).encode()
    path.write_bytes(data[:start] + inserted + data[start + deleted:])
    try:
        assert isinstance(read_config(path), Config)
    except FormatError as error:
        assert str(error).startswith(str(path))


def test_fields_with_one_supported_value_are_refused_if_null_and_may_be_missing(folder):
    """Null is not the supported value; a missing field means the supported value."""
    for name in ONLY:
        change_config(folder, **{name: None})
        with pytest.raises(FormatError, match=f"field '{name}'"):
            Bert.load(folder)
        change_config(folder, **{name: ...})
        Bert.load(folder)


# ---- invalid model.safetensors ------------------------------------------------------------------

def test_weights_cut_at_any_byte_are_refused(folder):
    save(folder, model(heads=()))
    path = folder / "model.safetensors"
    size = path.stat().st_size
    for end in reversed(range(size)):
        os.truncate(path, end)
        with pytest.raises(FormatError, match="model.safetensors"):
            Bert.load(folder)


@pytest.mark.parametrize("name", [NAMES.original(name) for name in model()])
def test_the_error_names_a_missing_tensor(folder, name):
    theirs = name if name.startswith("cls.") else "bert." + name
    change_tensors(folder, lambda found: {n: x for n, x in found.items() if n != theirs})
    with pytest.raises(FormatError) as error:
        Bert.load(folder)
    assert f"expected 1 more of the tensors that config.json requires, found no {name}" in str(
        error.value)


@pytest.mark.parametrize("change, message", [
    (lambda t: t | {"classifier.weight": np.zeros((2, 4))},
     "tensor 'classifier.weight': expected a tensor of BertModel of 1 layers and its "
     "heads, found an unknown one"),
    (lambda t: t | {"pooler.dense.bias": np.zeros(4)},
     "expected one tensor for pooler.dense.bias, found "),
    (lambda t: t | {"bert.pooler.dense.weight": np.zeros((4, 3))},
     "tensor 'bert.pooler.dense.weight': expected floats of shape (4, 4), as config.json says, "
     "found F64 of shape (4, 3)"),
    (lambda t: t | {"bert.pooler.dense.bias": np.zeros(4, np.int64)},
     "tensor 'bert.pooler.dense.bias': expected floats of shape (4,), as config.json says, found "
     "I64 of shape (4,)"),
    (lambda t: t | {"bert.pooler.dense.bias": np.array([0, np.nan, 0, 0])},
     "tensor 'bert.pooler.dense.bias': expected finite numbers"),
    (lambda t: t | {"bert.pooler.dense.bias": np.array([0, 1e39, 0, 0])},
     "expected finite numbers, found nan, inf or one beyond float32"),
    (lambda t: t | {"cls.predictions.decoder.weight": np.zeros((5, 4))},
     "tensor 'cls.predictions.decoder.weight': expected the numbers of "
     "embeddings.word_embeddings.weight, to which it is tied here, found others"),
    (lambda t: {}, "the header: expected the tensors of 1 layers, found 0 tensors in all"),
    (lambda t: {"x": np.zeros(2)}, "tensor 'x': expected a tensor of BertModel")])
def test_the_error_names_an_invalid_tensor(folder, change, message):
    change_tensors(folder, change)
    with pytest.raises(FormatError) as error:
        Bert.load(folder)
    assert message in str(error.value) and len(str(error.value)) < 500


def test_the_error_names_a_missing_file(folder):
    os.remove(folder / "model.safetensors")
    with pytest.raises(FormatError, match="model.safetensors: the file: expected the weights, fou"):
        Bert.load(folder)
    with pytest.raises(FormatError, match="config.json: the file: expected JSON, found no such"):
        Bert.load(folder / "nowhere")


def test_a_pickle_is_not_read_and_the_error_says_how_to_convert_it(folder):
    trace = folder / "trace"

    class Trap:
        def __reduce__(self):
            return trace.write_text, ("run",)
    os.remove(folder / "model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FormatError, match="found pytorch_model.bin, a pickle: .* convert it"):
        Bert.load(folder)
    assert not trace.exists()


# ---- models that cannot be saved ----------------------------------------------------------------

@pytest.mark.parametrize("config, p, message", [
    (TINY._replace(activation=tanh), model(), "activation: config.json has names for gelu"),
    (TINY._replace(vocab=6), model(), "the parameters are not those of this config"),
    (TINY._replace(heads=3), model(), "heads: expected a divisor of dim=.*, got 3"),
    (TINY, model(heads=(NEXT,)), "expected a pooler"),
    (TINY, model(heads=("mlm.bias",)), "the parameters are not those of this config")])
def test_a_model_that_cannot_be_saved_leaves_the_old_folder_unchanged(folder, config, p, message):
    with pytest.raises(ValueError, match=message):
        save(folder, p, config)
    assert_same(Bert.load(folder).p, model())     # the old model
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]


def test_infinite_weights_are_not_saved(folder):
    p = model()
    p["pooler.bias"][0] = np.inf
    with pytest.raises(ValueError, match="nan or inf"):
        save(folder, p)
    assert_same(Bert.load(folder).p, model())


# ---- exchange with transformers -----------------------------------------------------------------

@pytest.mark.parametrize("name", ["sentence_old", "sentence_new"])
def test_folders_of_transformers_4_and_5_are_loaded(name):
    loaded = Bert.load(GOLDEN / name)
    config, p = loaded.config, loaded.p
    assert config[:8] == (20, 12, 2, 3, 20, 16, 2, 1e-12)
    assert original_class(config, p) == "BertModel"
    found, _ = read_safetensors(GOLDEN / name / "model.safetensors")
    assert set(found) == set(map(NAMES.original, p))
    for key, view in p.items():
        np.testing.assert_array_equal(view, found[NAMES.original(key)])


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@pytest.mark.parametrize("kind, heads", CLASSES.items())
def test_transformers_loads_our_folder_and_gets_the_same_vectors(transformers, tmp_path, kind,
                                                                 heads):
    import torch
    p = model(heads=heads)
    save(tmp_path, p)
    theirs, info = getattr(transformers, kind).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())                  # no missing or unexpected tensors
    batch = pack([[1, 2, 3, 4], [4, 1, 1, 2]], [[0, 0, 1, 1], [0, 1, 1, 1]])
    with torch.no_grad():
        x = getattr(theirs.eval(), "bert", theirs)(
            torch.tensor(batch.ids.reshape(2, 4)).long(),
            token_type_ids=torch.tensor(batch.types.reshape(2, 4)).long()).last_hidden_state
    np.testing.assert_allclose(Bert(TINY, p).infer(batch), x.numpy().reshape(8, 4), rtol=0,
                               atol=1e-5)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("activation", ["gelu", "gelu_pytorch_tanh"])
def test_we_load_every_parameter_of_a_transformers_folder(transformers, tmp_path, kind, activation):
    theirs = getattr(transformers, kind)(transformers.BertConfig(
        vocab_size=9, hidden_size=6, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=5, max_position_embeddings=7, hidden_act=activation))
    theirs.save_pretrained(tmp_path)
    loaded = Bert.load(tmp_path)
    config, p = loaded.config, loaded.p
    assert config[:8] == (9, 6, 2, 2, 5, 7, 2, 1e-12)
    assert config.activation is {"gelu": gelu}.get(activation, gelu_tanh)
    assert original_class(config, p) == kind
    weights = {name.removeprefix("bert."): x for name, x in theirs.named_parameters()}
    assert set(weights) == set(map(NAMES.original, p))
    for name, view in p.items():
        np.testing.assert_array_equal(view, weights[NAMES.original(name)].detach().numpy())


def test_the_command_in_the_error_message_converts_a_pickle(transformers, tmp_path):
    import torch
    theirs = transformers.BertModel(transformers.BertConfig(
        vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=5, max_position_embeddings=7))
    theirs.config.save_pretrained(tmp_path)
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(FormatError) as error:
        Bert.load(tmp_path)
    _, code, _ = str(error.value).split('"')
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert len(Bert.load(tmp_path).p) == 23     # embeddings 5, layer 16, pooler 2
