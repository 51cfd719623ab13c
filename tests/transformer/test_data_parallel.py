"""data_parallel: vectors in the order of the batch, and a gradient for each worker."""
import numpy as np
import pytest

from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Params
from scratch_embed.numerics.workers import parallel_map, serial_map
from scratch_embed.transformer.data_parallel import data_parallel

X = np.array([[1.0, 2], [3, 4], [5, 6]])


def model():
    p = Params({"l.weight": (1, 2), "l.bias": (1,)}, np.float64)
    p["l.weight"][...], p["l.bias"][...] = [[10, 1]], 100
    return p


def run_linear(workers, map=serial_map, N=3):
    """y (N, 1) of X's first N rows, each worker's gradients for dy = 1 .. N, {worker: rows}."""
    p, seen = model(), {}

    def f(rows, worker):
        seen[worker] = rows.tolist()
        return linear(X[rows], p, "l")
    y, backward = data_parallel(f, N, workers, map)
    grads = [p.like() for _ in range(workers)]
    backward(np.arange(1.0, N + 1)[:, None], grads)
    return y, [g.flat.tolist() for g in grads], seen


def test_three_rows_for_two_workers_worked_by_hand():
    """The shares are row 0 and rows 1, 2; dW = Σ dy x, db = Σ dy."""
    y, grads, seen = run_linear(2)
    assert y.tolist() == [[112], [134], [156]] and seen == {0: [0], 1: [1, 2]}
    assert grads == [[1, 2, 1], [2 * 3 + 3 * 5, 2 * 4 + 3 * 6, 5]]


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_vectors_and_summed_gradients_do_not_depend_on_the_number_of_workers(workers):
    with parallel_map(workers) as run:
        y, grads, seen = run_linear(workers, run)
    y_of_one, (expected,), _ = run_linear(1)
    np.testing.assert_array_equal(y, y_of_one)
    np.testing.assert_array_equal(np.sum(grads, axis=0), expected)
    assert [row for worker in sorted(seen) for row in seen[worker]] == [0, 1, 2]


def test_backward_adds_to_the_gradients_and_can_be_called_twice():
    y, backward = data_parallel(lambda rows, worker: linear(X[rows], model(), "l"), 3, 2,
                                serial_map)
    grads = [model().like() for _ in range(2)]
    backward(np.ones((3, 1)), grads)
    once = [g.flat.copy() for g in grads]
    backward(np.ones((3, 1)), grads)
    for g, before in zip(grads, once):
        np.testing.assert_array_equal(g.flat, 2 * before)
