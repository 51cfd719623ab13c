"""A .model of the sentencepiece package becomes the tokenizer that transformers makes of it."""
import json
import runpy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.sentencepiece_model import camembert, read_sentencepiece_model, xlm_roberta
from scratch_embed.text.tokenizer_files import load
from scratch_embed.text.unigram_json import to_json
from tests.text.sentencepiece_texts import FIRST, message, piece, random_texts

GOLDEN = Path(__file__).parents[1] / "golden"
STORED = json.loads((GOLDEN / "unigram.json").read_text("ascii"))
ROLES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
         "mask_token": "<mask>"}


PROSE = ["the unaffable cat sat", "  low  lower lowest ", "naïve cafés: 3 for 5.50 $!", "", " ",
         "日本語と漢字 are written", "xyz qqq happily newer", "ΟΔΟΣ Ёлка हिन्दी", "aaaaaaa abababab"]
MODEL = b"".join([*FIRST, piece("▁a", -1.5), piece("é" * 80, -2), message(2, b"\x18\x01"),
                  message(3, message(1, b"identity") + b"\x18\x01")])


def read(tmp_path, data):
    path = tmp_path / "sentencepiece.bpe.model"
    path.write_bytes(data)
    return read_sentencepiece_model(path)


# ---- worked by hand -----------------------------------------------------------------------------

def test_the_bytes_of_a_model_worked_by_hand(tmp_path):
    """A piece of 160 bytes has a length of two bytes, 0xA0 0x01."""
    assert MODEL.startswith(b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02")
    assert b"\xa0\x01" + "é".encode() in MODEL
    model = read(tmp_path, MODEL)
    assert model.pieces == [("<unk>", 0), ("<s>", 0), ("</s>", 0), ("▁a", -1.5), ("é" * 80, -2)]
    assert model.charsmap == b""


def test_special_tokens_come_before_the_pieces(tmp_path):
    model = read(tmp_path, MODEL)
    assert xlm_roberta(model, ROLES).pieces == ["<s>", "<pad>", "</s>", "<unk>", "▁a", "é" * 80,
                                                "<mask>"]
    ours = camembert(model, ROLES)
    assert ours.pieces[:8] == ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED",
                               "<s>", "</s>", "▁a"]
    assert ours.unk_id == 3 and ours.tokenize("a x") == ["▁a", "<unk>"]


# ---- folders ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the .model from which the stored tokenizers were made."""
    pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("model")
    runpy.run_path(str(GOLDEN / "make_unigram.py"))["train"](
        folder, "sentencepiece.bpe.model", "unigram", 160)
    return folder


@pytest.mark.parametrize("kind", ["xlm-roberta", "camembert"])
def test_a_folder_without_a_tokenizer_json_gives_the_tokenizer_of_transformers(trained, kind):
    (trained / "config.json").write_text(json.dumps({"model_type": kind}))
    written = to_json(load(trained))
    for part in "normalizer", "pre_tokenizer", "model", "decoder":
        assert written[part] == STORED[kind]["file"][part], part
    special = {token["content"]: token["id"] for token in STORED[kind]["file"]["added_tokens"]}
    assert {token["content"]: token["id"] for token in written["added_tokens"]} == special


@pytest.mark.campaign
@pytest.mark.parametrize("kind, name", [("xlm-roberta", "XLMRobertaTokenizer"),
                                        ("camembert", "CamembertTokenizer")])
def test_ids_are_those_of_transformers(trained, kind, name):
    transformers = pytest.importorskip("transformers")
    (trained / "config.json").write_text(json.dumps({"model_type": kind}))
    ours, theirs = load(trained), getattr(transformers, name).from_pretrained(trained)
    for text in random_texts(2000, seed=5):
        assert ours.encode(text).ids.tolist() == theirs(text)["input_ids"], ascii(text)


@pytest.mark.parametrize("model_type", ["llama", "t5", None])
def test_a_folder_of_another_class_says_how_to_convert_it(tmp_path, model_type):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    read(tmp_path, MODEL)
    with pytest.raises(FormatError, match="expected a tokenizer.json beside it.*save_pretrained"):
        load(tmp_path)


@pytest.mark.parametrize("kind, offset", [("xlm-roberta", 1), ("camembert", 4)])
def test_ids_are_those_of_the_sentencepiece_package_and_fairseqs_offset(trained, kind, offset):
    """Texts without "▁" and without characters that only one side normalises."""
    theirs = pytest.importorskip("sentencepiece").SentencePieceProcessor(
        model_file=str(trained / "sentencepiece.bpe.model"))
    (trained / "config.json").write_text(json.dumps({"model_type": kind}))
    ours = load(trained)
    for text in PROSE:
        ids = [number + offset if number else ours.unk_id for number in theirs.encode(text)]
        assert ours.token_ids(text) == ids, ascii(text)


FLAGS = {"add_dummy_prefix": False, "remove_extra_whitespaces": False, "byte_fallback": True,
         "treat_whitespace_as_suffix": True}


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_that_changes_ids_is_refused_by_name(tmp_path, flag):
    """transformers ignores all of them; the sentencepiece package does not."""
    package = pytest.importorskip("sentencepiece")
    path = runpy.run_path(str(GOLDEN / "make_unigram.py"))["train"](
        tmp_path, "sentencepiece.bpe.model", "unigram", 380 if flag == "byte_fallback" else 160,
        **{flag: FLAGS[flag]})
    with pytest.raises(FormatError, match=f"_spec, field '{flag}': expected [01], as in XLM-R"):
        read_sentencepiece_model(path)
    (tmp_path / "config.json").write_text('{"model_type": "xlm-roberta"}')
    theirs = pytest.importorskip("transformers").XLMRobertaTokenizer.from_pretrained(tmp_path)
    package = package.SentencePieceProcessor(model_file=str(path))
    text = " the  cat 漢"
    assert [piece for piece in package.encode(text, out_type=str)] != theirs.tokenize(text)


def test_the_field_of_escaping_is_read_too(tmp_path):
    """escape_whitespaces, which the package's trainer always sets."""
    with pytest.raises(FormatError, match="normalizer_spec, field 'escape_whitespaces'"):
        read(tmp_path, MODEL + message(3, b"\x28\x00"))
    read(tmp_path, MODEL + message(3, b"\x28\x01"))


# ---- damage -------------------------------------------------------------------------------------

@pytest.mark.parametrize("data, problem", [
    (b"", r"its first pieces: expected .*'<unk>', 2.* found \[\]"),
    (MODEL + message(2, b"\x18\x02"), "trainer_spec, field 'model_type': expected 1"),
    (MODEL + piece("a", 0, 4), "piece 'a': expected only normal pieces .* of the kind 4"),
    (b"".join(FIRST[1:]), "its first pieces: .* found"), (b"\x0a", "ends inside a number"),
    (piece("<unk>", 0) + MODEL, "its first pieces: .* found .*'<unk>', 1"),
    (MODEL + piece("<unk>", 0, 2), "piece '<unk>': .* found one of the kind 2"),
    (b"\x0a\x05abc", "ends outside"), (b"\x0b\x00", "of type 3"), (b"\xff" * 20, "more than 10"),
    (message(1, b"\x18\x01"), "expected a model"), (message(1, b"\x08\x01"), "expected a model"),
    (message(1, b"\x0a\x01\xff"), "utf-8"), (b"\x08\x01", "expected a model"),
    (MODEL + b"\x10\x01", "expected a model")])
def test_a_damaged_model_is_refused_by_name(tmp_path, data, problem):
    with pytest.raises(FormatError, match=f"sentencepiece.bpe.model: .*{problem}"):
        read(tmp_path, data)


@settings(max_examples=25)
@given(st.integers(0, len(MODEL) - 1), st.integers(0, 255))
def test_a_changed_byte_never_fails_in_another_way(tmp_path_factory, place, byte):
    folder = tmp_path_factory.getbasetemp()
    for data in MODEL[:place], MODEL[:place] + bytes([byte]) + MODEL[place + 1:]:
        try:
            model = read(folder, data)
        except FormatError as error:
            assert "sentencepiece.bpe.model" in str(error)
        else:
            assert [piece for piece, _ in model.pieces[:3]] == ["<unk>", "<s>", "</s>"]
