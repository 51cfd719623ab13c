"""vocab.json and merges.txt are read as the library reads them; damaged ones are refused."""
import json
import re
import runpy
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.bpe import BPE
from scratch_embed.text.bpe_files import read_merges, read_vocab, write_merges, write_vocab
from scratch_embed.text.bpe_training import train_bpe

ORIGINAL = runpy.run_path(str(Path(__file__).parents[1] / "golden/make_bpe.py"))


@pytest.fixture(scope="module")
def trained():
    return train_bpe(ORIGINAL["PROSE"], 450, min_frequency=1)


def test_files_are_restored_and_mean_the_same_to_the_library(trained, tmp_path):
    vocab, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    write_vocab(vocab, trained.pieces)
    write_merges(merges, trained.merges)
    assert merges.read_text("utf-8").startswith("#version: 0.2\n")
    ours = BPE(read_vocab(vocab), read_merges(merges), trained.added)
    assert (ours.pieces, ours.merges) == (trained.pieces, trained.merges)
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(vocab), str(merges)))
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    for text in ORIGINAL["fuzzed"](100, 1, ()):
        if "<|endoftext|>" not in text:
            assert ours.token_ids(text) == theirs.encode(text).ids


def test_files_of_the_library_are_read(trained, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    tokenizers.models.BPE(trained.index, trained.merges).save(str(tmp_path))
    assert read_vocab(tmp_path / "vocab.json") == trained.pieces
    assert read_merges(tmp_path / "merges.txt") == trained.merges


def test_a_merge_may_begin_with_a_hash_but_not_with_version(tmp_path):
    path = tmp_path / "merges.txt"
    path.write_text("#version: 0.2\n# #\n#version x\r\na b\r\n")
    assert read_merges(path) == [("#", "#"), ("a", "b")]


@pytest.mark.parametrize("content, message", [
    (b"a b\n\nc d\n", "line 2: expected two pieces with a space between them, found ''"),
    (b"a b c\n", "line 1: expected two pieces"), (b"a b\na  b\n", "line 2: expected two pieces"),
    (b"a b\n\xff b\n", "line 2, byte 0 of it: this is not UTF-8")])
def test_a_damaged_merges_txt_is_refused_with_its_line(tmp_path, content, message):
    path = tmp_path / "merges.txt"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read_merges(path)


@pytest.mark.parametrize("content, message", [
    ({"a": 0, "b": 2}, "expected the ids 0 to 1, found 2"),
    ({"a": 0, "b": 0}, "expected a different id for each piece"),
    ({"a": True}, "expected the ids 0 to 0, found True"), ([], "found \\[\\]")])
def test_a_damaged_vocab_json_is_refused(tmp_path, content, message):
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=message):
        read_vocab(path)


@pytest.mark.parametrize("pair", [("a ", "b"), ("", "b"), ("a\n", "b"), ("a", "b\r"),
                                  ("#version", "b")])
def test_a_merge_that_would_change_is_not_written(tmp_path, pair):
    with pytest.raises(ValueError, match=re.escape(f"cannot write the merge ({pair[0]!r}")):
        write_merges(tmp_path / "merges.txt", [pair])
    assert not (tmp_path / "merges.txt").exists()
