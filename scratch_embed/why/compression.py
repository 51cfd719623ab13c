"""Smaller vectors, side by side: what is stored, and how much of the search is left.

Equation  see space/quantise.py (bytes), space/hamming.py (bits), space/compress.py (fewer numbers)
Shapes    X (N, D) rows of length 1 -> Stored; a search: Q (Q, D) -> ids (Q, k)
Cost      that of the search; to store, O(N D), for PCA O(N D²).
Read next bench/space/compress.py (queries a second, and a larger table), why/retrieval.py

Every form is a function from the table of documents to what is kept of it and how to search that.
Queries come as floats of length 1: only what is stored must be small.  Ranges and components are
fitted to the stored table itself.
"""
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import Ranking
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.compress import prefix, principal
from scratch_embed.space.geometry import pca
from scratch_embed.space.hamming import nearest_hamming, rescore, sign_bits, signs
from scratch_embed.space.heaps import merge_heaps
from scratch_embed.space.neighbours import nearest, top_k_in_blocks
from scratch_embed.space.quantise import calibrate, dequantise, quantise, shift, unshift
from scratch_embed.space.similarity import dot_matrix
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.why.searches import K, Search, embed

FIRST, SECOND = 20, 5              # times k: how many the bits find, and float × bits keeps


class Stored(NamedTuple):
    """A table in some form."""

    bytes: int                     # a vector
    search: Callable               # (Q (Q, D), k, workers=1) -> ids (Q, k), best first


# ---- the forms ----------------------------------------------------------------------------------

def floats(X: np.ndarray) -> Stored:
    """As they are."""
    return _rows(X, lambda Q: Q)


def uint8(X: np.ndarray) -> Stored:
    """A byte a number, made a float again in the search, block by block."""
    ranges = calibrate(X)
    return _codes(quantise(X, ranges), lambda codes: dequantise(codes, ranges))


def int8(X: np.ndarray) -> Stored:
    """The same with 128 taken off."""
    ranges = calibrate(X)
    return _codes(shift(quantise(X, ranges)), lambda codes: dequantise(unshift(codes), ranges))


def bits(X: np.ndarray) -> Stored:
    """Signs alone, of documents and queries."""
    codes = sign_bits(X)
    return Stored(codes.shape[1], lambda Q, k, workers=1: nearest_hamming(
        sign_bits(Q), codes, k, workers=workers)[0])


def rescored_bits(X: np.ndarray) -> Stored:
    """Signs; the FIRST · k nearest are scored again with the query's own numbers."""
    codes, D = sign_bits(X), X.shape[1]

    def search(Q, k, workers=1):
        near, _ = nearest_hamming(sign_bits(Q), codes, FIRST * k, workers=workers)
        return rescore(Q, near, lambda ids: signs(codes[ids], D), k)[0]
    return Stored(codes.shape[1], search)


def three_stages(X: np.ndarray) -> Stored:
    """Signs, then float × signs, and the SECOND · k best of these by their bytes."""
    codes, D, ranges = sign_bits(X), X.shape[1], calibrate(X)
    whole = quantise(X, ranges)

    def search(Q, k, workers=1):
        near, _ = nearest_hamming(sign_bits(Q), codes, FIRST * k, workers=workers)
        near, _ = rescore(Q, near, lambda ids: signs(codes[ids], D), SECOND * k)
        return rescore(Q, near, lambda ids: dequantise(whole[ids], ranges), k)[0]
    return Stored(codes.shape[1] + D, search)


def cut(X: np.ndarray, dim: int) -> Stored:
    """The first numbers, as long as they fall out."""
    return _rows(X[:, :dim], lambda Q: Q[:, :dim])


def cut_to_unit(X: np.ndarray, dim: int) -> Stored:
    """The first numbers, brought to length 1."""
    return _rows(prefix(X, dim), lambda Q: prefix(Q, dim))


def turned(X: np.ndarray, dim: int) -> Stored:
    """The numbers along the first principal components, at length 1."""
    components = pca(X, dim)
    return _rows(principal(X, components), lambda Q: principal(Q, components))


def _rows(X, prepare):
    """Float rows, and what makes a query one of them."""
    X = np.ascontiguousarray(X)
    return Stored(4 * X.shape[1], lambda Q, k, workers=1: nearest(
        np.ascontiguousarray(prepare(Q)), X, k, workers=workers, merge=merge_heaps)[0])


def _codes(codes, decode):
    """A byte a number; decode: codes -> floats."""
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
        f"first {half}, at length 1": partial(cut_to_unit, dim=half),
        f"first {half}, as cut": partial(cut, dim=half),
        f"PCA to {half}": partial(turned, dim=half),
        f"first {quarter}, at length 1": partial(cut_to_unit, dim=quarter),
        f"first {quarter}, as cut": partial(cut, dim=quarter),
        f"PCA to {quarter}": partial(turned, dim=quarter)}


def stored_bytes(form: Callable[[np.ndarray], Stored], D: int) -> int:
    """The bytes that a form keeps of a vector of D numbers."""
    sample = np.random.default_rng(0).standard_normal((2 * D, D)).astype(np.float32)
    return form(l2_normalize(sample)[0]).bytes


# ---- what is left -------------------------------------------------------------------------------

def by_codes(search: Search, form: Callable[[np.ndarray], Stored] = floats) -> Ranking:
    """The K best that a form finds; ties go to the lowest id, which here says nothing of gain."""
    Q, X = (l2_normalize(x)[0] for x in embed(search))
    ids = form(X).search(Q, K)
    return Ranking(np.take_along_axis(search.gains, ids, axis=1), -np.sort(-search.gains, axis=1))


ABLATIONS = [
    Ablation(
        "float32",
        "255 steps an axis lose less than 300 questions can show.  Signs lose much where there "
        "are only 64, and so does half of the numbers; the half that varies most is enough.",
        dict(by=by_codes, form=floats),
        {"int8": (dict(form=int8), NOT_SIGNIFICANT), "uint8": (dict(form=uint8), NOT_SIGNIFICANT),
         "bits (Hamming)": (dict(form=bits), HELPS),
         "first 32, at length 1": (dict(form=partial(cut_to_unit, dim=32)), HELPS),
         "PCA to 32": (dict(form=partial(turned, dim=32)), NOT_SIGNIFICANT),
         "PCA to 16": (dict(form=partial(turned, dim=16)), HELPS)}),
    Ablation(
        "bits, then float x bits",
        "With the query's own numbers one of two roundings is gone; the documents' is left.",
        dict(by=by_codes, form=rescored_bits),
        {"bits alone": (dict(form=bits), HELPS),
         "float32": (dict(form=floats), HURTS)}),
    Ablation(
        "bits, float x bits, then int8",
        "What is relevant is among the 50 that float x bits keeps, so the bytes put all right.",
        dict(by=by_codes, form=three_stages),
        {"without int8": (dict(form=rescored_bits), HELPS),
         "float32": (dict(form=floats), NOT_SIGNIFICANT)}),
    Ablation(
        "the first 16 of 64, at length 1",
        "As they are cut, documents with much of their length beyond are marked down.  Nothing "
        "makes the first numbers better than others: PCA's 16 are.",
        dict(by=by_codes, form=partial(cut_to_unit, dim=16)),
        {"as they are cut": (dict(form=partial(cut, dim=16)), HELPS),
         "PCA to 16": (dict(form=partial(turned, dim=16)), HURTS)}),
]
