"""Phrases: two words that stand together far more often than chance would have it become one.

Paper     Mikolov et al. 2013b, "Distributed Representations of Words and Phrases and their
          Compositionality", section 4, eq. 6.
Equation  score(a, b) = (n_ab − δ) / (n_a n_b) · N,   a phrase if score > threshold
Shapes    n_a how often word a is seen, n_ab how often b follows a in a sentence, N all tokens,
          δ = min_count.  Pairs (P, 2) int32 word numbers, scores (P,) float64.
Cost      a sort of the pairs of frequent words, about 40 bytes of memory for each; no kernel.
Differs   from the paper: the factor N, as in word2phrase.c, so that the same threshold suits texts
          of any length (gensim has the number of its words and pairs in place of N).  From the C:
          a pair over a line's end is not counted (the C forgets what it noted about the line's end
          before it looks), and every pair is counted (the C drops rare ones when memory is short).
Read next words/word2vec.py, which learns a vector for new_york as for any word.

Were words independent, b would follow a about n_a n_b / N times.  So the score is the ratio of what
is seen to what chance gives, e^PMI, after a discount δ: without it two words that are seen once,
and together, would score highest of all.  As n_ab ≤ min(n_a, n_b), a pair with a word rarer than δ
scores below 0.  A second pass, over the text with its phrases joined, finds longer ones.
"""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number
from scratch_embed.text.vocab import Corpus, Vocab

BATCH = 1000                       # sentences that are joined at a time


class Phrases(NamedTuple):
    """Pairs of word numbers that are phrases, best first."""

    pairs: np.ndarray              # (P, 2) int32
    scores: np.ndarray             # (P,) float64


# ---- finding ----------------------------------------------------------------------------------

def find_phrases(corpus: Corpus, vocab: Vocab, min_count: int = 5, threshold: float = 100.0
                 ) -> Phrases:
    """The pairs of words that are phrases in `corpus`.  Return Phrases, best first.

    corpus, vocab   of ALL words (read with min_count=1): where rare words are left out, words
                    seem to be neighbours that are not
    min_count       δ of the equation
    threshold       how many times more often than by chance; a second pass takes a lower one
    Raises          ValueError for settings that make no sense.
    """
    require_number("min_count", min_count)
    require_number("threshold", threshold)
    V, N = len(vocab), len(corpus.ids)
    often = vocab.counts > min_count                           # the others score at most 0
    first = np.flatnonzero(has_next(corpus) & often[corpus.ids])
    first = first[often[corpus.ids[first + 1]]]
    codes, n_ab = np.unique(pair_codes(corpus.ids[first], corpus.ids[first + 1], V),
                            return_counts=True)
    pairs = np.stack([codes // V, codes % V], axis=1)          # (pairs, 2)
    n_a, n_b = vocab.counts[pairs].T.astype(np.float64)
    scores = (n_ab - min_count) / (n_a * n_b) * N
    best = np.argsort(-scores, kind="stable")
    best = best[scores[best] > threshold]
    return Phrases(pairs[best].astype(np.int32), scores[best])


def has_next(corpus: Corpus) -> np.ndarray:
    """Where a token has a right neighbour in its sentence.  (T,) bool."""
    has = np.ones(len(corpus.ids), bool)
    has[corpus.offsets[1:] - 1] = False
    return has


def pair_codes(a: np.ndarray, b: np.ndarray, V: int) -> np.ndarray:
    """One number, a·V + b, for each pair of words.  a, b: (P,) -> (P,) int64."""
    return a.astype(np.int64) * V + b


# ---- joining ----------------------------------------------------------------------------------

def join_phrases(corpus: Corpus, vocab: Vocab, phrases: Phrases, joiner: str = "_"
                 ) -> Iterator[list[str]]:
    """The sentences of `corpus` with their phrases joined.  Return an iterator of lists of str.

    For training, or for a second pass, index_sentences makes a (Vocab, Corpus) of them.

    phrases   what find_phrases found, in numbers of this `vocab`
    joiner    stands between the two words
    Raises    ValueError for a joiner with white space: a phrase would be two words again when its
              text is read.
    """
    if joiner and joiner.split() != [joiner]:
        raise ValueError(f"joiner={joiner!r}: white space would part the phrase again")
    V = len(vocab)
    first, second = phrases.pairs.T
    codes = pair_codes(first, second, V)
    order = np.argsort(codes)
    names = vocab.words + [joiner.join([vocab.words[a], vocab.words[b]])
                           for a, b in phrases.pairs[order]]
    return _joined(corpus, names, codes[order], V)


def _joined(corpus, names, codes, V):
    """names: of V words, then of the phrases whose sorted codes are `codes`."""
    for batch in range(0, len(corpus.offsets) - 1, BATCH):
        offsets = corpus.offsets[batch:batch + BATCH + 1]
        piece = Corpus(corpus.ids[offsets[0]:offsets[-1]], offsets - offsets[0])
        first, number = phrases_in(piece, codes, V)
        ids, kept = piece.ids.astype(np.int64), np.ones(len(piece.ids), bool)
        ids[first], kept[first + 1] = V + number, False
        before = np.concatenate([[0], np.cumsum(kept)])        # tokens kept before each position
        words, offsets = [names[i] for i in ids[kept].tolist()], before[piece.offsets].tolist()
        for start, end in zip(offsets, offsets[1:]):
            yield words[start:end]


def phrases_in(corpus: Corpus, codes: np.ndarray, V: int) -> tuple[np.ndarray, np.ndarray]:
    """(where a phrase begins, which one): of two that share a token the left one is taken.

    codes: (P,) sorted codes of the phrases -> positions (n,), numbers (n,) below P.

    After a phrase a b the next may begin with the token behind b.  So in a run of tokens, each of
    which could begin a phrase, it is the first, the third, the fifth ... that does.
    """
    first = np.flatnonzero(has_next(corpus))
    code = pair_codes(corpus.ids[first], corpus.ids[first + 1], V)
    at = np.searchsorted(codes, code)
    could = np.append(codes, -1)[at] == code                   # −1: greater than all codes
    first, at = first[could], at[could]
    position = np.arange(len(first))
    begins_run = np.diff(first, prepend=-2) > 1
    run = np.maximum.accumulate(np.where(begins_run, position, 0))
    odd = (position - run) % 2 == 0                            # first, third, fifth of its run
    return first[odd], at[odd]
