"""What all sentence encoders share: the arguments of encode(), its last steps, similarities.

Equation  y = quantise(normalize(x_1 .. x_d)): truncate to d dimensions, scale to norm 1, quantise
Shapes    x (N, D) -> y (N, d), or (N, ⌈d/8⌉) for the precisions "binary" and "ubinary"
Differs   The arguments are those of sentence-transformers.  There prompt= silently overrides
          prompt_name=; here both together are an error.  For 0 texts, int8 and uint8 codes have
          shape (0, d) here, but not there.
Read next sentences/static.py, sentences/encoder.py; space/quantise.py, space/hamming.py (the codes)

Why truncate first?  The first d numbers of a unit vector usually have a norm below 1, so the vector
must be scaled after truncation.
"""
import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from scratch_embed.numerics.checks import require_unicode, require_whole
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.hamming import sign_bits
from scratch_embed.space.quantise import calibrate, quantise, shift
from scratch_embed.space.similarity import (
    cosine,
    cosine_matrix,
    dot,
    dot_matrix,
    euclidean,
    euclidean_matrix,
)

FEW = 100                          # fewer vectors give a poor estimate of the ranges: a warning


# ---- the arguments ------------------------------------------------------------------------------

def check_length_and_prompts(settings: Any, max_length: int) -> None:
    """Raise ValueError for a max_seq_length or a default_prompt_name that a model cannot use.

    settings: a Recipe or a cross-encoder's Settings; max_length: the most tokens that it accepts
    """
    if not 1 <= settings.max_seq_length <= max_length:
        raise ValueError(f"max_seq_length={settings.max_seq_length}: expected 1 to {max_length}, "
                         "the model's max_length")
    if settings.default_prompt_name not in (None, *settings.prompts):
        raise ValueError(f"default_prompt_name={settings.default_prompt_name!r}: expected None or "
                         f"one of {list(settings.prompts)}")


def require_parts(name: str, tokenizer: Any, model: Any) -> None:
    """Raise TypeError for a folder in place of a tokenizer and a model.  name: of the class."""
    if model is None or isinstance(tokenizer, str | os.PathLike):
        raise TypeError(f"{name}(): expected a tokenizer and a model, got {tokenizer!r:.60}; to "
                        f"read a folder, use {name}.load(folder)")


def choose_prompt(prompts: Mapping[str, str], prompt_name: str | None, prompt: str | None,
                  default: str | None = None) -> str:
    """The text to put before every input: `prompt`, or else prompts[prompt_name], or else "".

    default: the prompt_name if neither argument is given; prompt="" overrides it.
    Raises ValueError for an unknown name, or if both arguments are given.
    """
    if prompt is not None:
        if prompt_name is not None:
            raise ValueError(f"expected prompt_name or prompt, got both, {prompt_name!r} and "
                             f"{prompt!r}")
        return prompt
    name = default if prompt_name is None else prompt_name
    if name is None:
        return ""
    if name not in prompts:
        names = ", ".join(map(repr, prompts))
        raise ValueError(f"prompt_name={name!r}: expected " + (
            f"one of {names}" if names else "no name, because the model has no prompts"))
    return prompts[name]


def require_encode_arguments(D: int, batch_size: int, precision: str,
                             truncate_dim: int | None) -> None:
    """Raise ValueError for arguments of encode() that are invalid for vectors of D dimensions."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r}: expected {', '.join(map(repr, PRECISIONS))}")
    require_whole("batch_size", batch_size, 1)
    if truncate_dim is not None:
        require_whole("truncate_dim", truncate_dim, 1, D)


def require_texts(inputs: str | Iterable[str]) -> None:
    """Raise TypeError for inputs of encode() that are neither a str nor several, such as None."""
    if not isinstance(inputs, Iterable):
        raise TypeError(f"inputs: expected a text or a list of texts, got {inputs!r}")


def require_text(number: int, text: str) -> None:
    """Raise TypeError unless `text`, the input with index `number`, is a str.

    Raises ValueError for a lone surrogate in it.
    """
    if not isinstance(text, str):
        raise TypeError(f"input {number}: expected a text, a str, got {text!r:.40}")
    require_unicode(f"input {number}", text)


# ---- the last steps -----------------------------------------------------------------------------

def finish(x: np.ndarray, truncate_dim: int | None, normalize: bool) -> np.ndarray:
    """Truncate, then scale to norm 1 if `normalize`.  (N, D) -> (N, truncate_dim or D) float32

    A zero vector stays zero.
    """
    x = x[:, :truncate_dim]
    return (l2_normalize(x)[0] if normalize else x).astype(np.float32)


def round_to(precision: str, x: np.ndarray) -> np.ndarray:
    """Quantise x, (N, d) float32, to a precision -> (N, d), or (N, ⌈d/8⌉) for bits.

    int8 and uint8 use the ranges of x itself, so a vector's code depends on the other vectors.  To
    add vectors later, encode in float32 and use space/quantise.py with stored ranges.
    """
    return PRECISIONS[precision](x)


def _levels(x):
    """Quantise each number to a byte, by the ranges of x.  (N, d) -> (N, d) uint8"""
    if len(x) == 0:
        return x.astype(np.uint8)
    if len(x) == 1:
        raise ValueError("precision: expected at least 2 texts to compute ranges from, got 1; "
                         "encode a sample in float32, and give its calibrate() to quantise(), in "
                         "space/quantise.py")
    if len(x) < FEW:
        warnings.warn(f"the ranges of only {len(x)} texts: later texts may exceed them",
                      stacklevel=4)
    return quantise(x, calibrate(x))


PRECISIONS = {"float32": lambda x: x, "int8": lambda x: shift(_levels(x)), "uint8": _levels,
              "binary": lambda x: shift(sign_bits(x)), "ubinary": sign_bits}


# ---- similarity ---------------------------------------------------------------------------------

def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine of every vector of a with every vector of b.  (N, D), (M, D) -> (N, M).

    A single vector (D,) counts as (1, D).
    """
    return cosine_matrix(np.atleast_2d(a), np.atleast_2d(b))


def similarity_pairwise(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine of each vector of a with its partner in b.  (N, D), (N, D) -> (N,)."""
    return cosine(a, b)


def manhattan(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ_d |a_d − b_d|, summed in float64.  a, b: (..., D), leading axes broadcast -> (...)."""
    return np.abs(np.subtract(a, b)).sum(-1, dtype=np.float64)


def manhattan_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """manhattan() of every row of A with every row of B.  (N, D), (M, D) -> (N, M)."""
    return np.array([manhattan(a, B) for a in A]).reshape(len(A), len(B))


# {similarity_fn_name: (matrix (N, M), pairs (N,))}; distances are negated, so more is closer
MEASURES = {"cosine": (similarity, similarity_pairwise), "dot": (dot_matrix, dot),
            "euclidean": (lambda A, B: -euclidean_matrix(A, B), lambda a, b: -euclidean(a, b)),
            "manhattan": (lambda A, B: -manhattan_matrix(A, B), lambda a, b: -manhattan(a, b))}
