"""The classifiers of five families equal transformers': scores, gradients, folders."""
import json
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.nn.activations import relu, tanh
from scratch_embed.nn.dropout import Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.params import Params, init_params
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.checkpoint import groups
from scratch_embed.transformer.classification import (
    HEADS,
    classify,
    head_of,
    head_tensors,
    labels_of,
    names_of,
    read_classifier,
    scores,
    with_new_classifier,
    write_classifier,
)
from scratch_embed.transformer.families import family_of
from tests.golden import make_classifiers

GOLDEN = Path(__file__).parents[1] / "golden"
names = pytest.mark.parametrize("name", make_classifiers.CASES)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{name: (a folder as transformers writes it, the arrays of its golden file)}."""
    found = {}
    for name in make_classifiers.CASES:
        arrays, metadata = read_safetensors(GOLDEN / f"classifier_{name}.safetensors")
        found[name] = write(tmp_path_factory.mktemp(name), arrays, metadata["config"]), arrays
    return found


def write(folder, arrays, config):
    (folder / "config.json").write_text(config)
    write_safetensors(folder / "model.safetensors", {
        name.removeprefix("weight."): x for name, x in arrays.items() if name[:6] == "weight"})
    return folder


def model_of(folder, dtype=np.float32):
    return read_classifier(folder, make_classifiers.CASES[family_name(folder)][1]["num_labels"],
                           dtype)


def family_name(folder):
    return json.loads((folder / "config.json").read_text())["model_type"]


def prefix_of(arrays):
    """The part of the names before "embeddings"."""
    name = next(name for name in arrays if "embeddings" in name)
    return name.removeprefix("weight.").removeprefix("grad.").split("embeddings")[0]


def assert_parity(folder, arrays):
    batch = Packed(arrays["ids"], arrays["off"], np.zeros_like(arrays["ids"]))
    s, _ = scores(batch, model_of(folder))
    np.testing.assert_allclose(s, arrays["logits"], rtol=0, atol=1e-5)
    model = model_of(folder, np.float64)
    s, backward = scores(batch, model)
    np.testing.assert_allclose(s, arrays["logits64"], rtol=0, atol=1e-10)
    g = model.p.like()
    backward(arrays["push"], g)
    for theirs, (ours, _) in groups(model.p.tensors, names_of(type(model),
                                                              head_of(model))).items():
        x = np.concatenate([g[name] for name in ours]) if len(ours) > 1 else g[ours[0]]
        expected = arrays.get(f"grad.{theirs}", arrays.get(f"grad.{prefix_of(arrays)}{theirs}"))
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-9, err_msg=theirs)


@names
def test_scores_and_gradients_are_those_of_transformers(made, name):
    assert_parity(*made[name])


@names
def test_they_are_those_of_the_installed_transformers(tmp_path, name):
    pytest.importorskip("transformers")
    arrays, config = make_classifiers.case(name, seed=99)
    assert_parity(write(tmp_path, arrays, config), arrays)


@names
def test_a_written_folder_has_the_names_of_transformers(made, tmp_path, name):
    folder, arrays = made[name]
    model = model_of(folder)
    write_classifier(tmp_path, model, {"num_labels": labels_of(model)})
    assert {*read_header(tmp_path / "model.safetensors")[0]} == {
        key.removeprefix("weight.") for key in arrays if key.startswith("weight.")}
    np.testing.assert_array_equal(model_of(tmp_path).p.flat, model.p.flat)


@pytest.mark.parametrize("name", sorted({*make_classifiers.CASES} - {"distilbert"}))
def test_a_pooler_of_older_files_is_not_used(made, tmp_path, name):
    """RoBERTa's classes had one until version 4 of transformers."""
    folder, arrays = made[name]
    x = np.ones((12, 12), np.float32)
    old = write(tmp_path, {**arrays, f"weight.{prefix_of(arrays)}pooler.dense.weight": x},
                (folder / "config.json").read_text())
    np.testing.assert_array_equal(model_of(old).p.flat, model_of(folder).p.flat)


# ---- the head ----------------------------------------------------------------------------------

def test_the_head_of_distilbert_worked_by_hand():
    """P doubles, d = (0, 1), A = (1, −1), a = 5: s = max(2x₁, 0) − max(2x₂ + 1, 0) + 5."""
    p = Params(head_tensors(2, 1), float)
    p["pooler.weight"][:], p["pooler.bias"][:] = 2 * np.eye(2), [0, 1]
    p["classifier.weight"][:], p["classifier.bias"][:] = [[1, -1]], 5
    s, _ = classify(np.array([[0.5, 0.25], [-3.0, -0.75]]), p, head=HEADS["distilbert"])
    np.testing.assert_allclose(s, [[1 - 1.5 + 5], [5]])
    assert HEADS["distilbert"].activation is relu and HEADS["xlm-roberta"].activation is tanh


@names
def test_backward_is_the_derivative_with_dropout_too(name):
    head, rng = HEADS[name], np.random.default_rng(3)
    p = init_params(head_tensors(6, 2, 0.5, head), 1, np.float64)
    p.flat += 0.1 * rng.standard_normal(p.flat.size)
    x, w = rng.standard_normal((4, 6)), rng.standard_normal((4, 2))

    def loss(p):
        s, backward = classify(x, p, Dropout(0.3, 7), head)
        return (w * s).sum(), lambda g: backward(w, g)
    check_loss(loss, p)


def test_dropout_reaches_the_input_where_it_does_in_transformers():
    """The gradient of a number of x that is dropped is 0."""
    x = np.random.default_rng(0).standard_normal((50, 6))
    p = init_params(head_tensors(6, 1, 0.5), 1, np.float64)
    g = {name: classify(x, p, Dropout(0.5, 3), HEADS[name])[1](np.ones((50, 1)), p.like())
         for name in ("bert", "roberta")}
    assert (g["bert"] == 0).mean() < 0.1 and 0.3 < (g["roberta"] == 0).mean() < 0.7


@names
def test_a_new_classifier_of_another_family_is_new_in_both_layers(made, name):
    """P of BERT is its pooler; in the other families the pooler is not part of the classifier."""
    start = model_of(made[name][0])
    model = with_new_classifier(start, 2, seed=5)
    assert labels_of(model) == 2
    for tensor in "pooler.weight", "classifier.weight":
        assert not np.array_equal(model.p[tensor].ravel()[:12], start.p[tensor].ravel()[:12])
    np.testing.assert_array_equal(model.p["layers.0.attn.q.weight"],
                                  start.p["layers.0.attn.q.weight"])
    assert family_of(made[name][0]).model is type(model)


def test_a_causal_model_gets_no_classifier():
    from scratch_embed.transformer.gpt2 import Config, Gpt2, tensors
    config = Config(vocab=5, dim=4, layers=1, heads=1, positions=6)
    model = Gpt2(config, init_params(tensors(config), 1))
    with pytest.raises(ValueError, match="expected one of bert, .* got a gpt2"):
        with_new_classifier(model)
