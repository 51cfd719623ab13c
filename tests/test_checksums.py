"""Which files detect a changed number: the table in scratch_embed/words/README.md."""
import gzip

import numpy as np
import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.text.corpus_folder import open_corpus
from scratch_embed.text.reader import read_corpus
from scratch_embed.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from scratch_embed.words.vectors import WordVectors

TABLE = np.arange(1, 7, dtype=np.float32).reshape(3, 2)


def text_index(path):
    index = TextIndex(2, made_by={"model": "none"})
    index.add(["a", "b", "c"], lambda texts: TABLE[:len(texts)])
    index.save(path)


def corpus(path):
    (path.parent / "text").write_text("a b a c\n" * 9)
    read_corpus(path.parent / "text", 1, folder=path)


def vectors(path):
    WordVectors(["a", "b", "c"], TABLE).save(path)


def compressed(path):
    vectors(path.with_name("plain.bin"))
    path.write_bytes(gzip.compress(path.with_name("plain.bin").read_bytes()))


# what is written, the file that is damaged, how it is read
KINDS = {
    "index": (lambda path: Index.from_vectors(TABLE).save(path), "", Index.load),
    "text index": (text_index, "", TextIndex.load),
    "checkpoint": (lambda path: write_checkpoint(path, {"W": TABLE}, {}, Progress([], [])), "",
                   lambda path: read_checkpoint(path, {"W": np.zeros_like(TABLE)}, {})),
    "word vectors in safetensors": (vectors, "", WordVectors.load),
    "their vocabulary": (vectors, "x.vocab.txt", WordVectors.load),
    "corpus folder": (corpus, "ids.i32", open_corpus),
    "gzip": (compressed, "", WordVectors.load)}


@pytest.mark.parametrize("write, damaged, read", KINDS.values(), ids=KINDS)
def test_a_flipped_bit_of_the_data_is_detected(tmp_path, write, damaged, read):
    path = tmp_path / ("x" if write is compressed else "x.safetensors")
    write(path)
    read(path)
    file = {"": path, "x.vocab.txt": tmp_path / "x.vocab.txt", "ids.i32": path / "ids.i32"}[damaged]
    data = bytearray(file.read_bytes())
    data[-3] ^= 4
    file.write_bytes(data)
    with pytest.raises(FormatError):
        read(path)


@pytest.mark.parametrize("name", ["x.vec", "x.bin"])
def test_formats_without_a_checksum_do_not_detect_it(tmp_path, name):
    """As the page says: here a digit, and a bit, that leave a valid table."""
    vectors(tmp_path / name)
    data = bytearray((tmp_path / name).read_bytes())
    data[-2] ^= 1                                  # "6" becomes "7", or a bit of the fraction
    (tmp_path / name).write_bytes(data)
    loaded = WordVectors.load(tmp_path / name)
    assert loaded.vectors[2].tolist() != TABLE[2].tolist()
