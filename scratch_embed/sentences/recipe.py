"""What a sentence encoder does with the vectors of tokens: pool, transform, normalise.

Equation  y = pool(x_1 … x_t);  y ← activation(W y + b), for each Dense;  y ← y / ‖y‖
Shapes    x (T, D) packed, offsets (N+1,) -> y (N, E)
Cost      nothing beside the encoder's.
Differs   Where the prompt is not pooled, this is what sentence-transformers 6.2 does.  In 3.4 cls
          took [CLS] all the same, and a prompt of no letters still took [CLS] from the others.
Read next transformer/pooling.py, sentences/folder.py (how it is written down)
"""
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.activations import tanh
from scratch_embed.nn.contract import Backward
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Params
from scratch_embed.numerics.l2_normalize import l2_normalize
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
    """y = activation(x Wᵀ + b)."""

    p: Params                      # linear.weight (O, I), linear.bias (O,)
    activation: Callable | None = tanh


class Recipe(NamedTuple):
    """How one vector is made of a sentence, but for its token vectors."""

    poolings: tuple[Callable, ...] = (mean,)       # of transformer/pooling.py, set side by side
    include_prompt: bool = True                    # are the prompt's tokens pooled?
    dense: tuple[Dense, ...] = ()
    normalize: bool = True
    max_seq_length: int = 512                      # tokens of a text, [CLS] and [SEP] among them
    lower_case: bool = False                       # before the tokenizer, which may do so itself
    prompts: Mapping[str, str] = {}
    default_prompt_name: str | None = None
    similarity_fn_name: str = "cosine"

    def dim(self, D: int) -> int:
        """The width of what is made of token vectors of width D."""
        return self.dense[-1].p["linear.bias"].size if self.dense else D * len(self.poolings)


def sentence_vectors(x: np.ndarray, offsets: np.ndarray, recipe: Recipe, skip: int = 0
                     ) -> tuple[np.ndarray, Callable]:
    """Pool, transform, normalise.  x: (T, D), offsets: (N+1,) -> (N, E); backward(dy, g) -> dx.

    skip: tokens of the prompt and before it, which are left out unless recipe.include_prompt.
    g: the gradients of each Dense, a Params for each of them.
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
        for (back, back_linear), dense in zip(reversed(backs), reversed(g), strict=True):
            dy = back_linear(back(dy), dense)
        return back_pool(dy)
    return y, backward


def identity(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """x as it is."""
    return x, lambda dy: dy


def check_recipe(recipe: Recipe, dim: int, max_length: int) -> None:
    """Raise ValueError for a recipe that does not fit itself, or a model of these sizes."""
    if not recipe.poolings or not set(recipe.poolings) <= set(POOLINGS):
        raise ValueError(f"poolings={recipe.poolings}: expected some of transformer/pooling.py")
    width = dim * len(recipe.poolings)
    for p, activation in recipe.dense:
        W = p["linear.weight"]
        if W.shape[1] != width or activation not in (tanh, None):
            raise ValueError(f"a Dense with weights {W.shape} and the activation {activation}: "
                             f"expected {width} columns, and tanh or None")
        width = len(W)
    if not 1 <= recipe.max_seq_length <= max_length:
        raise ValueError(f"max_seq_length={recipe.max_seq_length}: expected 1 to {max_length}, the "
                         "positions that the encoder has")
    if recipe.default_prompt_name not in (None, *recipe.prompts):
        raise ValueError(f"default_prompt_name={recipe.default_prompt_name!r}: expected None or "
                         f"one of {list(recipe.prompts)}")
    if recipe.similarity_fn_name not in SIMILARITIES:
        raise ValueError(f"similarity_fn_name={recipe.similarity_fn_name!r}: expected one of "
                         f"{', '.join(SIMILARITIES)}")
