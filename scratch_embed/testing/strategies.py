"""hypothesis strategies for embeddings: vectors at every scale, rankings with ties, texts.

Each is a function that returns a strategy, to be used in `@given(...)` like hypothesis's own.
By default, exponents of vectors and pairs are drawn uniformly from the type's whole range, so that
1e-30 is as likely as 1, because overflow and underflow occur at the ends of the range.  A failing
example shrinks to few components, and the components shrink to 0 and 1.

    >>> from hypothesis import given
    >>> from scratch_embed.space.similarity import cosine
    >>> @given(pairs())
    ... def test_cosine_is_symmetric(pair):
    ...     a, b = pair
    ...     assert cosine(a, b) == cosine(b, a)
    >>> test_cosine_is_symmetric()
"""
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

Strategy = st.SearchStrategy
FLOATS = (np.float32, np.float64)


# ---- numbers and vectors ------------------------------------------------------------------------

def components(dtype: type, min_exponent: int | None = None, max_exponent: int | None = None,
               digits: int | None = None) -> Strategy[Any]:
    """Numbers m 2^e: m is whole, |m| < 2^digits, and min_exponent ≤ e ≤ max_exponent.

    m = 0 is included.  By default the digits and exponents are those of the type, so denormal
    numbers are drawn too.
    dtype: np.float32 or np.float64
    """
    info = np.finfo(dtype)
    digits = info.nmant + 1 if digits is None else digits
    min_exponent = info.minexp - info.nmant if min_exponent is None else min_exponent
    max_exponent = info.maxexp - digits if max_exponent is None else max_exponent
    return st.builds(lambda e, m: dtype(math.ldexp(m, e)), st.integers(min_exponent, max_exponent),
                     st.integers(1 - 2**digits, 2**digits - 1))


def vectors(dtype: type | None = None, min_exponent: int | None = None,
            max_exponent: int | None = None, max_dim: int = 6) -> Strategy[np.ndarray]:
    """Vectors (D,), 1 ≤ D ≤ max_dim, also the zero vector; float32 or float64 if dtype is None.

    min_exponent, max_exponent: the range of the exponents, as in components().
    """
    return st.tuples(_types(dtype), st.integers(1, max_dim)).flatmap(
        lambda x: _vector(*x, min_exponent, max_exponent))


def pairs(dtype: type | None = None, min_exponent: int | None = None,
          max_exponent: int | None = None, max_dim: int = 6
          ) -> Strategy[tuple[np.ndarray, np.ndarray]]:
    """Two vectors (D,) of one type; some pairs differ at most in the last component."""
    def pairs_of_shape(dtype, D):
        vector = _vector(dtype, D, min_exponent, max_exponent)
        last = components(dtype, min_exponent, max_exponent)
        differ_in_last = st.builds(lambda a, x: (a, np.append(a[:-1], x)), vector, last)
        return st.one_of(st.tuples(vector, vector), differ_in_last)
    return st.tuples(_types(dtype), st.integers(1, max_dim)).flatmap(
        lambda x: pairs_of_shape(*x))


def unit_vectors(dtype: type | None = None, max_dim: int = 6) -> Strategy[np.ndarray]:
    """Vectors (D,) of norm 1, up to rounding."""
    def normalised(x):
        x = x if x.any() else np.ones_like(x)
        return (x / np.linalg.norm(x.astype(np.float64))).astype(x.dtype)
    return vectors(dtype, -24, 0, max_dim).map(normalised)


@st.composite
def batches(draw, dtype: type | None = None, max_rows: int = 5, max_dim: int = 4, tables: int = 1):
    """Tables (N, D) of one shape and type, without zero rows; no component exceeds 255.

    N ≤ max_rows, D ≤ max_dim.  A single array for tables=1, else a tuple of arrays.
    """
    dtype = draw(_types(dtype))
    N, D = draw(st.integers(1, max_rows)), draw(st.integers(1, max_dim))
    row = _vector(dtype, D, -8, 0, 8).map(lambda x: x if x.any() else np.ones_like(x))
    drawn = tuple(np.array(draw(st.lists(row, min_size=N, max_size=N))) for _ in range(tables))
    return drawn[0] if tables == 1 else drawn


def _types(dtype):
    return st.sampled_from(FLOATS) if dtype is None else st.just(dtype)


def _vector(dtype, D, min_exponent, max_exponent, digits=None):
    number = components(dtype, min_exponent, max_exponent, digits)
    return st.lists(number, min_size=D, max_size=D).map(lambda x: np.array(x, dtype))


# ---- rankings -----------------------------------------------------------------------------------

DOCUMENTS = ("a", "b", "c", "d", "9", "10", "B", "é", "z")


def scores(max_size: int = 12) -> Strategy[np.ndarray]:
    """Scores (M,) float32 or float64, often with ties; also ±0 and ±inf, but no nan."""
    repeated = st.sampled_from([0.0, 1.0, 2.5, -1.0, -0.0, np.inf, -np.inf])
    number = st.one_of(repeated, st.floats(-4, 4, width=16))
    return st.builds(np.array, st.lists(number, min_size=1, max_size=max_size),
                     st.sampled_from(FLOATS))


@st.composite
def rankings(draw, all_returned: bool = False) -> tuple[dict[str, int], dict[str, float]]:
    """A query's judgements {document: gain} and a system's results {document: score}, often tied.

    Gains are 0 to 3, and at least one is positive.  Some documents have no judgement and, unless
    all_returned, some are not returned.
    """
    documents = draw(st.lists(st.sampled_from(DOCUMENTS), min_size=1, unique=True))
    gain = st.sampled_from([0, 1, 2, 3, None])
    score = st.sampled_from([0.0, 0.5, 1.0, -1.0] + [None] * (not all_returned))
    judged = {d: g for d in documents if (g := draw(gain)) is not None}
    results = {d: s for d in documents if (s := draw(score)) is not None}
    if not any(judged.values()):
        judged[documents[0]] = 1
    return judged, results


# ---- tokens and texts ---------------------------------------------------------------------------

def token_ids(vocab_size: int, max_size: int = 12) -> Strategy[list[int]]:
    """Lists of ids in 0 .. vocab_size − 1, at least one id long."""
    return st.lists(st.integers(0, vocab_size - 1), min_size=1, max_size=max_size)


def sequences(vocab_size: int = 30, max_sequences: int = 6, max_length: int = 12
              ) -> Strategy[list[list[int]]]:
    """Lists of token-id lists, which may differ in length, to be packed or padded to a batch."""
    return st.lists(token_ids(vocab_size, max_length), min_size=1, max_size=max_sequences)


WORDS = ("a", "the", "king", "queen", "sings", "unaffable", "Paris", "don't", "42", ".", "xyzzy")
FRAGMENTS = ("é", "e\u0301", "ς", "ΑΣ", "日本", "한국어", "السلام", "हिन्दी", "ไทย", "🙂", "👩‍🚀",
             "İ", "\u00a0", "\u200b", "\u3000", "\ufffd", "…", "\t", "\n", "##", "[MASK]", "<s>")


def sentences(words: Sequence[str] = WORDS, max_words: int = 12) -> Strategy[str]:
    """Words from a list, separated by single spaces; also the empty text."""
    return st.lists(st.sampled_from(words), max_size=max_words).map(" ".join)


def texts(max_size: int = 20) -> Strategy[str]:
    """Texts of words, accents, ideographs, emoji and white space, or of any Unicode characters.

    No lone surrogates, because they have no UTF-8 form.
    """
    parts = st.one_of(st.sampled_from(WORDS), st.sampled_from(FRAGMENTS))
    spaced = st.lists(st.tuples(parts, st.sampled_from([" ", "", "  "])), max_size=max_size // 2)
    return st.one_of(spaced.map(lambda drawn: "".join(part + space for part, space in drawn)),
                     st.text(st.characters(exclude_categories=["Cs"]), max_size=max_size))
