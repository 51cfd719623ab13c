"""Hostile folders of a model: files that never end, and JSON files with any value replaced."""
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_header
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.folder import FILES, model_files, read_sentence_folder
from scratch_embed.text import tokenizer_files
from scratch_embed.transformer.checkpoint import open_weights
from tests.mutations import mutated

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ("config.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json",
         "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
         "1_Pooling/config.json", "2_Dense/config.json", "3_Normalize/config.json",
         "added_tokens.json")
layouts = pytest.mark.parametrize("layout", ["old", "new"])


@pytest.fixture
def folder(layout, tmp_path):
    return shutil.copytree(GOLDEN / f"sentence_{layout}", tmp_path / "model")


@layouts
def test_model_files_leaves_out_no_file_that_loading_reads(folder, layout):
    """A file that model_files() leaves out has no name that loading would read."""
    names = model_files(folder)
    assert {"config.json", "model.safetensors", "modules.json", "tokenizer.json"} <= set(names)
    for path in folder.rglob("*.*"):
        if str(path.relative_to(folder)) not in names:
            assert path.name not in FILES and path.is_file()


@layouts
@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_a_file_that_is_not_a_regular_one_is_an_error(folder, layout, kind):
    """A link to /dev/zero has no end, and opening a pipe waits for ever."""
    names = model_files(folder)
    for name in names:
        path, kept = folder / name, (folder / name).read_bytes()
        path.unlink()
        if kind == "device":
            path.symlink_to("/dev/zero")
        else:
            (os.mkfifo if kind == "pipe" else os.mkdir)(path)
        if layout == "old" and name in ("vocab.txt", "special_tokens_map.json"):
            SentenceEncoder.load(folder)         # not read: tokenizer.json has the same content
        else:
            with pytest.raises(FormatError, match=re.escape(str(path))):
                SentenceEncoder.load(folder)
        (path.rmdir if kind == "folder" else path.unlink)()
        path.write_bytes(kept)


@layouts
@pytest.mark.parametrize("name", NAMES)
def test_a_changed_json_is_a_format_error_or_loads(folder, layout, name):
    path, tokenizer = folder / name, "token" in name
    if tokenizer and name != "tokenizer.json":       # without it, these files are read
        shutil.copy(GOLDEN / "sentence_old" / "vocab.txt", folder)
        (folder / "tokenizer.json").unlink()
        if name != "tokenizer_config.json":
            (folder / "tokenizer_config.json").unlink()
    document = json.loads(path.read_bytes()) if path.exists() else {"x": 20}
    if name == "tokenizer.json":
        document["model"]["vocab"] = {"[UNK]": 0, "[CLS]": 1, "a": 2}
        document["added_tokens"] = [{**document["added_tokens"][0], "content": "[CLS]", "id": 1}]
        document["post_processor"]["special_tokens"] = {
            name: {"id": name, "ids": [0], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    errors = []
    for data in mutated(document):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        try:
            if tokenizer:
                tokenizer_files.load(folder).encode("a cat [CLS]", max_length=6)
            else:
                read_sentence_folder(folder)
        except FormatError as error:
            assert str(error).startswith(str(folder))
            errors.append(error)
    assert len(errors) > 10


def test_a_changed_index_of_weights_is_a_format_error_or_is_read(tmp_path):
    """model.safetensors.index.json, of a model whose tensors are in one other file."""
    shutil.copy(GOLDEN / "sentence_old" / "model.safetensors", tmp_path / "a.safetensors")
    names = list(read_header(tmp_path / "a.safetensors")[0])
    path, errors = tmp_path / "model.safetensors.index.json", []
    document = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(names, "a.safetensors")}
    for data in mutated(document):
        path.write_bytes(data)
        try:
            open_weights(tmp_path)
        except FormatError as error:
            assert str(error).startswith(str(tmp_path))
            errors.append(error)
    assert len(errors) > 10
