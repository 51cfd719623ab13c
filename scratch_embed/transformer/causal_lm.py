"""The loss of a causal language model: how surprising is each next token?

Papers    Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", eq. 1;
          Bengio et al. 2003, "A Neural Probabilistic Language Model".
Equation  L = −1/M Σ_n Σ_{i=1}^{t−1} log softmax(lm_head(x_i))[token i+1],   M = Σ_n (t_n − 1)
Shapes    x (T, D) token vectors, of which the M that have a next token are asked; logits (M, V)
Cost      the model's, and 6 M V D for the head.
Differs   transformers hands logits to the loss in float32, whatever the model's type; here they
          stay as they are.
Read next transformer/gpt2.py and transformer/mistral.py (the models), transformer/masked_lm.py
          (BERT's loss, which asks for tokens in the middle)

Why does this train a model of whole texts?  p(text) = Π_i p(token i | tokens before it), exactly,
for any distribution; so −log p(text) is the sum above, and e^L is the perplexity: among how many
equally likely tokens the model is left to guess.  One forward pass answers all t − 1 questions,
because a causal model's vector i has not seen token i + 1.  The first token is not asked for: no
vector stands before it.
"""
from collections.abc import Callable
from typing import Protocol

import numpy as np

from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.text.packed import Packed


class CausalModel(Protocol):
    """A model whose token vectors are asked for the next token."""

    def encode(self, batch: Packed, dropout: Dropout = NO_DROPOUT
               ) -> tuple[np.ndarray, ParamOnlyBackward]:
        """Token vectors, each of what stands before it.  -> x (T, D), backward(dx, g)."""

    def lm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """x: (M, D) -> logits (M, V), backward(dlogits, g) -> dx."""


def causal_lm(batch: Packed, model: CausalModel, dropout: Dropout = NO_DROPOUT,
              total: float | None = None) -> tuple[float, Callable[[Params], None]]:
    """The mean over all tokens that have one before them.  -> loss, backward(g).

    total: M of the whole batch, where this is a worker's share.
    Raises ValueError if no sequence has two tokens and no total is given.
    """
    rows, targets = next_tokens(batch)
    x, back_x = model.encode(batch, dropout)
    logits, back_logits = model.lm_head(x[rows])
    loss, back_loss = cross_entropy(logits, targets, total)

    def backward(g):
        dx = np.zeros_like(x)
        dx[rows] = back_logits(back_loss(), g)
        back_x(dx, g)
    return loss, backward


def next_tokens(batch: Packed) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have a next token in their sequence, (M,), and the ids of those, (M,).

    >>> from scratch_embed.text.packed import pack
    >>> next_tokens(pack([[7, 8, 9], [5], [4, 3]]))
    (array([0, 1, 4]), array([8, 9, 3], dtype=int32))
    """
    rows = np.delete(np.arange(len(batch.ids)), batch.offsets[1:] - 1)
    return rows, batch.ids[rows + 1]
