"""Compare a causal model with transformers: outputs, loss and the gradient of every parameter.

The expected arrays come from a golden file (golden/make_gpt2.py lists its contents), or the test
computes them.  Their weights are written as a folder in transformers' format, config.json and
model.safetensors, and loaded from it: a wrong name, a missing transpose or parts in the wrong order
would give other numbers.
"""
import json
from pathlib import Path

import numpy as np

from scratch_embed.nn.params import init_params
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.causal_lm import causal_lm, next_tokens

GOLDEN = Path(__file__).parents[1] / "golden"


class Case:
    """A model of transformers: its arrays as inputs of our functions.  family: Gpt2 or Mistral."""

    def __init__(self, family, arrays, config, folder):
        self.family, self.arrays, self.config, self.folder = family, arrays, config, folder
        self.batch = Packed(arrays["ids"], arrays["off"], np.zeros_like(arrays["ids"]))

    @classmethod
    def from_golden(cls, family, name, folder):
        arrays, metadata = read_safetensors(GOLDEN / f"{name}.safetensors")
        return cls(family, arrays, json.loads(metadata["config"]), folder)

    def model(self, dtype, prefix="weight."):
        """The model with the file's weights; for prefix "grad.", with the gradients instead."""
        folder = self.folder / prefix
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        write_safetensors(folder / "model.safetensors", {
            name.removeprefix(prefix): np.asarray(x) for name, x in self.arrays.items()
            if name.startswith(prefix)})
        return self.family.load(folder, dtype)

    def gradients(self, dtype):
        """Our loss and its gradients: Σ push · x if the arrays include push, else the LM loss."""
        model = self.model(dtype)
        g = model.p.like()
        if "push" in self.arrays:
            x, back = model.encode(self.batch)
            dx = self.arrays["push"].astype(dtype)
            back(dx, g)
            return (x * dx).sum(), g
        loss, backward = causal_lm(self.batch, model)
        backward(g)
        return loss, g


def assert_outputs(case):
    """Outputs of order 1 agree to 1e-5 in float32 and to 1e-12 in float64."""
    for dtype, atol, suffix in [(np.float32, 1e-5, ""), (np.float64, 1e-12, "64")]:
        model = case.model(dtype)
        x = model.infer(case.batch)
        assert x.dtype == dtype
        np.testing.assert_allclose(x, case.arrays["hidden" + suffix], rtol=0, atol=atol)
        np.testing.assert_array_equal(model.encode(case.batch)[0], x)
        if "logits" in case.arrays:
            rows, _ = next_tokens(case.batch)
            logits, _ = model.lm_head(x[rows])
            np.testing.assert_allclose(logits, case.arrays["logits"], rtol=atol, atol=atol)


def assert_gradients(case):
    """float64: to 1e-9 of each tensor's largest entry; float32: to 1e-5 of the largest of all.

    The key bias adds one number to all scores of a query, so its gradient is 0 up to rounding, in
    both implementations.  Its error is relative to the largest entry of the query bias's.
    """
    theirs = case.model(np.float64, "grad.").p
    loss, g = case.gradients(np.float64)
    np.testing.assert_allclose(loss, case.arrays["loss"], rtol=1e-9)
    assert set(g) == set(theirs)
    largest_entries = {name: abs(x).max() for name, x in theirs.items()}
    for name, x in theirs.items():
        largest = largest_entries[name.replace("attn.k.bias", "attn.q.bias")]
        assert largest > 1e-4, f"{name} has no effect, so its wrong use cannot be found"
        np.testing.assert_allclose(g[name], x, rtol=0, atol=1e-9 * largest, err_msg=name)
    loss, g = case.gradients(np.float32)
    np.testing.assert_allclose(loss, case.arrays["loss"], rtol=1e-5)
    for name, x in theirs.items():
        np.testing.assert_allclose(g[name], x, rtol=0, atol=1e-5 * max(largest_entries.values()),
                                   err_msg=name)


# ---- models and folders to be tested -------------------------------------------------------------

def random_params(tensors, seed=0, dtype=np.float64):
    """Random parameters.

    Weights (out, in) of order 1/√in, embeddings of order 1, norms 1 ± 0.3, biases ± 0.3.
    """
    p = init_params(tensors, seed, dtype)
    rng = np.random.default_rng(seed)
    for name, view in p.items():
        x = rng.standard_normal(view.shape)
        if view.ndim == 1:
            view += 0.3 * x
        else:
            view[...] = x if name.startswith("embed.") else x / view.shape[1] ** 0.5
    return p


def change_config(folder, **fields):
    """Set fields of config.json; the value ... (Ellipsis) deletes a field."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))


def change_tensors(folder, change):
    """Replace the tensors of model.safetensors by change(tensors)."""
    path = folder / "model.safetensors"
    tensors, metadata = read_safetensors(path)
    write_safetensors(path, change(tensors), metadata)


def assert_same(p, q):
    """The same names in the same order, and the same bits."""
    assert list(p) == list(q)
    np.testing.assert_array_equal(p.flat, q.flat, strict=True)
