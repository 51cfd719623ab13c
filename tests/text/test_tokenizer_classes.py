"""A folder of each tokenizer class of transformers gives the ids that AutoTokenizer gives."""
import json
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.tokenizer_files import load, save

STORED = json.loads((Path(__file__).parents[1] / "golden/tokenizer_classes.json").read_text())


def write(folder, name, changes=None, tokenizer=None):
    """Write the folder `name`, with changed fields of tokenizer_config.json; ... deletes one."""
    folder.mkdir(exist_ok=True)
    for file, value in STORED[name]["files"].items():
        if file == "tokenizer_config.json":
            value = {key: part for key, part in {**value, **(changes or {})}.items()
                     if part is not ...}
        (folder / file).write_text(json.dumps(
            {**value, **(tokenizer or {})} if file == "tokenizer.json" else value))
    return folder


@pytest.mark.parametrize("name", STORED)
def test_the_ids_are_those_that_autotokenizer_gave(name, tmp_path):
    tokenizer = load(write(tmp_path / "theirs", name))
    save(tmp_path / "ours", tokenizer)
    again = load(tmp_path / "ours")
    for text, pair, length, ids in STORED[name]["cases"]:
        for found in tokenizer, again:
            encoded = found.encode(text, pair, length)
            assert encoded.ids.tolist() == ids, (text, pair, length)
            assert not encoded.types.any() or found.has_types
    assert again.roles == tokenizer.roles and again.has_types == tokenizer.has_types


@pytest.mark.parametrize("name", STORED)
def test_autotokenizer_reads_our_folder_to_the_same_ids(name, tmp_path):
    transformers = pytest.importorskip("transformers")
    save(tmp_path, load(write(tmp_path / "theirs", name)))
    (tmp_path / "config.json").write_text(json.dumps(STORED[name]["files"]["config.json"]))
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    for text, pair, length, ids in STORED[name]["cases"]:
        given = {} if length is None else {"max_length": length, "truncation": True}
        assert theirs(text, pair, **given)["input_ids"] == ids
    assert ("token_type_ids" in theirs("x")) == load(tmp_path).has_types


# ---- settings -----------------------------------------------------------------------------------

ROBERTA, LLAMA, XLMR = "roberta", "llama, both ends", "xlm-roberta"


@pytest.mark.parametrize("name, changes, message", [
    (ROBERTA, {"tokenizer_class": "BertTokenizer"},
     "'tokenizer_class': expected a class that reads BPE, .* found 'BertTokenizer', which"),
    (XLMR, {"tokenizer_class": "LlamaTokenizer"},
     "'tokenizer_class': .* reads Unigram, .* SentencePieceBPE or BPE"),
    (ROBERTA, {"tokenizer_class": "T5Tokenizer"}, "'tokenizer_class': expected one of BertTok"),
    (ROBERTA, {"tokenizer_class": "MineFast", "auto_map": {"AutoTokenizer": ["m.M", None]}},
     "'tokenizer_class': expected one of BertTokenizer"),
    (ROBERTA, {"auto_map": {"AutoTokenizer": ["m.M", None]}}, "'auto_map'"),
    (ROBERTA, {"cls_token": "<pad>"}, "'cls_token': expected '<s>', as tokenizer.json says"),
    (XLMR, {"eos_token": "<pad>"}, "'eos_token': expected '</s>', as tokenizer.json says"),
    (XLMR, {"unk_token": "<pad>"}, "'unk_token': expected '<unk>', as tokenizer.json says"),
    (LLAMA, {"bos_token": "</s>"}, "'bos_token': expected '<s>', as tokenizer.json says"),
    (LLAMA, {"add_bos_token": False}, "'add_bos_token': expected true, as the tokenizer has it"),
    (LLAMA, {"add_eos_token": False}, "'add_eos_token': expected true, as the tokenizer has it"),
    ("llama", {"add_bos_token": True}, "'add_bos_token': expected false"),
    ("gpt2", {"add_eos_token": True}, "'add_eos_token': expected false"),
    (XLMR, {"add_prefix_space": False}, "'add_prefix_space': expected true"),
    (LLAMA, {"add_prefix_space": False}, "'add_prefix_space': expected true"),
    (ROBERTA, {"sp_model_kwargs": {"enable_sampling": True}}, "'sp_model_kwargs'"),
    (ROBERTA, {"dropout": 0.1}, "'dropout': expected only .* unknown")])
def test_a_setting_that_disagrees_with_tokenizer_json_is_refused(name, changes, message, tmp_path):
    with pytest.raises(FormatError, match=f"tokenizer_config.json: field {message}"):
        load(write(tmp_path, name, changes))


def test_special_tokens_may_be_those_of_the_class(tmp_path):
    """A class names tokens that no file need name: they are found in a text."""
    names = {role: ... for role in STORED[ROBERTA]["files"]["tokenizer_config.json"]
             if role.endswith("_token")}
    found = load(write(tmp_path, ROBERTA, names, {"added_tokens": []}))
    for text, pair, length, ids in STORED[ROBERTA]["cases"]:
        assert found.encode(text, pair, length).ids.tolist() == ids
    assert found.roles["mask_token"] == "<mask>"


@pytest.mark.parametrize("inputs, types", [(None, [0, 0, 0, 1, 1]), (["input_ids"], [0] * 5),
                                           (["input_ids", "token_type_ids"], [0, 0, 0, 1, 1])])
def test_the_types_are_0_if_a_call_does_not_return_them(inputs, types, tmp_path):
    changes = {"tokenizer_class": "BertTokenizer", "model_input_names": inputs}
    assert load(write(tmp_path, "distilbert", changes)).encode("the", "cat").types.tolist() == types
    plain = load(write(tmp_path, "distilbert"))
    assert plain.encode("the", "cat").types.tolist() == [0] * 5 and not plain.has_types


# ---- what a folder has --------------------------------------------------------------------------

@pytest.mark.parametrize("file", ["tokenizer.model", "spiece.model"])
def test_a_model_of_sentencepiece_alone_is_refused_with_the_remedy(file, tmp_path):
    (write(tmp_path, XLMR) / "tokenizer.json").unlink()
    (tmp_path / file).write_bytes(b"\n\x0e\n\x05<unk>\x15")
    with pytest.raises(FormatError, match=rf"{file}: .* tokenizer.json .*\.save_pretrained"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["generic", "of another kind"])
def test_a_vocabulary_needs_a_class_that_reads_it(name, tmp_path):
    (tmp_path / "vocab.txt").write_text("[UNK]\na\n")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast" if name == "generic" else "GPT2Tokenizer"}))
    with pytest.raises(FormatError, match="'tokenizer_class': expected a class that reads"):
        load(tmp_path)


def test_an_mpnet_is_read_from_its_vocabulary(tmp_path):
    """The ids of transformers 5.24: <mask> takes the space before it, pairs have two </s>."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "the", "cat", "##s", "[UNK]", "a", "b", "<mask>"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    (tmp_path / "config.json").write_text('{"model_type": "mpnet"}')
    tokenizer = load(tmp_path)
    assert tokenizer.encode("The cats <mask> dog").ids.tolist() == [0, 4, 5, 6, 10, 7, 2]
    assert tokenizer.encode("the", "cat").ids.tolist() == [0, 4, 2, 2, 5, 2]
    mask = next(token for token in tokenizer.added if token.content == "<mask>")
    assert mask.lstrip and not tokenizer.has_types
