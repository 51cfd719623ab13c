"""Folders of cross-encoders: each field is read, refused or listed; damage is a FormatError."""
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import scratch_embed as se
from scratch_embed.cli.facts import facts_of
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.functions import sigmoid
from scratch_embed.numerics.settings import digest
from scratch_embed.sentences import cross_encoder_folder as folders
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_folder import read_cross_encoder_folder
from scratch_embed.sentences.cross_encoder_settings import Settings, identity
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.transformer import config_fields
from tests.mutations import mutated
from tests.sentences.test_every_field import (
    UNKNOWN,
    VALUES,
    fields_of,
    is_listed,
    outcome,
    with_value,
)

GOLDEN = Path(__file__).parents[1] / "golden"
SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"
OLD, NEW = "sbert_ce_default_activation_function", "config_sentence_transformers.json"
READ_HERE = {"num_labels", "id2label", "architectures", "sentence_transformers", OLD}
MORE_FIELDS = {                    # fields that the golden folders do not have
    "config.json": READ_HERE, NEW: {"keep_in_fp32_modules"},
    "sentence_bert_config.json": {"max_seq_length", "do_lower_case", "model_args"},
    "modules.json": set()}
layouts = pytest.mark.parametrize("layout", ["old", "new"])


@pytest.fixture
def folder(layout, tmp_path):
    """A copy of a golden folder, which a test can change."""
    return shutil.copytree(GOLDEN / f"cross_encoder_{layout}", tmp_path / "model")


old = pytest.mark.parametrize("layout", ["old"])
new = pytest.mark.parametrize("layout", ["new"])


def change(folder, file, **fields):
    """Set fields of a JSON file; the value ... deletes a field."""
    path = folder / file
    values = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not ...}))


def described(folder):
    """All that scores depend on, apart from the tokenizer."""
    model, settings = read_cross_encoder_folder(folder)
    return model.config, settings, digest(model.p.flat)


# ---- every field --------------------------------------------------------------------------------

@pytest.mark.parametrize("file, layout", [(file, layout) for file in MORE_FIELDS
                                          for layout in ("old", "new")
                                          if layout == "new" or file == "config.json"])
def test_every_field_is_read_or_refused_or_listed(file, folder):
    """The sizes in config.json, and the fields that no model uses: see test_every_field.py."""
    path, reasons = folder / file, folders.IGNORED[file]
    if file == "config.json" and (folder / NEW).exists():       # else it overrides config.json
        change(folder, NEW, activation_fn=...)
        change(folder, file, sentence_transformers={"activation_fn": IDENTITY, "version": "5"})
    document = json.loads(path.read_text())
    fields = [at for at in fields_of(document) if file != "config.json" or at[0] in READ_HERE]
    before = described(folder)
    top = {(name,) for name in {*MORE_FIELDS[file], *reasons} if "." not in name} if isinstance(
        document, dict) else set()
    values = [*VALUES, SIGMOID, IDENTITY]
    for at in sorted({*fields, *top}, key=str):
        name = ".".join(part for part in at if isinstance(part, str))
        found = set()
        for value in values[::4] if is_listed(name, reasons) else values:
            path.write_text(json.dumps(with_value(document, at, value)))
            found.add(outcome(described, folder, before))
        if is_listed(name, reasons):
            assert "changed" not in found, (name, found)
        else:
            assert found != {"same"}, (name, found)
    for parent in {at[:-1] for at in fields} | ({()} if top else set()):
        name = ".".join(part for part in parent if isinstance(part, str))
        path.write_text(json.dumps(with_value(document, (*parent, UNKNOWN), 1)))
        assert outcome(described, folder, before) == "refused" or is_listed(name, reasons)


def test_every_ignored_field_has_a_reason():
    assert all(len(reason) > 10 for reasons in folders.IGNORED.values()
               for reason in reasons.values())


# ---- the activation -----------------------------------------------------------------------------

@new
@pytest.mark.parametrize("own, inside, older, expected", [
    (SIGMOID, IDENTITY, IDENTITY, sigmoid), (IDENTITY, SIGMOID, SIGMOID, identity),
    (None, IDENTITY, SIGMOID, identity), (..., IDENTITY, SIGMOID, identity),
    (..., ..., IDENTITY, identity), (..., None, IDENTITY, sigmoid), (..., ..., ..., sigmoid),
    ("torch.nn.Identity", ..., ..., identity)])
def test_the_first_file_that_names_an_activation_decides(folder, own, inside, older, expected):
    """As in sentence-transformers: a null in config.json's newer field hides the older field."""
    change(folder, NEW, activation_fn=own)
    change(folder, "config.json", **{OLD: older, "sentence_transformers": (
        {"version": "4.0"} if inside is ... else {"activation_fn": inside})})
    assert CrossEncoder.load(folder).settings.activation is expected


@new
def test_the_activation_is_the_one_of_the_installed_package(folder):
    library = pytest.importorskip("sentence_transformers")
    for own, inside, older in ((IDENTITY, SIGMOID, SIGMOID), (None, IDENTITY, SIGMOID),
                               (..., ..., IDENTITY), (..., None, IDENTITY)):
        change(folder, NEW, activation_fn=own)
        change(folder, "config.json", **{OLD: older, "sentence_transformers": (
            {} if inside is ... else {"activation_fn": inside})})
        theirs = library.CrossEncoder(str(folder), device="cpu").activation_fn
        ours = CrossEncoder.load(folder).settings.activation
        assert type(theirs).__name__.lower() == ours.__name__


@layouts
@pytest.mark.parametrize("name", ["torch.nn.modules.activation.Tanh", "os.system", "Sigmoid", ""])
def test_an_unknown_activation_is_an_error(folder, layout, name):
    change(folder, "config.json", **{OLD: name})
    with pytest.raises(FormatError, match=f"{OLD}.*expected one of.*Sigmoid"):
        CrossEncoder.load(folder)


# ---- labels, lengths, modules -------------------------------------------------------------------

@old
@pytest.mark.parametrize("fields, message", [
    ({"id2label": {"0": "x", "1": "y"}}, "safetensors.*shape \\(2,\\).*found.*\\(3,\\)"),
    ({"num_labels": 2}, "num_labels.*expected 3, the number of names"),
    ({"id2label": {"0": "x", "2": "y"}}, "id2label.*names of"),
    ({"id2label": ..., "num_labels": ...}, "shape \\(2,\\)"),             # transformers' default
    ({"architectures": ["BertModel"]}, "architectures.*train cross-encoder.*BertModel"),
    ({"architectures": ["RobertaForSequenceClassification"]}, "BertForSequenceClassification"),
    ({"architectures": None}, "architectures.*found null")])
def test_a_config_that_does_not_fit_is_an_error(folder, fields, message):
    change(folder, "config.json", **fields)
    with pytest.raises(FormatError, match=message):
        CrossEncoder.load(folder)


@old
def test_names_of_labels_are_kept_and_may_be_missing(folder, tmp_path):
    assert CrossEncoder.load(folder).settings.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    change(folder, "config.json", id2label={"2": "entailed", "0": "contradicted", "1": "neither"})
    labels = CrossEncoder.load(folder).settings.labels
    assert labels == ("contradicted", "neither", "entailed")
    change(folder, "config.json", id2label=None, num_labels=3)
    assert CrossEncoder.load(folder).settings.labels == ("LABEL_0", "LABEL_1", "LABEL_2")


@new
def test_the_maximum_length_is_that_of_the_tokenizer_or_the_model(folder):
    assert CrossEncoder.load(folder).settings.max_seq_length == 20
    change(folder, "tokenizer_config.json", model_max_length=10**30)
    assert CrossEncoder.load(folder).settings.max_seq_length == 24
    change(folder, "sentence_bert_config.json", max_seq_length=9)
    assert CrossEncoder.load(folder).settings.max_seq_length == 9


@new
@pytest.mark.parametrize("modules, message", [
    ([], "expected one Transformer"),
    ([{"path": "", "type": "sentence_transformers.models.Transformer"}] * 2, "expected one"),
    ([{"path": "0_T", "type": "sentence_transformers.models.Transformer"}], "in this folder"),
    ([{"path": "", "type": "sentence_transformers.models.LogitScore"}], "found .*LogitScore")])
def test_other_modules_are_an_error(folder, modules, message):
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(FormatError, match=f"modules.json.*{message}"):
        CrossEncoder.load(folder)


@new
def test_files_that_say_another_task_or_are_missing_are_an_error(folder):
    change(folder, "sentence_bert_config.json", transformer_task=...)
    with pytest.raises(FormatError, match="sentence_bert_config.json.*sequence-classification"):
        CrossEncoder.load(folder)
    (folder / "sentence_bert_config.json").unlink()
    with pytest.raises(FormatError, match="sentence_bert_config.json.*no such file"):
        CrossEncoder.load(folder)
    (folder / "modules.json").unlink()
    with pytest.raises(FormatError, match="modules.json.*no such file"):
        CrossEncoder.load(folder)
    (folder / NEW).unlink()                        # now it is a folder of transformers
    assert CrossEncoder.load(folder).settings.prompts == {}


@old
def test_a_tokenizer_with_more_types_of_tokens_than_the_model_is_an_error(folder):
    path = folder / "tokenizer.json"
    path.write_text(re.sub('"type_id": 1', '"type_id": 2', path.read_text()))
    with pytest.raises(FormatError, match="types of tokens of a pair below 2.*found 2"):
        CrossEncoder.load(folder)


# ---- kinds of folders ---------------------------------------------------------------------------

@layouts
def test_load_and_info_recognise_a_cross_encoder(folder):
    encoder = se.load(folder)
    assert isinstance(encoder, CrossEncoder) and repr(encoder).startswith("CrossEncoder(Bert(2 lay")
    facts = facts_of(encoder)
    assert facts["labels"] == list(encoder.settings.labels)
    assert facts["activation"] == "sigmoid" and facts["tokens of a pair, at most"] == 20
    with pytest.raises(FormatError, match="found a cross-encoder.*CrossEncoder.load"):
        SentenceEncoder.load(folder)


def test_other_folders_are_not_cross_encoders(tmp_path):
    for name in ("sentence_old", "sentence_new"):
        with pytest.raises(FormatError, match="architectures.*BertForSequenceClassification"):
            CrossEncoder.load(GOLDEN / name)
    with pytest.raises(FormatError, match="config.json"):
        CrossEncoder.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        CrossEncoder.load(tmp_path / "missing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        CrossEncoder.load(tmp_path / "file")


@layouts
def test_an_adapter_is_an_error(folder):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(FormatError, match="without an adapter"):
        CrossEncoder.load(folder)


# ---- damage -------------------------------------------------------------------------------------

@pytest.mark.parametrize("layout, name", [("old", "config.json"), *(
    ("new", name) for name in ("modules.json", NEW, "sentence_bert_config.json"))])
def test_a_changed_json_is_a_format_error_or_loads(folder, name):
    path, errors = folder / name, []
    document = json.loads(path.read_bytes())
    for field in (config_fields.IGNORED.keys() - READ_HERE if name == "config.json" else ()):
        document.pop(field, None)
    for data in mutated(document):
        path.write_bytes(data)
        try:
            read_cross_encoder_folder(folder)
        except FormatError as error:
            assert str(error).startswith(str(folder))
            errors.append(error)
    assert len(errors) > 10


@layouts
def test_truncated_weights_and_pipes_are_format_errors(folder):
    for path in [*folder.iterdir()]:
        kept = path.read_bytes()
        if path.suffix == ".safetensors":
            path.write_bytes(kept[:-1])
            with pytest.raises(FormatError, match=re.escape(str(path))):
                CrossEncoder.load(folder)
        if path.name not in ("vocab.txt", "special_tokens_map.json"):    # tokenizer.json has both
            path.unlink()
            os.mkfifo(path)
            with pytest.raises(FormatError, match=re.escape(str(path))):
                CrossEncoder.load(folder)
            path.unlink()
        path.write_bytes(kept)


# ---- writing ------------------------------------------------------------------------------------

@layouts
def test_a_saved_cross_encoder_is_loaded_with_the_same_bits(folder, tmp_path):
    encoder = CrossEncoder.load(folder)
    encoder.settings = encoder.settings._replace(
        lower_case=True, max_seq_length=11, prompts={"q": "the "}, default_prompt_name="q")
    encoder.save(tmp_path / "saved")
    again = CrossEncoder.load(tmp_path / "saved")
    assert again.settings == encoder.settings
    np.testing.assert_array_equal(again.model.p.flat, encoder.model.p.flat)
    pairs = [("a cat", "the dogs"), ("", "x " * 20)]
    np.testing.assert_array_equal(again.predict(pairs), encoder.predict(pairs))
    for name in ("modules.json", NEW):                 # older releases read config.json alone
        (tmp_path / "saved" / name).unlink()
    assert CrossEncoder.load(tmp_path / "saved").settings == again.settings._replace(
        prompts={}, default_prompt_name=None)


def test_an_activation_without_a_name_cannot_be_saved(tmp_path):
    encoder = CrossEncoder.load(GOLDEN / "cross_encoder_new")
    encoder.settings = Settings(np.tanh, 20)
    with pytest.raises(ValueError, match="expected sigmoid or identity, got <ufunc 'tanh'>"):
        encoder.save(tmp_path / "saved")
