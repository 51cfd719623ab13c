"""Compression of vectors: how many bytes each form stores, and what it costs in retrieval quality.

Equation  see space/quantise.py (bytes), space/hamming.py (bits), space/compress.py (fewer numbers)
Shapes    documents X (N, D), rows of norm 1 -> Stored; queries Q (Q, D) -> ids (Q, k)
Cost      compressing is O(N D), with PCA O(N D²)
Read next bench/space/compress.py (queries per second, and a larger table), why/retrieval.py

A form is a function that compresses the document vectors; it returns a Stored, which can search
them.  A search receives float query vectors of norm 1: only the document vectors must be small.
Ranges and principal components are fitted to the document vectors.  The baseline is float32,
without compression.
"""
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import Ranking, rank_ids
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.compress import prefix, principal
from scratch_embed.space.geometry import PCA, pca
from scratch_embed.space.hamming import nearest_hamming, rescore, sign_bits, signs
from scratch_embed.space.heaps import merge_heaps
from scratch_embed.space.neighbours import nearest, top_k_in_blocks
from scratch_embed.space.quantise import calibrate, dequantise, quantise, shift, unshift
from scratch_embed.space.similarity import dot_matrix
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.why.searches import K, Search, embed

HAMMING_DEPTH, RESCORED_DEPTH = 20, 5        # × k: candidates by bits, then by float × bits


class Stored(NamedTuple):
    """A compressed table of vectors and its search function."""

    bytes: int                     # per vector
    search: Callable               # (Q (Q, D), k, workers=1) -> ids (Q, k), best first


# ---- the forms ----------------------------------------------------------------------------------

def floats(X: np.ndarray) -> Stored:
    """The vectors without compression."""
    X = np.ascontiguousarray(X)
    return Stored(4 * X.shape[1], lambda Q, k, workers=1: nearest(
        np.ascontiguousarray(Q), X, k, workers=workers, merge=merge_heaps)[0])


def uint8(X: np.ndarray) -> Stored:
    """One byte per number; the search converts the bytes to floats, block by block."""
    ranges = calibrate(X)
    return _codes(quantise(X, ranges), lambda codes: dequantise(codes, ranges))


def int8(X: np.ndarray) -> Stored:
    """uint8 codes minus 128."""
    ranges = calibrate(X)
    return _codes(shift(quantise(X, ranges)), lambda codes: dequantise(unshift(codes), ranges))


def bits(X: np.ndarray) -> Stored:
    """One bit per number: signs of documents and queries, compared by Hamming distance."""
    codes = sign_bits(X)
    return Stored(codes.shape[1], lambda Q, k, workers=1: nearest_hamming(
        sign_bits(Q), codes, k, workers=workers)[0])


def rescored_bits(X: np.ndarray) -> Stored:
    """Signs; the HAMMING_DEPTH · k nearest by Hamming distance are rescored by float × signs."""
    codes, D = sign_bits(X), X.shape[1]

    def search(Q, k, workers=1):
        near, _ = nearest_hamming(sign_bits(Q), codes, HAMMING_DEPTH * k, workers=workers)
        return rescore(Q, near, lambda ids: signs(codes[ids], D), k)[0]
    return Stored(codes.shape[1], search)


def three_stages(X: np.ndarray) -> Stored:
    """As rescored_bits; its RESCORED_DEPTH · k best are rescored by float query × uint8 codes."""
    codes, D, ranges = sign_bits(X), X.shape[1], calibrate(X)
    byte_codes = quantise(X, ranges)

    def search(Q, k, workers=1):
        near, _ = nearest_hamming(sign_bits(Q), codes, HAMMING_DEPTH * k, workers=workers)
        near, _ = rescore(Q, near, lambda ids: signs(codes[ids], D), RESCORED_DEPTH * k)
        return rescore(Q, near, lambda ids: dequantise(byte_codes[ids], ranges), k)[0]
    return Stored(codes.shape[1] + D, search)


def truncate(X: np.ndarray, dim: int) -> Stored:
    """The first `dim` numbers, not normalised."""
    return _changed(X, lambda x: x[:, :dim])


def truncate_normalised(X: np.ndarray, dim: int, form: Callable[[np.ndarray], Stored] = floats
                        ) -> Stored:
    """The first `dim` numbers, normalised to norm 1; then stored in a form, such as int8."""
    return _changed(X, lambda x: prefix(x, dim), form)


def project_pca(X: np.ndarray, dim: int, fitted: PCA | None = None) -> Stored:
    """The projection on the first `dim` principal components, normalised to norm 1.

    fitted: components of a sample, at least `dim` of them; by default those of X
    """
    whole = pca(X, dim) if fitted is None else fitted
    first = whole._replace(components=whole.components[:dim], variances=whole.variances[:dim])
    return _changed(X, lambda x: principal(x, first))


def prefix_then_all(X: np.ndarray, dim: int) -> Stored:
    """All numbers; the first `dim`, normalised, find HAMMING_DEPTH · k candidates, all rank them.

    Kusupati et al. 2022 call it adaptive retrieval.
    """
    short = np.ascontiguousarray(prefix(X, dim))

    def search(Q, k, workers=1):
        near, _ = nearest(prefix(Q, dim), short, HAMMING_DEPTH * k, workers=workers,
                          merge=merge_heaps)
        return rescore(Q, near, lambda ids: X[ids], k)[0]
    return Stored(4 * X.shape[1], search)


def _changed(X, change, form=floats):
    """Stored change(X), in a form; a search applies the change to the queries too."""
    stored = form(change(X))
    return Stored(stored.bytes, lambda Q, k, workers=1: stored.search(change(Q), k, workers))


def _codes(codes, decode):
    """Stored codes (M, D), one byte per number.  decode: codes -> floats"""
    M, D = codes.shape

    def search(Q, k, workers=1):
        def score(rows, columns):
            return dot_matrix(Q[rows], decode(codes[columns]))
        return top_k_in_blocks(score, len(Q), M, D, k, workers=workers, merge=merge_heaps)[0]
    return Stored(D, search)


def forms(D: int) -> dict[str, Callable[[np.ndarray], Stored]]:
    """All forms for vectors of D numbers, by name."""
    half, quarter = D // 2, D // 4
    return {
        "float32": floats, "int8": int8, "uint8": uint8,
        "bits (Hamming)": bits, "bits, float x bits": rescored_bits,
        "bits, float x bits, int8": three_stages,
        f"first {half}, at length 1": partial(truncate_normalised, dim=half),
        f"first {half}, as cut": partial(truncate, dim=half),
        f"PCA to {half}": partial(project_pca, dim=half),
        f"first {quarter}, at length 1": partial(truncate_normalised, dim=quarter),
        f"first {quarter}, as cut": partial(truncate, dim=quarter),
        f"PCA to {quarter}": partial(project_pca, dim=quarter)}


def stored_bytes(form: Callable[[np.ndarray], Stored], D: int) -> int:
    """The bytes that a form stores for a vector of D numbers."""
    sample = np.random.default_rng(0).standard_normal((2 * D, D)).astype(np.float32)
    return form(l2_normalize(sample)[0]).bytes


# ---- the effect -------------------------------------------------------------------------------

def by_codes(search: Search, form: Callable[[np.ndarray], Stored] = floats) -> Ranking:
    """The Ranking of the K best documents that a form finds."""
    Q, X = (l2_normalize(x)[0] for x in embed(search))
    return rank_ids(form(X).search(Q, K), search.gains)


ABLATIONS = [
    Ablation(
        "float32",
        "255 steps per dimension lose less than 300 queries can show.  64 signs lose much, and so "
        "do the first 32 numbers; the 32 principal components are enough.",
        dict(by=by_codes, form=floats),
        {"int8": (dict(form=int8), NOT_SIGNIFICANT), "uint8": (dict(form=uint8), NOT_SIGNIFICANT),
         "bits (Hamming)": (dict(form=bits), HELPS),
         "first 32, at length 1": (dict(form=partial(truncate_normalised, dim=32)), HELPS),
         "PCA to 32": (dict(form=partial(project_pca, dim=32)), NOT_SIGNIFICANT),
         "PCA to 16": (dict(form=partial(project_pca, dim=16)), HELPS)}),
    Ablation(
        "bits, then float x bits",
        "Float queries have no rounding error; the rounding error of the documents remains.",
        dict(by=by_codes, form=rescored_bits),
        {"bits alone": (dict(form=bits), HELPS),
         "float32": (dict(form=floats), HURTS)}),
    Ablation(
        "bits, float x bits, then int8",
        "The relevant documents are among the 50 that float x bits keeps, so the int8 codes "
        "restore the order.",
        dict(by=by_codes, form=three_stages),
        {"without int8": (dict(form=rescored_bits), HELPS),
         "float32": (dict(form=floats), NOT_SIGNIFICANT)}),
    Ablation(
        "the first 16 of 64, at length 1",
        "Truncated without normalisation, documents with much of their norm in the other "
        "dimensions get lower scores.  Nothing makes the first dimensions better than others: the "
        "16 of PCA are better.",
        dict(by=by_codes, form=partial(truncate_normalised, dim=16)),
        {"as they are cut": (dict(form=partial(truncate, dim=16)), HELPS),
         "PCA to 16": (dict(form=partial(project_pca, dim=16)), HURTS)}),
]
