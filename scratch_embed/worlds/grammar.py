"""Sentences from a grammar, and the exact co-occurrence distribution of their words.

Equation  P(sentence) = Σ_f π_f Π_i P(w_i | slot i of frame f)
Shapes    V words; S slots, each a distribution over the words; F frames, each a list of slots
Cost      pair_distribution: a matrix product O(V² S), and O(window) for each pair of positions of
          a frame
Read next worlds/words.py (the grammars of the toy texts)

A frame is the pattern of a sentence, a list of slots.  Given the frame, the positions are
independent: each draws a word from its slot.  So the probability that a (centre, context) pair is
(w, c) is a finite sum, which is computed exactly, without sampling.  What a method estimates from a
text can be compared with it.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole


class Grammar(NamedTuple):
    """The exact distribution of a sentence.

    words: V strings.  slots: (S, V), in each row the probabilities of the words in one slot.
    frames: F lists of slot indices, each the pattern of a sentence.  probabilities: (F,), the
    probabilities of the frames.
    """

    words: list[str]
    slots: np.ndarray
    frames: list[list[int]]
    probabilities: np.ndarray


def grammar_of_patterns(patterns: list[list[tuple[str, ...]]], probabilities: np.ndarray,
                        noise: float) -> Grammar:
    """The Grammar of these patterns.

    patterns: for each sentence pattern its slots; a slot is a tuple of words, and the r-th word has
    a probability ∝ 1/r.  probabilities: of the patterns.
    noise: the probability that a word is drawn uniformly from the vocabulary instead.
    """
    row = {slot: s for s, slot in enumerate(dict.fromkeys(x for p in patterns for x in p))}
    words = list(dict.fromkeys(word for slot in row for word in slot))
    column = {word: v for v, word in enumerate(words)}
    slots = np.full((len(row), len(words)), noise / len(words))
    for slot, s in row.items():
        zipf = 1 / np.arange(1, len(slot) + 1)
        slots[s, [column[word] for word in slot]] += (1 - noise) * zipf / zipf.sum()
    return Grammar(words, slots, [[row[slot] for slot in p] for p in patterns], probabilities)


def draw_sentences(grammar: Grammar, n: int, rng: np.random.Generator) -> list[list[str]]:
    """Draw n sentences: for each a frame, then a word for each slot of the frame."""
    drawn_frames = rng.choice(len(grammar.frames), n, p=grammar.probabilities)
    chosen = [grammar.frames[f] for f in drawn_frames]
    slot = np.concatenate(chosen)
    ids = np.empty_like(slot)
    for s, probabilities in enumerate(grammar.slots):
        here = np.flatnonzero(slot == s)
        ids[here] = rng.choice(len(probabilities), len(here), p=probabilities)
    drawn = iter(ids)
    return [[grammar.words[next(drawn)] for _ in frame] for frame in chosen]


def pair_distribution(grammar: Grammar, window: int, keep: np.ndarray | None = None
                      ) -> np.ndarray:
    """P(w, c): the probability that a (centre, context) pair of the grammar's text is (w, c).

    The pairs are those of word2vec: for each centre the window size is drawn from 1..window, and
    the words within it are the contexts.  So a pair at distance d has the weight
    (window − d + 1)/window.
    keep: (V,), the probability that subsampling keeps each word; default 1.  Subsampling comes
    before the windows.
    Returns (V, V) float64, symmetric, with sum 1; rows and columns are in the order of
    grammar.words.  Raises ValueError if there are no pairs.
    """
    require_whole("window", window, 1)
    joint = expected_cooccurrence(grammar, np.arange(window, 0, -1) / window, keep)
    if not joint.any():
        raise ValueError("expected at least one pair of words, got none: keep drops every word, or "
                         "all sentences have one word")
    return joint / joint.sum()


def expected_cooccurrence(grammar: Grammar, weights: np.ndarray, keep: np.ndarray | None = None
                          ) -> np.ndarray:
    """X: the expected co-occurrence counts of a sentence.  -> (V, V)

    weights: (window,), the weights of pairs at distance 1, 2, ...; for GloVe 1/distance.
    keep: as in pair_distribution.

    Let the positions i < j have the slots s and t.  If m words between them are kept, the pair has
    distance m + 1 and adds weights[m].  `between` is the distribution of m.  Every position between
    them is kept independently: with probability kept it increases m by 1.
    """
    words, slots, frames, probabilities = grammar
    keep = np.ones(len(words)) if keep is None else np.asarray(keep, np.float64)
    if keep.shape != (len(words),) or not ((keep >= 0) & (keep <= 1)).all():
        raise ValueError(f"keep: expected {len(words)} probabilities, one for each word, got an "
                         f"array of shape {keep.shape}, from {keep.min():g} to {keep.max():g}")
    kept = slots @ keep                                          # (S,) P(word is kept)
    near = np.zeros((len(slots), len(slots)))                    # (S, S) expected weighted pairs
    for frame, probability in zip(frames, probabilities):
        for i, s in enumerate(frame):
            between = np.zeros(len(weights))                     # P(m kept between), m < window
            between[0] = 1
            for t in frame[i + 1:]:
                near[s, t] += probability * (between @ weights)
                shifted = np.concatenate([[0.0], between[:-1]])
                between = (1 - kept[t]) * between + kept[t] * shifted
    kept_words = slots * keep                                    # (S, V) P(word is drawn and kept)
    joint = kept_words.T @ near @ kept_words
    return joint + joint.T
