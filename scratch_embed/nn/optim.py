"""From gradients to steps: SGD, Adam, AdamW; clipping; the learning rate as a function of the step.

Paper     Kingma & Ba 2015, "Adam", algorithm 1.  Loshchilov & Hutter 2019, "Decoupled Weight Decay
          Regularization", algorithm 2.  Pascanu et al. 2013, algorithm 1 (clipping).
Equation  m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
          θ ← θ (1 − lr λ) − lr m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
          clipping: c g for g,  c = min(1, longest / ‖g‖), over all parameters together
Shapes    θ, g, m, v: (P,), the flat buffers of nn/params.py
Cost      reads four numbers and writes three for each parameter: it waits for memory.
Differs   As torch's AdamW: the decay is times lr, and there is none for biases and norms (BERT).
          BERT's first code has no bias correction, 1 − βᵗ; torch, transformers and this have.
Read next transformer/bert.py (a training loop)

m is where the gradients agree, √v how large they are; their quotient is near ±1 where they always
agree and near 0 where they quarrel, whatever their unit.  At the first steps m and v are means of
few numbers and of many zeros, and 1 − βᵗ is the share that is not zeros.

Adam with λ in its gradient (λ θ added to g) would divide the decay by √v̂ too, so that weights with
large gradients hardly decay: that is what the W changed.
"""
import math
from collections.abc import Callable, Sequence

import numpy as np

from scratch_embed.nn.params import Params, decays
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.workers import serial_map

ONE = np.float32(1)
PIECE = 1 << 16                    # parameters that are stepped in one call


def sgd(p: Params, g: Params, lr: float) -> None:
    """θ ← θ − lr g, in place."""
    p.flat -= p.flat.dtype.type(lr) * g.flat


class AdamW:
    """The running means of a model's gradients.  m, v: (P,); steps: how many were taken.

    Adam is AdamW without decay.
    """

    def __init__(self, p: Params, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 decay: float = 0.01) -> None:
        """decay: λ, of the tensors that nn/params.decays names."""
        self.p, self.betas, self.eps = p, betas, eps
        self.m, self.v, self.steps = np.zeros_like(p.flat), np.zeros_like(p.flat), 0
        self.pieces = _pieces(p, decay)

    def step(self, grads: Sequence[Params], lr: float, longest: float = np.inf,
             each: Callable = serial_map) -> float:
        """One step on p, in place, along the sum of all workers' gradients.  -> ‖g‖ of the sum.

        grads: one Params like p for each worker; afterwards the first holds the sum.
        longest: see clip.  each: of numerics/workers.parallel_map, which shares the work out too.
        """
        g, *others = [g.flat for g in grads]
        workers = range(len(grads))

        def add(worker):
            squares = 0.0
            for part, _ in self.pieces[worker::len(grads)]:
                for other in others:
                    g[part] += other[part]
                squares += float(np.dot(g[part], g[part]))
            return squares

        norm = math.sqrt(math.fsum(each(add, workers)))
        self.steps += 1
        (b1, b2), t = self.betas, self.steps
        numbers = np.array([lr, shrink(norm, longest), b1, 1 - b1, b2, 1 - b2, self.eps,
                            1 - b1 ** t, 1 - b2 ** t], g.dtype)
        update = adamw_kernel if g.dtype == np.float32 else adamw

        def move(worker):
            for part, decay in self.pieces[worker::len(grads)]:
                update(self.p.flat[part], g[part], self.m[part], self.v[part], decay, numbers)

        each(move, workers)
        return norm


def adamw(theta: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, decay: float,
          numbers: np.ndarray) -> None:
    """One step along c g, in place.  (P,) each.

    numbers: lr, c, β₁, 1 − β₁, β₂, 1 − β₂, ε, 1 − β₁ᵗ, 1 − β₂ᵗ; each is rounded for itself, for in
    float32 1 − 0.999 has three digits less than 0.001.
    """
    lr, c, b1, new_m, b2, new_v, eps, share_m, share_v = numbers
    g = c * g
    m[:] = b1 * m + new_m * g
    v[:] = b2 * v + new_v * g * g
    theta *= 1 - lr * decay
    theta -= lr * (m / share_m) / (np.sqrt(v / share_v) + eps)


@kernel
def adamw_kernel(theta, g, m, v, decay, numbers):
    """The same for float32."""
    lr, c, b1, new_m, b2, new_v, eps, share_m, share_v = numbers
    keep, rate, root = ONE - lr * decay, lr / share_m, ONE / np.sqrt(share_v)
    for i in range(len(theta)):
        grad = c * g[i]
        m[i] = b1 * m[i] + new_m * grad
        v[i] = b2 * v[i] + new_v * grad * grad
        theta[i] = keep * theta[i] - rate * m[i] / (np.sqrt(v[i]) * root + eps)


def _pieces(p, decay):
    """flat in pieces that decay alike and are short enough to be shared out: [(slice, λ)]."""
    pieces, start = [], 0
    for name, view in p.items():
        own = p.flat.dtype.type(decay if decays(name) else 0.0)
        for at in range(0, view.size, PIECE):
            pieces.append((slice(start + at, start + min(at + PIECE, view.size)), own))
        start += view.size
    return pieces


# ---- what comes before the step ------------------------------------------------------------------

def clip(g: Params, longest: float) -> float:
    """Scale all gradients together so that ‖g‖ ≤ longest, in place.  -> ‖g‖ as it was."""
    norm = float(np.linalg.norm(g.flat))
    g.flat *= g.flat.dtype.type(shrink(norm, longest))
    return norm


def shrink(norm: float, longest: float) -> float:
    """What brings a gradient of length `norm` down to `longest`; 1 if it is no longer.

    nan if the length overflowed: 0 would stop the training, and nobody would hear of it.
    """
    if norm == np.inf:
        return np.nan
    return longest / norm if norm > longest else 1.0


def warm_up_then_decay(step: int, steps: int, peak: float, warm_up: float = 0.1) -> float:
    """The learning rate of step 1..steps: up to peak in a straight line, then down to 0.

    warm_up: the share of the steps that it rises.  At first m and v know little, and a full step
    in a direction taken from one batch can do harm that takes long to mend.
    """
    rising = warm_up * steps
    if step <= rising:
        return peak * step / rising
    return peak * (steps - step) / (steps - rising) if steps > rising else peak
