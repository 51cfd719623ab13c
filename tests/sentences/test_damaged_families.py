"""A damaged or contradictory folder of any family is a FormatError with file and field."""
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors

sys.path.append(str(Path(__file__).parents[1] / "transformer"))

from tiny_folders import MODELS, write_folder

FAMILIES = sorted(MODELS)
HIDDEN = {"distilbert": "dim", "gpt2": "n_embd"}
LAYERS = {"distilbert": "n_layers", "gpt2": "n_layer"}
POSITIONS = {"gpt2": "n_positions"}
HEADS = {"distilbert": "n_heads", "gpt2": "n_head"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """{model_type: its folder}, made once."""
    root = tmp_path_factory.mktemp("families")
    return {name: write_folder(root / name, name) for name in FAMILIES}


@pytest.fixture(params=FAMILIES)
def copy(request, whole, tmp_path):
    """(model_type, a copy of its folder)."""
    return request.param, shutil.copytree(whole[request.param], tmp_path / "m")


def edit(path, **fields):
    value = json.loads(path.read_text())
    path.write_text(json.dumps({name: part for name, part in {**value, **fields}.items()
                                if part is not ...}))


def refused(folder, message):
    with pytest.raises(FormatError, match=message):
        load(folder)


def change(folder, edit_tensors):
    path = folder / "model.safetensors"
    write_safetensors(path, edit_tensors(read_safetensors(path)[0]))


# ---- damage -------------------------------------------------------------------------------------

def test_a_file_that_is_truncated_is_refused_by_its_name(copy):
    name, folder = copy
    for file in "config.json", "tokenizer.json", "modules.json", "model.safetensors":
        size, data = os.path.getsize(folder / file), (folder / file).read_bytes()
        for length in (0, 1, size // 2, size - 2):
            os.truncate(folder / file, length)
            refused(folder, file)
        (folder / file).write_bytes(data)
    load(folder)


def test_a_missing_file_is_refused_by_its_name(copy):
    name, folder = copy
    for file, message in (("model.safetensors", "model.safetensors: the file: expected the weig"),
                          ("1_Pooling/config.json", "config.json: the file: expected JSON")):
        (folder / file).rename(folder / "away")
        refused(folder, message)
        (folder / "away").rename(folder / file)
    for file in "tokenizer.json", "vocab.txt":
        (folder / file).unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError, match="expected a folder with tokenizer.json, vocab.txt"):
        load(folder)


def test_tensors_that_contradict_the_config_are_refused_by_name(copy):
    name, folder = copy
    path = folder / "config.json"
    original = path.read_bytes()
    for field, more, message in (
            (LAYERS.get(name, "num_hidden_layers"), 1, "expected .* more of the tensors"),
            (LAYERS.get(name, "num_hidden_layers"), 10**9, "expected the tensors of 1000000002 l"),
            (LAYERS.get(name, "num_hidden_layers"), -1, "found an unknown one"),
            ("vocab_size", 1, "expected floats of shape .*, as config.json says, found F32"),
            ("vocab_size", -1, "expected floats of shape|expected at most")):
        edit(path, **{field: json.loads(original)[field] + more})
        refused(folder, message)
        path.write_bytes(original)
    for field, value in ((HIDDEN.get(name, "hidden_size"), "12"), ("vocab_size", True),
                         (HEADS.get(name, "num_attention_heads"), 0),
                         (POSITIONS.get(name, "max_position_embeddings"), 1.5)):
        edit(path, **{field: value})
        refused(folder, f"config.json: field '{field}': expected a whole number")
        path.write_bytes(original)
    edit(path, no_such_field=1)
    refused(folder, "config.json: field 'no_such_field': expected only .* unknown")


def test_a_wrong_tensor_is_refused_by_name(copy):
    name, folder = copy
    tensors, _ = read_safetensors(folder / "model.safetensors")
    first = max(tensors, key=lambda tensor: tensors[tensor].size)
    change(folder, lambda found: {key: x for key, x in found.items() if key != first})
    refused(folder, "model.safetensors: the header: expected 1 more of the tensors")
    write_safetensors(folder / "model.safetensors", {**tensors, "x": np.ones(2, np.float32)})
    refused(folder, "tensor 'x': expected a tensor of .*, found an unknown one")
    write_safetensors(folder / "model.safetensors", {**tensors, first: tensors[first][:-1]})
    refused(folder, f"tensor '{first}': expected floats of shape")
    write_safetensors(folder / "model.safetensors",
                      {**tensors, first: np.where(tensors[first] == 0, 0, np.nan)})
    refused(folder, f"tensor '{first}': expected finite numbers")


# ---- several files -------------------------------------------------------------------------------

INDEX = "model.safetensors.index.json"


def split(folder):
    """Split model.safetensors of a folder into three files and an index.  -> {tensor: file}"""
    tensors, _ = read_safetensors(folder / "model.safetensors")
    where = {name: f"model-{1 + n % 3:05}-of-00003.safetensors" for n, name in enumerate(tensors)}
    for file in {*where.values()}:
        write_safetensors(folder / file, {n: x for n, x in tensors.items() if where[n] == file})
    (folder / "model.safetensors").unlink()
    write_index(folder, where)
    return where


def write_index(folder, where):
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))


def test_a_model_in_several_files_is_read_as_one(copy):
    name, folder = copy
    expected = load(folder).model
    split(folder)
    found = load(folder).model
    assert found.config == expected.config and [*found.p] == [*expected.p]
    np.testing.assert_array_equal(found.p.flat, expected.p.flat)


def test_damaged_files_and_indexes_are_refused_by_their_names(copy):
    name, folder = copy
    where = split(folder)
    first, second = [*where][:2]
    file = where[first]
    (folder / file).rename(folder / "away")
    refused(folder, f"{file}: the file: expected tensors, as {INDEX} says, found no such file")
    (folder / "away").rename(folder / file)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[:-1])
    refused(folder, f"{file}: ")
    (folder / file).write_bytes(data)
    tensors, other = read_safetensors(folder / file)[0], where[second]
    of_other = read_safetensors(folder / other)[0]
    write_safetensors(folder / other, {**of_other, first: tensors[first]})       # in two files
    refused(folder, f"{other}: tensor '{first}': expected it where {INDEX} says, '{file}', found")
    write_safetensors(folder / other, of_other)
    write_index(folder, {**where, "no.such.tensor": file})
    refused(folder, f"{file}: the header: expected tensor 'no.such.tensor', as {INDEX} says, found")
    write_index(folder, {**where, first: other})
    refused(folder, f"tensor '{first}': expected it where {INDEX} says, '{other}', found it here")
    write_index(folder, {tensor: file for tensor, file in where.items() if tensor != first})
    refused(folder, f"{file}: tensor '{first}': expected it where {INDEX} says, None, found it he")
    largest = max(tensors, key=lambda tensor: tensors[tensor].size)
    write_safetensors(folder / file, {n: x for n, x in tensors.items() if n != largest})
    write_index(folder, {tensor: file for tensor, file in where.items() if tensor != largest})
    refused(folder, f"{INDEX}: the header: expected 1 more of the tensors that config.json requir")


# ---- the tokenizer and the model disagree --------------------------------------------------------

def test_a_tokenizer_of_more_tokens_than_the_model_is_refused(copy):
    name, folder = copy
    value = json.loads((folder / "tokenizer.json").read_text())
    vocab = value["model"]["vocab"]
    token = {**value["added_tokens"][0], "id": len(vocab), "content": "<one more>"}
    edit(folder / "tokenizer.json", added_tokens=[*value["added_tokens"], token])
    refused(folder, "its tokenizer: expected at most .* tokens, the vocab_size of config.json")


def test_the_tokenizer_of_another_family_is_refused_or_fits(copy, whole):
    """A class that names another kind than tokenizer.json has."""
    name, folder = copy
    other = "bert" if name not in ("bert", "distilbert", "mpnet") else "mistral"
    shutil.copy(whole[other] / "tokenizer_config.json", folder)
    (folder / "special_tokens_map.json").unlink()
    edit(folder / "tokenizer_config.json", added_tokens_decoder=..., tokenizer_class=(
        "BertTokenizer" if other == "bert" else "LlamaTokenizer"))
    refused(folder, "tokenizer_config.json: field 'tokenizer_class': expected a class that reads")


def test_a_longer_maximum_than_the_positions_is_reduced_to_them(copy):
    name, folder = copy
    edit(folder / "sentence_bert_config.json", max_seq_length=10**6)
    encoder = load(folder)
    assert encoder.recipe.max_seq_length == encoder.model.max_length == 24
    assert encoder.encode(["the cat " * 50]).shape == (1, 12) and encoder.truncated == 1


def test_gpt2_refuses_a_tokenizer_that_returns_types(whole, tmp_path):
    """transformers' GPT-2 adds the embedding of token 0 to each token of type 0."""
    folder = shutil.copytree(whole["gpt2"], tmp_path / "m")
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids", "token_type_ids"])
    refused(folder, "tokenizer_config.json: field 'model_input_names': expected one without tok")


def test_types_that_a_model_lacks_are_refused_or_ignored(whole, tmp_path):
    """RoBERTa has one type; DistilBERT none, so that its pairs have none either."""
    folder = shutil.copytree(whole["roberta"], tmp_path / "m")
    value = json.loads((folder / "tokenizer.json").read_text())
    for part in value["post_processor"]["single"]:
        next(iter(part.values()))["type_id"] = 1
    edit(folder / "tokenizer.json", post_processor=value["post_processor"])
    before = load(folder).encode("the cat")                # its class returns no types
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids", "token_type_ids"])
    refused(folder, "its tokenizer: expected types of tokens below 1, the type_vocab_size .* found")
    assert np.isfinite(before).all()
    distilbert = load(whole["distilbert"])
    assert not distilbert.tokenizer.encode("the", "cat").types.any()
