"""Files are read back unchanged, and by tokenizers and transformers; an error names the damage."""
import copy
import json
import os
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.basic_tokenizer import CASED, UNCASED, Normalizer
from scratch_embed.text.tokenizer import (
    NO_TEMPLATE,
    bert_template,
    roberta_template,
)
from scratch_embed.text.tokenizer_files import load, read_tokenizer, save, write_tokenizer
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.text.wordpiece_files import read_vocab, write_vocab
from scratch_embed.text.wordpiece_json import to_json

STORED = json.loads((Path(__file__).parents[1] / "golden/wordpiece.json").read_text("ascii"))
PIECES = [*SPECIAL, "un", "##aff", "##able", "a", "É", "日"]
TEXTS = ["unaffable É 日 a [MASK]b", "", "Unaffable a<t> New York"]
ADDED = [AddedToken(token, i) for i, token in enumerate(SPECIAL)] + [
    AddedToken("New York", len(PIECES), special=False, normalized=True, lstrip=True),
    AddedToken("<t>", len(PIECES) + 1, rstrip=True, single_word=True)]
ROBERTA = roberta_template(2, 3)
TOKENIZERS = [WordPiece(PIECES), WordPiece(PIECES, CASED, max_word=200, cleanup=False),
              WordPiece(PIECES, Normalizer(False, False, False, False), ADDED),
              WordPiece(PIECES, Normalizer(strip_accents=True, lower_case=False), ADDED, ROBERTA),
              WordPiece(["<u>", "a", "@b"], added=[], unk="<u>", prefix="@", template=NO_TEMPLATE)]


def write(folder, name, value):
    text = value if isinstance(value, (str, bytes)) else json.dumps(value)
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def assert_same(ours, expected):
    for name in "pieces", "normalizer", "added", "template", "unk", "prefix", "max_word", "cleanup":
        assert getattr(ours, name) == getattr(expected, name), name


# ---- written and read back ----------------------------------------------------------------------

def test_a_vocabulary_is_read_back(tmp_path):
    write_vocab(tmp_path / "vocab.txt", PIECES)
    assert (tmp_path / "vocab.txt").read_bytes() == "".join(p + "\n" for p in PIECES).encode()
    assert read_vocab(tmp_path / "vocab.txt") == PIECES


@pytest.mark.parametrize("data", [b"[UNK]\na", b"[UNK]\r\na\r\n", b"[UNK] \na\t\n"])
def test_line_ends_and_space_after_a_piece_change_nothing(tmp_path, data):
    assert read_vocab(write(tmp_path, "vocab.txt", data)) == ["[UNK]", "a"]


def test_other_line_separators_of_unicode_do_not_end_a_line(tmp_path):
    pieces = ["a\u2028b", "\x85", "\x0b", "\u00a0"]
    write_vocab(tmp_path / "vocab.txt", pieces)
    assert read_vocab(tmp_path / "vocab.txt") == pieces


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_tokenizer_is_read_back(tmp_path, tokenizer):
    write_tokenizer(tmp_path / "tokenizer.json", tokenizer)
    assert_same(read_tokenizer(tmp_path / "tokenizer.json"), tokenizer)


@pytest.mark.parametrize("tokenizer", TOKENIZERS[:4])
def test_a_folder_is_read_back(tmp_path, tokenizer):
    save(tmp_path / "new", tokenizer, max_length=64)
    assert_same(load(tmp_path / "new"), tokenizer)
    config = json.loads((tmp_path / "new" / "tokenizer_config.json").read_text())
    assert config["model_max_length"] == 64 and config["cls_token"] == "[CLS]"
    if tokenizer is not TOKENIZERS[0]:             # BertTokenizer has 100 characters a word, cleans
        #                                            texts, and builds BERT's template
        assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert not (tmp_path / "new" / "vocab.txt").exists()
    else:
        assert config["tokenizer_class"] == "BertTokenizer"
        assert config["do_lower_case"] is tokenizer.normalizer.lower_case


@pytest.mark.parametrize("tokenizer", [TOKENIZERS[0], WordPiece(PIECES, CASED, ADDED)])
def test_a_folder_without_tokenizer_json_is_read_back(tmp_path, tokenizer):
    save(tmp_path, tokenizer)
    os.remove(tmp_path / "tokenizer.json")
    assert_same(load(tmp_path), tokenizer)


def test_a_vocabulary_alone_is_an_uncased_bert(tmp_path):
    write_vocab(tmp_path / "vocab.txt", PIECES)
    assert_same(load(tmp_path), WordPiece(PIECES, UNCASED))


def test_settings_in_tokenizer_config_of_older_folders_are_read(tmp_path):
    write_vocab(tmp_path / "vocab.txt", ["<u>", "<c>", "<s>", "a"])
    write(tmp_path, "tokenizer_config.json", {
        "do_lower_case": False, "unk_token": {"content": "<u>", "lstrip": False},
        "cls_token": "<c>", "sep_token": "<s>", "mask_token": None, "model_max_length": 512,
        "strip_accents": True, "tokenize_chinese_chars": False})
    tokenizer = load(tmp_path)
    assert tokenizer.normalizer == Normalizer(True, False, True, False)
    assert tokenizer.template == bert_template(1, 2)
    assert [token.content for token in tokenizer.added] == ["<u>", "<c>", "<s>"]
    assert tokenizer.encode("a x").ids.tolist() == [1, 3, 0, 2]


def test_a_prefix_that_vocab_txt_cannot_express_is_refused(tmp_path):
    with pytest.raises(ValueError, match="prefix='@'"):
        save(tmp_path / "new", TOKENIZERS[4])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("piece", ["", "a\nb", "a ", "\t"])
def test_a_piece_that_vocab_txt_cannot_store_is_refused(tmp_path, piece):
    with pytest.raises(ValueError, match="cannot write the piece"):
        write_vocab(tmp_path / "vocab.txt", ["a", piece])


# ---- damage -------------------------------------------------------------------------------------

@pytest.mark.parametrize("data, place", [
    (b"", "line 1"), (b"a\n\nb\n", "line 2: .* empty"), (b"a\nb\na\n", "line 3: .*line 1 too"),
    (b"a\nb\xff\n", "line 2, byte 1 .*UTF-8"), (b"a\n\xc3", "line 2, byte 0"),
    (b"a\n  \n", "line 2"), (b"a\na \n", "line 2: .*line 1")])
def test_a_damaged_vocabulary_is_named_by_its_line(tmp_path, data, place):
    with pytest.raises(FormatError, match=place):
        read_vocab(write(tmp_path, "vocab.txt", data))


def test_a_tokenizer_truncated_anywhere_is_an_error(tmp_path):
    value = to_json(WordPiece(["[UNK]", "é"]))
    path = write(tmp_path, "tokenizer.json", json.dumps(value, ensure_ascii=False))
    read_tokenizer(path)
    for length in reversed(range(os.path.getsize(path))):
        os.truncate(path, length)
        with pytest.raises(FormatError):
            read_tokenizer(path)


def test_broken_json_is_named_by_line_and_column(tmp_path):
    path = write(tmp_path, "tokenizer.json", '{"a": 1,\n "b": }')
    with pytest.raises(FormatError, match="tokenizer.json: .* line 2, column 7"):
        read_tokenizer(path)


def test_deeply_nested_json_is_an_error(tmp_path):
    with pytest.raises(FormatError):
        read_tokenizer(write(tmp_path, "tokenizer.json", "[" * 200_000))


def edited(*keys, to):
    """The JSON of a small tokenizer with one field set to `to`, or deleted if `to` is `...`."""
    value = copy.deepcopy(to_json(TOKENIZERS[2]))
    parent = value
    for key in keys[:-1]:
        parent = parent[key]
    parent[keys[-1]] = to
    if to is ...:
        del parent[keys[-1]]
    return value


@pytest.mark.parametrize("keys, to, message", [
    (["model", "type"], "WordLevel", "field 'model': expected .*WordPiece.*the type 'WordLevel'"),
    (["model"], None, "field 'model': expected an object, found None"),
    (["model"], ..., "field 'model': expected an object, found no such field"),
    (["model", "vocab"], [], "model, field 'vocab': expected an object"),
    (["model", "vocab", "a"], 99, "the ids 0 to 10, found 99 for 'a'"),
    (["model", "vocab", "a"], True, "found True for 'a'"),
    (["model", "vocab", "a"], -1, "found -1 for 'a'"),
    (["model", "vocab", "a"], 3, "found 3 for '.SEP.' and for 'a'"),
    (["model", "vocab", "\ud800"], 11, "lone surrogate"),
    (["model", "unk_token"], "<unk>", "'unk_token': expected a piece of the vocabulary, found"),
    (["model", "vocab", "[UNK]"], ..., "the ids 0 to 9, found 10"),
    (["model", "max_input_chars_per_word"], "100", "a whole number of at least 0, found '100'"),
    (["model", "max_input_chars_per_word"], -1, "a whole number of at least 0, found -1"),
    (["normalizer", "type"], "Lowercase", "'normalizer': .*Sequence, or null, found .* 'Low"),
    (["normalizer", "lowercase"], 1, "normalizer, field 'lowercase': expected true or false"),
    (["pre_tokenizer"], {"type": "Whitespace"}, "'pre_tokenizer': .*found the type 'Whites"),
    (["pre_tokenizer"], None, "'pre_tokenizer': expected .*BertPreTokenizer, found None"),
    (["post_processor", "type"], "Template", "'post_processor': .*found the type 'Templ"),
    (["post_processor", "pair"], [], "post_processor, field 'pair': expected each text of AB"),
    (["post_processor", "single", 0], {"Text": 1}, r"single\[0\], field 'Text': expected only"),
    (["post_processor", "special_tokens"], {}, "field '.CLS.': expected an object, found no such"),
    (["post_processor", "special_tokens", "[CLS]", "ids"], ["x"], "numbers of at least 0, found"),
    (["post_processor", "special_tokens", "[CLS]", "ids"], [99], "expected ids below 13, got 99"),
    (["post_processor"], {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": [2]},
     "post_processor, field 'cls': expected a list of a token and its id"),
    (["decoder", "type"], "BPEDecoder", "'decoder': expected .*WordPiece, or null, found .*'BPED"),
    (["added_tokens", 0, "id"], 7, "'.PAD.': expected id 0, got 7"),
    (["added_tokens", 5, "id"], 99, "'<t>': expected id 11, got 12"),
    (["added_tokens", 0], "[PAD]", r"added_tokens\[0\]: expected an object"),
    (["added_tokens", 0, "special"], ..., r"added_tokens\[0\], field 'special': expected true"),
    (["added_tokens"], {}, "field 'added_tokens': expected a list or null, found {}")])
def test_a_wrong_or_unsupported_field_is_refused_by_name(tmp_path, keys, to, message):
    with pytest.raises(FormatError, match=message):
        read_tokenizer(write(tmp_path, "tokenizer.json", edited(*keys, to=to)))


@pytest.mark.parametrize("text, message", [
    ("[]", r"expected a JSON object in UTF-8, found \[\]"),
    ('{"a": 1, "a": 2}', "the name 'a' twice"),
    (b'{"a": "\xff"}', "UTF-8, found invalid UTF-8 at byte 7"),
    ('{"a": ' + "9" * 5000 + "}", "the file|model")])
def test_json_that_is_not_one_valid_object_is_refused(tmp_path, text, message):
    with pytest.raises(FormatError, match=message):
        read_tokenizer(write(tmp_path, "tokenizer.json", text))


@pytest.mark.parametrize("config, message", [
    ({"do_lower_case": "yes"}, "'do_lower_case': expected true or false, found 'yes'"),
    ({"unk_token": "<unk>"}, "expected '<unk>', the token"),
    ({"cls_token": {"text": "x"}}, "cls_token, field 'text': expected only content"),
    ({"cls_token": {"lstrip": False}}, "cls_token, field 'content': expected a string"),
    ({"added_tokens_decoder": {"x": {}}}, "added_tokens_decoder, field 'x': expected a number"),
    ({"added_tokens_decoder": {"99": {"content": "<t>", "special": True, "normalized": False,
                                      "lstrip": False, "rstrip": False, "single_word": False}}},
     "'<t>': expected id 11, got 99")])
def test_wrong_settings_are_refused_by_name(tmp_path, config, message):
    write_vocab(tmp_path / "vocab.txt", PIECES)
    write(tmp_path, "tokenizer_config.json", config)
    with pytest.raises(FormatError, match=message):
        load(tmp_path)


def test_a_vocabulary_without_unk_is_refused(tmp_path):
    write_vocab(tmp_path / "vocab.txt", ["a", "b"])
    with pytest.raises(FormatError, match=r"vocab.txt.*expected '\[UNK\]', the token of"):
        load(tmp_path)


def test_a_folder_without_a_tokenizer_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder with tokenizer.json, vocab.txt "
                       "or vocab.json, found none"):
        load(tmp_path)


# ---- files of the package tokenizers, and ours in tokenizers and transformers -------------------

@pytest.mark.parametrize("stored", STORED["tokenizers"], ids=["uncased", "cased", "added"])
def test_a_file_of_tokenizers_is_written_again_unchanged(tmp_path, stored):
    """Except the post_processor: BertProcessing is written as the same TemplateProcessing."""
    ours = read_tokenizer(write(tmp_path, "theirs.json", stored["file"]))
    write_tokenizer(tmp_path / "ours.json", ours)
    written = json.loads((tmp_path / "ours.json").read_text("utf-8"))
    if stored["file"]["post_processor"]["type"] == "TemplateProcessing":
        assert written == stored["file"]
    del written["post_processor"]
    assert written == {key: value for key, value in stored["file"].items()
                       if key != "post_processor"}
    assert_same(read_tokenizer(tmp_path / "ours.json"), ours)


@pytest.mark.parametrize("version", ["2.0", "1", 1.0, None, ""])
def test_another_version_of_the_format_is_refused(tmp_path, version):
    """As by the tokenizers library, which accepts a file without it."""
    path = write(tmp_path, "tokenizer.json", {**to_json(TOKENIZERS[0]), "version": version})
    for read, place in (read_tokenizer, path), (load, tmp_path):
        with pytest.raises(FormatError, match="field 'version': expected \"1.0\", found"):
            read(place)
    value = to_json(TOKENIZERS[0])
    del value["version"]
    assert read_tokenizer(write(tmp_path, "tokenizer.json", value)).pieces == PIECES


def test_a_file_whose_model_has_no_type_is_read(tmp_path):
    value = edited("model", "type", to=...)
    assert_same(read_tokenizer(write(tmp_path, "old.json", value)), TOKENIZERS[2])


@pytest.mark.parametrize("processor, template", [
    ({"type": "BertProcessing"}, bert_template(2, 3)),
    ({"type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": False}, ROBERTA)],
    ids=["bert", "roberta"])
def test_older_post_processors_are_read_as_the_same_templates(tmp_path, processor, template):
    value = edited("post_processor", to=processor | {"sep": ["[SEP]", 3], "cls": ["[CLS]", 2]})
    path = write(tmp_path, "tokenizer.json", value)
    assert read_tokenizer(path).template == template
    theirs = pytest.importorskip("tokenizers").Tokenizer.from_file(str(path))
    found = read_tokenizer(path).encode(*TEXTS[:2])
    expected = theirs.encode(*TEXTS[:2])
    assert found.ids.tolist() == expected.ids and found.types.tolist() == expected.type_ids


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_tokenizers_loads_our_file_and_gives_the_same_ids(tmp_path, tokenizer):
    tokenizers = pytest.importorskip("tokenizers")
    write_tokenizer(tmp_path / "tokenizer.json", tokenizer)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text, pair in zip(TEXTS, [None, *TEXTS]):
        found, expected = tokenizer.encode(text, pair), theirs.encode(text, pair)
        assert found.ids.tolist() == expected.ids and found.types.tolist() == expected.type_ids
        assert tokenizer.decode(expected.ids) == theirs.decode(expected.ids)


def test_a_vocabulary_that_tokenizers_wrote_is_read(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    index = {piece: i for i, piece in enumerate(PIECES)}
    theirs = tokenizers.BertWordPieceTokenizer(index)
    theirs.save_model(str(tmp_path))
    assert read_vocab(tmp_path / "vocab.txt") == PIECES
    again = tokenizers.BertWordPieceTokenizer(str(tmp_path / "vocab.txt"))
    for text in TEXTS:
        assert load(tmp_path).encode(text).ids.tolist() == again.encode(text).ids


@pytest.mark.parametrize("tokenizer", [TOKENIZERS[0], WordPiece(PIECES, CASED, ADDED)],
                         ids=["uncased", "cased with added tokens"])
@pytest.mark.parametrize("removed", [None, "tokenizer.json"])
def test_transformers_loads_our_folder_and_gives_the_same_ids(tmp_path, tokenizer, removed):
    transformers = pytest.importorskip("transformers")
    save(tmp_path / "ours", tokenizer, max_length=32)
    if removed:
        os.remove(tmp_path / "ours" / removed)
    theirs = transformers.BertTokenizerFast.from_pretrained(str(tmp_path / "ours"))
    assert theirs.model_max_length == 32
    theirs.save_pretrained(str(tmp_path / "theirs"))
    back = load(tmp_path / "theirs")
    for pairs in None, TEXTS[::-1]:
        expected = theirs(TEXTS, pairs)
        for ours in tokenizer, back:
            found = ours.encode_batch(TEXTS, pairs)
            assert found.ids.tolist() == sum(expected["input_ids"], [])
            assert found.types.tolist() == sum(expected["token_type_ids"], [])
