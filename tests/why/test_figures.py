"""The numbers behind the figures, compared with the equations that they illustrate."""
import numpy as np
import pytest

from scratch_embed.why.figures import (
    alias_columns,
    cone,
    distance_weights,
    frame_of,
    hyperplanes,
    infonce_push,
    norm_gradient,
    packed_batch,
    smaller_vectors,
)


def test_a_packed_batch_by_hand():
    """Two texts of 1 and 3 words are 3 and 5 tokens with [CLS] and [SEP]."""
    batch = packed_batch(["why", "the king rules"])
    assert batch.offsets.tolist() == [0, 3, 8]
    assert batch.real.astype(int).tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.packed_pairs == 9 + 25 and batch.padded_pairs == 2 * 25


def test_packed_rows_are_the_real_entries_of_the_padded_batch():
    batch = packed_batch()
    assert batch.real.sum() == batch.offsets[-1] < batch.real.size
    assert batch.packed_pairs < batch.padded_pairs


def test_alias_columns_sum_to_1_and_a_words_parts_sum_to_V_times_its_probability():
    """count^¾ of the default is 27, 8, 8, 1, 1, 1, which sum to 46."""
    words, p, mass = alias_columns()
    V = len(words)
    np.testing.assert_allclose(p, np.array([27, 8, 8, 1, 1, 1]) / 46, rtol=1e-15)
    np.testing.assert_allclose(mass.sum(axis=0), 1, rtol=1e-7)
    np.testing.assert_allclose(mass.sum(axis=1), V * p, rtol=1e-6)
    assert ((mass > 0).sum(axis=0) <= 2).all()


def test_weights_by_distance_by_hand():
    found = distance_weights(window=4, draws=400)
    assert found.random_window.tolist() == [1, 0.75, 0.5, 0.25]
    np.testing.assert_allclose(found.harmonic, [1, 1 / 2, 1 / 3, 1 / 4], rtol=1e-15)
    assert found.fixed_window.tolist() == [1] * 4
    # a share p of 400 draws has the standard deviation √(p (1 − p)/400) ≤ 0.025; 0.1 is 4 of them
    assert found.drawn[0] == 1 and abs(found.drawn - found.random_window).max() < 0.1


def test_layer_norm_removes_the_gradient_along_ones_and_along_xhat_only_if_eps_is_0():
    found = norm_gradient(D=16, seed=3)
    np.testing.assert_allclose(found.ones, 0, atol=1e-14)
    np.testing.assert_allclose(found.xhat, found.eps / (1 + found.eps), atol=1e-14)
    np.testing.assert_allclose(found.others, 1, rtol=1e-13)
    at_1 = np.searchsorted(found.eps, 1 - 1e-9)
    assert found.eps[at_1] == pytest.approx(1) and found.xhat[at_1] == pytest.approx(0.5)


def test_the_drawn_dx_is_orthogonal_to_x_and_d_minus_dx_is_parallel_to_x():
    _, _, _, _, x, d, dx = norm_gradient()
    assert abs(x @ dx) < 1e-14
    removed = d - dx
    assert abs(removed[0] * x[1] - removed[1] * x[0]) < 1e-14


def test_p_ij_by_hand():
    """A negative with the cosine s of the positive: p_ij = p_ii = e^{s/τ}/(2 e^{s/τ} + M − 2)."""
    found = infonce_push(taus=(1.0, 0.5), partner=0.8, keys=5)
    at = {c: int(np.abs(found.cosine - c).argmin()) for c in (0, 0.8)}
    for tau in (1.0, 0.5):
        e = np.exp(0.8 / tau)
        assert found.p[tau][at[0.8]] == pytest.approx(e / (2 * e + 3), rel=1e-9)
        assert found.p[tau][at[0]] == pytest.approx(1 / (e + 4), rel=1e-9)
        assert found.share[tau][at[0]] == pytest.approx(1 / 4, rel=1e-9)      # 4 equal negatives
        assert (np.diff(found.p[tau]) > 0).all() and (np.diff(found.share[tau]) > 0).all()


def test_the_share_of_bits_that_differ_is_angle_over_180():
    found = hyperplanes(D=256, pairs=20)
    assert (found.differ[0] == 0).all() and (found.differ[-1] == 1).all()
    # a share of 256 · 20 bits has a standard deviation of at most 0.007; 0.035 is five of them
    np.testing.assert_allclose(found.differ.mean(axis=1), found.angle / 180, atol=0.035)
    products = (found.normals @ found.x) * (found.normals @ found.y)
    assert found.separated.tolist() == (products < 0).tolist()


def test_a_frame_is_a_report_without_the_words_of_its_fact():
    assert frame_of("near the shore the weary seaman mended the lantern") == "near the the the"


def test_the_cone_has_a_cosine_for_each_pair_of_reports_and_each_model():
    found = cone(documents=40, sentences=100, steps=4, reports=12)
    assert set(found.cosines) == set(found.ndcg) == {"random vectors", "untrained", "masked LM",
                                                     "SimCSE"}
    for cosines in found.cosines.values():
        assert cosines.shape == found.same_frame.shape == (12 * 11 // 2,)
        assert (np.abs(cosines) <= 1 + 1e-6).all()
    assert found.cosines["untrained"].mean() > 0.8 > found.cosines["random vectors"].mean()
    assert 0 < found.same_frame.mean() < 1


def test_smaller_vectors_have_bytes_and_scores_and_the_baselines_have_scores():
    found = smaller_vectors(seeds=2, documents=40, sentences=100)
    size = {name: bytes for name, (bytes, _) in found.forms.items()}
    assert size["float32"] == 256 and size["int8"] == 64 and size["bits (Hamming)"] == 8
    assert found.forms["int8"][1] == found.forms["uint8"][1]       # the same numbers, shifted
    assert set(found.baselines) == {"BM25", "untrained vectors", "random vectors"}
    assert all(0 <= score.mean <= 100 for _, score in found.forms.values())
