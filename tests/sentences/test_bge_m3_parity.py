"""BGE-M3 equals FlagEmbedding's own model on a tiny BERT: vectors, scores, loss and gradients.

golden/make_bge_m3.py says how the frozen numbers were made, and why all texts of a side have the
same length.
"""
import runpy
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.nn.params import Params, join
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.sentences.bge_m3 import head_tensors, heads, strongest
from scratch_embed.sentences.bge_m3_training import Settings, batch_loss, scores
from scratch_embed.space.sparse import table
from scratch_embed.text.packed import pack
from scratch_embed.transformer.bert import Bert, Config, tensors

GOLDEN, _ = read_safetensors(Path(__file__).parents[1] / "golden" / "bge_m3.safetensors")
MADE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "make_bge_m3.py"))
CONFIG = Config(**MADE["SIZES"])
QUERIES, TEXTS = pack(MADE["QUERIES"]), pack(MADE["TEXTS"])
UNWEIGHTED = np.array([MADE[name] for name in ("PAD", "UNK", "CLS", "SEP")])


@pytest.fixture(scope="module")
def model():
    p = join(Params(tensors(CONFIG), np.float64),
             Params(head_tensors(CONFIG.dim, MADE["E"]), np.float64))
    for name, view in p.items():
        view[...] = MADE["numbers"](name, view.shape)
    return Bert(CONFIG, p)


def of(batch, model):
    return heads(model.infer(batch), batch.offsets, model.p)[0]


def close(found, name):
    np.testing.assert_allclose(found, GOLDEN[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_vectors(model):
    y, w, v = of(TEXTS, model)
    close(l2_normalize(y)[0], "dense")
    vectors, _ = strongest(w, TEXTS, UNWEIGHTED)
    close(table(vectors, np.arange(CONFIG.vocab))[0], "sparse")
    close(v.reshape(GOLDEN["multi"].shape), "multi")


def test_scores(model):
    found, _ = scores(of(QUERIES, model), QUERIES, of(TEXTS, model), TEXTS, UNWEIGHTED,
                      MADE["TAU"])
    for name, scored in zip(("dense", "sparse", "multi"), found):
        close(scored, f"scores {name}")


@pytest.mark.parametrize("distil", [0, 1])
def test_loss_and_every_gradient(model, distil):
    loss, backward = batch_loss(QUERIES, TEXTS, np.array(MADE["TARGETS"]), model, UNWEIGHTED,
                                Settings(MADE["TAU"], bool(distil)))
    close(loss, f"loss {distil}")
    grads = [model.p.like(), model.p.like()]
    backward(grads)
    for name in model.p:
        theirs = GOLDEN[f"gradient {distil}/{name}"]
        np.testing.assert_allclose(grads[0][name] + grads[1][name], theirs, rtol=1e-9,
                                   atol=1e-9 * abs(theirs).max() + 1e-12, err_msg=name)
