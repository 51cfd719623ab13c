"""Words in context: a small BERT on a toy world, and a classifier of word senses by its states.

Paper     Devlin et al. 2019 (BERT); Schütze 1998, "Automatic Word Sense Discrimination": a sense is
          represented by the mean of the contexts in which it occurs.
Equation  sense(x) = argmin_s ‖x − mean_s‖,  mean_s over the occurrences in the training half
Shapes    states: L + 1 tables (T, D), the embeddings and the output of each layer, for T tokens
Cost      a training run takes a few seconds on one core; the rest is negligible.
Read next worlds/senses.py (the world), why/contextual_tour.py and why/bert.py (what is measured)

The model is trained to predict masked tokens, not senses.  The means are computed afterwards from
sentences whose senses are known, and tested on other sentences (a nearest-centroid classifier).  A
tie counts ½, so a word with the same vector at all positions has accuracy ½.
"""
from collections.abc import Iterable

import numpy as np

from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.text.packed import Packed, take, token_batches
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.bert import (
    Bert,
    Config,
    embed,
    encoder_layer,
    head_tensors,
    tensors,
)
from scratch_embed.transformer.masked_lm import Masking
from scratch_embed.worlds.senses import SENSES, Occurrence, Senses


def whole_words(sentences: Iterable[list[str]]) -> WordPiece:
    """A tokenizer whose tokens are the whole words of these sentences."""
    return WordPiece([*SPECIAL, *sorted({word for sentence in sentences for word in sentence})])


def packed(tokenizer: WordPiece, sentences: Iterable[list[str]]) -> Packed:
    """[CLS] words [SEP] of each sentence, packed end to end."""
    return Packed(*tokenizer.encode_batch(" ".join(sentence) for sentence in sentences))


def masking(tokenizer: WordPiece, **changes) -> Masking:
    """The masking of BERT.  changes: fields of Masking, such as share"""
    ids = tokenizer.index
    return Masking(ids["[MASK]"], (ids["[CLS]"], ids["[SEP]"]), **changes)


def untrained(config: Config, seed: int, tied: bool = True) -> Bert:
    """A BERT and its heads, with initial weights."""
    return Bert(config, init_params(tensors(config) | head_tensors(config, tied), seed))


def with_optim(settings: dict, **fixed) -> dict:
    """The arguments of `train` from a flat dict: fields of Optim are collected into `optim`.

    fixed: fields of Optim that are not in settings.
    """
    optim = {name: value for name, value in settings.items() if name in Optim._fields}
    rest = {name: value for name, value in settings.items() if name not in optim}
    return {**rest, "optim": Optim(**optim, **fixed)}


# ---- the states of all tokens -------------------------------------------------------------------

def states(batch: Packed, model: Bert) -> list[np.ndarray]:
    """The embeddings, and the output of each layer.  -> L + 1 tables (T, D)"""
    config, p = model.config, model.p
    x, _ = embed(batch, p, config)
    tables = [x]
    for n in range(config.layers):
        x, _ = encoder_layer(x, p, f"layers.{n}.", batch.offsets, config)
        tables.append(x)
    return tables


def states_of_words(batch: Packed, model: Bert) -> list[np.ndarray]:
    """The states of N sequences without [CLS] and [SEP].  -> L + 1 tables (T − 2N, D)"""
    parts = [states(take(batch, numbers), model)
             for numbers in token_batches(np.diff(batch.offsets), 4096)]
    inner = np.ones(len(batch.ids), bool)
    inner[batch.offsets[:-1]] = inner[batch.offsets[1:] - 1] = False
    return [np.concatenate(tables)[inner] for tables in zip(*parts)]


# ---- senses -------------------------------------------------------------------------------------

def rows_of(world: Senses, occurrences: list[Occurrence]) -> np.ndarray:
    """The positions of M occurrences in the concatenation of all sentences.  -> (M,)"""
    offsets = np.concatenate([[0], np.cumsum([len(sentence) for sentence in world.sentences])])
    return np.array([offsets[o.sentence] + o.position for o in occurrences])


def sense_accuracy(world: Senses, x: np.ndarray) -> float:
    """The share of occurrences in `world.test` that are nearest to the mean of their own sense.

    x: (T, D), the states of all T words of the world.  The means are over `world.train`; a sense
    that does not occur there is at infinite distance.
    """
    seen, tested = (x[rows_of(world, side)].astype(np.float64)
                    for side in (world.train, world.test))
    label = np.array([f"{o.word} {o.sense}" for o in world.train])
    mean = {name: seen[label == name].mean(axis=0) for name in set(label)}
    correct = 0.0
    for (_, _, word, sense), row in zip(world.test, tested):
        own, other = (np.linalg.norm(row - mean.get(f"{word} {s}", np.inf))
                      for s in sorted(SENSES[word], key=sense.__ne__))
        correct += (own < other) + 0.5 * (own == other)
    return correct / len(world.test)


def most_frequent_sense(world: Senses) -> float:
    """The accuracy on `world.test` of predicting each word's more frequent sense in train."""
    count = {(word, sense): sum((o.word, o.sense) == (word, sense) for o in world.train)
             for word, topics in SENSES.items() for sense in topics}
    best = {word: max(topics, key=lambda sense: count[word, sense])
            for word, topics in SENSES.items()}
    return float(np.mean([best[o.word] == o.sense for o in world.test]))
