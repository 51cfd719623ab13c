"""A saved index is loaded bit for bit; a damaged file is refused."""
import numpy as np
import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.index import Index

X = np.array([[3.0, 4.0], [0.0, 2.0], [-1.0, 0.0]])


def three_rows():
    index = Index(2)
    index.add(["a", "b", "c"], X)
    return index


def gaussian(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("names", [["a", "", "日本 🙂\n\0"], [7, -2**63, 2**63 - 1], []])
@pytest.mark.parametrize("normalise", [True, False])
def test_a_saved_index_is_loaded_bit_for_bit(tmp_path, names, normalise):
    index = Index(5, normalise)
    index.add(names, gaussian(0, len(names), 5))
    index.save(tmp_path / "index.safetensors")
    again = Index.load(tmp_path / "index.safetensors")
    assert (again.dim, again.normalise, len(again)) == (5, normalise, len(names))
    for name in names:
        assert again[name].tobytes() == index[name].tobytes()
    for ours, want in zip(again.search(gaussian(1, 2, 5), 2), index.search(gaussian(1, 2, 5), 2)):
        np.testing.assert_array_equal(ours, want)
    again.add(["new"] if names[:1] == ["a"] else [0], gaussian(2, 1, 5))      # rows can be added
    assert len(again) == len(names) + 1 and len(index) == len(names)


def test_only_the_rows_in_use_are_saved(tmp_path):
    index = Index(2)
    for i in range(10):
        index.add([i], [[1, i]])
    assert len(index._rows) > 10
    index.save(tmp_path / "x")
    assert read_safetensors(tmp_path / "x")[0]["vectors"].shape == (10, 2)


def test_an_id_that_utf8_cannot_encode_is_refused_and_the_old_file_is_kept(tmp_path):
    three_rows().save(tmp_path / "x")
    index = Index(2)
    index.add(["\ud800"], [[1, 2]])
    with pytest.raises(ValueError, match="no UTF-8 form"):
        index.save(tmp_path / "x")
    assert len(Index.load(tmp_path / "x")) == 3


def test_a_truncated_file_is_refused(tmp_path):
    three_rows().save(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "truncated").write_bytes(whole[:length])
        with pytest.raises(FormatError):
            Index.load(tmp_path / "truncated")


@pytest.mark.parametrize("change, message", [
    (dict(vectors=None), "tensor 'vectors'.*3 ids, found none"),
    (dict(vectors=X), r"found float64 \(3, 2\)"),
    (dict(vectors=np.float32(X[:2])), r"found float32 \(2, 2\)"),
    (dict(vectors=np.zeros((3, 0), np.float32)), r"found float32 \(3, 0\)"),
    (dict(vectors=np.float32([[1, 2], [3, np.nan], [5, 6]])), "row 1: expected finite"),
    (dict(id_ends=None), "expected 'ids' int64"), (dict(id_text=None), "expected 'ids' int64"),
    (dict(id_ends=np.array([1, 2])), r"rise from 0 to 3"),
    (dict(id_ends=np.array([2, 1, 3])), "rise from 0 to 3"),
    (dict(id_ends=np.array([-1, 2, 3])), "rise from 0 to 3"),
    (dict(id_ends=np.array([1, 1, 3])), None),                   # "a", "", "bc": a valid index
    (dict(id_text=np.frombuffer(b"aba", np.uint8)), "got 'a' more than once"),
    (dict(id_text=np.frombuffer(b"a\xffc", np.uint8)), "expected UTF-8"),
    (dict(ids=np.array([1, 1, 2])), "got 1 more than once"),
    (dict(kind="else"), "its metadata: expected the kind"),
    (dict(normalise="maybe"), "normalise True or False")])
def test_a_file_with_wrong_or_inconsistent_tensors_is_refused(tmp_path, change, message):
    three_rows().save(tmp_path / "x")
    tensors, metadata = read_safetensors(tmp_path / "x")
    for name, value in change.items():
        part = metadata if isinstance(value, str) else tensors
        part[name] = value
        if value is None:
            del part[name]
    write_safetensors(tmp_path / "y", tensors, metadata)
    if message is None:
        assert "bc" in Index.load(tmp_path / "y")
    else:
        with pytest.raises(FormatError, match=message):
            Index.load(tmp_path / "y")


def test_rows_are_saved_with_norm_1(tmp_path):
    three_rows().save(tmp_path / "x")
    np.testing.assert_array_equal(read_safetensors(tmp_path / "x")[0]["vectors"],
                                  l2_normalize(X)[0].astype(np.float32))
