"""Shared by tests of losses: sentence-transformers' values and gradients, frozen and live."""
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.numerics.safetensors import read_safetensors

GOLDEN = Path(__file__).parents[1] / "golden" / "losses.safetensors"
INPUTS = read_safetensors(GOLDEN)[0]               # u, v, w (N, D), labels; see make_losses.py


def frozen():
    return INPUTS


@cache
def installed():
    for library in ("torch", "sentence_transformers"):
        pytest.importorskip(library)
    return runpy.run_path(str(GOLDEN.with_name("make_losses.py")))["originals"]()


sources = pytest.mark.parametrize("source", [frozen, installed])


def assert_equal_to(theirs, name, loss, gradients, **more):
    """Compare a loss, its gradients in u, v, w, and others by name, to 1e-9 (1e-15 is seen)."""
    ours = {"loss": loss, **{f"d{view}": d for view, d in zip("uvw", gradients)}, **more}
    assert {key.split("/")[1] for key in theirs if key.startswith(name + "/")} == {*ours}
    for quantity, x in ours.items():
        np.testing.assert_allclose(x, theirs[f"{name}/{quantity}"], rtol=1e-9, atol=1e-12,
                                   err_msg=quantity)
