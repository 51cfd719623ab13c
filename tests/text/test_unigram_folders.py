"""Folders of transformers with SentencePiece's tokenizers: its ids, from its files."""
import json
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.tokenizer_files import load
from scratch_embed.text.unigram import Unigram
from tests.text.sentencepiece_texts import random_texts

STORED = json.loads((Path(__file__).parents[1] / "golden/unigram.json").read_text("ascii"))
NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
# what tokenizer_config.json has in folders of these models on the hub
MISTRAL = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False,
           "legacy": True, "sp_model_kwargs": {}, "use_default_system_prompt": False,
           "model_max_length": 1000000000000000019884624838656, "pad_token": None,
           "clean_up_tokenization_spaces": False, "additional_special_tokens": [], **NAMES}
XLMR = {"tokenizer_class": "XLMRobertaTokenizer", "sp_model_kwargs": {}, "model_max_length": 512,
        "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "mask_token": {
            "__type": "AddedToken", "content": "<mask>", "lstrip": False, "normalized": False,
            "rstrip": False, "single_word": False}, **NAMES}


def folder(path, kind, model_type, config, template=None):
    file = {**STORED[kind]["file"], **({} if template is None else {"post_processor": template})}
    for name, value in {"tokenizer.json": file, "tokenizer_config.json": config,
                        "config.json": {"model_type": model_type}}.items():
        (path / name).write_text(json.dumps(value))
    return path


def only_end():
    return {"type": "TemplateProcessing", "single": [
        {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}}


def test_a_folder_of_mistral_is_read(tmp_path):
    tokenizer = load(folder(tmp_path, "mistral", "mistral", MISTRAL))
    assert isinstance(tokenizer, SentencePieceBPE) and tokenizer.unk == "<unk>"
    assert tokenizer.tokenize("low") == ["▁lo", "w"] and tokenizer.encode("").ids.tolist() == [1]


def test_a_template_with_an_end_token_alone_is_read(tmp_path):
    config = {**MISTRAL, "add_bos_token": False, "add_eos_token": True}
    tokenizer = load(folder(tmp_path, "mistral", "mistral", config, only_end()))
    assert tokenizer.encode("").ids.tolist() == [2]
    with pytest.raises(FormatError, match="'eos_token': expected '</s>', as tokenizer.json says"):
        load(folder(tmp_path, "mistral", "mistral", {**config, "eos_token": "<s>"}, only_end()))


@pytest.mark.parametrize("field, value", [("add_bos_token", False), ("add_eos_token", True),
                                          ("add_prefix_space", False)])
def test_a_setting_that_disagrees_with_the_file_is_refused_by_name(tmp_path, field, value):
    with pytest.raises(FormatError, match=f"tokenizer_config.json: field '{field}'"):
        load(folder(tmp_path, "mistral", "mistral", {**MISTRAL, field: value}))


def test_what_transformers_adds_when_it_converts_a_model_is_accepted(tmp_path):
    tokenizer = load(folder(tmp_path, "xlm-roberta", "xlm-roberta", {
        **XLMR, "unk_id": 0, "add_prefix_space": True, "backend": "tokenizers",
        "extra_special_tokens": ["<s>", "</s>"], "is_local": True}))
    assert isinstance(tokenizer, Unigram) and tokenizer.unk_id == 3


@pytest.mark.campaign
@pytest.mark.parametrize("kind, model_type, config", [
    ("xlm-roberta", "xlm-roberta", XLMR), ("mistral", "mistral", MISTRAL),
    ("llama", "llama", {**NAMES, "tokenizer_class": "LlamaTokenizer"})])
def test_ids_are_those_of_transformers(tmp_path, kind, model_type, config):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(
        folder(tmp_path, kind, model_type, config))
    ours = load(tmp_path)
    for text in random_texts(1000, seed=5):
        assert ours.encode(text).ids.tolist() == theirs(text)["input_ids"], ascii(text)
