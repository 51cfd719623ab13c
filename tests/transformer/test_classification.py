"""BERT as a classifier: the head worked by hand, its gradient, warm starts, files."""
import json

import numpy as np
import pytest
from hypothesis import given

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.params import Params, init_params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.packed import pack
from scratch_embed.transformer.bert import Bert, Config, head_tensors, tensors
from scratch_embed.transformer.classification import (
    classify,
    has_classifier,
    infer_scores,
    labels_of,
    read_classifier,
    scores,
    with_new_classifier,
    write_classifier,
)
from scratch_embed.transformer.classification import head_tensors as classifier_tensors
from tests.rounding import seeds

CONFIG = Config(vocab=17, dim=8, layers=2, heads=2, ff=12, positions=12)


def model_of(seed=0, dtype=np.float64, labels=3):
    """A classifier with weights of order 1, so that every part of it affects the result."""
    p = init_params(tensors(CONFIG, 0.4) | classifier_tensors(8, labels, 0.4), seed, dtype)
    p.flat += 0.1 * np.random.default_rng(seed).standard_normal(p.flat.size)
    return Bert(CONFIG, p)


def pairs(seed, N=5):
    """N packed pairs of different lengths, with types 0 and 1."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, (N, 2))
    return pack([rng.integers(2, 17, sum(size)) for size in sizes],
                [np.repeat([0, 1], size) for size in sizes])


# ---- the forward pass ---------------------------------------------------------------------------

def test_the_head_worked_by_hand():
    """P doubles, d = (0, 1), A = (1, −1), a = 5: s = tanh 2x₁ − tanh(2x₂ + 1) + 5."""
    p = Params(classifier_tensors(2, 1), float)
    p["pooler.weight"][:], p["pooler.bias"][:] = 2 * np.eye(2), [0, 1]
    p["classifier.weight"][:], p["classifier.bias"][:] = [[1, -1]], 5
    s, _ = classify(np.array([[0.5, 0.25], [0.0, -0.5]]), p)
    np.testing.assert_allclose(s, [[np.tanh(1) - np.tanh(1.5) + 5], [5]])


@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.3, 7)])
@given(seeds)
def test_backward_is_the_derivative_in_all_parameters(dropout, seed):
    model, batch = model_of(seed), pairs(seed)
    weights = np.random.default_rng(seed).standard_normal((5, 3))

    def loss(p):
        s, backward = scores(batch, model.with_params(p), dropout)
        return (weights * s).sum(), lambda g: backward(weights, g)
    check_loss(loss, model.p)


@given(seeds)
def test_scores_without_backward_are_the_same_and_have_the_order_of_the_batch(seed):
    model, batch = model_of(seed), pairs(seed)
    expected = infer_scores(batch, model)
    np.testing.assert_allclose(scores(batch, model)[0], expected, rtol=0, atol=1e-13)
    alone = [infer_scores(pack([batch.ids[a:b]], [batch.types[a:b]]), model)[0]
             for a, b in zip(batch.offsets[:-1], batch.offsets[1:])]
    np.testing.assert_allclose(expected, alone, rtol=0, atol=1e-13)


def test_dropout_reaches_the_pooled_vector():
    p, x = model_of().p, np.random.default_rng(0).standard_normal((5, 8))
    kept, dropped = classify(x, p)[0], classify(x, p, Dropout(0.5, 3))[0]
    assert abs(kept - dropped).max() > 0.1


# ---- warm starts --------------------------------------------------------------------------------

def pretrained():
    """A BERT with all heads of pre-training."""
    return Bert(CONFIG, init_params(tensors(CONFIG) | head_tensors(CONFIG), seed=2))


def test_a_new_classifier_keeps_the_transformer_and_its_pooler():
    start = pretrained()
    model = with_new_classifier(start, labels=2, seed=3)
    assert labels_of(model) == 2
    assert {*model.p} == {*tensors(CONFIG), *classifier_tensors(8, 2)}
    for name in {*tensors(CONFIG), "pooler.weight", "pooler.bias"}:
        np.testing.assert_array_equal(model.p[name], start.p[name])
    start.p.flat[:] = 0
    assert model.p["pooler.weight"].any()


def test_a_new_classifier_replaces_an_old_one_and_depends_on_the_seed():
    first = with_new_classifier(pretrained(), 2, seed=1)
    for seed, same in ((1, True), (2, False)):
        again = with_new_classifier(first, 2, seed)
        equal = again.p["classifier.weight"] == first.p["classifier.weight"]
        assert equal.all() if same else not equal.any()
    assert labels_of(with_new_classifier(first, 5)) == 5


@pytest.mark.parametrize("name", ["classifier.weight", "classifier.bias", "pooler.weight"])
def test_a_model_without_a_part_of_the_head_is_rejected(name):
    model = model_of()
    with pytest.raises(ValueError, match=f"with a classifier, got Bert.*without {name}"):
        labels_of(model.with_params(model.p.only(set(model.p) - {name})))


# ---- files --------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_written_classifier_is_read_with_the_same_bits(tmp_path, dtype):
    model = model_of(dtype=dtype)
    assert not has_classifier(tmp_path)
    write_classifier(tmp_path, model, {"num_labels": 3})
    again = read_classifier(tmp_path, 3, dtype)
    assert has_classifier(tmp_path) and again.config == CONFIG
    np.testing.assert_array_equal(again.p.flat, model.p.flat)
    with pytest.raises(FormatError, match="expected floats of shape"):
        read_classifier(tmp_path, 2)


def test_a_file_without_a_head_is_an_error(tmp_path):
    Bert(CONFIG, init_params(tensors(CONFIG), 1)).save(tmp_path)
    with pytest.raises(FormatError, match="found no .*pooler.dense.weight.*classifier.weight"):
        read_classifier(tmp_path, 1)
    assert not has_classifier(tmp_path)


@pytest.mark.parametrize("architectures", [3, "BertForSequenceClassification", {}])
def test_damaged_architectures_are_a_format_error(tmp_path, architectures):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": architectures}))
    with pytest.raises(FormatError, match="architectures.*expected a list of names, or null"):
        has_classifier(tmp_path)
