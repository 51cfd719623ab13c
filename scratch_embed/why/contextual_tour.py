"""Words in context, for the tour: one vector per word compared with one per occurrence.

Paper     Devlin et al. 2019 (BERT); Ethayarajh 2019, "How Contextual are Contextualized Word
          Representations?" (layer by layer).
Shapes    a score is the accuracy, in %, of finding the sense of an ambiguous word
Cost      a seed takes about 8 s on one core, nearly all of it for training BERT.
Read next worlds/senses.py (the world, its bound), why/contexts.py (the classifier), why/bert.py

One model for each seed is trained on a text of three equal parts: sentences with informative words
at all positions, sentences in which they all come before the ambiguous word, and sentences in which
they all come after it.  A bidirectional model should be equally good on all parts.  The left
context alone has all the information in the second part and none in the third.

Is a Transformer necessary?  Not in this world: the words of a sentence are drawn independently, so
a bag of the other words has all the information.  The table of the tour has these baselines: a bag
of the other words, the mean of their word2vec vectors, the untrained model, and the more frequent
sense.  The tour demonstrates only that training on masked tokens alone makes the state of a word
represent its sense.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.text.vocab import index_sentences
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config
from scratch_embed.transformer.masked_lm import train
from scratch_embed.why.contexts import (
    masking,
    most_frequent_sense,
    packed,
    rows_of,
    sense_accuracy,
    states_of_words,
    untrained,
    whole_words,
    with_optim,
)
from scratch_embed.words import word2vec
from scratch_embed.worlds.senses import (
    LENGTH,
    Senses,
    accuracy_upper_bound,
    before,
    cue_after,
    cue_before,
    majority,
    naive_bayes,
    senses,
)

PARTS: dict[str, Callable[[int, int], Senses]] = {
    "anywhere": senses, "only before": cue_before, "only after": cue_after}
SENTENCES = 4000                   # of each part
SIZES = dict(dim=64, layers=2, heads=2, ff=128, positions=LENGTH + 2, types=1)
BERT = dict(steps=1000, batch_size=64, lr=2e-3, dropout=0.0)
WORD2VEC = dict(dim=64, window=5, negatives=5, sample=0, lr=0.05, epochs=5)
MODEL, UNTRAINED = f"BERT, layer {SIZES['layers']}", f"untrained, layer {SIZES['layers']}"
AROUND = "word2vec, mean of others"
UPPER_BOUND, LEFT_ONLY = "upper bound", "upper bound, left context"


class Trained(NamedTuple):
    """A text of three parts, and the BERT that was trained on all of it."""

    parts: dict[str, Senses]       # a text for each of PARTS
    tokenizer: WordPiece
    model: Bert
    losses: list[float]            # of every step
    seed: int


def train_bert(seed: int, sentences: int = SENTENCES, steps: int = BERT["steps"], workers: int = 1
               ) -> Trained:
    """Draw the text of a seed and train BERT on it.  sentences: how many in each part"""
    parts = {name: make(seed, sentences) for name, make in PARTS.items()}
    text = text_of(parts)
    tokenizer = whole_words(text)
    config = Config(len(tokenizer), **SIZES)
    learned = train(packed(tokenizer, text), config, masking(tokenizer),
                    options=RunOptions(workers, seed), **with_optim(BERT | dict(steps=steps)))
    return Trained(parts, tokenizer, learned.model, learned.losses, seed)


def text_of(parts: dict[str, Senses]) -> list[list[str]]:
    """The sentences of all parts."""
    return [sentence for world in parts.values() for sentence in world.sentences]


class States(NamedTuple):
    """The states of all T words of each of PARTS: for each part L + 1 tables (T, D)."""

    trained: list[list[np.ndarray]]
    untrained: list[list[np.ndarray]]


def compute_states(known: Trained) -> States:
    """The states of the training text in the trained and in the untrained BERT."""
    initial = untrained(known.model.config, known.seed)
    texts = [packed(known.tokenizer, world.sentences) for world in known.parts.values()]
    return States(*([states_of_words(text, model) for text in texts]
                  for model in (known.model, initial)))


def sense_accuracies(known: Trained, seen: States) -> dict[str, np.ndarray]:
    """{vectors or rule: accuracy in % on each of PARTS (3,)}: BERT by layer, and baselines."""
    worlds = list(known.parts.values())
    layers = range(1, known.model.config.layers + 1)
    names = ["BERT, embeddings", *(f"BERT, layer {n}" for n in layers)]
    tables = dict(zip(names, zip(*seen.trained), strict=True))
    tables[UNTRAINED] = [x[-1] for x in seen.untrained]
    tables |= dict(zip(("word2vec, its one vector", AROUND), word2vec_states(known)))
    scores = {name: [sense_accuracy(*pair) for pair in zip(worlds, x)]
              for name, x in tables.items()}
    scores |= {
        "the more frequent sense": [most_frequent_sense(world) for world in worlds],
        "a bag of the others": [naive_bayes(world) for world in worlds],
        UPPER_BOUND: [majority(world) for world in worlds],
        LEFT_ONLY: [majority(world, before) for world in worlds]}
    return {name: 100 * np.array(row) for name, row in scores.items()}


def upper_bound() -> float:
    """The highest expected accuracy on the part "anywhere", in %, exactly."""
    return 100 * accuracy_upper_bound(LENGTH - 1)


# ---- one vector per word ------------------------------------------------------------------------

def word2vec_states(known: Trained) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The word2vec vector of each word, and the mean vector of the other words in its sentence.

    -> two lists with a table (T, D) for each of PARTS
    """
    vocab, corpus = index_sentences(text_of(known.parts), min_count=1)
    W = word2vec.train(corpus, vocab, options=RunOptions(seed=known.seed), **WORD2VEC).W
    W = W.astype(np.float64)
    tables = [], []
    for world in known.parts.values():
        own = W[[[vocab.index[word] for word in sentence] for sentence in world.sentences]]
        others = (own.sum(axis=1, keepdims=True) - own) / (LENGTH - 1)         # (N, LENGTH, D)
        for parts, x in zip(tables, (own, others)):
            parts.append(x.reshape(-1, W.shape[1]))
    return tables


def same_word_cosines(known: Trained, seen: States) -> list[tuple[str, str, float]]:
    """Cosines of the states of "bank" in two sentences: the same sense, then different senses.

    -> [(sentence, other sentence, cosine)]: money and money, money and river
    """
    world, x = known.parts["anywhere"], seen.trained[0][-1]
    one_per_sentence = {o.sentence: o for o in world.test if o.word == "bank"}.values()
    chosen = [*[o for o in one_per_sentence if o.sense == "money"][:2],
              *[o for o in one_per_sentence if o.sense == "river"][:1]]
    rows = l2_normalize(x[rows_of(world, chosen)].astype(np.float64))[0]
    texts = [" ".join(world.sentences[o.sentence]) for o in chosen]
    return [(texts[0], texts[other], float(rows[0] @ rows[other])) for other in (1, 2)]
