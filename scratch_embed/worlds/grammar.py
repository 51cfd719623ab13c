"""Sentences from a grammar, and the exact chance of every pair of neighbours in them.

Equation  P(sentence) = Σ_f π_f Π_i P(w_i | slot i of frame f)
Shapes    V words; S slots, each a distribution over the words; F frames, each a row of slots.
Cost      pair_distribution: one product of V·S·V and the pairs of slots of every frame.
Read next worlds/words.py, the grammars of which the toy texts are made.

A frame is the pattern of a sentence.  Once it is chosen, the positions are independent: each
draws its word from its slot.  So the chance that a (centre, context) pair is (w, c) is a finite
sum, exact without any sampling, and what a method estimates from a text can be held against it.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole


class Grammar(NamedTuple):
    """The exact distribution of a sentence.

    words: V strings.  slots: (S, V), each row the chances of the words in one slot.  frames: F
    lists of slot numbers, each the pattern of a sentence.  chances: (F,), the frames' chances.
    """

    words: list[str]
    slots: np.ndarray
    frames: list[list[int]]
    chances: np.ndarray


def number_patterns(patterns: list[list[tuple[str, ...]]], chances: np.ndarray, noise: float
                    ) -> Grammar:
    """The Grammar of patterns whose slots are tuples of words, the first the most frequent."""
    row = {slot: s for s, slot in enumerate(dict.fromkeys(x for p in patterns for x in p))}
    words = list(dict.fromkeys(word for slot in row for word in slot))
    column = {word: v for v, word in enumerate(words)}
    slots = np.full((len(row), len(words)), noise / len(words))
    for slot, s in row.items():
        zipf = 1 / np.arange(1, len(slot) + 1)
        slots[s, [column[word] for word in slot]] += (1 - noise) * zipf / zipf.sum()
    return Grammar(words, slots, [[row[slot] for slot in p] for p in patterns], chances)


def draw_sentences(grammar: Grammar, n: int, rng: np.random.Generator) -> list[list[str]]:
    """n sentences: for each a frame, then for each of its positions a word of its slot."""
    chosen = [grammar.frames[f] for f in rng.choice(len(grammar.frames), n, p=grammar.chances)]
    slot = np.concatenate(chosen)
    ids = np.empty_like(slot)
    for s, chances in enumerate(grammar.slots):
        here = np.flatnonzero(slot == s)
        ids[here] = rng.choice(len(chances), len(here), p=chances)
    drawn = iter(ids)
    return [[grammar.words[next(drawn)] for _ in frame] for frame in chosen]


def pair_distribution(grammar: Grammar, window: int, keep: np.ndarray | None = None
                      ) -> np.ndarray:
    """P(w, c): the chance that a (centre, context) pair of a text of this grammar is (w, c).

    word2vec's pairs: a position is the centre, b is drawn from 1..window, and the words up to b
    away in its sentence are the contexts; so a pair at distance d counts (window − d + 1)/window.
    keep: (V,), the chance that sub-sampling keeps a word; it comes before windowing.  Default 1.
    Returns (V, V), symmetric, of sum 1, float64; rows and columns as grammar.words.
    """
    require_whole("window", window, 1)
    joint = expected_cooccurrence(grammar, np.arange(window, 0, -1) / window, keep)
    if not joint.any():
        raise ValueError("no pair ever occurs: keep drops every word, or sentences have one word")
    return joint / joint.sum()


def expected_cooccurrence(grammar: Grammar, weights: np.ndarray, keep: np.ndarray | None = None
                          ) -> np.ndarray:
    """X: the expected co-occurrence counts of a sentence, (V, V).

    weights: (window,), what a pair at distance 1, 2, ... counts: 1/d for GloVe.  keep: as above.

    Let the pair's positions i < j hold slots s and t.  It counts weights[m] if m words between them
    are kept, and the m of independent positions is a polynomial product: `between` below.
    """
    words, slots, frames, chances = grammar
    keep = np.ones(len(words)) if keep is None else np.asarray(keep, np.float64)
    if keep.shape != (len(words),) or not ((keep >= 0) & (keep <= 1)).all():
        raise ValueError(f"keep: expected {len(words)} chances from 0 to 1, one for each word")
    kept = slots @ keep                                          # (S,) the chance to survive
    near = np.zeros((len(slots), len(slots)))                    # (S, S) expected counts of slots
    for frame, chance in zip(frames, chances):
        for i, s in enumerate(frame):
            between = np.zeros(len(weights))                       # P(m kept between), m < window
            between[0] = 1
            for t in frame[i + 1:]:
                near[s, t] += chance * (between @ weights)
                more = np.concatenate([[0.0], between[:-1]])
                between = (1 - kept[t]) * between + kept[t] * more
    seen = slots * keep
    joint = seen.T @ near @ seen
    return joint + joint.T
