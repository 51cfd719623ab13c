"""A tokenizer.json is restored; a part that would change the ids is refused by name."""
import copy
import json
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.bpe_json import parse, to_json
from scratch_embed.text.byte_level import CLIP, GPT2, LLAMA3
from scratch_embed.text.normal_forms import TextNormalizer

STORED = json.loads((Path(__file__).parents[1] / "golden/bpe.json").read_text("ascii"))
FILES = {name: kind["file"] for name, kind in STORED["tokenizers"].items()}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def changed(name, path, value):
    """A stored file in which the part at `path` ("model.dropout") is another; None: is removed."""
    whole = inside = copy.deepcopy(FILES[name])
    *outer, last = path.split(".")
    for part in outer:
        inside = inside[part]
    inside[last] = value
    return Fields("file", whole)


def split(pattern, behavior="Removed", invert=True):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


# ---- both ways ----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_read_as_the_same_tokenizer(name):
    ours = parse(Fields("file", FILES[name]))
    again = parse(Fields("file", json.loads(json.dumps(to_json(ours)))))
    for field in ("pieces", "merges", "added", "template", "normalizer", "patterns", "suffix",
                  "prefix_space", "unk", "fuse_unk", "ignore_merges", "truncation_side"):
        assert getattr(ours, field) == getattr(again, field), field
    assert to_json(again) == to_json(ours)


@pytest.mark.parametrize("name", ["gpt2", "clip"])
def test_the_parts_that_decide_ids_are_written_as_the_library_writes_them(name):
    ours = to_json(parse(Fields("file", FILES[name])))
    assert ours["normalizer"] == FILES[name]["normalizer"]
    assert ours["model"]["vocab"] == FILES[name]["model"]["vocab"]
    assert ours["model"]["merges"] == FILES[name]["model"]["merges"]
    assert ours["pre_tokenizer"] == FILES[name]["pre_tokenizer"]


def test_merges_are_read_in_both_forms():
    merges = FILES["gpt2"]["model"]["merges"]
    older = changed("gpt2", "model.merges", [" ".join(pair) for pair in merges])
    assert parse(older).merges == [tuple(pair) for pair in merges]


@pytest.mark.parametrize("pre_tokenizer, patterns", [
    (BYTE_LEVEL, (GPT2,)), ({**BYTE_LEVEL, "use_regex": False}, ()),
    (sequence(split(CLIP), BYTE_LEVEL), (CLIP, GPT2)), (sequence(BYTE_LEVEL), (GPT2,)),
    (sequence(split(LLAMA3, "Isolated", False), {**BYTE_LEVEL, "use_regex": False}), (LLAMA3,))])
def test_forms_of_the_pre_tokenizer(pre_tokenizer, patterns):
    assert parse(changed("gpt2", "pre_tokenizer", pre_tokenizer)).patterns == patterns


@pytest.mark.parametrize("normalizer, expected", [
    (None, TextNormalizer()), ({"type": "NFC"}, TextNormalizer(nfc=True)),
    ({"type": "Sequence", "normalizers": []}, TextNormalizer()),
    ({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
     TextNormalizer(nfc=True, lower_case=True))])
def test_forms_of_the_normalizer(normalizer, expected):
    assert parse(changed("gpt2", "normalizer", normalizer)).normalizer == expected


def test_a_setting_replaces_the_space_before_a_text():
    file = Fields("file", FILES["gpt2"])
    assert parse(file, {"add_prefix_space": True}).prefix_space and not parse(file).prefix_space


# ---- what is refused ----------------------------------------------------------------------------

@pytest.mark.parametrize("path, value, message", [
    ("model.dropout", 0.1, "dropout"), ("model.byte_fallback", True, "byte_fallback"),
    ("model.continuing_subword_prefix", "##", "continuing_subword_prefix"),
    ("model.unk_token", "nowhere", "expected 'nowhere', the token of unknown bytes"),
    ("model.merges", [["a"]], "expected two pieces in each"),
    ("model.merges", ["a b c"], "expected two pieces in each"),
    ("model.merges", [["日", "a"]], r"merge 0 is \('日', 'a'\)"),
    ("model.new", 1, "this field is unknown"), ("model.type", "Unigram", "BPE"),
    ("decoder", {"type": "BPEDecoder", "suffix": "</w>"}, "ByteLevel"),
    ("pre_tokenizer", None, "pre_tokenizer"),
    ("pre_tokenizer", {"type": "Whitespace"}, "Whitespace"),
    ("pre_tokenizer", sequence({"type": "Digits", "individual_digits": True}, BYTE_LEVEL),
     "Splits and a ByteLevel after them"),
    ("pre_tokenizer", sequence(split(r"\w+"), BYTE_LEVEL), "the pattern of GPT-2, CLIP"),
    ("pre_tokenizer", sequence(split(CLIP, "Isolated"), BYTE_LEVEL), "Removed, with invert true"),
    ("pre_tokenizer", sequence(split(LLAMA3, "Removed", False), BYTE_LEVEL), "or Isolated"),
    ("pre_tokenizer", sequence(split(LLAMA3), {**BYTE_LEVEL, "add_prefix_space": True}),
     "no add_prefix_space after a Split"),
    ("pre_tokenizer", sequence(split(GPT2), {**BYTE_LEVEL, "add_prefix_space": True,
                                             "use_regex": False}),
     "no add_prefix_space after a Split"),
    ("normalizer", {"type": "NFKC"}, "NFKC"),
    ("normalizer", {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "NFC"}]},
     "at most once, in this order"),
    ("normalizer", {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}, "Replace")])
def test_a_part_that_would_change_the_ids_is_refused(path, value, message):
    with pytest.raises(FormatError, match=message):
        parse(changed("gpt2", path, value))
