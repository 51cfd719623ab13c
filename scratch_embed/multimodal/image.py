"""Resize, crop and normalise images as CLIP's training did: with Pillow's antialiased filters.

Papers    Keys 1981, "Cubic Convolution Interpolation for Digital Image Processing", eq. 15 with
          a = −½ (the bicubic filter); Parmar, Zhang & Zhu 2022, "On Aliased Resizing and Surprising
          Subtleties in GAN Evaluation" (why the library that resizes matters).
Equation  y_i = Σ_j w_ij x_j,   w_ij = f((j + ½ − c_i)/r) / Σ_k f((k + ½ − c_i)/r),
          c_i = (i + ½) s the centre of output pixel i in the input, s = inputs/outputs,
          r = max(s, 1);
          along one axis, then along the other; each result is rounded to 0..255
Shapes    an image is uint8 (H, W), (H, W, 1), (H, W, 3), or with alpha (H, W, 2) or (H, W, 4)
Cost      about 4 r terms per output pixel and axis for bicubic: proportional to the input's size
Differs   from Pillow 13, nothing: the same weights in 22-bit fixed point and the same order of the
          axes, and so the same pixels.  Up to version 12 Pillow resizes rows first, whatever the
          sizes are; that gives other pixels only if the height loses more than twice as many as
          the width, and then by up to some 20 grey levels, where the filter overshoots.
          Transparent pixels are blended with white, as transformers does since version 5; OpenAI's
          code and Pillow's convert("RGB") discard alpha and keep the hidden colours.
Read next multimodal/image_processor.py (preprocessor_config.json), multimodal/vit.py

Why antialiased?  A picture that is made four times smaller needs the mean of about 4 x 4 input
pixels per output pixel.  Interpolation alone reads the nearest 4 x 4 whatever the scale is, skips
most of the input, and turns fine stripes into false coarse ones.  So the filter f is made wider by
r.  A model that was trained on one kind of resizing gives other vectors for another.

Why negative weights?  The bicubic f is below 0 for 1 < |x| < 2, which sharpens edges: beside a
white area a black one would become "blacker than black", and is cut off at 0.
"""
import math
from collections.abc import Callable

import numpy as np

from scratch_embed.numerics.kernel import kernel

FIXED = 22                         # bits after the point of Pillow's weights for 8-bit pixels
HALF = 1 << (FIXED - 1)            # ½, so that a shift by FIXED rounds
WHITE = 255


# ---- filters -------------------------------------------------------------------------------------

def bilinear(x: np.ndarray) -> np.ndarray:
    """The triangle 1 − |x|, and 0 for |x| ≥ 1."""
    return np.maximum(1 - abs(x), 0)


def bicubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = −½."""
    return keys_cubic(x, -0.5)


def keys_cubic(x: np.ndarray, a: float) -> np.ndarray:
    """1 at 0; 0 at ±1, ±2 and beyond; between 1 and 2 of the sign of a, its slope at 1."""
    x = abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


REACH = {bilinear: 1.0, bicubic: 2.0}       # f(x) = 0 for |x| from here on


def filter_weights(inputs: int, outputs: int, f: Callable = bicubic
                   ) -> tuple[np.ndarray, np.ndarray]:
    """The weights w_ij of one axis: first input of each output (outputs,), weights (outputs, K).

    The weights are whole numbers, w · 2²², as in Pillow.  Terms beyond the image's edge are left
    out before the division by the sum, so a constant image stays constant.

    >>> first, weights = filter_weights(4, 2, bilinear)
    >>> first.tolist(), (weights / 2**22).round(3).tolist()
    ([0, 1], [[0.429, 0.429, 0.143], [0.143, 0.429, 0.429]])
    """
    s = inputs / outputs
    r = max(s, 1.0)
    centre, reach = (np.arange(outputs) + 0.5) * s, REACH[f] * r
    first = np.maximum((centre - reach + 0.5).astype(int), 0)
    end = np.minimum((centre + reach + 0.5).astype(int), inputs)
    j = first[:, None] + np.arange((end - first).max())                        # (outputs, K)
    w = np.where(j < end[:, None], f((j + 0.5 - centre[:, None]) / r), 0.0)
    w /= w.sum(1, keepdims=True)
    return first, np.trunc(w * 2**FIXED + np.copysign(0.5, w)).astype(np.int32)


# ---- resizing ------------------------------------------------------------------------------------

def resize(image: np.ndarray, height: int, width: int, f: Callable = bicubic) -> np.ndarray:
    """Resize an image: uint8 (H, W) or (H, W, C) -> (height, width) or (height, width, C).

    Raises ValueError for another type or shape, an image without pixels, or sizes below 1.

    >>> resize(np.array([[0, 255]], np.uint8), 1, 4).tolist()
    [[0, 53, 202, 255]]
    """
    require_image(image)
    if min(height, width) < 1:
        raise ValueError(f"expected a height and a width of at least 1, got {height} x {width}")
    fewer_rows, fewer_columns = image.shape[0] - height, image.shape[1] - width
    if fewer_rows > max(0, 2 * fewer_columns):                                 # Pillow 13's rule
        return resample(resample(image, 0, height, f), 1, width, f)
    return resample(resample(image, 1, width, f), 0, height, f)


def resample(image: np.ndarray, axis: int, outputs: int, f: Callable) -> np.ndarray:
    """y_i = Σ_j w_ij x_j along one axis, rounded to 0..255; unchanged if it has this size."""
    inputs = image.shape[axis]
    if inputs == outputs:
        return image
    lines = np.moveaxis(image, axis, 0)                                        # (inputs, ...)
    x = np.ascontiguousarray(lines).reshape(inputs, -1)
    y = np.empty((outputs, x.shape[1]), np.uint8)
    resample_kernel(x, *filter_weights(inputs, outputs, f), y)
    return np.moveaxis(y.reshape(outputs, *lines.shape[1:]), 0, axis)


def resample_numpy(x: np.ndarray, first: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """y_i = Σ_k w_ik x_j,  j = first_i + k.  x: (inputs, B), weights (outputs, K), both integers.

    -> y (outputs, B) uint8
    """
    total = np.array(HALF, np.int32)                       # so that the shift rounds
    for k in range(weights.shape[1]):                      # term k of every output at once
        j = np.minimum(first + k, len(x) - 1)
        total = total + weights[:, k, None] * x[j]
    return np.clip(total >> FIXED, 0, WHITE).astype(np.uint8)


@kernel
def resample_kernel(x, first, weights, y):
    """y ← resample_numpy(x, first, weights)."""
    total = np.empty(x.shape[1], np.int32)
    for i in range(len(first)):
        total[:] = HALF
        for k in range(min(weights.shape[1], len(x) - first[i])):
            w, row = weights[i, k], x[first[i] + k]
            for b in range(len(total)):                    # term k of output i
                total[b] += w * np.int32(row[b])
        for b in range(len(total)):
            y[i, b] = min(max(total[b] >> FIXED, 0), WHITE)


def shortest_edge(height: int, width: int, size: int) -> tuple[int, int]:
    """The height and width whose shorter one is `size`, with the same ratio, rounded down.

    >>> shortest_edge(480, 640, 224)
    (224, 298)
    """
    longer = int(size * max(height, width) / min(height, width))
    return (longer, size) if width <= height else (size, longer)


def centre_crop(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The central part of an image; zeros are added around one that is smaller.

    image: (H, W, ...) -> (height, width, ...).  If a margin is odd, one more pixel of a larger
    image is cut off at the end; of a smaller one, one more zero is added at the start.
    """
    for axis, size in ((0, height), (1, width)):
        have = image.shape[axis]
        before = math.ceil((size - have) / 2)              # zeros; negative: cut off
        if before > 0 or have < size:
            pad = [(0, 0)] * image.ndim
            pad[axis] = (before, size - have - before)
            image = np.pad(image, pad)
        else:
            image = image.take(range(-before, size - before), axis)
    return image


# ---- channels ------------------------------------------------------------------------------------

def to_rgb(image: np.ndarray) -> np.ndarray:
    """Grey or RGB, with alpha or without -> RGB (H, W, 3); transparent pixels become whiter.

    >>> to_rgb(np.array([[[200, 100, 0, 255], [200, 100, 0, 0]]], np.uint8)).tolist()
    [[[200, 100, 0], [255, 255, 255]]]
    """
    require_image(image)
    image = image.reshape(*image.shape[:2], -1)
    channels = image.shape[2]
    if channels in (2, 4):
        alpha = image[..., -1:].astype(np.int32)
        blended = alpha * image[..., :-1] + (WHITE - alpha) * WHITE            # times 255
        image = ((blended + WHITE // 2) // WHITE).astype(np.uint8)             # rounded
    return image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)


def require_image(image: np.ndarray) -> None:
    """Raise ValueError unless the image is uint8 (H, W) or (H, W, 1 to 4), with a pixel."""
    fits = isinstance(image, np.ndarray) and image.dtype == np.uint8 and (
        image.ndim == 2 or image.ndim == 3 and 1 <= image.shape[2] <= 4) and image.size
    if not fits:
        if not isinstance(image, np.ndarray):
            found = f"{type(image).__name__}; use np.asarray(image), or the path of a PNG file"
        elif image.dtype != np.uint8:
            found = f"{image.dtype} {image.shape}; scale it to 0..255 and convert it to uint8"
        else:
            found = f"uint8 {image.shape}; put the channels last, and give one image at a time"
        raise ValueError(f"image: expected uint8 pixels (H, W) or (H, W, C), C from 1 to 4, got "
                         f"{found}")
