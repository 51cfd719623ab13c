"""Compressed vectors: the bytes that each form stores, and the retrieval quality that it keeps."""
from functools import partial

import numpy as np
import pytest
from hypothesis import given

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.neighbours import nearest
from scratch_embed.why.ablations import measure
from scratch_embed.why.compression import (
    ABLATIONS,
    HAMMING_DEPTH,
    bits,
    by_codes,
    floats,
    forms,
    int8,
    prefix_then_all,
    project_pca,
    rescored_bits,
    stored_bytes,
    three_stages,
    truncate,
    truncate_normalised,
    uint8,
)
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.why.searches import dense, ndcg_percent, search_facts
from scratch_embed.worlds.facts import facts
from tests.rounding import seeds


def unit_vectors(seed, n=60, dim=16):
    return l2_normalize(np.random.default_rng(seed).standard_normal((n, dim)))[0].astype(np.float32)


def test_bytes_by_hand():
    found = {name: stored_bytes(form, 64) for name, form in forms(64).items()}
    assert found == {"float32": 256, "int8": 64, "uint8": 64, "bits (Hamming)": 8,
                     "bits, float x bits": 8, "bits, float x bits, int8": 72,
                     "first 32, at length 1": 128, "first 32, as cut": 128, "PCA to 32": 128,
                     "first 16, at length 1": 64, "first 16, as cut": 64, "PCA to 16": 64}


def test_truncation_and_projection_by_hand():
    X = np.array([[.6, 0, .8], [.5, .5, .5**.5]], np.float32)
    Q = np.array([[1, .3, 0]], np.float32)
    assert truncate(X, 2).search(Q, 1).tolist() == [[1]]          # .6 against .65
    assert truncate_normalised(X, 2).search(Q, 1).tolist() == [[0]]  # 1 against .92
    line = np.array([[0, -2, 0], [0, 1, 0], [0, 1.5, 0]], np.float32)
    assert project_pca(line, 1).search(np.array([[9, -1, 9]], np.float32), 1).tolist() == [[0]]


@given(seeds)
def test_int8_and_uint8_give_the_same_order(seed):
    X, Q = unit_vectors(seed), unit_vectors(seed + 1, 4)
    np.testing.assert_array_equal(int8(X).search(Q, 5), uint8(X).search(Q, 5))


@given(seeds)
def test_if_all_rows_are_candidates_only_the_last_stage_matters(seed):
    """With 20 rows and k = 4, HAMMING_DEPTH · k and RESCORED_DEPTH · k are at least 20."""
    X, Q = unit_vectors(seed, n=20), unit_vectors(seed + 1, 4)
    np.testing.assert_array_equal(three_stages(X).search(Q, 4), uint8(X).search(Q, 4))
    signs = np.where(X > 0, np.float32(1), np.float32(-1))
    _, best = nearest(Q, signs, 4)
    found = np.take_along_axis(Q @ signs.T, rescored_bits(X).search(Q, 4), axis=1)
    np.testing.assert_allclose(found, best, atol=1e-6)


def test_vectors_that_are_far_apart_find_themselves_if_no_dimension_is_dropped():
    """The rows of a 64 x 64 Hadamard matrix, and their negatives, slightly changed.

    Forms with fewer dimensions mix some rows up, so they must only beat chance, 1/128, clearly.
    """
    H = np.array([[1.0]])
    while len(H) < 64:
        H = np.block([[H, H], [H, -H]])
    X, _ = l2_normalize(np.vstack([H, -H]) + 0.3 * np.eye(64)[np.arange(128) % 64])
    X = X.astype(np.float32)
    for name, form in forms(64).items():
        all_dimensions = not name.startswith(("first", "PCA"))
        ids = form(X).search(X, 1)[:, 0]
        share = (ids == np.arange(128)).mean()
        assert share == 1 if all_dimensions else share > 0.2, name


@given(seeds)
def test_if_all_rows_are_candidates_a_prefix_for_the_candidates_changes_nothing(seed):
    X, Q = unit_vectors(seed, n=20), unit_vectors(seed + 1, 4)
    np.testing.assert_array_equal(prefix_then_all(X, 3).search(Q, 4), floats(X).search(Q, 4))


def test_the_prefix_chooses_the_candidates_by_hand(monkeypatch):
    """With one candidate, the nearest by the first number wins; the other number is not used."""
    monkeypatch.setattr("scratch_embed.why.compression.HAMMING_DEPTH", 1)
    X, Q = np.array([[.6, .8], [-.1, .995]], np.float32), np.array([[.05, 1]], np.float32)
    assert floats(X).search(Q, 1).tolist() == [[1]]
    assert prefix_then_all(X, 1).search(Q, 1).tolist() == [[0]]


def test_one_and_two_workers_give_the_same_results():
    X, Q = unit_vectors(1, 300), unit_vectors(2, 10)
    for form in (floats, int8, bits, rescored_bits, three_stages,
                 partial(prefix_then_all, dim=4)):
        np.testing.assert_array_equal(form(X).search(Q, 5), form(X).search(Q, 5, workers=2))


@pytest.fixture(scope="module")
def searches():
    return [search_facts(facts(seed, 600, 150, sentences=6000, pairs=0), seed)
            for seed in (1, 2, 3)]


def test_forms_keep_the_expected_quality_in_each_of_three_worlds(searches):
    """nDCG@10 in %.  Each bound is at most half of the smallest margin found in ten worlds."""
    scores = measure([partial(by_codes, form=form) for form in forms(64).values()], searches,
                     score=ndcg_percent)
    row = dict(zip(forms(64), scores))
    assert (np.abs(row["int8"] - row["float32"]) < 1).all()
    np.testing.assert_array_equal(row["int8"], row["uint8"])
    assert (row["bits, float x bits"] > row["bits (Hamming)"] + 2).all()
    assert (row["bits, float x bits, int8"] > row["bits, float x bits"] + 3).all()
    assert (row["bits, float x bits, int8"] > row["float32"] - 3).all()
    assert (row["PCA to 32"] > row["float32"] - 2).all()
    for dim in 32, 16:
        names = f"PCA to {dim}", f"first {dim}, at length 1", f"first {dim}, as cut"
        projected, normalised, truncated = (row[name] for name in names)
        assert (projected > normalised + 2).all() and (normalised > truncated).all()


def test_floats_give_the_uncompressed_search(searches):
    assert ndcg_percent(searches[0], by_codes(searches[0])) == pytest.approx(
        ndcg_percent(searches[0], dense(searches[0])), abs=0.01)


def test_every_variant_is_another_form():
    for ablation in ABLATIONS:
        for change, predicted in ablation.variants.values():
            assert set(change) == {"form"} and predicted in (HELPS, HURTS, NOT_SIGNIFICANT)
            assert change["form"] is not ablation.settings["form"]
    assert HAMMING_DEPTH > 1
