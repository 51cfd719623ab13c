"""AdamW, gradient clipping, and the learning rate schedule.

Paper     Kingma & Ba 2015, "Adam", algorithm 1.  Loshchilov & Hutter 2019, "Decoupled Weight Decay
          Regularization", algorithm 2.  Pascanu et al. 2013, algorithm 1 (clipping).
Equation  m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
          θ ← θ (1 − lr λ) − lr m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
          clipping: g ← c g,  c = min(1, max_grad_norm / ‖g‖), ‖g‖ over all parameters together
Shapes    θ, g, m, v: (P,), the flat buffers of nn/params.py
Cost      per parameter, with one worker: one read of g for its norm, then four reads and three
          writes
Differs   from the paper: the decay is multiplied by lr, as in torch's AdamW; biases and norms do
          not decay, as in BERT.  BERT's first code lacks the bias correction, 1 − βᵗ.
Read next transformer/masked_lm.py (a training loop)

Why m / √v?  m is a running mean of the gradients, v of their squares.  So m / √v is near 1 or −1
if successive gradients agree, and near 0 if they cancel, whatever their scale.  m and v start at 0:
after t steps the weights of the gradients in these means sum to 1 − βᵗ, so the means are divided
by that sum (m̂, v̂).

Why decoupled?  Adam with L2 regularisation (λ θ added to g) divides λ θ by √v̂ too, so weights with
large gradients hardly decay.  AdamW subtracts lr λ θ from θ directly.
"""
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.params import Params
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.workers import serial_map

ONE = np.float32(1)
BLOCK = 1 << 16                    # parameters updated in one call


class Optim(NamedTuple):
    """The settings of AdamW, its schedule and clipping."""

    lr: float                      # the highest learning rate, see linear_warmup_decay
    warmup_ratio: float = 0.1      # the share of the steps in which lr rises
    weight_decay: float = 0.01     # λ, for the tensors that are declared to decay
    max_grad_norm: float = 1.0     # a gradient of larger norm is scaled down to it


# ---- AdamW ---------------------------------------------------------------------------------------

class AdamWNumbers(NamedTuple):
    """The constants of one step, each rounded to the parameters' type separately.

    If 1 − β₂ is computed from the float32 0.999, it has about three correct digits fewer than the
    float32 0.001.
    """

    lr: float
    clip: float                    # c
    beta1: float                   # β₁
    new1: float                    # 1 − β₁
    beta2: float                   # β₂
    new2: float                    # 1 − β₂
    eps: float                     # ε
    bias1: float                   # 1 − β₁ᵗ
    bias2: float                   # 1 − β₂ᵗ


def adamw(theta: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, decay: float,
          n: AdamWNumbers) -> None:
    """Take a step with the clipped gradient c g: change theta, m and v, each (P,) like g.

    decay: λ; n: the constants of this step.
    """
    g = n.clip * g
    m[:] = n.beta1 * m + n.new1 * g
    v[:] = n.beta2 * v + n.new2 * g * g
    theta *= 1 - n.lr * decay
    theta -= n.lr * (m / n.bias1) / (np.sqrt(v / n.bias2) + n.eps)


@kernel
def adamw_kernel(theta, g, m, v, decay, n):
    """adamw() for float32."""
    keep = ONE - n.lr * decay
    lr, root = n.lr / n.bias1, ONE / np.sqrt(n.bias2)        # n.lr m̂ = lr m,  √v̂ = root √v
    for i in range(len(theta)):
        grad = n.clip * g[i]
        m[i] = n.beta1 * m[i] + n.new1 * grad
        v[i] = n.beta2 * v[i] + n.new2 * grad * grad
        theta[i] = keep * theta[i] - lr * m[i] / (np.sqrt(v[i]) * root + n.eps)


class AdamW:
    """AdamW: updates the trainable parameters of p, and keeps their moments m and v.

    m, v: Params like p, the running means of g and g²; steps: (), the number of steps taken.
    With weight_decay=0 it is Adam.
    """

    def __init__(self, p: Params, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.01) -> None:
        """weight_decay: λ, for the tensors that are declared to decay."""
        self.p, self.betas, self.eps = p, betas, eps
        self.m, self.v, self.steps = p.like(), p.like(), np.zeros((), np.int64)
        self.blocks = _blocks(p, weight_decay)

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint stores: {"m/<name>", "v/<name>": moments of a tensor, "steps": ()}.

        The arrays are the optimiser's own: to restore a state, write into them.
        """
        return {**{f"m/{name}": view for name, view in self.m.items()},
                **{f"v/{name}": view for name, view in self.v.items()}, "steps": self.steps}

    def step(self, grads: Sequence[Params], lr: float, max_grad_norm: float = np.inf,
             map: Callable = serial_map) -> float:
        """Update p in place with the sum g of all workers' gradients.  -> ‖g‖ before clipping

        grads: one Params like p for each worker; afterwards the first holds the sum.
        max_grad_norm: a gradient of larger norm is scaled down to it.
        map: map(f, items) -> [f(item)], in threads or one after the other.
        """
        g, *others = [g.flat for g in grads]
        workers = range(len(grads))

        def sum_blocks(worker):
            squares = 0.0
            for part, _ in self.blocks[worker::len(grads)]:
                for other in others:
                    g[part] += other[part]
                squares += float(np.dot(g[part], g[part]))
            return squares

        norm = math.sqrt(math.fsum(map(sum_blocks, workers)))
        self.steps += 1
        (b1, b2), t = self.betas, int(self.steps)
        numbers = AdamWNumbers(*(g.dtype.type(number) for number in (
            lr, clip_factor(norm, max_grad_norm), b1, 1 - b1, b2, 1 - b2, self.eps, 1 - b1 ** t,
            1 - b2 ** t)))
        update = adamw_kernel if g.dtype == np.float32 else adamw
        theta, m, v = self.p.flat, self.m.flat, self.v.flat

        def update_blocks(worker):
            for part, decay in self.blocks[worker::len(grads)]:
                update(theta[part], g[part], m[part], v[part], decay, numbers)

        map(update_blocks, workers)
        return norm


def _blocks(p, weight_decay):
    """[(slice of flat, λ)]: each block lies in one tensor; workers share the blocks."""
    blocks, start = [], 0
    for name, view in p.trainable_views().items():
        decay = p.flat.dtype.type(weight_decay if p.tensors[name].decay else 0.0)
        for at in range(0, view.size, BLOCK):
            blocks.append((slice(start + at, start + min(at + BLOCK, view.size)), decay))
        start += view.size
    return blocks


# ---- clipping and the schedule -------------------------------------------------------------------

def clip_factor(norm: float, max_grad_norm: float) -> float:
    """The factor c that scales a gradient of this norm down to max_grad_norm; at most 1.

    nan if the norm overflowed: the parameters become nan, and training stops.  A factor of 0 would
    hide the overflow.
    """
    if norm == np.inf:
        return np.nan
    return max_grad_norm / norm if norm > max_grad_norm else 1.0


def linear_warmup_decay(step: int, steps: int, lr: float, warmup_ratio: float = 0.1) -> float:
    """The learning rate of step 1..steps: a linear rise to `lr`, then a linear fall to 0.

    warmup_ratio: the share of the steps in which the rate rises.  In the first steps m and v are
    means of few gradients, so m / √v is noisy, and full steps could move weights far in a wrong
    direction.
    """
    rising = warmup_ratio * steps
    if step <= rising:
        return lr * step / rising
    return lr * (steps - step) / (steps - rising) if steps > rising else lr
