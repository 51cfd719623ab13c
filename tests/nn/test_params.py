"""Params: views on one buffer, subsets, frozen tensors, initial values."""
import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.params import (
    ONES,
    Constant,
    Normal,
    Params,
    Tensor,
    embedding_tensors,
    init_params,
    join,
    linear_tensors,
    norm_tensors,
)
from tests.rounding import dtypes

TENSORS = {**linear_tensors("a", 2, 3, Normal(0.02)), **norm_tensors("n", 3),
           "scalar": Tensor((), Constant(2.5)), "empty": Tensor((0, 4))}
shapes = st.dictionaries(st.text("abc.", min_size=1, max_size=5),
                         st.lists(st.integers(0, 4), max_size=3).map(tuple), max_size=6)


# ---- views --------------------------------------------------------------------------------------

def test_views_worked_by_hand():
    p = Params({"w": (2, 2), "b": (2,)}, np.float64)
    p.flat[:] = range(6)
    assert p["w"].tolist() == [[0, 1], [2, 3]] and p["b"].tolist() == [4, 5]
    p["w"][1, 0] = 7
    p["b"] += 10                                        # += writes through the view
    assert p.flat.tolist() == [0, 1, 7, 3, 14, 15]


@given(shapes)
def test_the_views_cover_the_buffer_in_order_without_overlap(shapes):
    p = Params(shapes, np.float64)
    p.flat[:] = np.arange(p.flat.size)
    assert {name: view.shape for name, view in p.items()} == p.shapes == shapes
    assert list(p) == list(shapes)
    views = [view.ravel() for view in p.values()]
    np.testing.assert_array_equal(np.concatenate([*views, []]), p.flat)
    assert all(np.shares_memory(view, p.flat) for view in p.values() if view.size)


def test_replacing_a_view_by_an_array_is_an_error():
    p = Params(TENSORS)
    with pytest.raises(TypeError, match=r"'a.weight'.*write into it: p\['a.weight'\]\[...\] ="):
        p["a.weight"] = np.ones((2, 3))
    with pytest.raises(TypeError):
        p["a.weight"] = p["a.weight"] + 1
    with pytest.raises(KeyError):
        p["new"] = np.ones(2)
    assert not p.flat.any()


@dtypes
def test_like_gives_zeros_and_copy_equal_numbers_and_neither_shares_memory(dtype):
    p = init_params(TENSORS, 0, dtype)
    g, other = p.like(), p.copy()
    assert g.flat.dtype == other.flat.dtype == p.flat.dtype == dtype
    assert not g.flat.any() and g.shapes == p.shapes
    np.testing.assert_array_equal(other.flat, p.flat)
    g.flat += 1
    other.flat += 1
    np.testing.assert_array_equal(p.flat, init_params(TENSORS, 0, dtype).flat)


def test_a_copy_in_float64_holds_the_same_numbers():
    p = init_params(TENSORS, 0)
    copy64 = p.copy(np.float64)
    assert copy64.flat.dtype == np.float64
    np.testing.assert_array_equal(copy64.flat, p.flat)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_deepcopy_and_pickle_make_views_on_a_new_buffer(duplicate):
    p = init_params(TENSORS, 0).freeze(["n.bias"])
    other = duplicate(p)
    assert other.tensors == p.tensors and other.frozen == p.frozen == ("n.bias",)
    np.testing.assert_array_equal(other.flat, p.flat)
    other["a.bias"] += 1
    assert other.flat.sum() == pytest.approx(p.flat.sum() + 2) and not p["a.bias"].any()


# ---- subsets and frozen tensors -----------------------------------------------------------------

def numbered():
    """Three tensors, with flat = 0, 1, ... 6."""
    p = Params({"a": (2,), "b": (1, 3), "c": (2,)}, np.float64)
    p.flat[:] = range(7)
    return p


def test_only_copies_the_named_tensors_in_the_order_of_flat():
    p = numbered()
    subset = p.only(name for name in ("c", "a"))
    assert list(subset) == ["a", "c"] and subset.flat.tolist() == [0, 1, 5, 6]
    assert subset.flat.dtype == np.float64 and subset.shapes == {"a": (2,), "c": (2,)}
    subset.flat[:] = 9
    assert p.flat.tolist() == list(range(7))
    assert p.only(p).flat.tolist() == p.flat.tolist()


def test_a_frozen_tensor_is_outside_the_buffer_and_has_no_gradient():
    p = numbered()
    q = p.freeze(["b"])
    assert q.flat.tolist() == [0, 1, 5, 6] and q.frozen == ("b",) and list(q) == ["a", "b", "c"]
    assert np.shares_memory(q["b"], p["b"]) and not np.shares_memory(q.flat, p.flat)
    with pytest.raises(ValueError, match="read-only"):
        q["b"] += 1
    assert list(q.like()) == list(q.trainable_views()) == ["a", "c"]
    again = q.freeze(["a"])
    assert set(again.frozen) == {"a", "b"} and again.flat.tolist() == [5, 6]


def test_trainable_freezes_all_tensors_that_are_not_named():
    p = numbered()
    q = p.trainable(["c"])
    assert q.frozen == ("a", "b") and q.flat.tolist() == [5, 6]
    assert p.trainable(p).frozen == () and p.trainable([]).flat.size == 0
    thawed = q.trainable(q)                              # all names, also of frozen tensors
    assert thawed.frozen == () and thawed.flat.tolist() == p.flat.tolist()


def test_copies_and_subsets_keep_tensors_frozen():
    q = numbered().freeze(["b"])
    other = q.copy(np.float32)
    assert other.frozen == ("b",) and other["b"].dtype == np.float32 and other.flat.size == 4
    assert np.shares_memory(q.copy()["b"], q["b"])
    assert q.only(["a", "b"]).frozen == ("b",) and q.only(["a"]).frozen == ()


def test_join_puts_two_parts_into_one_buffer():
    p, head = numbered().freeze(["a"]), Params({"h": (1,)}, np.float64)
    head.flat[:] = 9
    both = join(p, head)
    assert list(both) == ["a", "b", "c", "h"] and both.frozen == ("a",)
    assert both.flat.tolist() == [2, 3, 4, 5, 6, 9] and both["a"].tolist() == [0, 1]
    both.flat[:] = 0
    assert p["b"].any() and head.flat.all()
    with pytest.raises(ValueError, match="each name in one part, got .h. in two"):
        join(head, head)


@pytest.mark.parametrize("method", ["only", "freeze", "trainable"])
def test_an_unknown_name_is_an_error_that_lists_the_known_names(method):
    with pytest.raises(KeyError, match="expected some of a, b; got .z."):
        getattr(Params({"a": (1,), "b": (1,)}), method)(["a", "z"])


# ---- initial values -----------------------------------------------------------------------------

def test_weights_are_normal_norms_one_and_biases_zero():
    """n = 20,000 draws: the mean within 5 σ/√n of 0, the std within 5 σ/√(2n) of σ = 0.02."""
    p = init_params({**linear_tensors("e", 100, 200, Normal(0.02)), **norm_tensors("n", 9)}, 3,
                    np.float64)
    w = p["e.weight"]
    assert abs(w.mean()) < 5 * 0.02 / 20_000**0.5
    assert abs(w.std() - 0.02) < 5 * 0.02 / 40_000**0.5
    assert (p["n.weight"] == 1).all()
    assert not p["n.bias"].any() and not p["e.bias"].any()


def test_an_init_may_be_any_function_of_a_generator_and_a_shape():
    """Or Constant (here CLIP's scale, log(1/0.07)), ONES or the default, zeros (here LoRA's B)."""
    def ramp(rng, shape):
        return np.arange(6.0).reshape(shape)
    p = init_params({"ramp": Tensor((2, 3), ramp), "scale": Tensor((), Constant(np.log(1 / 0.07))),
                     "lora": Tensor((3, 2)), "ones": Tensor((2,), ONES)}, 0, np.float64)
    assert p["ramp"].tolist() == [[0, 1, 2], [3, 4, 5]] and p["scale"] == np.log(1 / 0.07)
    assert not p["lora"].any() and p["ones"].all()


def test_a_new_tensor_changes_no_other_but_a_new_seed_changes_all():
    one, other = (Tensor((3, 4), Normal(1.0)) for _ in range(2))
    few = init_params({"a.weight": one}, 1)
    many = init_params({"b.weight": other, "a.weight": one}, 1)
    np.testing.assert_array_equal(few["a.weight"], many["a.weight"])
    assert (many["a.weight"] != many["b.weight"]).all()
    assert (few["a.weight"] != init_params({"a.weight": one}, 2)["a.weight"]).all()


def test_initial_values_depend_on_the_stream_not_on_the_name():
    named = init_params({"old": Tensor((3,), Normal(1.0))}, 1)
    renamed = init_params({"new": Tensor((3,), Normal(1.0), stream="old")}, 1)
    np.testing.assert_array_equal(named["old"], renamed["new"])


def test_float32_initial_values_are_the_float64_values_rounded():
    np.testing.assert_array_equal(init_params(TENSORS, 1).flat,
                                  init_params(TENSORS, 1, np.float64).flat.astype(np.float32))


def test_only_matrices_and_tables_have_weight_decay_and_biases_are_optional():
    declared = {**linear_tensors("l", 2, 3, Normal(1.0), bias=False), **norm_tensors("n", 3, False),
                **embedding_tensors("e", 5, 3, Normal(1.0)), **TENSORS}
    assert {name for name, tensor in declared.items() if tensor.decay} == {
        "l.weight", "e.weight", "a.weight"}
    assert "l.bias" not in declared and declared["e.weight"].shape == (5, 3)
