"""Training a bi-encoder: 20 steps here and in the trainer of sentence-transformers."""
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.losses.cosent import cosent
from scratch_embed.nn.optim import Optim
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import classified, objective, ranking
from scratch_embed.training.session import RunOptions

GOLDEN = Path(__file__).parents[1] / "golden" / "sbert_training.safetensors"
MADE = runpy.run_path(str(GOLDEN.with_name("make_sbert_training.py")))
OBJECTIVES = {"ranking": ranking(), "cosent": objective(cosent), "softmax": classified(3)}


@cache
def ours(name):
    """{name of a loss/quantity: array}, as originals() has it."""
    encoder = SentenceEncoder.load(MADE["FOLDER"], dtype=np.float64)
    targets = MADE["TARGETS"][name]
    trained = sbert.train(
        [sbert.tokenize(encoder, MADE[side]) for side in ("QUERIES", "ANSWERS")], encoder,
        OBJECTIVES[name], None if targets is None else np.array(targets), MADE["STEPS"],
        MADE["BATCH"], Optim(MADE["LR"], MADE["WARMUP"], MADE["DECAY"], max_grad_norm=np.inf),
        dropout=0.0, options=RunOptions(seed=MADE["SEED"]))
    vectors, _ = sbert.embed(sbert.tokenize(encoder, MADE["QUERIES"]), trained.encoder.model,
                             trained.encoder.recipe)
    return {"losses": trained.losses, "vectors": vectors, **trained.p}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_parity_with_frozen_losses_and_vectors(name):
    golden, _ = read_safetensors(GOLDEN)
    for quantity in ("losses", "vectors"):
        np.testing.assert_allclose(ours(name)[quantity], golden[f"{name}/{quantity}"], rtol=1e-9,
                                   atol=1e-12, err_msg=quantity)


@pytest.mark.campaign
@pytest.mark.parametrize("name", OBJECTIVES)
def test_parity_with_the_installed_trainer_also_of_all_weights(name):
    for library in ("torch", "sentence_transformers", "datasets", "accelerate"):
        pytest.importorskip(library)
    theirs = {key.removeprefix(name + "/"): x for key, x in live().items()
              if key.startswith(name + "/")}
    assert theirs.keys() == ours(name).keys()
    for quantity, x in theirs.items():
        np.testing.assert_allclose(ours(name)[quantity], x, rtol=0, atol=1e-9, err_msg=quantity)


@cache
def live():
    return MADE["originals"]()
