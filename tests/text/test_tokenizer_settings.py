"""Each setting of a tokenizer's folder is used as transformers uses it, or refused by name."""
import json

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.tokenizer_files import load, save
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_files import write_vocab
from scratch_embed.text.wordpiece_json import to_json

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] hello world [ ]".split()
CONFIG, MAP, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
BERT = {"tokenizer_class": "BertTokenizer"}
PLAIN = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}


def folder_of(folder, files, whole=False):
    """Write vocab.txt or tokenizer.json, and the given files."""
    if whole:
        (folder / "tokenizer.json").write_text(json.dumps(to_json(WordPiece(PIECES))))
    else:
        write_vocab(folder / "vocab.txt", PIECES)
    for name, value in ({"config.json": {"model_type": "bert"}} | files).items():
        (folder / name).write_text(json.dumps(value))
    return folder


def token(content, special=False, **flags):
    return {"content": content, "special": special, **PLAIN, **flags}


# (files, text, ids); the ids are those of transformers 5.24: AutoTokenizer, max_length 8.
# added_tokens.json holds tokens that are found in the normalised text, unless they are special.
BOTH = [                           # with vocab.txt and with tokenizer.json
    ({}, "hello [WORLD]", [2, 5, 7, 6, 8, 3]),
    ({ADDED: {"[WORLD]": 9}}, "hello [WORLD]", [2, 5, 9, 3]),
    ({CONFIG: BERT, ADDED: {"[WORLD]": 9}}, "Hello [world]", [2, 5, 9, 3]),
    ({CONFIG: {**BERT, "additional_special_tokens": ["[WORLD]"]}, ADDED: {"[WORLD]": 9}},
     "hello [WORLD] [world]", [2, 5, 9, 7, 6, 8, 3]),
    ({CONFIG: {**BERT, "added_tokens_decoder": {}}, ADDED: {"[WORLD]": 9}}, "hello [world]",
     [2, 5, 7, 6, 8, 3]),
    ({CONFIG: {**BERT, "additional_special_tokens": ["world"]}}, "helloworld", [2, 5, 6, 3]),
    ({CONFIG: {**BERT, "extra_special_tokens": ["world"]}}, "helloworld", [2, 5, 6, 3]),
    ({CONFIG: {**BERT, "extra_special_tokens": {"a_token": "world"}}}, "helloworld", [2, 5, 6, 3]),
    ({CONFIG: {**BERT, "additional_special_tokens": ["<x>"]}}, "hello<x>world", [2, 5, 9, 6, 3]),
    ({CONFIG: {**BERT, "additional_special_tokens": ["<x>"]}}, "hello <X>", [2, 5, 1, 1, 1, 3]),
    ({CONFIG: {**BERT, "additional_special_tokens": [
        token("world", True, single_word=True, __type="AddedToken")]}}, "helloworld", [2, 1, 3]),
    ({MAP: {"additional_special_tokens": ["world"]}}, "helloworld", [2, 5, 6, 3]),
    ({CONFIG: {**BERT, "added_tokens_decoder": {}}, MAP: {"additional_special_tokens": ["world"]}},
     "helloworld", [2, 1, 3]),
    ({CONFIG: {**BERT, "added_tokens_decoder": {"9": token("<n>")}}}, "hello<n>world",
     [2, 5, 9, 6, 3]),
    ({CONFIG: {**BERT, "added_tokens_decoder": {"9": token("<n>")},
               "extra_special_tokens": ["<x>", "<y>"]}}, "<n><x><y>", [2, 9, 10, 11, 3]),
    ({CONFIG: {**BERT, "extra_special_tokens": ["<x>"], "eos_token": "<e>", "my_token": "<m>",
               "bos_token": "<b>"}}, "<b><e><m><x>", [2, 9, 10, 11, 12, 3]),
    ({CONFIG: {**BERT, "mask_token": "world"}}, "helloworld", [2, 5, 6, 3]),
    ({CONFIG: {**BERT, "do_lower_case": False}}, "Hello world", [2, 1, 6, 3]),
    ({CONFIG: {**BERT, "do_lower_case": False, "strip_accents": True}}, "Hello wörld",
     [2, 1, 6, 3]),
    ({CONFIG: {**BERT, "strip_accents": False}}, "hello wörld", [2, 5, 1, 3]),
    ({CONFIG: {**BERT, "tokenize_chinese_chars": False}}, "日hello", [2, 1, 3]),
    ({CONFIG: {**BERT, "tokenize_chinese_chars": True}}, "日hello", [2, 1, 5, 3]),
    ({CONFIG: {"tokenizer_class": "DistilBertTokenizerFast"}}, "Hello wörld", [2, 5, 6, 3]),
    ({CONFIG: {"tokenizer_class": "ElectraTokenizer"}}, "Hello wörld", [2, 5, 6, 3]),
    ({CONFIG: {**BERT, "truncation_side": "left"}}, "hello world ] [ hello world [ ]",
     [2, 7, 5, 6, 7, 8, 3]),
    ({CONFIG: {**BERT, "truncation_side": "right"}}, "hello world ] [ hello world [ ]",
     [2, 5, 6, 8, 7, 5, 3]),
]
VOCABULARY = [                     # with vocab.txt only: tokenizer.json has its own names
    ({MAP: {"unk_token": "hello"}}, "foo", [2, 5, 3]),
    ({CONFIG: BERT, MAP: {"cls_token": "hello"}}, "foo", [5, 1, 3]),
    ({CONFIG: {**BERT, "cls_token": "hello"}}, "foo", [5, 1, 3]),
    ({CONFIG: {**BERT, "mask_token": None}}, "[MASK]", [2, 7, 1, 8, 3]),
    ({CONFIG: {**BERT, "mask_token": token("[MASK]", normalized=True, __type="AddedToken")}},
     "[mask]", [2, 4, 3]),
]
CASES = ([(files, text, ids, whole) for files, text, ids in BOTH for whole in (False, True)]
         + [(*case, False) for case in VOCABULARY]
         + [({CONFIG: {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False}},
             "Hello", [2, 5, 3], True)])


@pytest.mark.parametrize("files, text, ids, whole", CASES)
def test_a_setting_changes_the_ids_as_in_transformers(files, text, ids, whole, tmp_path):
    tokenizer = load(folder_of(tmp_path, files, whole))
    assert tokenizer.encode(text, max_length=7).ids.tolist() == ids
    save(tmp_path / "again", tokenizer)
    assert load(tmp_path / "again").encode(text, max_length=7).ids.tolist() == ids


@pytest.mark.parametrize("files, text, ids, whole", CASES)
def test_the_ids_of_these_settings_are_those_of_transformers(files, text, ids, whole, tmp_path):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder_of(tmp_path, files, whole)))
    assert theirs(text, max_length=7, truncation=True)["input_ids"] == ids


def test_tokenizer_json_can_ask_for_truncation_from_the_left(tmp_path):
    folder_of(tmp_path, {}, whole=True)
    value = to_json(WordPiece(PIECES))
    left = {"direction": "Left", "max_length": 4, "strategy": "OnlyFirst", "stride": 1}
    (tmp_path / "tokenizer.json").write_text(json.dumps({**value, "truncation": left}))
    assert load(tmp_path).encode("hello world ] [", max_length=4).ids.tolist() == [2, 8, 7, 3]
    assert len(load(tmp_path).encode("hello world ] [").ids) == 6
    (tmp_path / CONFIG).write_text(json.dumps({"truncation_side": "right"}))
    assert load(tmp_path).encode("hello world ] [", max_length=4).ids.tolist() == [2, 5, 6, 3]


@pytest.mark.parametrize("kinds, strips, lower", [
    (["Lowercase", "BertNormalizer"], [None, True, False], True),
    (["BertNormalizer", "Lowercase"], [None, True, False], True),
    (["BertNormalizer"], [None, True, False], False)])
def test_a_sequence_of_normalizers_is_one_normalizer(kinds, strips, lower, tmp_path):
    """sentence-transformers 6.2 writes [Lowercase, BertNormalizer] for do_lower_case."""
    for strip in strips:
        cased = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                 "strip_accents": strip, "lowercase": False}
        value = to_json(WordPiece(PIECES))
        value["normalizer"] = {"type": "Sequence", "normalizers": [
            cased if kind == "BertNormalizer" else {"type": kind} for kind in kinds]}
        (tmp_path / "tokenizer.json").write_text(json.dumps(value))
        ours = load(tmp_path)
        assert ours.normalizer.lower_case is lower
        text = "HELLO [MASK] WÖRLD wörld"
        expected = ([2, 5, 4] + ([6, 6] if strip else [1, 1]) + [3] if lower else
                    [2, 1, 4, 1] + ([6] if strip else [1]) + [3])
        assert ours.encode(text).ids.tolist() == expected
        theirs = pytest.importorskip("tokenizers").Tokenizer.from_file(
            str(tmp_path / "tokenizer.json"))
        assert theirs.encode(text).ids == expected


@pytest.mark.parametrize("config, message", [
    ({"tokenizer_class": "BertJapaneseTokenizer"}, "'tokenizer_class': .*'BertJapaneseTokenizer'"),
    ({"tokenizer_class": "RobertaTokenizer"}, "field 'tokenizer_class'"),
    ({"do_basic_tokenize": False}, "field 'do_basic_tokenize': expected one of true, null"),
    ({"never_split": ["a"]}, "field 'never_split'"),
    ({"split_special_tokens": True}, "field 'split_special_tokens'"),
    ({"auto_map": {"AutoTokenizer": ["mine.MyTokenizer", None]}}, "field 'auto_map'"),
    ({"wordpieces_prefix": "@@"}, "field 'wordpieces_prefix': expected \"##\""),
    ({"truncation_side": "middle"}, "field 'truncation_side': expected one of \"right\", \"left\""),
    ({"max_input_chars_per_word": 3}, "field 'max_input_chars_per_word': expected only .* unknown"),
    ({"subword_tokenizer_type": "x"}, "field 'subword_tokenizer_type': expected only"),
    ({"extra_special_tokens": [7]}, r"field 'extra_special_tokens\[0\]': expected a string"),
    ({"added_tokens_decoder": {"11": token("<t>")}}, "'<t>': expected id 9, got 11"),
    ({"added_tokens_decoder": {"9" * 5000: token("<t>")}}, "expected a number as its name")])
@pytest.mark.parametrize("whole", [False, True])
def test_a_setting_that_is_not_supported_is_refused_by_name(config, message, whole, tmp_path):
    with pytest.raises(FormatError, match=f"{CONFIG}: .*{message}"):
        load(folder_of(tmp_path, {CONFIG: config}, whole))


@pytest.mark.parametrize("files, message", [
    ({ADDED: {"[WORLD]": 11}}, "'.WORLD.': expected id 9, got 11"),
    ({ADDED: {"[WORLD]": True}}, "field '.WORLD.': expected a whole number"),
    ({ADDED: {"a": 9, "b": 9}}, "field 'b': expected a different id"),
    ({"config.json": {"tokenizer_class": "BertJapaneseTokenizer"}}, "config.json: field 'tokeniz"),
    ({CONFIG: {"cls_token": "hello"}, MAP: {"cls_token": "world"}},
     "special_tokens_map.json: field 'cls_token': expected 'hello', as tokenizer_config.json says"),
    ({CONFIG: {"additional_special_tokens": ["<x>"]}, MAP: {"additional_special_tokens": ["<y>"]}},
     r"special_tokens_map.json: .* expected the tokens of .*\['<x>'\], found \['<y>'\]"),
    ({MAP: {"padding": "x"}}, "special_tokens_map.json: field 'padding': expected only")])
def test_files_that_disagree_are_refused(files, message, tmp_path):
    with pytest.raises(FormatError, match=message):
        load(folder_of(tmp_path, files))


@pytest.mark.parametrize("config, message", [
    ({"cls_token": "hello"}, "'cls_token': expected '.CLS.', as tokenizer.json says, found 'hello"),
    ({"sep_token": "hello"}, "'sep_token': expected '.SEP.', as tokenizer.json says"),
    ({"unk_token": "hello"}, "'unk_token': expected '.UNK.', as tokenizer.json says"),
    ({"added_tokens_decoder": {"4": token("[MASK]", True, normalized=True)}},
     "the added token 4: expected .*normalized=False.*, as tokenizer.json says, found"),
    ({"added_tokens_decoder": {"4": token("<m>", True)}}, "the added token 4: expected")])
def test_a_folder_that_disagrees_with_its_tokenizer_json_is_refused(config, message, tmp_path):
    with pytest.raises(FormatError, match=f"{CONFIG}: .*{message}"):
        load(folder_of(tmp_path, {CONFIG: config}, whole=True))
