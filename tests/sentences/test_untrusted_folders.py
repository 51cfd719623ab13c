"""Files of a model's folder that never end, and every value of every JSON file replaced."""
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.folder import FILES, model_files, read_sentence_folder
from scratch_embed.text import wordpiece_files
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
def test_the_files_of_a_model_are_those_that_its_loading_reads(folder, layout):
    """Each file of the folder, removed: the encoder then differs or cannot be loaded, or not."""
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
            SentenceEncoder.load(folder)         # others say the same, so that it is not read
        else:
            with pytest.raises(FormatError, match=re.escape(str(path))):
                SentenceEncoder.load(folder)
        (path.rmdir if kind == "folder" else path.unlink)()
        path.write_bytes(kept)


@layouts
@pytest.mark.parametrize("name", NAMES)
def test_a_changed_json_is_a_format_error_or_loads(folder, layout, name):
    path, tokenizer = folder / name, "token" in name
    if tokenizer and name != "tokenizer.json":       # without it, the small files decide
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
    found = []
    for data in mutated(document):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        try:
            if tokenizer:
                wordpiece_files.load(folder).encode("a cat [CLS]", max_length=6)
            else:
                read_sentence_folder(folder)
        except FormatError as error:
            assert str(error).startswith(str(folder))
            found.append(error)
    assert len(found) > 10
