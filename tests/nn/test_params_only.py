"""Part of a model's parameters: the same numbers in a buffer of their own."""
import numpy as np
import pytest

from scratch_embed.nn.params import Params


def test_the_tensors_of_some_names_in_the_order_of_all_and_not_the_same_memory():
    p = Params({"a": (2,), "b": (1, 3), "c": (2,)}, np.float64)
    p.flat[:] = range(7)
    some = p.only(name for name in ("c", "a"))
    assert list(some) == ["a", "c"] and some.flat.tolist() == [0, 1, 5, 6]
    assert some.flat.dtype == np.float64 and some.shapes == {"a": (2,), "c": (2,)}
    some.flat[:] = 9
    assert p.flat.tolist() == list(range(7))
    assert p.only(p).flat.tolist() == p.flat.tolist()


def test_a_name_that_is_not_there_is_a_key_error_that_says_what_is():
    with pytest.raises(KeyError, match="no tensor 'z'; there are a, b"):
        Params({"a": (1,), "b": (1,)}).only(["a", "z"])
