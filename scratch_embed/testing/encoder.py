"""check_encoder: does a text have the same vector in every batch?

Equation  encode([x_1 .. x_N])_n = encode([x_n])_1
Shapes    encode(texts) -> (N, D), a list of N texts; encode(text) -> (D,), one str
Bounds    In another batch, BLAS may add the terms of a matrix product in another order.  The bound
          is γ(16 D) times the largest absolute value of the vectors, in their type (γ: see
          rounding.py), which allows the roundings of four products of 4D terms.
          A deeper or wider model, or one that computes in half precision, needs another tolerance.
Read next sentences/encoder.py (packs sequences end to end, without padding)

The usual batch is a rectangle: shorter texts are filled up with [PAD].  If the mask is forgotten in
attention, in the mean or in a convolution, a text's vector depends on the longest text in its
batch.  No error is raised; the vectors are a little worse, and differ between batches.
"""
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from scratch_embed.testing.invariants import Invariant, close, equal, named, require, run
from scratch_embed.testing.rounding import gamma, unit_roundoff
from scratch_embed.testing.strategies import sentences
from scratch_embed.testing.strategies import texts as any_texts

LONG = 30                                    # words of the longer text of a batch


class Encoder(NamedTuple):
    """The subject of the check: an encoder, and how much two vectors of a text may differ."""

    encode: Callable[..., Any]
    tolerance: float | None                  # relative to the largest absolute value; None: γ(16 D)

    def rows(self, texts: list[str]) -> np.ndarray:
        """The vectors (N, D) of a list of texts; raises Broken for another shape."""
        found = np.asarray(self.encode(list(texts)))
        require(found.ndim == 2 and len(found) == len(texts),
                f"encode({len(texts)} texts) of shape {found.shape}", f"({len(texts)}, D)")
        return found

    def bound(self, vectors: np.ndarray) -> float:
        """How much two vectors of the same text may differ, in each component."""
        roundoff = unit_roundoff(vectors.dtype) if vectors.dtype.kind == "f" else 0.0
        tolerance = (gamma(16 * vectors.shape[1], roundoff) if self.tolerance is None
                     else self.tolerance)
        return tolerance * abs(vectors).max(initial=0)


def check_encoder(encode: Callable[..., Any], *, tolerance: float | None = None,
                  texts: st.SearchStrategy[str] | None = None, without: Collection[str] = (),
                  max_examples: int | None = None, seed: int | None = 0) -> None:
    """Raise AssertionError unless encode(texts) satisfies ENCODER's invariants.

    encode(texts) -> (N, D) for a list of N texts, numbers of any type.  If encode accepts only
    lists with at least one text, and no str, pass without=("one_text", "no_texts").
    tolerance: how much two vectors of one text may differ, relative to the largest absolute value.
    texts: a strategy of texts; by default sentences, and texts of every script.
    without: invariants to leave out; max_examples, seed: see scratch_embed/testing/README.md.

    >>> def letters(texts):                                    # counts of a, b and c
    ...     rows = np.array([[t.count(c) for c in "abc"] for t in np.atleast_1d(texts)], float)
    ...     return rows[0] if isinstance(texts, str) else rows.reshape(-1, 3)
    >>> check_encoder(letters)
    >>> check_encoder(lambda texts: letters(texts) - letters(texts).mean(axis=0))
    Traceback (most recent call last):
    AssertionError: check_encoder: the invariant 'batch' is broken: ...
    """
    invariants = ENCODER if texts is None else invariants_on(texts)
    run("check_encoder", invariants, Encoder(encode, tolerance), without, max_examples, seed)


# ---- the invariants -----------------------------------------------------------------------------

def inputs_unchanged(encoder, texts):
    """encode does not change the list of texts.

    Bound: exact.
    """
    before = list(texts)
    encoder.encode(texts)
    equal("texts after the call", texts, before)


def shape(encoder, texts):
    """N texts have N finite vectors of the same dimension.

    Bound: exact.
    """
    found, alone = encoder.rows(texts), encoder.rows(texts[:1])
    equal("D of several texts", found.shape[1], alone.shape[1])
    require(np.isfinite(found).all(), f"encode(texts) = {found!r}", "finite numbers")


def deterministic(encoder, texts):
    """The same call gives the same numbers, exactly.

    Bound: exact.  Dropout that is still on breaks it.
    """
    equal("encode(texts), called again", encoder.rows(texts), encoder.rows(texts))


def batch(encoder, texts):
    """A text has the same vector alone as in a batch.

    Bound: γ(16 D) times the largest absolute value, or the tolerance.
    """
    together = encoder.rows(texts)
    for n, text in enumerate(texts):
        close(f"encode(texts)[{n}]", together[n], encoder.rows([text])[0],
              encoder.bound(together))


def padding(encoder, text, word):
    """A text has the same vector in a batch with a much longer text as in a batch with itself.

    Bound: γ(16 D) times the largest absolute value, or the tolerance.
    """
    with_long = encoder.rows([text, " ".join([word] * LONG)])
    close(f"encode([text, {LONG} times word])[0]", with_long[0], encoder.rows([text, text])[0],
          encoder.bound(with_long))


def order(encoder, texts, seed):
    """Texts in another order have the same vectors, in that order.

    Bound: γ(16 D) times the largest absolute value, or the tolerance.
    """
    permutation = np.random.default_rng(seed).permutation(len(texts)).tolist()
    found = encoder.rows([texts[i] for i in permutation])
    expected = encoder.rows(texts)[permutation]
    close(f"encode(texts in the order {permutation})", found, expected, encoder.bound(expected))


def repeated(encoder, text, count):
    """The same text several times in a batch has the same vector each time.

    Bound: γ(16 D) times the largest absolute value, or the tolerance.
    """
    found = encoder.rows([text] * count)
    close(f"encode([text] * {count})", found, np.broadcast_to(found[0], found.shape),
          encoder.bound(found))


def one_text(encoder, text):
    """encode(text) of a str is the vector (D,) of encode([text]).

    Bound: γ(16 D) times the largest absolute value, or the tolerance.  If a str is taken for a
    list of letters, there is a vector for each letter.
    """
    expected = encoder.rows([text])
    close("encode(text)", np.asarray(encoder.encode(text)), expected[0], encoder.bound(expected))


def no_texts(encoder, text):
    """encode([]) has the shape (0, D).

    Bound: exact.
    """
    equal("encode([]).shape", tuple(np.asarray(encoder.encode([])).shape),
          (0, encoder.rows([text]).shape[1]))


def invariants_on(text: st.SearchStrategy[str]) -> dict[str, Invariant]:
    """ENCODER on the texts of a strategy."""
    batches, words = st.lists(text, min_size=1, max_size=5), st.sampled_from(["king", "a", "é"])
    alone = st.tuples(text)
    return named(
        Invariant(inputs_unchanged, st.tuples(batches)),
        Invariant(shape, st.tuples(batches)),
        Invariant(deterministic, st.tuples(batches)),
        Invariant(batch, st.tuples(batches)),
        Invariant(padding, st.tuples(text, words)),
        Invariant(order, st.tuples(batches, st.integers(0, 1000))),
        Invariant(repeated, st.tuples(text, st.integers(2, 5))),
        Invariant(one_text, alone),
        Invariant(no_texts, alone))


ENCODER = invariants_on(st.one_of(sentences(), any_texts()))
