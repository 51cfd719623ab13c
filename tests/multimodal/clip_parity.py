"""Compare CLIP with transformers: features, logits, loss and the gradient of every parameter.

The expected arrays come from a golden file (golden/make_clip.py lists its contents), or the test
computes them.  Their weights are written as a folder in transformers' format, config.json and
model.safetensors, and loaded from it.
"""
import json
from pathlib import Path

import numpy as np

from scratch_embed.multimodal import vit
from scratch_embed.multimodal.clip import (
    batch_loss,
    encode_images,
    encode_texts,
    infer_images,
    infer_texts,
)
from scratch_embed.multimodal.clip_folder import read_model
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.text.packed import Packed

GOLDEN = Path(__file__).parents[1] / "golden"


class Case:
    """A model of transformers: its arrays as inputs of our functions."""

    def __init__(self, arrays, config, folder):
        self.arrays, self.config, self.folder = arrays, config, folder
        self.texts = Packed(arrays["ids"], arrays["off"], np.zeros_like(arrays["ids"]))

    @classmethod
    def from_golden(cls, name, folder):
        arrays, metadata = read_safetensors(GOLDEN / f"clip_{name}.safetensors")
        return cls(arrays, json.loads(metadata["config"]), folder)

    def model(self, dtype, prefix="weight."):
        """Config and Params of the file's weights; for prefix "grad.", the gradients instead."""
        folder = self.folder / prefix
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        write_safetensors(folder / "model.safetensors", {
            name.removeprefix(prefix): np.asarray(x) for name, x in self.arrays.items()
            if name.startswith(prefix)})
        return read_model(folder, dtype)


def assert_outputs(case):
    """Features of order 1 agree to 1e-5 in float32 and to 1e-12 in float64."""
    for dtype, atol, suffix in [(np.float32, 1e-5, ""), (np.float64, 1e-12, "64")]:
        config, p = case.model(dtype)
        images = case.arrays["images"].astype(dtype)
        x, y = infer_images(images, p, config), infer_texts(case.texts, p, config)
        assert x.dtype == y.dtype == dtype
        np.testing.assert_allclose(x, case.arrays["image" + suffix], rtol=0, atol=atol)
        np.testing.assert_allclose(y, case.arrays["text" + suffix], rtol=0, atol=atol)
        np.testing.assert_array_equal(encode_images(images, p, config)[0], x)
        np.testing.assert_array_equal(encode_texts(case.texts, p, config)[0], y)
        patches = vit.infer_tokens(images, p, config.image)
        np.testing.assert_allclose(patches, case.arrays["patches64"], rtol=0, atol=10 * atol)
        logits = np.exp(p["log_scale"]) * l2_normalize(x)[0] @ l2_normalize(y)[0].T
        np.testing.assert_allclose(logits, case.arrays["logits"], rtol=0, atol=atol)


def assert_gradients(case):
    """float64: to 1e-9 of each tensor's largest entry; float32: to 1e-5 of the largest of all.

    A key bias adds one number to all scores of a query, so its gradient is 0 up to rounding.  Its
    error is relative to the largest entry of the query bias's.
    """
    _, theirs = case.model(np.float64, "grad.")
    largest_entries = {name: abs(x).max() for name, x in theirs.items()}
    for dtype, rtol in [(np.float64, 1e-9), (np.float32, 1e-5)]:
        config, p = case.model(dtype)
        g = p.like()
        loss, backward = batch_loss(case.arrays["images"].astype(dtype), case.texts, p, config)
        backward([g])
        np.testing.assert_allclose(loss, case.arrays["loss"], rtol=rtol)
        assert set(g) == set(theirs)
        for name, x in theirs.items():
            largest = largest_entries[name.replace("attn.k.bias", "attn.q.bias")]
            assert largest > 1e-5, f"{name} has no effect, so its wrong use cannot be found"
            largest = largest if dtype == np.float64 else max(largest_entries.values())
            np.testing.assert_allclose(g[name], x, rtol=0, atol=rtol * largest, err_msg=name)
