"""Activation functions: GELU in three forms, SiLU, SwiGLU and tanh.

Papers    Hendrycks & Gimpel 2016, "Gaussian Error Linear Units (GELUs)", which also
          defines SiLU.
          Shazeer 2020, "GLU Variants Improve Transformer" (SwiGLU).
Equation  gelu(x) = x Φ(x),  Φ(x) = ½ (1 + erf(x/√2)), the standard normal distribution function
          tanh form: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)));  QuickGELU: x σ(1.702 x)
          silu(x) = x σ(x),   swiglu(gate, up) = silu(gate) ∘ up
Shapes    x (...) -> y (...), elementwise
Cost      float32: one exponential per element in the forward pass, one in the backward pass
          (tanh: none in the backward pass)
Differs   BERT's first code and GPT-2 use the tanh form of GELU, transformers' BERT the erf form.
          They differ by up to 5e-4, so each checkpoint needs its own.  CLIP uses QuickGELU, which
          differs from GELU by at most 0.0204.
Read next nn/layers.py

GELU and SiLU are x times a gate g(x), which rises from 0 to 1 as x grows.  Their derivative is
g(x) + x g'(x).  For g = Φ, g'(x) = φ(x) = e^(−x²/2)/√(2π); for g = σ(c x), g' = c g (1 − g).

Why SwiGLU?  One linear layer computes the gate, another the value that passes.  Their product is
large only if both are large, an "and" of two features.  An MLP with SwiGLU has three matrices
instead of two, so its width F is usually ⅔ as large, for the same number of parameters.
"""
import numpy as np

from scratch_embed.nn.contract import Backward, BackwardEach
from scratch_embed.numerics.functions import erf64, exp32, sigmoid
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.settings import saved_as

f32 = np.float32
HALF, ONE, TWO = f32(0.5), f32(1), f32(2)
GELU_FLAT = f32(7)                           # for |x| > 7 gelu's derivative is 0 or 1 within 1e-10
SILU_FLAT = f32(50)                          # for |x| > 50 silu's derivative is, within 1e-19
QUICK = 1.702                                # |σ(c x) − Φ(x)| is at most 0.0095 for c = 1.702
SQRT_HALF, DENSITY_AT_0 = f32(0.5 ** 0.5), f32((2 * np.pi) ** -0.5)
TANH_SLOPE, TANH_CUBE = f32((2 / np.pi) ** 0.5), f32(0.044715)
THREE_CUBE = f32(3 * 0.044715)
# Abramowitz & Stegun 1964, formula 7.1.26
AS_P, AS_1, AS_2, AS_3, AS_4, AS_5 = (f32(c) for c in (
    0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))


@saved_as("gelu")
def gelu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """x Φ(x).  Error in float32: at most 2⁻²⁰ (1 + |x|) in y, 2⁻¹⁹ |dy| in dx."""
    if x.dtype != np.float32:
        Phi = 0.5 * (1 + erf64(x * 0.5 ** 0.5))

        def backward(dy):
            return dy * (Phi + x * np.exp(-0.5 * x * x) * (2 * np.pi) ** -0.5)
        return x * Phi, backward
    return gelu_kernel(x.ravel()).reshape(x.shape), lambda dy: gelu_backward_kernel(
        x.ravel(), dy.ravel()).reshape(x.shape)


@kernel(inline=True)
def normal32(x):
    """Φ(x) and φ(x) of a float32; both need e^(−x²/2)."""
    a = SQRT_HALF * abs(x)
    e = exp32(-a * a)
    t = ONE / (ONE + AS_P * a)
    upper = HALF * e * t * (AS_1 + t * (AS_2 + t * (AS_3 + t * (AS_4 + t * AS_5))))    # Φ(−|x|)
    return (ONE - upper if x >= f32(0) else upper), DENSITY_AT_0 * e


@kernel
def gelu_kernel(x):
    """gelu's y of (n,) float32."""
    y = np.empty_like(x)
    for i in range(len(x)):
        Phi, _ = normal32(x[i])
        y[i] = x[i] * Phi
    return y


@kernel
def gelu_backward_kernel(x, dy):
    """dx = dy (Φ + x φ)."""
    dx = np.empty_like(x)
    for i in range(len(x)):
        clamped = min(max(x[i], -GELU_FLAT), GELU_FLAT)
        Phi, phi = normal32(clamped)
        dx[i] = dy[i] * (Phi + clamped * phi)
    return dx


@saved_as("gelu_tanh")
def gelu_tanh(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """The tanh form of GELU.  Error in float32: as gelu's."""
    if x.dtype != np.float32:
        c = (2 / np.pi) ** 0.5
        t = np.tanh(c * (x + 0.044715 * x ** 3))

        def backward(dy):
            return dy * 0.5 * (1 + t + x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x))
        return 0.5 * x * (1 + t), backward
    return gelu_tanh_kernel(x.ravel()).reshape(x.shape), lambda dy: gelu_tanh_backward_kernel(
        x.ravel(), dy.ravel()).reshape(x.shape)


@kernel(inline=True)
def tanh_gate32(x):
    """s = ½ (1 + tanh z) = σ(2z) and 1 − s = σ(−2z), z = √(2/π) (x + 0.044715 x³)."""
    e = exp32(-TWO * TANH_SLOPE * (x + TANH_CUBE * x * x * x))
    s = ONE / (ONE + e)
    return s, e * s


@kernel
def gelu_tanh_kernel(x):
    """gelu_tanh's y of (n,) float32."""
    y = np.empty_like(x)
    for i in range(len(x)):
        s, _ = tanh_gate32(x[i])
        y[i] = x[i] * s
    return y


@kernel
def gelu_tanh_backward_kernel(x, dy):
    """dx = dy (s + x s'),  s = σ(2z),  s' = 2 s (1 − s) z'."""
    dx = np.empty_like(x)
    for i in range(len(x)):
        clamped = min(max(x[i], -GELU_FLAT), GELU_FLAT)                 # x² could overflow
        s, rest = tanh_gate32(clamped)                                  # rest = 1 − s
        dz = TANH_SLOPE * (ONE + THREE_CUBE * clamped * clamped)        # z'
        dx[i] = dy[i] * (s + clamped * TWO * s * rest * dz)
    return dx


@saved_as("quick_gelu")
def quick_gelu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """x σ(1.702 x).  Error in float32: as gelu's."""
    return sigmoid_gated(x, QUICK)


def silu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """x σ(x), also called swish.  Error in float32: as gelu's."""
    return sigmoid_gated(x, 1.0)


def sigmoid_gated(x, c):
    """x σ(c x)."""
    if x.dtype != np.float32:
        s = sigmoid(c * x)
        return x * s, lambda dy: dy * (s + c * x * s * (1 - s))
    return sigmoid_gated_kernel(x.ravel(), f32(c)).reshape(x.shape), lambda dy: (
        sigmoid_gated_backward_kernel(x.ravel(), f32(c), dy.ravel()).reshape(x.shape))


@kernel(inline=True, keep_order=True)          # reordered, x e could overflow
def sigmoid_gate32(x, c):
    """s = σ(c x), and the derivative of x s: s + c x s (1 − s), where 1 − s = e s."""
    e = exp32(-c * x)
    s = ONE / (ONE + e)
    clamped = min(max(x, -SILU_FLAT), SILU_FLAT)                          # c x could overflow
    return s, s + c * clamped * s * (e * s)


@kernel
def sigmoid_gated_kernel(x, c):
    """x σ(c x) of (n,) float32."""
    y = np.empty_like(x)
    for i in range(len(x)):
        s, _ = sigmoid_gate32(x[i], c)
        y[i] = x[i] * s
    return y


@kernel
def sigmoid_gated_backward_kernel(x, c, dy):
    """dx = dy (s + c x s (1 − s))."""
    dx = np.empty_like(x)
    for i in range(len(x)):
        _, slope = sigmoid_gate32(x[i], c)
        dx[i] = dy[i] * slope
    return dx


def swiglu(gate: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, BackwardEach]:
    """silu(gate) ∘ up.  gate, up, y: (..., F); backward(dy) -> dgate, dup.

    Error in float32: about 2⁻²⁰ (1 + |gate|) |up| at most in y, 2⁻¹⁹ |dy up| in dgate, and
    2⁻²⁰ (1 + |gate|) |dy| in dup.
    """
    if gate.dtype != np.float32:
        a, back_a = silu(gate)
        return a * up, lambda dy: (back_a(dy * up), dy * a)

    def backward(dy):
        dgate, dup = swiglu_backward_kernel(gate.ravel(), up.ravel(), dy.ravel())
        return dgate.reshape(gate.shape), dup.reshape(up.shape)
    return swiglu_kernel(gate.ravel(), up.ravel()).reshape(gate.shape), backward


@kernel
def swiglu_kernel(gate, up):
    """silu(gate) ∘ up of (n,) float32."""
    y = np.empty_like(gate)
    for i in range(len(gate)):
        s, _ = sigmoid_gate32(gate[i], ONE)
        y[i] = gate[i] * s * up[i]
    return y


@kernel
def swiglu_backward_kernel(gate, up, dy):
    """dgate = dy up silu'(gate),  dup = dy silu(gate)."""
    dgate, dup = np.empty_like(gate), np.empty_like(up)
    for i in range(len(gate)):
        s, slope = sigmoid_gate32(gate[i], ONE)
        dgate[i] = dy[i] * up[i] * slope
        dup[i] = dy[i] * gate[i] * s
    return dgate, dup


def relu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """y = max(x, 0); the gradient at 0 is 0.  x, y: (...).  No kernel: BGE-M3 has one per token.

    >>> relu(np.array([-1.0, 0.0, 2.0]))[0].tolist()
    [0.0, 0.0, 2.0]
    """
    y = np.maximum(x, 0)
    return y, lambda dy: np.where(y > 0, dy, dy.dtype.type(0))


def tanh(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """tanh x.  No kernel: it runs on one row per sequence (BERT's pooler, Dense, SimCSE's head)."""
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)
