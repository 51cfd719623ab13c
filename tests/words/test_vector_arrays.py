"""Word vectors as .npy: written and read unchanged; a pair that does not match is refused."""
import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.words.vector_arrays import read_vectors_npy, write_vectors_npy
from scratch_embed.words.vectors import WordVectors

WORDS, VECTORS = ["king", "new york", "été"], np.float32([[1, 2], [0, -3.5], [1e30, 1e-30]])


def test_what_is_written_is_read_by_all_readers_and_by_numpy(tmp_path):
    write_vectors_npy(tmp_path / "w.npy", WORDS, VECTORS)
    for words, vectors in (read_vectors_npy(tmp_path / "w.npy"),
                           *((found.index_to_key, found.vectors) for found in
                             (load(tmp_path / "w.npy"), WordVectors.load(tmp_path / "w.npy")))):
        assert words == WORDS
        np.testing.assert_array_equal(vectors, VECTORS)
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), VECTORS)
    assert (tmp_path / "w.vocab.txt").read_text() == "king\nnew york\nété\n"


def test_an_array_in_float64_of_another_program_becomes_float32(tmp_path):
    np.save(tmp_path / "w.npy", VECTORS.astype(np.float64))
    with pytest.raises(FormatError, match="a NumPy array; .*put their words beside it"):
        load(tmp_path / "w.npy")
    with pytest.raises(FileNotFoundError, match="its file of words is missing"):
        WordVectors.load(tmp_path / "w.npy")
    (tmp_path / "w.vocab.txt").write_text("a\nb\nc\n")
    assert load(tmp_path / "w.npy").vectors.dtype == np.float32


@pytest.mark.parametrize("array, message", [
    (np.ones((2, 2)), "a row for each of the 3 words .* found 2"), (np.ones(3), r"\(V, D\)"),
    (np.ones((3, 2), int), "found int64"), (np.ones((3, 0)), r"found float64 \(3, 0\)"),
    ([[1, 2], [np.nan, 1], [1, 1]], r"row 2 \('b'\): expected finite"),
    ([[1, 2], [1e300, 1], [1, 1]], r"row 2 \('b'\): expected finite")])
def test_an_array_of_another_shape_or_type_or_with_nan_is_refused(array, message, tmp_path):
    np.save(tmp_path / "w.npy", np.asarray(array))
    (tmp_path / "w.vocab.txt").write_text("a\nb\nc\n")
    with pytest.raises(FormatError, match=message):
        read_vectors_npy(tmp_path / "w.npy")


def test_damage_is_a_format_error_at_every_length_and_a_pickle_is_not_read(tmp_path):
    write_vectors_npy(tmp_path / "w.npy", WORDS, VECTORS)
    data = (tmp_path / "w.npy").read_bytes()
    for length in range(len(data)):
        (tmp_path / "w.npy").write_bytes(data[:length])
        with pytest.raises(FormatError):
            read_vectors_npy(tmp_path / "w.npy")
    np.save(tmp_path / "w.npy", np.array([[{}, {}]] * 3), allow_pickle=True)
    with pytest.raises(FormatError, match="found damage"):
        read_vectors_npy(tmp_path / "w.npy")


def test_the_words_of_another_table_are_not_replaced(tmp_path):
    """w.npy and w.safetensors would share w.vocab.txt; that is right only for the same words."""
    for first, second in ("w.npy", "w.safetensors"), ("v.safetensors", "v.npy"):
        WordVectors(WORDS, VECTORS).save(tmp_path / first)
        WordVectors(WORDS, 2 * VECTORS).save(tmp_path / second)
        with pytest.raises(ValueError, match="its words would replace those of"):
            WordVectors(WORDS[::-1], VECTORS).save(tmp_path / second)
        np.testing.assert_array_equal(load(tmp_path / first).vectors, VECTORS)
        np.testing.assert_array_equal(load(tmp_path / second).vectors, 2 * VECTORS)


def test_words_that_cannot_be_written_leave_the_old_pair(tmp_path):
    write_vectors_npy(tmp_path / "w.npy", WORDS, VECTORS)
    with pytest.raises(ValueError, match="line end"):
        write_vectors_npy(tmp_path / "w.npy", ["a", "b\nc", "d"], VECTORS * 2)
    np.testing.assert_array_equal(read_vectors_npy(tmp_path / "w.npy")[1], VECTORS)
