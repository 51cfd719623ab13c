"""GloVe's ablations: the constant learning rate, the order of mirror cells, the optimum."""
import numpy as np
import pytest

from scratch_embed.why.ablations import toy_text
from scratch_embed.why.glove import closed_form, constant
from scratch_embed.words.cooccurrence import count_cells
from scratch_embed.words.glove import adagrad_step, mirrored, shuffled


@pytest.fixture(scope="module")
def texts():
    return [toy_text(seed, sentences=200) for seed in (1, 2)]


def test_the_constant_learning_rate_does_not_fall_after_a_large_gradient():
    """After a gradient of 100, the learning rate of AdaGrad would be a hundredth of its start."""
    adagrad = constant(0.05)
    x, G = adagrad_step(np.float32(0), np.float32(adagrad.weight_G), np.float32(100), adagrad.lr)
    assert x == pytest.approx(-5, rel=1e-6)
    x, _ = adagrad_step(np.float32(0), np.float32(G), np.float32(1), adagrad.lr)
    assert x == pytest.approx(-0.05, rel=1e-6)


def test_mirrored_order_keeps_all_cells_and_puts_each_next_to_its_mirror_image(texts):
    cells = count_cells(texts[0].corpus, len(texts[0].vocab), 5)
    paired, plain = (order(cells, 10, 0.75, 1) for order in (mirrored, shuffled))
    assert sorted(zip(*map(np.ndarray.tolist, paired))) == sorted(
        zip(*map(np.ndarray.tolist, plain)))
    pairs = [frozenset(pair) for pair in zip(paired.rows.tolist(), paired.cols.tolist())]
    changes = sum(a != b for a, b in zip(pairs, pairs[1:]))
    assert changes == len(set(pairs)) - 1                    # a cell and its mirror are adjacent
    plain_pairs = [frozenset(pair) for pair in zip(plain.rows.tolist(), plain.cols.tolist())]
    assert sum(a == b for a, b in zip(plain_pairs, plain_pairs[1:])) < len(set(pairs)) / 100
    assert list(dict.fromkeys(plain_pairs)) == list(dict.fromkeys(pairs))


def test_with_more_dimensions_than_words_the_model_fits_log_X_and_with_few_it_does_not():
    """Three seeds: RMS errors up to 0.02 and about 0.4; log X has a standard deviation of 0.9."""
    full, few = (closed_form(3, dim, sentences=1000) for dim in (48, 5))
    assert full.correlation > 0.99 and full.rms_error < 0.1 * full.spread
    assert few.correlation < full.correlation and few.rms_error > 0.3 * few.spread
