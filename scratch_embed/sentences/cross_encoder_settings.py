"""The settings of a cross-encoder, apart from its tokenizer and its transformer."""
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.functions import sigmoid
from scratch_embed.sentences.interface import check_length_and_prompts


def identity(s: np.ndarray) -> np.ndarray:
    """s."""
    return s


class Settings(NamedTuple):
    """What a cross-encoder does with texts before its transformer, and with scores after it."""

    activation: Callable = sigmoid                 # of the scores: sigmoid, or identity
    max_seq_length: int = 512                      # tokens of a pair, [CLS] and [SEP] included
    lower_case: bool = False                       # lower-case texts before tokenization
    labels: tuple[str, ...] = ("LABEL_0",)         # O names
    prompts: Mapping[str, str] = {}                # put before the first text of a pair
    default_prompt_name: str | None = None


def default_settings(labels: Sequence[str], max_length: int) -> Settings:
    """sentence-transformers' defaults: sigmoid for one label, identity for several."""
    return Settings(sigmoid if len(labels) == 1 else identity, max_length, labels=tuple(labels))


def check_settings(settings: Settings, labels: int, max_length: int) -> None:
    """Raise ValueError for settings that are inconsistent or do not fit the model.

    labels: O of its classifier; max_length: the most tokens that it accepts
    """
    if len(settings.labels) != labels:
        raise ValueError(f"labels: expected {labels} names, one for each score of the model, got "
                         f"{settings.labels}")
    check_length_and_prompts(settings, max_length)
