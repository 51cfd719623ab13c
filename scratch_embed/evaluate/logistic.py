"""Multinomial logistic regression: a convex loss, its gradient, and L-BFGS to minimise it.

Paper     Cox 1958, "The Regression Analysis of Binary Sequences"; Liu & Nocedal 1989, "On the
          Limited Memory BFGS Method for Large Scale Optimization", algorithm 2.1 and eq. 7.6.
Equation  L(W, b) = − Σ_i log P_i[y_i] + ‖W‖² / (2C),     P_i = softmax(W x_i + b)
          ∂L/∂W = Σ_i (P_i − onehot(y_i)) x_iᵀ + W/C      ∂L/∂b = Σ_i (P_i − onehot(y_i))
Shapes    X (N, D), y (N,); W (K, D) and b (K,) for K > 2 classes, (1, D) and (1,) for two
Types     everything in float64
Cost      two matrix products, of N·D·K each, per evaluation of the loss and its gradient.  BLAS
          computes them, so there is no kernel.
Memory    up to two float64 copies of X, a few arrays (K, N), and 20 arrays of the size of W
Differs   scikit-learn stops when max|∂L|/N ≤ 1e-4, over all parameters, and can leave coefficients
          far from the minimum.  Here the limit is 1e-7, so the result hardly depends on the solver.
          Otherwise as scikit-learn by default: C = 1, b is not penalised, and two classes have
          one row of coefficients.
Read next evaluate/probe.py

Why one row for two classes?  Softmax depends only on differences of scores, so the score of the
first class is fixed at 0, and P[1] = σ(w·x + b).  With two free rows the penalty would be half as
large: the same model has the rows −w/2 and w/2, and ‖w/2‖² + ‖w/2‖² = ‖w‖²/2.

Why L-BFGS?  Newton's step −H⁻¹g, with gradient g and Hessian H, needs (KD)² second derivatives.
L-BFGS estimates H from the last few steps: a step changes the parameters by s and the gradient by
y, so H should satisfy H s = y.  Two loops over the pairs (s, y) compute H⁻¹g for such an H without
forming a matrix.

When has it converged?  L − ‖W‖²/(2C) is convex, so ‖W − W*‖² ≤ C ⟨∇L(θ), θ − θ*⟩
for θ = (W, b) and the minimum θ* = (W*, b*): a small gradient proves that W is close to the unique
W*, for any solver.
"""
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

MEMORY = 10              # pairs (s, y) that L-BFGS keeps, as in SciPy
ARMIJO = 1e-4            # a step must lower the loss by at least this share of −slope · length
ROUNDING = 1e-14         # a relative rise of the loss by less than this is rounding error


class Logistic(NamedTuple):
    """A fitted model: P(k | x) = softmax(W x + b)[k]; for two classes softmax([0, w·x + b])[k]."""
    classes: np.ndarray      # (K,) sorted
    W: np.ndarray            # (K, D), or (1, D) for two classes
    b: np.ndarray            # (K,), or (1,)
    steps: int               # of L-BFGS


def fit_logistic(X: np.ndarray, y: Sequence | np.ndarray, C: float = 1.0, tol: float = 1e-7,
                 max_steps: int = 1000) -> Logistic:
    """Minimise L from W = b = 0 until max|∂L| ≤ tol · N.  X: (N, D), y: (N,) labels -> Logistic.

    Raises ValueError for fewer than two classes, nan or inf, or C ≤ 0.  Warns if the gradient
    is still too large at the end.
    """
    X, (classes, code) = np.asarray(X, np.float64), np.unique(np.asarray(y), return_inverse=True)
    if X.ndim != 2 or code.shape != (len(X),):
        raise ValueError(f"expected vectors (N, D) and a label for each, got shapes {X.shape} "
                         f"and {code.shape}")
    if len(classes) < 2:
        raise ValueError(f"expected labels of two classes or more, got {len(classes)}")
    if not np.isfinite(X).all() or not C > 0:
        raise ValueError(f"expected finite vectors and C > 0, got C = {C}, or nan or inf in X")
    X1 = np.column_stack([X, np.ones(len(X))])               # (N, D + 1): b is the last column
    rows = len(classes) if len(classes) > 2 else 1

    def loss(flat):
        value, gradient = loss_and_gradient(flat.reshape(rows, -1), X1, code, C)
        return value, gradient.ravel()
    flat, steps, done = minimise(loss, np.zeros(rows * X1.shape[1]), tol * len(X), max_steps)
    if not done:
        warnings.warn(f"logistic regression has not converged in {steps} steps; scale the vectors "
                      f"to a norm of about 1, or raise max_steps", stacklevel=2)
    theta = flat.reshape(rows, -1)
    return Logistic(classes, theta[:, :-1], theta[:, -1], steps)


def predict(model: Logistic, X: np.ndarray) -> np.ndarray:
    """The most probable class of each row; ties go to the first.  X: (N, D) -> labels (N,)."""
    scores = _with_zero_row(model.W @ np.asarray(X, np.float64).T + model.b[:, None])
    return model.classes[scores.argmax(axis=0)]


def loss_and_gradient(theta: np.ndarray, X1: np.ndarray, code: np.ndarray, C: float = 1.0
                      ) -> tuple[float, np.ndarray]:
    """L and ∂L/∂θ, θ = (W, b).  -> a number, and an array like theta.

    theta: (K, D + 1), or (1, D + 1) for two classes; X1: (N, D + 1), X and a last column of 1;
    code: (N,) class numbers.
    """
    W, items = theta[:, :-1], np.arange(len(X1))
    scores = _with_zero_row(theta @ X1.T)                    # (K, N): sums over K are contiguous
    scores -= scores.max(axis=0)                             # exp cannot overflow; P is unchanged
    correct = scores[code, items]
    P = np.exp(scores, out=scores)
    total = P.sum(axis=0)
    loss = np.log(total).sum() - correct.sum() + np.vdot(W, W) / (2 * C)
    P /= total
    P[code, items] -= 1                                      # ∂L/∂scores = P − onehot
    gradient = P[-len(theta):] @ X1                          # for two classes, the second row only
    gradient[:, :-1] += W / C
    return float(loss), gradient


def minimise(loss: Callable, x: np.ndarray, tol: float, max_steps: int
             ) -> tuple[np.ndarray, int, bool]:
    """L-BFGS for a convex function.  loss(x) -> (value, gradient), x: (P,) -> (x, steps, done).

    done: whether max|gradient| ≤ tol.  If False, max_steps were not enough, or no step lowered the
    loss, for instance because numbers overflow.
    """
    value, gradient = loss(x)
    pairs = []                                               # (s, y), the last MEMORY of them
    for steps in range(max_steps + 1):
        if np.abs(gradient).max() <= tol:
            return x, steps, True
        if steps == max_steps:
            break
        step = -_apply_inverse(pairs, gradient)
        slope, length = step @ gradient, 1.0                   # slope < 0: a descent direction
        while True:                                          # line search: halve the step
            new_value, new_gradient = loss(x + length * step)
            if new_value <= value + ARMIJO * length * slope + ROUNDING * abs(value):
                break
            length /= 2
            if length == 0:
                return x, steps, False
        s, y = length * step, new_gradient - gradient
        if s @ y > 0:                                        # always, except for rounding
            pairs = [*pairs[1 - MEMORY:], (s, y)]
        x, value, gradient = x + s, new_value, new_gradient
    return x, max_steps, False


def _apply_inverse(pairs, g):
    """H⁻¹ g by the two-loop recursion; without pairs, g/‖g‖.  pairs: [(s, y)], oldest first."""
    g, alphas = g.copy(), []
    for s, y in reversed(pairs):
        alpha = (s @ g) / (s @ y)
        g -= alpha * y
        alphas.append(alpha)
    if pairs:                                                # the initial H⁻¹ = (s·y / y·y) I
        s, y = pairs[-1]
        g *= (s @ y) / (y @ y)
    else:
        g /= np.linalg.norm(g)
    for (s, y), alpha in zip(pairs, reversed(alphas)):
        g += (alpha - (y @ g) / (s @ y)) * s
    return g


def _with_zero_row(scores):
    """The scores of all classes: for two, a row of 0 is put first, (1, N) -> (2, N)."""
    return scores if len(scores) > 1 else np.concatenate([np.zeros_like(scores), scores])
