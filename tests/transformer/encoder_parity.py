"""Compare RoBERTa, DistilBERT and MPNet with transformers: outputs, loss, every gradient, folders.

golden/make_encoders.py lists the arrays.  As in causal_parity.py, their weights are written as a
folder in transformers' format and loaded from it, so a wrong name would give other numbers.
"""
import numpy as np

from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.text.packed import Packed, pack
from tests.transformer import causal_parity
from tests.transformer.causal_parity import assert_gradients

__all__ = ["Case", "assert_gradients", "assert_outputs"]


class Case(causal_parity.Case):
    """A model of transformers: its arrays as inputs of our functions."""

    def __init__(self, family, arrays, config, folder):
        super().__init__(family, arrays, config, folder)
        self.batch = Packed(arrays["ids"], arrays["off"], arrays["types"])

    def gradients(self, dtype):
        """Our loss and its gradients: Σ push · output, or the cross-entropy of the masked tokens.
        """
        model = self.model(dtype)
        g = model.p.like()
        x, back = model.encode(self.batch)
        if "push" in self.arrays:
            dx = self.arrays["push"].astype(dtype)
            loss = (x * dx).sum()
            if "push_pooled" in self.arrays:
                first, dy = self.batch.offsets[:-1], self.arrays["push_pooled"].astype(dtype)
                y, back_pooler = model.pooler(x[first])
                loss, dx = loss + (y * dy).sum(), dx.copy()
                dx[first] += back_pooler(dy, g)
        else:
            rows, dx = self.arrays["places"], np.zeros_like(x)
            logits, back_logits = model.mlm_head(x[rows])
            loss, back_loss = cross_entropy(logits, self.arrays["targets"])
            dx[rows] = back_logits(back_loss(), g)
        back(dx, g)
        return loss, g


def assert_outputs(case):
    """Outputs of order 1 agree to 1e-5 in float32 and to 1e-12 in float64."""
    for dtype, atol, suffix in [(np.float32, 1e-5, ""), (np.float64, 1e-12, "64")]:
        model = case.model(dtype)
        x = model.infer(case.batch)
        assert x.dtype == dtype
        np.testing.assert_allclose(x, case.arrays["hidden" + suffix], rtol=0, atol=atol)
        np.testing.assert_array_equal(model.encode(case.batch)[0], x)
        if "pooled" in case.arrays:
            y, _ = model.pooler(x[case.batch.offsets[:-1]])
            np.testing.assert_allclose(y, case.arrays["pooled" + suffix], rtol=0, atol=atol)
        if "logits" in case.arrays:
            logits, _ = model.mlm_head(x[case.arrays["places"]])
            np.testing.assert_allclose(logits, case.arrays["logits"], rtol=atol, atol=atol)
    padded = model.infer(pack([case.arrays["padded_ids"]]))
    np.testing.assert_allclose(padded, case.arrays["padded_hidden64"], rtol=0, atol=1e-12)
