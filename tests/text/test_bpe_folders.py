"""Folders of GPT-2, RoBERTa and CLIP load with transformers' ids, and transformers loads ours."""
import json
import runpy
import unicodedata
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.bpe_files import write_merges, write_vocab
from scratch_embed.text.tokenizer_files import load, save

GOLDEN = Path(__file__).parents[1] / "golden"
STORED = json.loads((GOLDEN / "bpe.json").read_text("ascii"))
ORIGINAL = runpy.run_path(str(GOLDEN / "make_bpe.py"))
CLASSES = {"gpt2": "GPT2Tokenizer", "roberta": "RobertaTokenizer", "clip": "CLIPTokenizer"}
classes = pytest.mark.parametrize("kind", CLASSES)


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers")


def model(kind):
    """The pieces in the order of their ids, and the merges, of a stored tokenizer."""
    stored = STORED["tokenizers"][kind]["file"]["model"]
    return sorted(stored["vocab"], key=stored["vocab"].get), [*map(tuple, stored["merges"])]


def vocabulary(folder, kind, **files):
    """A folder with vocab.json and merges.txt, and other files: {name: value}."""
    folder.mkdir(exist_ok=True)
    pieces, merges = model(kind)
    write_vocab(folder / "vocab.json", pieces)
    write_merges(folder / "merges.txt", merges)
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def assert_alike(ours, theirs, count):
    if unicodedata.unidata_version != STORED["unicode"]:
        pytest.skip("the characters left out are those of another Unicode version")
    texts = [*ORIGINAL["TEXTS"], *ORIGINAL["fuzzed"](count, 7, STORED["older"])]
    for number, text in enumerate(texts):
        pair = texts[number - 1] or None if number % 4 == 0 else None
        found, expected = ours.encode(text, pair), theirs(text, pair)
        assert found.ids.tolist() == expected["input_ids"], ascii(text)
    text = texts[2]
    ids = theirs(text)["input_ids"]
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)


@classes
@pytest.mark.parametrize("space", [False, True])
@pytest.mark.parametrize("count", [60, pytest.param(5_000, marks=pytest.mark.campaign)])
def test_a_folder_that_transformers_writes(transformers, tmp_path, kind, space, count):
    pieces, merges = model(kind)
    options = {} if kind == "clip" else {"add_prefix_space": space}
    theirs = getattr(transformers, CLASSES[kind])(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=merges, **options)
    theirs.save_pretrained(str(tmp_path))
    assert_alike(load(tmp_path), theirs, count)


@classes
def test_a_folder_with_a_vocabulary_and_merges(transformers, tmp_path, kind):
    folder = vocabulary(tmp_path, kind, tokenizer_config={"tokenizer_class": CLASSES[kind]})
    theirs = getattr(transformers, CLASSES[kind]).from_pretrained(str(folder))
    assert_alike(load(folder), theirs, 60)


@classes
def test_the_model_type_names_the_class(tmp_path, kind):
    named = load(vocabulary(tmp_path / "named", kind,
                            tokenizer_config={"tokenizer_class": CLASSES[kind]}))
    ours = load(vocabulary(tmp_path / "other", kind, config={"model_type": kind}))
    assert ours.template == named.template and ours.added == named.added
    assert (ours.patterns, ours.suffix, ours.unk) == (named.patterns, named.suffix, named.unk)


def test_without_a_class_a_vocabulary_is_gpt_2s(tmp_path):
    ours = load(vocabulary(tmp_path, "gpt2"))
    assert [token.content for token in ours.added] == ["<|endoftext|>"] and not ours.prefix_space


def test_a_vocabulary_of_a_class_of_sentencepiece_is_refused(tmp_path):
    """Its merges are over characters, not bytes; only tokenizer.json says so."""
    folder = vocabulary(tmp_path, "gpt2", tokenizer_config={"tokenizer_class": "LlamaTokenizer"})
    with pytest.raises(FormatError, match="a class that reads a vocabulary.*'LlamaTokenizer'"):
        load(folder)


@classes
def test_transformers_loads_our_folder(transformers, tmp_path, kind):
    first = load(vocabulary(tmp_path / "first", kind,
                            tokenizer_config={"tokenizer_class": CLASSES[kind]}))
    save(tmp_path / "ours", first, 64)
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "ours"))
    assert theirs.model_max_length == 64
    again = load(tmp_path / "ours")
    for text in ORIGINAL["TEXTS"]:
        assert again.encode(text).ids.tolist() == first.encode(text).ids.tolist()
        assert theirs(text)["input_ids"] == first.encode(text).ids.tolist(), text


def test_a_vocabulary_without_merges_or_with_others_is_refused(tmp_path):
    folder = vocabulary(tmp_path, "gpt2")
    (folder / "merges.txt").write_text("日 日\n")
    with pytest.raises(FormatError, match=r"merges.txt: its merges: merge 0 is \('日', '日'\)"):
        load(folder)
    (folder / "merges.txt").unlink()
    with pytest.raises(FormatError, match="merges.txt: the file: expected the merges of vocab"):
        load(folder)
