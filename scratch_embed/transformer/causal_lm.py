"""The loss of a causal language model: the cross-entropy of each next token.

Papers    Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", eq. 1;
          Bengio et al. 2003, "A Neural Probabilistic Language Model".
Equation  L = −1/M Σ_n Σ_{i=1}^{t−1} log softmax(lm_head(x_i))[token i+1],   M = Σ_n (t_n − 1)
Shapes    x (T, D) token vectors; M of them have a next token in their sequence; logits (M, V)
Cost      the model's, and 6 M V D operations for the head, forward and backward.
Differs   transformers converts logits to float32 for the loss; here they keep the model's type.
Read next transformer/gpt2.py and transformer/mistral.py (the models), transformer/masked_lm.py
          (BERT's loss, which predicts tokens within the text)

Why does this train a model of whole texts?  p(text) = Π_i p(token i | tokens before it) for any
distribution, so M L is the sum of −log p(text | its first token) over the texts.  e^L is the
perplexity: the model is as uncertain as a choice among e^L equally probable tokens.  One forward
pass gives all t − 1 predictions, because in a causal model vector i does not depend on token i + 1.
The first token is not predicted, because no vector precedes it.
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
    """A model that predicts the next token from each token's vector."""

    def encode(self, batch: Packed, dropout: Dropout = NO_DROPOUT
               ) -> tuple[np.ndarray, ParamOnlyBackward]:
        """Token vectors that depend on no later token.  -> x (T, D), backward(dx, g)."""

    def lm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """The next tokens' logits.  x: (M, D) -> logits (M, V), backward(dlogits, g) -> dx."""


def causal_lm(batch: Packed, model: CausalModel, dropout: Dropout = NO_DROPOUT,
              total: float | None = None) -> tuple[float, Callable[[Params], None]]:
    """The mean cross-entropy of all tokens but the first of each sequence.  -> loss, backward(g).

    total: M of the whole batch, if `batch` is one worker's share of it.
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
    """The rows that have a next token in their sequence, (M,), and the next tokens' ids, (M,).

    >>> from scratch_embed.text.packed import pack
    >>> next_tokens(pack([[7, 8, 9], [5], [4, 3]]))
    (array([0, 1, 4]), array([8, 9, 3], dtype=int32))
    """
    rows = np.delete(np.arange(len(batch.ids)), batch.offsets[1:] - 1)
    return rows, batch.ids[rows + 1]
