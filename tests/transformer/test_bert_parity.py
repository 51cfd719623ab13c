"""BERT's outputs, losses and gradients of all parameters equal those of transformers.

The golden files (golden/make_bert.py lists their contents) need no torch.  If transformers is
installed, further models of random shapes are compared.
"""
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.nn.activations import gelu, gelu_tanh
from scratch_embed.nn.params import Params
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.bert import (
    NAMES,
    Config,
    encode,
    head_tensors,
    infer,
    mlm_head,
    next_sentence,
    pooler,
    tensors,
)
from scratch_embed.transformer.masked_lm import Examples, masked_lm, pretraining

GOLDEN = Path(__file__).parents[1] / "golden"
ACTIVATION = {"gelu": gelu, "gelu_new": gelu_tanh, "gelu_pytorch_tanh": gelu_tanh}
CASES = ["model", "masked", "pretraining", "tanh"]
all_cases = pytest.mark.parametrize("name", CASES)


class Case:
    """A model of transformers: its arrays as inputs of our functions."""

    def __init__(self, tensors, kind, config):
        self.arrays, self.kind = tensors, kind
        self.config = Config(
            config["vocab_size"], config["hidden_size"], config["num_hidden_layers"],
            config["num_attention_heads"], config["intermediate_size"],
            config["max_position_embeddings"], config["type_vocab_size"], config["layer_norm_eps"],
            ACTIVATION[config["hidden_act"]])
        self.batch = Packed(tensors["ids"], tensors["off"], tensors["types"])
        self.examples = Examples(self.batch, tensors["places"], tensors["targets"],
                                 tensors["follows"] if kind == "BertForPreTraining" else None)

    def params(self, dtype):
        weights = self.named("weight.")
        known = tensors(self.config) | head_tensors(self.config)
        p = Params({name: tensor for name, tensor in known.items() if name in weights}, dtype)
        for name, view in p.items():
            view[...] = weights.pop(name)
        assert not weights
        return p

    def named(self, prefix):
        """{our name: array} of the file's arrays that are named prefix + original name."""
        ours = {NAMES.original(name): name
                for name in tensors(self.config) | head_tensors(self.config)}
        return {ours[key[len(prefix):]]: x for key, x in self.arrays.items()
                if key.startswith(prefix)}

    def gradients(self):
        """Our loss and its gradients: Σ push · output for BertModel, else the pre-training loss."""
        p = self.params(np.float64)
        g = p.like()
        if self.kind == "BertModel":
            x, back = encode(self.batch, p, self.config)
            first = self.batch.offsets[:-1]
            y, back_pooler = pooler(x[first], p)
            dx = self.arrays["push"].copy()
            dx[first] += back_pooler(self.arrays["push_pooled"], g)
            back(dx, g)
            return (x * self.arrays["push"]).sum() + (y * self.arrays["push_pooled"]).sum(), g
        loss, backward = pretraining(self.examples, p, self.config)
        backward(g)
        return loss, g


def golden_case(name):
    tensors, metadata = read_safetensors(GOLDEN / f"bert_{name}.safetensors")
    config = json.loads(metadata["config"])
    return Case(tensors, config.pop("model"), config)


def error_of_gradients(case):
    """{name: the largest error of its gradient, relative to the gradient's largest entry}.

    The key bias adds one number to all scores of a query, so its gradient is 0 up to rounding, in
    both implementations.  Its error is relative to the query bias's gradient.
    """
    _, g = case.gradients()
    theirs = case.named("grad.")
    assert set(g) == set(theirs)
    largest = {name: np.abs(x).max() for name, x in theirs.items()}
    return {name: np.abs(g[name] - x).max() / largest[name.replace("attn.k.bias", "attn.q.bias")]
            for name, x in theirs.items()}


def assert_outputs(case):
    """Outputs of order 1 agree to 1e-5 in float32 and to 1e-12 in float64."""
    for dtype, atol, suffix in [(np.float32, 1e-5, ""), (np.float64, 1e-12, "64")]:
        p = case.params(dtype)
        x = infer(case.batch, p, case.config)
        assert x.dtype == dtype
        np.testing.assert_allclose(x, case.arrays["hidden" + suffix], rtol=0, atol=atol)
        np.testing.assert_array_equal(encode(case.batch, p, case.config)[0], x)
        if "pooled" in case.arrays:
            y, _ = pooler(x[case.batch.offsets[:-1]], p)
            np.testing.assert_allclose(y, case.arrays["pooled" + suffix], rtol=0, atol=atol)
        if "logits" in case.arrays:
            logits, _ = mlm_head(x[case.arrays["places"]], p, case.config)
            np.testing.assert_allclose(logits, case.arrays["logits"], rtol=atol, atol=atol)


# ---- the golden files ----------------------------------------------------------------------------

@all_cases
def test_the_outputs_equal_transformers(name):
    assert_outputs(golden_case(name))


@all_cases
def test_the_gradient_of_every_parameter_equals_transformers(name):
    case = golden_case(name)
    errors = error_of_gradients(case)
    assert np.max([*errors.values()]) < 1e-9, max(errors.items(), key=lambda item: item[1])
    loss, _ = case.gradients()
    np.testing.assert_allclose(loss, case.arrays["loss"], rtol=1e-9)


@pytest.mark.parametrize("name", CASES[1:])
def test_float32_gradients_equal_torchs_float64_gradients_up_to_rounding(name):
    case = golden_case(name)
    p = case.params(np.float32)
    g = p.like()
    loss, backward = pretraining(case.examples, p, case.config)
    backward(g)
    assert abs(loss - case.arrays["loss"]) < 1e-5
    largest = max(np.abs(x).max() for x in case.named("grad.").values())
    for tensor, x in case.named("grad.").items():
        np.testing.assert_allclose(g[tensor], x, rtol=0, atol=1e-5 * largest, err_msg=tensor)


def test_both_losses_and_the_next_sentence_logits_equal_transformers():
    case = golden_case("pretraining")
    p = case.params(np.float64)
    x = infer(case.batch, p, case.config)
    logits, _ = next_sentence(x[case.batch.offsets[:-1]], p)
    np.testing.assert_allclose(logits, case.arrays["follows_logits"], rtol=0, atol=1e-12)
    loss, _ = masked_lm(x, case.arrays["places"], case.arrays["targets"], p, case.config)
    np.testing.assert_allclose(loss, case.arrays["masked_lm"], rtol=1e-9)
    both, _ = pretraining(case.examples, p, case.config)
    np.testing.assert_allclose(both - loss, case.arrays["next_sentence"], rtol=1e-9)


@pytest.mark.parametrize("name, wrong", [
    ("model", {"activation": gelu_tanh}), ("masked", {"activation": gelu}),
    ("masked", {"eps": 1e-12}), ("pretraining", {"heads": 2}), ("tanh", {"activation": gelu})])
def test_the_golden_files_detect_a_wrong_config(name, wrong):
    case = golden_case(name)
    p = case.params(np.float64)
    x = infer(case.batch, p, case.config._replace(**wrong))
    assert np.abs(x - case.arrays["hidden64"]).max() > 1e-5


@all_cases
def test_every_tensor_of_the_golden_files_has_a_gradient(name):
    """The tests above cannot find a wrong use of a tensor that has no effect."""
    case = golden_case(name)
    without_effect = [tensor for tensor, x in case.named("grad.").items()
                      if np.abs(x).max() < 1e-4 and not tensor.endswith("attn.k.bias")]
    assert not without_effect


# ---- transformers as installed -------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(4))
def test_models_of_random_shapes_equal_transformers(seed):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    spec = importlib.util.spec_from_file_location("make_bert", GOLDEN / "make_bert.py")
    make_bert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_bert)
    rng = np.random.default_rng(seed)
    heads, max_length = int(rng.integers(1, 5)), int(rng.integers(2, 14))
    config = {"vocab_size": int(rng.integers(20, 80)),
              "hidden_size": heads * int(rng.integers(2, 9)),
              "num_hidden_layers": int(rng.integers(1, 4)), "num_attention_heads": heads,
              "intermediate_size": int(rng.integers(5, 40)), "max_position_embeddings": max_length,
              "type_vocab_size": 2, "hidden_act": list(ACTIVATION)[seed % 3],
              "layer_norm_eps": [1e-12, 1e-5][seed % 2]}
    kind = ["BertModel", "BertForMaskedLM", "BertForPreTraining"][seed % 3]
    lengths = [max_length, *rng.integers(1, max_length + 1, rng.integers(0, 5))]
    case = Case(make_bert.make(kind, config, lengths, seed), kind, config)
    assert_outputs(case)
    assert np.max([*error_of_gradients(case).values()]) < 1e-9
