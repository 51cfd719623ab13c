"""Without the compiler a kernel is plain Python, and gives the same results up to rounding."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
KERNELS = """
import sys
import numpy as np
from scratch_embed.nn.activations import gelu, gelu_tanh
from scratch_embed.nn.attention import attention
from scratch_embed.nn.dropout import Dropout, apply_dropout
from scratch_embed.nn.layers import embedding
from scratch_embed.nn.norms import add_norm, layer_norm
from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import cross_entropy, softmax

rng, results, dropout = np.random.default_rng(0), {}, Dropout(0.3, 5)
x, r, dy = rng.standard_normal((3, 7, 6)).astype(np.float32)
p = Params({"n.weight": (6,), "n.bias": (6,)})
p.flat[:] = rng.standard_normal(12)
offsets, ids = np.array([0, 2, 4, 7]), np.array([0, 5, 5, 1, 0, 2, 3])
for name, f in {"gelu": gelu, "gelu_tanh": gelu_tanh, "softmax": softmax,
                "dropout": lambda x: apply_dropout(x, dropout)}.items():
    y, backward = f(x)
    results[name], results["d" + name] = y, backward(dy)
for name, f in {"norm": lambda g: layer_norm(x, p, "n"),
                "add_norm": lambda g: add_norm(x, r, p, "n", 1e-12, dropout),
                "attention": lambda g: attention(x, r, dy, offsets, 2, dropout=dropout),
                "causal": lambda g: attention(x, r, dy, offsets, 3, True)}.items():
    g = p.like()
    y, backward = f(g)
    dx = backward(dy) if name in ("attention", "causal") else backward(dy, g)
    results[name], results["d" + name], results["g" + name] = y, np.stack(dx), g.flat
table = Params({"e.weight": (6, 6)})
embedding(ids, table, "e")[1](dy, table)
loss, backward = cross_entropy(x, ids % 6)
results |= {"embedding": table.flat, "loss": loss, "dloss": backward()}
np.savez(sys.argv[1], **results)
"""
TRAINING = """
import sys
import numpy as np
from scratch_embed.nn.activations import gelu_tanh
from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import simcse
from scratch_embed.text.packed import pack
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import masked_lm
from scratch_embed.transformer.bert import Config

rng = np.random.default_rng(0)
texts = pack([[0, *rng.integers(3, 9, rng.integers(2, 5)), 1] for _ in range(12)])
config = Config(vocab=9, dim=4, layers=1, heads=2, ff=6, positions=6, activation=gelu_tanh)
trained = masked_lm.train(texts, config, masked_lm.Masking(2, (0, 1)), np.arange(12) % 2, steps=4,
                          batch_size=6)
more = simcse.train([texts], trained.model, steps=3, batch_size=6,
                    optim=Optim(1e-3, weight_decay=0.0), options=RunOptions(2))
np.savez(sys.argv[1], bert=trained.losses, simcse=more.losses)
"""


@pytest.mark.parametrize("code", [KERNELS, TRAINING], ids=["kernels", "training"])
def test_plain_python_and_compiled_code_give_the_same_results(code, tmp_path):
    """Fused and reordered sums differ in the last bits: up to 10⁻⁵ for numbers of order 1."""
    results = []
    for disabled in ("0", "1"):
        env = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": str(ROOT)}
        out = tmp_path / f"{disabled}.npz"
        subprocess.run([sys.executable, "-W", "ignore::RuntimeWarning", "-c", code, out], env=env,
                       check=True)
        with np.load(out) as found:
            results.append(dict(found))
    compiled, plain = results
    assert set(compiled) == set(plain)
    for name, value in compiled.items():
        assert value.dtype == plain[name].dtype and np.isfinite(value).all()
        np.testing.assert_allclose(plain[name], value, rtol=0, atol=1e-5, err_msg=name)
