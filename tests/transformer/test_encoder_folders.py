"""Folders of RoBERTa, XLM-R, CamemBERT, DistilBERT and MPNet: names, fields, damage."""
import json
import os
import shutil

import numpy as np
import pytest

from scratch_embed.nn.activations import gelu, tanh
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_header
from scratch_embed.transformer import roberta
from scratch_embed.transformer.distilbert import Distilbert
from scratch_embed.transformer.mpnet import Mpnet
from scratch_embed.transformer.roberta import Roberta
from tests.mutations import mutated
from tests.rounding import dtypes
from tests.transformer.causal_parity import (
    assert_same,
    change_config,
    change_tensors,
)
from tests.transformer.tiny_encoders import MODULES, TINY, families, model


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folders of the TINY models with all heads, for reading only."""
    folder = tmp_path_factory.mktemp("written")
    for family in TINY:
        model(family).save(folder / family.__name__)
    return folder


@pytest.fixture
def copy(written, tmp_path):
    """copy(family): a copy of its folder, for a test to change."""
    return lambda family: shutil.copytree(written / family.__name__, tmp_path / "copy")


# ---- folders -------------------------------------------------------------------------------------

@dtypes
@families
@pytest.mark.parametrize("heads", [("pooler.", "mlm."), ("pooler.",), ("mlm.",), ()])
def test_a_saved_model_is_loaded_bit_for_bit(tmp_path, family, heads, dtype):
    ours = model(family, dtype, heads)
    ours.save(tmp_path / "new")
    loaded = family.load(tmp_path / "new", dtype)
    assert loaded.config == TINY[family]
    assert_same(loaded.p, ours.p)


@pytest.mark.parametrize("model_type", roberta.CLASSES)
def test_the_model_type_is_kept(tmp_path, model_type):
    ours = model(Roberta, config=TINY[Roberta]._replace(model_type=model_type))
    ours.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == model_type
    assert config["architectures"] == [roberta.CLASSES[model_type] + "ForMaskedLM"]
    assert Roberta.load(tmp_path).config == ours.config


@families
def test_without_heads_keeps_the_pooler(family):
    whole = model(family)
    bare = whole.without_heads()
    assert not any(name.startswith("mlm.") for name in bare.p)
    assert any(name.startswith("pooler.") for name in bare.p) == (family is not Distilbert)
    assert set(bare.encoder_tensors()) == {name for name in bare.p if not name.startswith("pooler")}


@pytest.mark.parametrize("family, expected", [
    (Roberta, ("roberta.encoder.layer.1.attention.self.query.weight", "lm_head.layer_norm.bias")),
    (Distilbert, ("distilbert.transformer.layer.1.attention.q_lin.weight",
                  "vocab_projector.bias")),
    (Mpnet, ("mpnet.encoder.layer.1.attention.attn.q.weight",
             "mpnet.encoder.relative_attention_bias.weight"))])
def test_a_folder_has_two_files_with_the_original_names(written, family, expected):
    folder = written / family.__name__
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    found, metadata = read_header(folder / "model.safetensors")
    assert metadata == {"format": "pt"} and set(expected) <= set(found)


DECODER = {Roberta: "lm_head.decoder.", Distilbert: "vocab_projector.", Mpnet: "lm_head.decoder."}


def table(t):
    """The name of the token embeddings in a file."""
    return next(name for name in t if "word_embeddings" in name)


def bare(t, family):
    prefix = family.architecture.names.prefix
    return {name.removeprefix(prefix): x for name, x in t.items()}


def with_position_ids(t, family):
    return t | {family.architecture.names.prefix + "embeddings.position_ids": np.arange(8)[None]}


def with_decoder(t, family):
    bias = {} if family is Distilbert else {"lm_head.decoder.bias": t["lm_head.bias"]}
    return t | {DECODER[family] + "weight": t[table(t)]} | bias


def decoder_alone(t, family):
    t = with_decoder(t, family)
    del t[table(t)]
    return t


@families
@pytest.mark.parametrize("form", [bare, with_position_ids, with_decoder, decoder_alone])
def test_other_names_of_the_same_weights_are_read(copy, family, form):
    folder = copy(family)
    change_tensors(folder, lambda t: form(t, family))
    assert_same(family.load(folder).p, model(family).p)


def test_missing_fields_get_the_defaults_of_transformers(copy):
    folder = copy(Roberta)
    change_config(folder, **dict.fromkeys(("hidden_act", "layer_norm_eps", "pad_token_id",
                                           *roberta.ONLY), ...))
    assert Roberta.load(folder).config == TINY[Roberta]._replace(activation=gelu, eps=1e-12)


def test_fields_that_change_no_vector_are_ignored(copy):
    folder = copy(Distilbert)
    change_config(folder, sinusoidal_pos_embds=True, tie_weights_=True, dropout=0.3,
                  seq_classif_dropout=0.2, pad_token_id=0, activation=..., architectures=["X"])
    assert Distilbert.load(folder).config == TINY[Distilbert]._replace(activation=gelu)


@pytest.mark.parametrize("family, field, value, message", [
    (Roberta, "model_type", "bert", 'one of "roberta", "xlm-roberta", "camembert", found \'bert\''),
    (Roberta, "model_type", ..., 'one of "roberta", "xlm-roberta", "camembert", found no such fie'),
    (Roberta, "position_embedding_type", "relative_key", "\"absolute\", found 'relative_key'"),
    (Roberta, "is_decoder", True, "one of false, null, found True"),
    (Roberta, "add_cross_attention", True, "one of false, null, found True"),
    (Roberta, "pad_token_id", -1, "a whole number of at least 0, found -1"),
    (Roberta, "pad_token_id", None, "a whole number of at least 0, found None"),
    (Roberta, "max_position_embeddings", 2, "at least pad_token_id + 2, 3, found 2"),
    (Roberta, "num_attention_heads", 3, "a divisor of hidden_size, 4, found 3"),
    (Roberta, "hidden_act", "relu", 'one of "gelu", "gelu_new", "gelu_pytorch_tanh", "quick'),
    (Roberta, "adapters", {"a": 1}, "only "),
    (Distilbert, "model_type", "bert", "\"distilbert\", found 'bert'"),
    (Distilbert, "n_heads", 3, "a divisor of dim, 4, found 3"),
    (Distilbert, "activation", "relu", 'one of "gelu"'),
    (Distilbert, "pruned_heads", {"0": [1]}, "one of {}, null, found {'0': [1]}"),
    (Distilbert, "hidden_size", 4, "only "),
    (Mpnet, "relative_attention_num_buckets", 64, "32, found 64"),
    (Mpnet, "max_position_embeddings", 2, "at least 3, found 2"),
    (Mpnet, "hidden_act", "silu", 'one of "gelu"'),
    (Mpnet, "type_vocab_size", 2, "only ")])
def test_the_error_names_an_unsupported_field(copy, family, field, value, message):
    folder = copy(family)
    change_config(folder, **{field: value})
    with pytest.raises(FormatError) as error:
        family.load(folder)
    assert f"config.json: field '{field}': expected {message}" in str(error.value)


@families
def test_a_missing_size_is_refused(copy, family):
    folder = copy(family)
    for field in MODULES[family].FIELDS.values():
        whole = json.loads((folder / "config.json").read_text())
        change_config(folder, **{field: ...})
        with pytest.raises(FormatError, match=f"field '{field}': expected a whole number"):
            family.load(folder)
        (folder / "config.json").write_text(json.dumps(whole))


@families
def test_a_damaged_config_is_refused_or_loads_all_tensors(copy, family):
    """Each value and name of the fields that are read is changed in turn.

    Some changes leave another valid config: one with another eps, or with one head.
    """
    folder, p = copy(family), model(family).p
    change_config(folder, **dict.fromkeys(("architectures", "dtype", "tie_word_embeddings",
                                           "sinusoidal_pos_embds"), ...))
    for data in mutated(json.loads((folder / "config.json").read_text())):
        (folder / "config.json").write_bytes(data)
        try:
            found = family.load(folder)
        except FormatError as error:
            assert str(folder) in str(error)
        else:
            assert_same(found.p, p)


@families
def test_a_truncated_file_is_refused(copy, family):
    folder = copy(family)
    for name, step in (("config.json", 7), ("model.safetensors", 211)):
        data = (folder / name).read_bytes()
        for end in range(0, len(data) - 1, step):
            (folder / name).write_bytes(data[:end])
            with pytest.raises(FormatError, match=name):
                family.load(folder)
        (folder / name).write_bytes(data)


@pytest.mark.parametrize("family, change, message", [
    (Roberta, lambda t: {n: x for n, x in t.items() if "layer.1.output" not in n},
     "expected 4 more of the tensors that config.json requires, found no encoder.layer.1.output"),
    (Roberta, lambda t: {n: x for n, x in t.items() if "lm_head.dense" not in n},
     "expected 2 more of the tensors that config.json requires, found no lm_head.dense.weight"),
    (Roberta, lambda t: t | {"lm_head.decoder.weight": np.zeros((5, 4))},
     "expected the numbers of embeddings.word_embeddings.weight, to which it is tied here"),
    (Roberta, lambda t: t | {"classifier.dense.weight": np.zeros((4, 4))},
     "tensor 'classifier.dense.weight': expected a tensor of RobertaModel of 2 layers and its"),
    (Distilbert, lambda t: {n: x for n, x in t.items() if "vocab_layer" not in n},
     "expected 2 more of the tensors that config.json requires, found no vocab_layer_norm.weight"),
    (Distilbert, lambda t: t | {"vocab_projector.weight": np.zeros((5, 4))},
     "expected the numbers of embeddings.word_embeddings.weight, to which it is tied here"),
    (Mpnet, lambda t: t | {"mpnet.encoder.relative_attention_bias.weight": np.zeros((16, 2))},
     "expected floats of shape (32, 2), as config.json says, found F64 of shape (16, 2)"),
    (Mpnet, lambda t: {n: x for n, x in t.items() if "relative" not in n},
     "expected 1 more of the tensors that config.json requires, found no encoder.relative_att")])
def test_the_error_names_an_invalid_tensor(copy, family, change, message):
    folder = copy(family)
    change_tensors(folder, change)
    with pytest.raises(FormatError) as error:
        family.load(folder)
    assert message in str(error.value)


@families
def test_a_model_that_cannot_be_saved_leaves_the_old_folder_unchanged(copy, family):
    folder, config, p = copy(family), TINY[family], model(family).p
    for wrong, message in ((config._replace(activation=tanh), "activation: config.json has names"),
                           (config._replace(vocab=6), "the parameters are not those of this")):
        with pytest.raises(ValueError, match=message):
            family(wrong, p).save(folder)
    if family is Roberta:
        with pytest.raises(ValueError, match="model_type: expected one of roberta, xlm-roberta"):
            family(config._replace(model_type="bert"), p).save(folder)
    assert_same(family.load(folder).p, p)
