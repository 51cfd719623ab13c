"""From token vectors to a sentence vector: pooling, dense layers, normalisation.

Equation  y = pool(x_1 … x_t);  y ← activation(W y + b), for each Dense;  y ← y / ‖y‖
          Dense layers and the normalisation are optional
Shapes    x (T, D) packed, offsets (N+1,) -> y (N, E), E the dimension of sentence vectors
Cost      negligible next to the transformer's
Differs   If a prompt is given and include_prompt is False, no pooling uses its tokens or [CLS],
          as in sentence-transformers 6.2.  In 3.4 the pooling cls still used [CLS], and an
          empty prompt excluded [CLS] from the other poolings.
Read next transformer/pooling.py, sentences/folder.py (the files of a Recipe)
"""
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.activations import tanh
from scratch_embed.nn.contract import Backward
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Params
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.sentences.interface import check_length_and_prompts
from scratch_embed.transformer.pooling import (
    cls,
    concat_poolings,
    last_token,
    max_,
    mean,
    mean_sqrt_len,
    weighted_mean,
)

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
POOLINGS = (cls, max_, mean, mean_sqrt_len, weighted_mean, last_token)


class Dense(NamedTuple):
    """A dense layer: y = activation(x Wᵀ + b).  x: (N, I), y: (N, O)."""

    p: Params                      # linear.weight (O, I) and, if it has a bias, linear.bias (O,)
    activation: Callable | None = tanh             # None: y = x Wᵀ + b


class Recipe(NamedTuple):
    """The settings of a sentence encoder apart from its transformer."""

    poolings: tuple[Callable, ...] = (mean,)       # their vectors are concatenated
    include_prompt: bool = True                    # whether the prompt's tokens are pooled
    dense: tuple[Dense, ...] = ()
    normalize: bool = True
    max_seq_length: int = 512                      # tokens of a text, including [CLS] and [SEP]
    lower_case: bool = False                       # lower-case texts before tokenization
    prompts: Mapping[str, str] = {}
    default_prompt_name: str | None = None
    similarity_fn_name: str = "cosine"

    def dim(self, D: int) -> int:
        """E, the dimension of sentence vectors.  D: the dimension of token vectors."""
        return len(self.dense[-1].p["linear.weight"]) if self.dense else D * len(self.poolings)


def sentence_vectors(x: np.ndarray, offsets: np.ndarray, recipe: Recipe, skip: int = 0
                     ) -> tuple[np.ndarray, Callable]:
    """Pool, transform, normalise.  x: (T, D), offsets: (N+1,) -> (N, E); backward(dy, g) -> dx.

    skip: the number of tokens up to the end of the prompt, [CLS] included; they are not pooled
    unless recipe.include_prompt.  g: one Params of gradients for each Dense.
    """
    pool = concat_poolings(*recipe.poolings)
    y, back_pool = pool(x, offsets, 0 if recipe.include_prompt else skip)
    backs = []
    for layer in recipe.dense:
        y, back_linear = linear(y, layer.p, "linear")
        y, back = (layer.activation or identity)(y)
        backs.append((back, back_linear))
    y, back_norm = (l2_normalize if recipe.normalize else identity)(y)

    def backward(dy, g=()):
        dy = back_norm(dy)
        for (back, back_linear), grads in zip(reversed(backs), reversed(g), strict=True):
            dy = back_linear(back(dy), grads)
        return back_pool(dy)
    return y, backward


def identity(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """y = x."""
    return x, lambda dy: dy


def check_recipe(recipe: Recipe, dim: int, max_length: int) -> None:
    """Raise ValueError for a recipe that is inconsistent or does not fit the model.

    dim: D, the dimension of token vectors; max_length: the most tokens that the model accepts.
    """
    if not recipe.poolings or not set(recipe.poolings) <= set(POOLINGS):
        raise ValueError("poolings: expected one or more of transformer/pooling.py, got "
                         f"{recipe.poolings}")
    width = dim * len(recipe.poolings)
    for p, activation in recipe.dense:
        W = p["linear.weight"]
        if W.shape[1] != width or activation not in (tanh, None):
            raise ValueError(f"dense: expected weights of {width} columns and the activation tanh "
                             f"or None, got {W.shape} and {activation}")
        width = len(W)
    check_length_and_prompts(recipe, max_length)
    if recipe.similarity_fn_name not in SIMILARITIES:
        raise ValueError(f"similarity_fn_name={recipe.similarity_fn_name!r}: expected one of "
                         f"{', '.join(SIMILARITIES)}")
