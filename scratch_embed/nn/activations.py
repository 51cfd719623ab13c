"""The bends between linear layers: GELU in both of its forms, and tanh.

Paper     Hendrycks & Gimpel 2016, "Gaussian Error Linear Units (GELUs)".
Equation  gelu(x) = x Φ(x),  Φ(x) = ½ (1 + erf(x/√2)), the normal distribution's
          its tanh form: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))
Shapes    x (...) -> y (...), elementwise
Cost      one exponential an element; memory, not arithmetic, is what it waits for.
Differs   BERT's first code and GPT-2 have the tanh form, transformers' BERT has the other.  They
          are apart by up to 5e-4, so a checkpoint must be run with its own.
Read next nn/layers.py

gelu'(x) = Φ(x) + x φ(x),  φ(x) = e^(−x²/2)/√(2π) = Φ'(x).  For large x it is 1, for small x 0, and
between it is a gate that opens with x: how much of x passes depends on how large x is.
"""
import numpy as np

from scratch_embed.nn.contract import Backward
from scratch_embed.numerics.functions import erf64, exp32
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.settings import saved_as

f32 = np.float32
HALF, ONE, TWO = f32(0.5), f32(1), f32(2)
FLAT = f32(7)                                # beyond it the slope is 0 or 1 to 1e-10
SQRT_HALF, DENSITY_AT_0 = f32(0.5 ** 0.5), f32((2 * np.pi) ** -0.5)
TANH_SLOPE, TANH_CUBE = f32((2 / np.pi) ** 0.5), f32(0.044715)
THREE_CUBE = f32(3 * 0.044715)
# Abramowitz & Stegun 1964, formula 7.1.26
AS_P, AS_1, AS_2, AS_3, AS_4, AS_5 = (f32(c) for c in (
    0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))


@saved_as("gelu")
def gelu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """x Φ(x).  float32: within 2⁻²⁰ (1 + |x|) of it, dx within 2⁻¹⁹ |dy|."""
    if x.dtype == np.float32:
        return gelu_kernel(x.ravel()).reshape(x.shape), lambda dy: gelu_backward_kernel(
            x.ravel(), dy.ravel()).reshape(x.shape)
    Phi = 0.5 * (1 + erf64(x * 0.5 ** 0.5))

    def backward(dy):
        return dy * (Phi + x * np.exp(-0.5 * x * x) * (2 * np.pi) ** -0.5)
    return x * Phi, backward


@kernel(inline=True)
def normal32(x):
    """Φ(x) and φ(x) of a float32: the e^(−x²/2) of one is a factor of the other."""
    a = SQRT_HALF * abs(x)
    e = exp32(-a * a)
    t = ONE / (ONE + AS_P * a)
    upper = HALF * e * t * (AS_1 + t * (AS_2 + t * (AS_3 + t * (AS_4 + t * AS_5))))    # Φ(−|x|)
    return (ONE - upper if x >= f32(0) else upper), DENSITY_AT_0 * e


@kernel
def gelu_kernel(x):
    """The same for (n,) float32."""
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
        near = min(max(x[i], -FLAT), FLAT)
        Phi, phi = normal32(near)
        dx[i] = dy[i] * (Phi + near * phi)
    return dx


@saved_as("gelu_tanh")
def gelu_tanh(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """The tanh form.  float32: within 2⁻²⁰ (1 + |x|) of it, dx within 2⁻¹⁹ |dy|."""
    if x.dtype == np.float32:
        return gelu_tanh_kernel(x.ravel()).reshape(x.shape), lambda dy: gelu_tanh_backward_kernel(
            x.ravel(), dy.ravel()).reshape(x.shape)
    c = (2 / np.pi) ** 0.5
    t = np.tanh(c * (x + 0.044715 * x ** 3))

    def backward(dy):
        return dy * 0.5 * (1 + t + x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x))
    return 0.5 * x * (1 + t), backward


@kernel(inline=True)
def tanh_gate32(x):
    """s = ½ (1 + tanh z) = σ(2z) and 1 − s = σ(−2z), z = √(2/π) (x + 0.044715 x³)."""
    e = exp32(-TWO * TANH_SLOPE * (x + TANH_CUBE * x * x * x))
    s = ONE / (ONE + e)
    return s, e * s


@kernel
def gelu_tanh_kernel(x):
    """The same for (n,) float32."""
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
        near = min(max(x[i], -FLAT), FLAT)                    # before x² overflows
        s, rest = tanh_gate32(near)
        slope = TANH_SLOPE * (ONE + THREE_CUBE * near * near)
        dx[i] = dy[i] * (s + near * TWO * s * rest * slope)
    return dx


def tanh(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """tanh x, by NumPy's own loop: it is for the pooler's few rows."""
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)
