"""Every field of every file of a model's folder is read, refused, or listed as without effect.

Each field is replaced by values of all kinds.  If every value is accepted and the encoder stays the
same, then the field is ignored, and it must be in a list that gives the reason.
"""
import copy
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.settings import digest
from scratch_embed.sentences import folder as folders
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text import tokenizer_json, tokenizer_settings, wordpiece_json
from scratch_embed.text.tokenizer_files import load
from scratch_embed.transformer import bert, config_fields, gpt2, mistral
from scratch_embed.transformer.model_folder import read_model

GOLDEN = Path(__file__).parents[1] / "golden"
POOLING, DENSE, NORMALIZE = (f"{name}/config.json" for name in
                             ("1_Pooling", "2_Dense", "3_Normalize"))
WITHOUT_EFFECT = {                 # {file: {field: reason}}; a field below others is "a.b"
    "config.json": config_fields.IGNORED, "tokenizer_config.json": tokenizer_settings.IGNORED,
    "tokenizer.json": tokenizer_json.IGNORED, **folders.IGNORED}
MORE_FIELDS = {                           # fields that the golden folders do not have
    "config.json": {*config_fields.ONLY, *bert.ONLY}, "tokenizer_config.json": {
        *tokenizer_settings.ONLY, *wordpiece_json.SETTINGS, *tokenizer_settings.EXTRA,
        *tokenizer_settings.ROLES, *tokenizer_settings.READ},
    "special_tokens_map.json": {*tokenizer_settings.EXTRA, *tokenizer_settings.ROLES},
    "added_tokens.json": {"a"},
    "sentence_bert_config.json": {"model_args", "query_length", "do_lower_case"},
    "config_sentence_transformers.json": {"prompts", "default_prompt_name", "model_type"},
    POOLING: set(), DENSE: {"use_residual"}, NORMALIZE: {"module_input_name"},
    "modules.json": set(), "tokenizer.json": set()}
# the files that are the same in both layouts
COMMON_FILES = ("config.json", "tokenizer_config.json", "special_tokens_map.json",
                "added_tokens.json")
VALUES = [None, True, False, 0, 1, 3, 0.5, "x", "the", "left", "Left", [], ["cat"], {}, {"x": 1},
          {"20": {"content": "x", "special": True, "normalized": False, "lstrip": False,
                  "rstrip": False, "single_word": False}}]
TEXTS = ["the cat", "The dögs [MASK] 日 sat.the cats", "a cat . , a dog on the mat where is the"]
UNKNOWN = "no_such_field"


def encoder_of(folder):
    """All that an encoder's vectors depend on: its config, weights and recipe, and token ids."""
    encoder = SentenceEncoder.load(folder)
    tokenizer, recipe = encoder.tokenizer, encoder.recipe
    dense = [({name: x.tolist() for name, x in p.items()}, f) for p, f in recipe.dense]
    ids = [tokenizer.encode(text, pair, 12).ids.tolist() + tokenizer.encode(text).types.tolist()
           for text in TEXTS for pair in (None, "a dog ran")]
    return encoder.model.config, recipe._replace(dense=dense), ids, digest(encoder.model.p.flat)


def tokenizer_of(folder):
    """All that a tokenizer does: the token ids of texts and pairs."""
    tokenizer = load(folder)
    return [tokenizer.encode(text, pair, 12) for text in TEXTS for pair in (None, "a dog ran")]


def outcome(made, folder, before):
    """Whether the changed folder is "refused", or made(folder) is "changed" or the "same"."""
    try:
        found = made(folder)
    except FormatError:
        return "refused"
    return "same" if str(found) == str(before) else "changed"


def fields_of(value, path=()):
    """The paths to all fields of objects; of a list only its first object, of a vocabulary none."""
    if isinstance(value, list):
        yield from (found for part in value[:1] for found in fields_of(part, (*path, 0)))
    elif isinstance(value, dict) and path[-1:] not in (("vocab",), ("prompts",)):
        for name, part in value.items():
            yield (*path, name)
            yield from fields_of(part, (*path, name))


def with_value(document, path, value):
    document = copy.deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document


@pytest.mark.parametrize("file, layout", [(file, layout) for file in MORE_FIELDS
                                          for layout in ("old", "new")
                                          if layout == "old" or file not in COMMON_FILES])
def test_every_field_is_read_or_refused_or_listed(file, layout, tmp_path):
    folder = shutil.copytree(GOLDEN / f"sentence_{layout}", tmp_path / "model")
    without_tokenizer_json = file in ("tokenizer_config.json", "special_tokens_map.json",
                                      "added_tokens.json")
    if without_tokenizer_json:                         # only then these files are read completely
        shutil.copy(GOLDEN / "sentence_old" / "vocab.txt", folder)
        (folder / "tokenizer.json").unlink()
        (folder / "special_tokens_map.json").unlink(missing_ok=True)
        if file != "tokenizer_config.json":
            (folder / "tokenizer_config.json").unlink()
    made = tokenizer_of if "token" in file else encoder_of
    path = folder / file
    if not path.exists() and layout == "old" and file == NORMALIZE:
        path.parent.mkdir(exist_ok=True)
    elif not path.parent.exists():
        return
    document = json.loads(path.read_text()) if path.exists() else {}
    if file == "tokenizer_config.json":
        document.pop("added_tokens_decoder", None)
    path.write_text(json.dumps(document))
    before, reasons = made(folder), WITHOUT_EFFECT.get(file, {})
    top = {(name,) for name in {*MORE_FIELDS[file], *reasons} if "." not in name} if isinstance(
        document, dict) else set()
    for at in sorted({*fields_of(document), *top}, key=str):
        name = ".".join(part for part in at if isinstance(part, str))
        found = set()
        for value in VALUES[::4] if is_listed(name, reasons) else VALUES:
            path.write_text(json.dumps(with_value(document, at, value)))
            found.add(outcome(made, folder, before))
        if is_listed(name, reasons):
            assert "changed" not in found, (name, found)
        else:
            assert found != {"same"}, (name, found)
    for parent in {at[:-1] for at in fields_of(document)} | ({()} if top else set()):
        if parent[-1:] != ("special_tokens",) and file not in ("added_tokens.json",):
            path.write_text(json.dumps(with_value(document, (*parent, UNKNOWN), 1)))
            name = ".".join(part for part in parent if isinstance(part, str))
            assert outcome(made, folder, before) == "refused" or is_listed(name, reasons)


def is_listed(name, reasons):
    """Whether a field, or an object that holds it, has a reason to be ignored."""
    return any(re.match(rf"{pattern}(\.|$)", name) for pattern in reasons)


def test_every_ignored_field_has_a_reason():
    for reasons in WITHOUT_EFFECT.values():
        assert all(len(reason) > 10 for reason in reasons.values())


@pytest.mark.parametrize("name, read", [("GPT2Config", gpt2.read_config),
                                        ("MistralConfig", mistral.read_config)])
def test_the_configs_of_other_families_have_no_unknown_fields(name, read, tmp_path):
    config = getattr(pytest.importorskip("transformers"), name)()
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert read(tmp_path / "config.json").vocab == config.vocab_size


# ---- what other programs write ------------------------------------------------------------------

def test_every_field_that_transformers_writes_is_known(tmp_path):
    """A BertConfig and a BertTokenizer with all their defaults, saved."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(vocab_size=20, hidden_size=4, num_hidden_layers=1,
                                     num_attention_heads=2, intermediate_size=4,
                                     max_position_embeddings=8)
    transformers.BertModel(config).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_bytes((GOLDEN / "sentence_old" / "vocab.txt").read_bytes())
    transformers.BertTokenizer.from_pretrained(str(tmp_path)).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))    # with all defaults
    read_model(tmp_path)
    for cased in False, True:
        from sentence_transformers.models import Pooling, Transformer
        module = Transformer(str(tmp_path), do_lower_case=True, processor_kwargs={
            "do_lower_case": not cased})
        sentences = pytest.importorskip("sentence_transformers").SentenceTransformer(
            modules=[module, Pooling(4)])
        texts = ["The CAT sat", "the cat sat", "A Dög"]
        expected = sentences.encode(texts)
        sentences.save(str(tmp_path / f"sentences{cased}"))
        ours = SentenceEncoder.load(tmp_path / f"sentences{cased}").encode(texts)
        np.testing.assert_allclose(ours, expected, atol=2e-6)
        np.testing.assert_array_equal(ours[0], ours[1])
