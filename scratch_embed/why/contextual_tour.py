"""What the tour measures of context: one vector for a word, or one for each place where it stands.

Paper     Devlin et al. 2019 (BERT); Ethayarajh 2019, "How Contextual are Contextualized Word
          Representations?" (layer by layer).
Shapes    a score is the % of ambiguous words told right, one a seed
Cost      a seed takes about 8 s of one core, nearly all of it BERT's training.
Read next worlds/senses.py (the world and its ceiling), why/contexts.py (nearest mean), why/bert.py

One model a seed learns from a text of three parts, a third each: sentences whose topic shows
everywhere, such with all cues before the ambiguous word, and such with all cues behind it.  A
bidirectional model should not care; who has read only what stands before, knows all in the second
and, exactly, nothing in the third.

Is a Transformer needed?  Not for this world: the words of a sentence are drawn each on its own, so
a bag of the others tells as much as can be told, and a mean of their vectors does too.  What is to
be seen is that a word's own state comes to hold it, by filling gaps alone.
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
    states_of_words,
    told_apart,
    untrained,
    whole_words,
    with_optim,
)
from scratch_embed.words import word2vec
from scratch_embed.worlds.senses import (
    LENGTH,
    Senses,
    bag_of_context,
    before,
    best_accuracy,
    cue_after,
    cue_before,
    majority,
    senses,
)

PARTS: dict[str, Callable[[int, int], Senses]] = {
    "anywhere": senses, "only before": cue_before, "only behind": cue_after}
SENTENCES = 4000                   # of each part
SIZES = dict(dim=64, layers=2, heads=2, ff=128, positions=LENGTH + 2, types=1)
BERT = dict(steps=1000, batch_size=64, lr=2e-3, dropout=0.0)
WORD2VEC = dict(dim=64, window=5, negatives=5, sample=0, lr=0.05, epochs=5)
MODEL, UNTRAINED = f"BERT, layer {SIZES['layers']}", f"untrained, layer {SIZES['layers']}"
AROUND = "word2vec, mean of others"
BEST, BEFORE = "the best there is", "... from what is before"


class Read(NamedTuple):
    """A text of three parts, and what BERT has learned from all of it."""

    parts: dict[str, Senses]       # as PARTS
    tokenizer: WordPiece
    model: Bert
    losses: list[float]            # of every step
    seed: int


def read(seed: int, sentences: int = SENTENCES, steps: int = BERT["steps"], workers: int = 1
         ) -> Read:
    """Make the text of a seed, and train.  sentences: of each part."""
    parts = {name: make(seed, sentences) for name, make in PARTS.items()}
    text = text_of(parts)
    tokenizer = whole_words(text)
    config = Config(len(tokenizer), **SIZES)
    learned = train(packed(tokenizer, text), config, masking(tokenizer),
                    options=RunOptions(workers, seed), **with_optim(BERT | dict(steps=steps)))
    return Read(parts, tokenizer, learned.model, learned.losses, seed)


def text_of(parts: dict[str, Senses]) -> list[list[str]]:
    """All sentences of all parts."""
    return [sentence for world in parts.values() for sentence in world.sentences]


class Seen(NamedTuple):
    """The states of every word of each of PARTS: L + 1 tables (words in all, D) a part."""

    trained: list[list[np.ndarray]]
    untrained: list[list[np.ndarray]]


def look(known: Read) -> Seen:
    """What BERT makes of the text that it has learned from, and what it made of it at first."""
    first = untrained(known.model.config, known.seed)
    texts = [packed(known.tokenizer, world.sentences) for world in known.parts.values()]
    return Seen(*([states_of_words(text, model) for text in texts]
                  for model in (known.model, first)))


def tell_senses(known: Read, seen: Seen) -> dict[str, np.ndarray]:
    """{who: (3,) % of each of PARTS told right}, layer by layer and beside others."""
    worlds = list(known.parts.values())
    layers = range(1, known.model.config.layers + 1)
    names = ["BERT, embeddings", *(f"BERT, layer {n}" for n in layers)]
    tables = dict(zip(names, zip(*seen.trained), strict=True))
    tables[UNTRAINED] = [x[-1] for x in seen.untrained]
    tables |= dict(zip(("word2vec, its one vector", AROUND), word2vec_states(known)))
    scores = {who: [told_apart(*pair) for pair in zip(worlds, x)] for who, x in tables.items()}
    scores |= {
        "the more frequent sense": [most_frequent_sense(world) for world in worlds],
        "a bag of the others": [bag_of_context(world) for world in worlds],
        BEST: [majority(world) for world in worlds],
        BEFORE: [majority(world, before) for world in worlds]}
    return {who: 100 * np.array(row) for who, row in scores.items()}


def ceiling() -> float:
    """What the best can have where cues are anywhere, in %, exactly."""
    return 100 * best_accuracy(LENGTH - 1)


# ---- one vector a word --------------------------------------------------------------------------

def word2vec_states(known: Read) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each part every word's vector, and the mean of the other words' of its sentence.

    -> two lists of tables (words in all, D).
    """
    vocab, corpus = index_sentences(text_of(known.parts), min_count=1)
    W = word2vec.train(corpus, vocab, options=RunOptions(seed=known.seed), **WORD2VEC).W
    W = W.astype(np.float64)
    sides = [], []
    for world in known.parts.values():
        own = W[[[vocab.index[word] for word in sentence] for sentence in world.sentences]]
        others = (own.sum(axis=1, keepdims=True) - own) / (LENGTH - 1)         # (N, LENGTH, D)
        for side, table in zip(sides, (own, others)):
            side.append(table.reshape(-1, W.shape[1]))
    return sides


def two_places(known: Read, seen: Seen) -> list[tuple[str, str, float]]:
    """The same word in two sentences: cosines of its states, of one sense and of two.

    -> (a sentence, another, cosine): bank beside money twice, and bank beside money and river.
    """
    world, x = known.parts["anywhere"], seen.trained[0][-1]
    once = {o.sentence: o for o in world.test if o.word == "bank"}.values()
    chosen = [*[o for o in once if o.sense == "money"][:2],
              *[o for o in once if o.sense == "river"][:1]]
    rows = l2_normalize(x[rows_of(world, chosen)].astype(np.float64))[0]
    texts = [" ".join(world.sentences[o.sentence]) for o in chosen]
    return [(texts[0], texts[other], float(rows[0] @ rows[other])) for other in (1, 2)]
