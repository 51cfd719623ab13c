"""From gradients to steps: SGD, Adam, AdamW; clipping; the learning rate as a function of the step.

Paper     Kingma & Ba 2015, "Adam", algorithm 1.  Loshchilov & Hutter 2019, "Decoupled Weight Decay
          Regularization", algorithm 2.  Pascanu et al. 2013, algorithm 1 (clipping).
Equation  m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
          θ ← θ (1 − lr λ) − lr m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
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
import numpy as np

from scratch_embed.nn.params import Params, decays
from scratch_embed.numerics.kernel import kernel

f32 = np.float32
ONE = f32(1)


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
        self.parts = _runs(p, decay)

    def step(self, g: Params, lr: float) -> None:
        """One step on p, in place.  g: gradients, as p.like()."""
        self.steps += 1
        (b1, b2), t = self.betas, self.steps
        for part, decay in self.parts:
            numbers = (lr, b1, b2, self.eps, decay, 1 - b1 ** t, 1 - b2 ** t)
            arrays = (self.p.flat[part], g.flat[part], self.m[part], self.v[part])
            if self.p.flat.dtype == np.float32:
                adamw_kernel(*arrays, tuple(f32(x) for x in numbers))
            else:
                adamw(*arrays, numbers)


def adamw(theta: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, numbers: tuple) -> None:
    """One step, in place.  (P,) each; numbers: lr, β₁, β₂, ε, λ, 1 − β₁ᵗ, 1 − β₂ᵗ."""
    lr, b1, b2, eps, decay, share_m, share_v = numbers
    m[:] = b1 * m + (1 - b1) * g
    v[:] = b2 * v + (1 - b2) * g * g
    theta *= 1 - lr * decay
    theta -= lr * (m / share_m) / (np.sqrt(v / share_v) + eps)


@kernel
def adamw_kernel(theta, g, m, v, numbers):
    """The same for float32."""
    lr, b1, b2, eps, decay, share_m, share_v = numbers
    keep, rate, root = ONE - lr * decay, lr / share_m, ONE / np.sqrt(share_v)
    for i in range(len(theta)):
        m[i] = b1 * m[i] + (ONE - b1) * g[i]
        v[i] = b2 * v[i] + (ONE - b2) * g[i] * g[i]
        theta[i] = keep * theta[i] - rate * m[i] / (np.sqrt(v[i]) * root + eps)


def _runs(p, decay):
    """Neighbours in flat that decay alike: [(slice, λ)]."""
    runs, start = [], 0
    for name, view in p.items():
        own, end = decay if decays(name) else 0.0, start + view.size
        if runs and runs[-1][1] == own:
            runs[-1] = (slice(runs[-1][0].start, end), own)
        else:
            runs.append((slice(start, end), own))
        start = end
    return runs


# ---- what comes before the step -------------------------------------------------------------------

def clip(g: Params, longest: float) -> float:
    """Scale all gradients together so that ‖g‖ ≤ longest, in place.  -> ‖g‖ as it was."""
    norm = float(np.linalg.norm(g.flat))
    if norm > longest:
        g.flat *= g.flat.dtype.type(longest / norm)
    return norm


def warm_up_then_decay(step: int, steps: int, peak: float, warm_up: float = 0.1) -> float:
    """The learning rate of step 1..steps: up to peak in a straight line, then down to 0.

    warm_up: the share of the steps that it rises.  At first m and v know little, and a full step
    in a direction taken from one batch can do harm that takes long to mend.
    """
    rising = warm_up * steps
    if step <= rising:
        return peak * step / rising
    return peak * (steps - step) / (steps - rising) if steps > rising else peak
