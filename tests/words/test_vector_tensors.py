"""Word vectors in a table file and a vocabulary file: an error unless they belong together."""
import hashlib
import os
import signal
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.words.vector_files import read_vectors
from scratch_embed.words.vector_tensors import read_vectors_safetensors, write_vectors_safetensors
from scratch_embed.words.vectors import WordVectors
from tests.processes import full_disk
from tests.rounding import seeds

ROOT = Path(__file__).parents[2]
WORDS, VECTORS = ["king", "new york", "où"], np.array([[0.5, -2], [3, 0.25], [-0.0, 1e-45]],
                                                      np.float32)
LISTED = "king\nnew york\noù\n".encode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The path of a hypothesis test, which needs a fixture that is not per function."""
    return tmp_path_factory.mktemp("pairs") / "x.safetensors"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.safetensors"


@pytest.fixture
def pair(path):
    """The path of a table that we wrote, with its vocabulary file."""
    write_vectors_safetensors(path, WORDS, VECTORS)
    return path


@pytest.fixture
def foreign(path):
    """The path of a table without a digest in its metadata, with its vocabulary file."""
    write_safetensors(path, {"vectors": VECTORS})
    vocab_of(path).write_bytes(LISTED)
    return path


def vocab_of(path):
    """The path of the vocabulary file of x.safetensors."""
    return path.with_name("x.vocab.txt")


def assert_same_table(table, words=WORDS, vectors=VECTORS):
    """Equal words, and vectors equal bit by bit, so that -0 differs from 0."""
    assert table[0] == words
    assert table[1].dtype == np.float32 and table[1].shape == vectors.shape
    np.testing.assert_array_equal(table[1].view(np.uint32), vectors.view(np.uint32))


def error_of(path, **arguments):
    """The message of the FormatError that reading gives."""
    with pytest.raises(FormatError) as error:
        read_vectors_safetensors(path, **arguments)
    return str(error.value)


# ---- the files, and round trips --------------------------------------------

def test_the_two_files_worked_by_hand(pair):
    assert vocab_of(pair).read_bytes() == LISTED
    tensors, metadata = read_safetensors(pair)
    assert_same_table((WORDS, tensors.pop("vectors")))
    assert not tensors and metadata == {
        "vocabulary_size": "3", "vocabulary_sha256": hashlib.sha256(LISTED).hexdigest()}
    assert sorted(os.listdir(pair.parent)) == ["x.safetensors", "x.vocab.txt"]


def test_the_name_of_the_vocabulary_file_for_another_extension(tmp_path):
    write_vectors_safetensors(tmp_path / "de.300", WORDS, VECTORS)
    assert (tmp_path / "de.300.vocab.txt").read_bytes() == LISTED
    assert_same_table(read_vectors_safetensors(str(tmp_path / "de.300")))


# all characters of Unicode but surrogates, \n and \r; with U+2028, \v and U+FEFF
letters = st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])
escaped_words = st.binary(min_size=1, max_size=5).map(       # also bytes that are not UTF-8
    lambda data: data.replace(b"\n", b"n").replace(b"\r", b"r").decode("utf-8", "surrogateescape"))
vocabularies = st.lists(st.text(letters, min_size=1, max_size=5) | escaped_words, min_size=1,
                        max_size=5, unique=True)


@pytest.mark.filterwarnings("ignore:.*not UTF-8")
@given(vocabularies, st.integers(1, 4), seeds)
def test_reading_gives_the_table_that_was_written_bit_by_bit(shared, words, D, seed):
    vectors = np.random.default_rng(seed).standard_normal((len(words), D)).astype(np.float32)
    write_vectors_safetensors(shared, words, vectors)
    assert_same_table(read_vectors_safetensors(shared), words, vectors)


@pytest.mark.parametrize("words", [["\ufeffking", "b"], [" a ", "a"], ["\u2028", "\v"]])
def test_words_with_unusual_white_space_or_byte_order_mark_are_kept(path, words):
    write_vectors_safetensors(path, words, np.eye(2))
    assert_same_table(read_vectors_safetensors(path), words, np.eye(2, dtype=np.float32))


@pytest.mark.parametrize("ending", [".safetensors", ".SafeTensors"])
def test_the_extension_selects_this_format_in_save_and_load(path, ending):
    path = path.with_suffix(ending)
    WordVectors(WORDS, VECTORS).save(path)
    loaded = WordVectors.load(path)
    assert_same_table((loaded.index_to_key, loaded.vectors))
    assert vocab_of(path).read_bytes() == LISTED
    loaded.save(str(path))
    assert_same_table(read_vectors_safetensors(path))


def test_the_reader_of_other_formats_says_what_the_file_is(pair):
    with pytest.raises(FormatError, match="byte 0: this is a safetensors file"):
        read_vectors(pair)


# ---- tables of other programs ----------------------------------------------

def test_the_only_table_of_a_file_is_found_under_any_name(path):
    write_safetensors(path, {"embeddings.weight": VECTORS, "position_ids": np.zeros((1, 512), int),
                             "bias": np.zeros(2), "kernel": np.zeros((2, 2, 2)), "scale": 1.0})
    vocab_of(path).write_bytes(LISTED)
    assert_same_table(read_vectors_safetensors(path))
    assert_same_table(read_vectors_safetensors(path, name="embeddings.weight"))


def test_one_table_of_several_is_chosen_by_name(path):
    write_safetensors(path, {"words": VECTORS, "places": VECTORS[:2] + 1, "bias": np.zeros(3)})
    path.with_name("vocab.txt").write_bytes(LISTED)
    vocab = path.with_name("vocab.txt")
    assert_same_table(read_vectors_safetensors(path, vocab, "words"))
    assert_same_table(read_vectors_safetensors(path, vocab_path=str(vocab), name="words"))
    listed = r"'places' \(2, 2\), 'words' \(3, 2\)"
    with pytest.raises(ValueError, match=f"expected one table.*found 2: {listed}; choose one"):
        read_vectors_safetensors(path, vocab)
    for name in "bias", "word":
        with pytest.raises(ValueError, match=f"name of a table, got '{name}'; the tables are: "
                                             f"{listed}"):
            read_vectors_safetensors(path, vocab, name)


def test_a_file_without_a_table_is_rejected(path):
    write_safetensors(path, {"bias": np.zeros(3)})
    vocab_of(path).write_bytes(LISTED)
    with pytest.raises(ValueError, match=r"expected one table of vectors \(V, D\), found 0: none$"):
        read_vectors_safetensors(path)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_become_float32(path, dtype):
    write_safetensors(path, {"x": np.array([[1.5, -2]], dtype)})
    vocab_of(path).write_bytes(b"a\n")
    assert_same_table(read_vectors_safetensors(path), ["a"], np.array([[1.5, -2]], np.float32))


@pytest.mark.parametrize("listed", [LISTED, LISTED.replace(b"\n", b"\r\n"),
                                    b"\xef\xbb\xbf" + LISTED])
def test_windows_line_ends_and_a_byte_order_mark_are_removed(foreign, listed):
    vocab_of(foreign).write_bytes(listed)
    assert_same_table(read_vectors_safetensors(foreign))


def test_the_first_of_a_repeated_word_is_kept_with_one_warning(foreign):
    vocab_of(foreign).write_bytes(b"a\nb\na\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = read_vectors_safetensors(foreign)
    assert_same_table(table, ["a", "b"], VECTORS[:2])
    assert [str(w.message) for w in caught] == [
        f"{foreign}: 1 of 3 rows repeat an earlier word and are dropped"]
    assert caught[0].filename == __file__


def test_only_the_table_of_a_file_with_many_tensors_is_read(path):
    write_safetensors(path, {"table": np.ones((500, 400), np.float32), "rest": np.zeros(10**6)})
    vocab_of(path).write_bytes(b"".join(b"%d\n" % n for n in range(500)))
    tracemalloc.start()
    words, vectors = read_vectors_safetensors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(words) == len(vectors) == 500
    assert peak < 1.5 * vectors.nbytes + 100_000   # 1.25: with the isfinite mask


# ---- files that do not match -----------------------------------------------

def test_a_vocabulary_of_other_words_is_rejected(pair):
    vocab_of(pair).write_bytes(LISTED.replace(b"king", b"ring"))
    message = error_of(pair)
    assert message.startswith(f"{vocab_of(pair)}: its SHA-256: expected "
                              f"{hashlib.sha256(LISTED).hexdigest()}, as {pair} says, found ")
    assert "not the words of that table" in message
    assert "its SHA-256" in error_of(pair, vocab_path=vocab_of(pair))    # also if it is named


def test_a_vocabulary_truncated_or_damaged_at_any_byte_is_rejected(pair):
    for at in range(len(LISTED)):
        vocab_of(pair).write_bytes(LISTED[:at])
        assert "its SHA-256" in error_of(pair)
        vocab_of(pair).write_bytes(LISTED[:at] + bytes([LISTED[at] ^ 1]) + LISTED[at + 1:])
        assert "its SHA-256" in error_of(pair)


def test_a_truncated_vocabulary_without_a_digest_is_rejected(foreign):
    for cut in range(len(LISTED)):
        vocab_of(foreign).write_bytes(LISTED[:cut])
        assert str(foreign.parent) in error_of(foreign)            # the message names a file


def test_a_truncated_table_is_rejected(pair):
    for cut in reversed(range(pair.stat().st_size)):
        os.truncate(pair, cut)
        assert error_of(pair).startswith(str(pair))                # the message names the file


@pytest.mark.parametrize("listed, message", [
    (b"a\nb\n", "tensor 'vectors': expected a row for each of the 2 words of {vocab}, found 3 "
                "rows"),
    (b"a\nb\nc\nd\n", "tensor 'vectors': expected a row for each of the 4 words"),
    (b"", "tensor 'vectors': expected a row for each of the 0 words")])
def test_a_vocabulary_of_another_size_is_rejected(foreign, listed, message):
    vocab_of(foreign).write_bytes(listed)
    assert error_of(foreign).startswith(f"{foreign}: {message.format(vocab=vocab_of(foreign))}")


@pytest.mark.parametrize("listed, message", [
    (b"a\n\nc\n", "line 2: expected a word, found an empty line"),
    (b"a\r\n\r\nc\r\n", "line 2: expected a word, found an empty line"),
    (b"\xef\xbb\xbf\nb\nc\n", "line 1: expected a word, found an empty line"),
    (b"a\nb\nc\n\n", "line 4: expected a word, found an empty line"),
    (b"a\nb\nc", "line 3: expected a newline after the word"),
    (b"a\no\xf9\nc\n", r"line 2: expected a word in UTF-8, found b'o\xf9' (invalid start byte at "
                       "its byte 1)")])
def test_the_error_names_the_line_that_is_not_a_word(foreign, listed, message):
    vocab_of(foreign).write_bytes(listed)
    assert error_of(foreign, errors="strict").startswith(f"{vocab_of(foreign)}: {message}")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_the_error_names_the_word_of_a_number_that_is_not_finite(foreign, value):
    write_safetensors(foreign, {"x": np.array([[1, 2], [3, value], [5, 6]])})
    assert error_of(foreign).startswith(
        f"{foreign}: tensor 'x', row 2 ('new york'): expected finite float32 numbers")


@pytest.mark.parametrize("shape, listed", [((0, 3), b""), ((2, 0), b"a\nb\n")])
def test_an_empty_table_is_rejected(path, shape, listed):
    write_safetensors(path, {"x": np.zeros(shape)})
    vocab_of(path).write_bytes(listed)
    assert f"at least one row and one column, found shape {shape}" in error_of(path)


def test_metadata_with_another_number_of_rows_are_rejected(foreign):
    write_safetensors(foreign, {"x": VECTORS}, {"vocabulary_size": "4"})
    assert "tensor 'x': expected 4 rows, as the metadata say, found 3" in error_of(foreign)


def test_the_error_names_a_missing_file_and_says_what_to_do(pair):
    vocab_of(pair).unlink()
    with pytest.raises(FileNotFoundError) as error:
        read_vectors_safetensors(pair)
    assert str(pair) in str(error.value) and f"there is no {vocab_of(pair)}" in str(error.value)
    assert "vocab_path" in str(error.value)
    vocab_of(pair).write_bytes(LISTED)
    pair.unlink()
    with pytest.raises(FileNotFoundError, match=r"x\.safetensors"):
        read_vectors_safetensors(pair)


# ---- contents that cannot be written ---------------------------------------

@pytest.mark.parametrize("words, vectors, message", [
    (["a", "", "c"], VECTORS, "word ''"), (["a", "b\nc", "d"], VECTORS, r"'b\\nc'"),
    (["a", "b\r", "d"], VECTORS, r"'b\\r'"), (["a", "b", "\ud83d"], VECTORS, "no UTF-8 form"),
    (["a", "b", "a"], VECTORS, "got 'a' 2 times"), (["a"], VECTORS, "1 words"),
    (WORDS, [[1, 2], [3, np.nan], [5, 6]], "got nan or inf for 'new york'"),
    ([], VECTORS[:0], "at least one")])
def test_a_table_that_could_not_be_read_again_is_not_written(pair, words, vectors, message):
    with pytest.raises(ValueError, match=message):
        write_vectors_safetensors(pair, words, vectors)
    assert_same_table(read_vectors_safetensors(pair))
    assert sorted(os.listdir(pair.parent)) == ["x.safetensors", "x.vocab.txt"]


# ---- interruptions ---------------------------------------------------------

OTHER = ["queen", "old york", "là"]


@pytest.mark.parametrize("words, vectors", [
    (["queen" * 5000, "old york", "là"], -VECTORS), (OTHER, np.ones((3, 5000), np.float32))])
def test_a_full_disk_leaves_the_old_pair(pair, words, vectors):
    """The disk becomes full while the words are written, or while the table is written."""
    with full_disk(20_000), pytest.raises(OSError, match="File too large"):
        write_vectors_safetensors(pair, words, vectors)
    assert_same_table(read_vectors_safetensors(pair))
    assert sorted(os.listdir(pair.parent)) == ["x.safetensors", "x.vocab.txt"]


KILLED = """
import os, signal, sys
import numpy as np
from scratch_embed.words.vector_tensors import write_vectors_safetensors
real, renamed = os.replace, []
def replace(*arguments):
    if len(renamed) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    renamed.append(real(*arguments))
os.replace = replace
write_vectors_safetensors(sys.argv[1], sys.argv[3:], np.arange(6).reshape(3, 2))
"""


def killed_at_rename(number, path, words):
    """Save other vectors in a process that is killed before rename `number`, counted from 0."""
    process = subprocess.run([sys.executable, "-c", KILLED, path, str(number), *words],
                             cwd=ROOT, timeout=60)
    assert process.returncode == -signal.SIGKILL


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
NEW = np.arange(6, dtype=np.float32).reshape(3, 2)


@needs_kill
def test_a_kill_before_the_renames_leaves_the_old_pair(pair):
    killed_at_rename(0, pair, OTHER)
    assert_same_table(read_vectors_safetensors(pair))


@needs_kill
def test_a_kill_between_the_renames_is_an_error_and_loses_no_new_vector(pair):
    killed_at_rename(1, pair, OTHER)
    message = error_of(pair)
    assert "its SHA-256" in message and "x.vocab.txt.*" in message
    temporary, = pair.parent.glob("x.vocab.txt.*")
    assert_same_table(read_vectors_safetensors(pair, vocab_path=temporary), OTHER, NEW)


@needs_kill
def test_with_unchanged_words_a_kill_at_any_rename_leaves_a_valid_pair(pair):
    killed_at_rename(0, pair, WORDS)
    assert_same_table(read_vectors_safetensors(pair))
    killed_at_rename(1, pair, WORDS)
    assert_same_table(read_vectors_safetensors(pair), WORDS, NEW)
