"""Tiny models of RoBERTa, DistilBERT and MPNet with random weights, for tests."""
import numpy as np
import pytest

from scratch_embed.nn.activations import gelu_tanh
from scratch_embed.transformer import distilbert, mpnet, roberta
from scratch_embed.transformer.distilbert import Distilbert
from scratch_embed.transformer.mpnet import Mpnet
from scratch_embed.transformer.roberta import Roberta
from tests.transformer.causal_parity import random_params

TINY = {Roberta: roberta.Config(5, 4, 2, 2, 3, 8, 1, 1e-5, gelu_tanh, 1, "xlm-roberta"),
        Distilbert: distilbert.Config(5, 4, 2, 2, 3, 6, gelu_tanh),
        Mpnet: mpnet.Config(5, 4, 2, 2, 3, 8, 1e-5, gelu_tanh)}
MODULES = {Roberta: roberta, Distilbert: distilbert, Mpnet: mpnet}
families = pytest.mark.parametrize("family", TINY, ids=lambda family: family.__name__)


def model(family, dtype=np.float32, heads=("pooler.", "mlm."), config=None):
    config, architecture = config or TINY[family], family.architecture
    declared = architecture.tensors(config) | {
        name: tensor for name, tensor in architecture.head_tensors(config).items()
        if name.startswith(heads)}
    return family(config, random_params(declared, 0, dtype))
