"""load() recognises files and folders by content, and its error describes what it cannot read."""
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.loading import FILES, FOLDERS, load, readable
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import write_safetensors
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text.reader import read_corpus
from scratch_embed.text.vocab import Vocab
from scratch_embed.training.checkpoint import Progress, write_checkpoint
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.vector_files import write_glove_text, write_word2vec_text
from scratch_embed.words.vector_tensors import write_vectors_safetensors
from scratch_embed.words.vectors import WordVectors, write_word2vec_binary

GOLDEN = Path(__file__).parent / "golden"
WORDS, VECTORS = ["king", "queen", "1984"], np.array([[1, 2.5], [-3, 0], [0.5, 10]], np.float32)


# ---- word vectors -------------------------------------------------------------------------------

@pytest.mark.parametrize("write", [write_word2vec_text, write_word2vec_binary, write_glove_text,
                                   write_vectors_safetensors])
@pytest.mark.parametrize("name", ["x.vec", "x.bin", "x.safetensors", "x"])
def test_word_vectors_are_recognised_by_content_not_by_name(tmp_path, write, name):
    write(tmp_path / name, WORDS, VECTORS)
    vectors = load(tmp_path / name)
    assert isinstance(vectors, WordVectors) and vectors.index_to_key == WORDS
    np.testing.assert_array_equal(vectors.vectors, VECTORS)


@pytest.mark.parametrize("write", [write_word2vec_text, write_word2vec_binary, write_glove_text])
def test_gzip_compressed_word_vectors_are_read(tmp_path, write):
    write(tmp_path / "plain", WORDS, VECTORS)
    (tmp_path / "packed").write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    assert load(tmp_path / "packed").index_to_key == WORDS


def test_word_vectors_with_rows_longer_than_the_inspected_sample_are_read(tmp_path):
    wide = np.full((2, 20_000), 0.12345, np.float32)
    write_glove_text(tmp_path / "wide.txt", ["a", "b"], wide)
    assert load(tmp_path / "wide.txt").vectors.shape == wide.shape


def test_fasttext_models_are_read(tmp_path):
    assert isinstance(load(GOLDEN / "fasttext-skipgram.bin"), FastTextVectors)
    assert isinstance(load(GOLDEN / "fasttext-supervised-softmax.bin"), Classifier)
    assert isinstance(load(GOLDEN / "fasttext-command.vec"), WordVectors)
    packed = tmp_path / "model.gz"
    packed.write_bytes(gzip.compress((GOLDEN / "fasttext-words.bin").read_bytes()))
    assert isinstance(load(packed), FastTextVectors)


# ---- indexes, corpora, encoders -----------------------------------------------------------------

def test_indexes_with_and_without_texts_are_read(tmp_path):
    Index.from_vectors(VECTORS, WORDS).save(tmp_path / "vectors.index")
    found = load(tmp_path / "vectors.index")
    assert isinstance(found, Index) and "queen" in found
    texts = TextIndex(2, {"model": "none"})
    texts.add(["a", "b", "c"], lambda batch: VECTORS[:len(batch)])
    texts.save(tmp_path / "texts.index")
    found = load(tmp_path / "texts.index")
    assert isinstance(found, TextIndex) and found.texts == {1: "a", 2: "b", 3: "c"}


def test_a_corpus_folder_is_read(tmp_path):
    (tmp_path / "text.txt").write_text("a b a\nb a c\n")
    read_corpus(tmp_path / "text.txt", min_count=1, folder=tmp_path / "corpus")
    vocab, corpus = load(tmp_path / "corpus")
    assert isinstance(vocab, Vocab) and vocab.words == ["a", "b", "c"] and len(corpus.ids) == 6


@pytest.mark.parametrize("name", ["sentence_old", "sentence_new"])
def test_sentence_transformers_folders_are_read(name):
    encoder = load(GOLDEN / name)
    assert isinstance(encoder, SentenceEncoder)
    expected = SentenceEncoder.load(GOLDEN / name).encode(["a text"])
    np.testing.assert_array_equal(encoder.encode(["a text"]), expected)


def test_a_bert_folder_is_read_as_an_encoder_with_mean_pooling(tmp_path):
    """The files of a transformer, without those that sentence-transformers adds."""
    (tmp_path / "bert").mkdir()
    for name in "config.json", "model.safetensors", "vocab.txt", "tokenizer.json":
        shutil.copy(GOLDEN / "sentence_old" / name, tmp_path / "bert")
    encoder = load(tmp_path / "bert")
    tokens = encoder.tokenizer.encode_batch(["a text"])
    expected = encoder.model.infer(tokens).mean(axis=0)
    np.testing.assert_allclose(encoder.encode("a text"), expected, rtol=1e-5, atol=1e-6)


# ---- the files of version 0.1 -------------------------------------------------------------------

@pytest.mark.parametrize("name, kind", [
    ("words.vec", WordVectors), ("words.bin", WordVectors), ("words.safetensors", WordVectors),
    ("glove.txt", WordVectors), ("fasttext.vec", WordVectors), ("fasttext.bin", FastTextVectors),
    ("hs.bin", Classifier), ("rows.index", Index), ("text.index", TextIndex), ("corpus", tuple),
    ("bert", SentenceEncoder), ("encoder", SentenceEncoder)])
def test_files_of_version_0_1_are_read(name, kind):
    assert isinstance(load(GOLDEN / "version_0_1" / name), kind)


@pytest.mark.parametrize("path", sorted((GOLDEN / "version_0_1").glob("*.state")),
                         ids=lambda path: path.stem)
def test_the_error_names_a_checkpoint_of_version_0_1(path):
    with pytest.raises(FormatError, match="a training checkpoint of version 0.1; only that"):
        load(path)


def test_a_safetensors_file_may_begin_with_the_first_byte_of_a_pickle(tmp_path):
    """The first byte of safetensors, the lowest of the header's length, can be 0x80."""
    for length in range(256):
        write_safetensors(tmp_path / "x", {"W": VECTORS}, {"settings": " " * length})
        if (tmp_path / "x").read_bytes()[0] == 0x80:
            break
    with pytest.raises(FormatError, match="a training checkpoint of version 0.1"):
        load(tmp_path / "x")


# ---- what load() cannot read --------------------------------------------------------------------

def tensors(path):
    write_safetensors(path, {"h.0.attn.weight": VECTORS})


def checkpoint(path):
    write_checkpoint(path, {"W": VECTORS}, {"lr": 0.1}, Progress([], []))


def old_checkpoint(path):
    write_safetensors(path, {"W": VECTORS, "U": VECTORS}, {"settings": "{}", "progress": "{}"})


@pytest.mark.parametrize("content, message", [
    (b"\x80\x04\x95", "a pickle; it can run any code"),
    (b"\x93NUMPY\x01\x00", "a NumPy array; numpy.load"),
    (b"q1 Q0 d7 1 0.5 bm25\n", "a run in TREC's format; `scratch-embed eval.*evaluate/trec.py"),
    (b"q1 0 d7 1\n", r"relevance judgements \(qrels\); .*evaluate/collection.py"),
    (b"query-id\tcorpus-id\tscore\nq\td\t1\n", "relevance judgements"),
    (b'{"_id": "d1", "text": "a"}\n', "JSON; if it belongs to a model"),
    (b"__label__good a fine meal\n", "a labelled text; `scratch-embed train classifier`"),
    ("the kïng rules\n".encode() * 9000, "a text; .*train_word2vec"),
    (b"\x89PNG\r\n\x1a\n\0\0", "this is a PNG picture; it has no text; `scratch-embed encode` and"),
    (b"\x89XYZ\r\n\x1a\n\0\0", r"a file that begins with b'\\x89XYZ.* load\(\) reads a fastText "),
    (b"", "an empty file; load"),
])
def test_the_error_describes_a_file_that_is_not_read(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "x")


@pytest.mark.parametrize("write, message", [
    (tensors, "a file of tensors; if they are a model's, load the folder"),
    (checkpoint, "a training checkpoint; it resumes a training run"),
    (old_checkpoint, "a training checkpoint of version 0.1; only that version"),
])
def test_the_error_describes_a_safetensors_file_that_is_not_read(tmp_path, write, message):
    write(tmp_path / "x.safetensors")
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("files, message", [
    ({}, "an empty folder; load"),
    ({"notes.txt": ""}, "a folder that contains notes.txt; load"),
    ({"config.json": json.dumps({"model_type": "gpt3"})}, "a model of the type 'gpt3'; load"),
    ({"config.json": "[]"}, "a damaged config.json, which is not a JSON object"),
])
def test_the_error_describes_a_folder_that_is_not_read(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=message):
        load(tmp_path)


def test_a_missing_path_raises_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_a_truncated_file_raises_format_error(tmp_path):
    whole = (GOLDEN / "fasttext-skipgram.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[:-1])
    with pytest.raises(FormatError, match="cut.bin"):
        load(tmp_path / "cut.bin")


def test_the_kinds_of_files_and_folders_have_different_names():
    names = [kind.name for kind in (*FILES, *FOLDERS)]
    assert len(set(names)) == len(names)
    assert "a corpus folder" in readable() and "pickle" not in readable()
