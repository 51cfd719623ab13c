"""Phrases: join two adjacent words that occur together far more often than by chance.

Paper     Mikolov et al. 2013b, "Distributed Representations of Words and Phrases and their
          Compositionality", section 4, eq. 6
Equation  score(a, b) = (n_ab − δ) / (n_a n_b) · N,   a phrase if score > threshold
Shapes    n_a: the count of word a; n_ab: how often b follows a in a sentence; N: the number of
          tokens; δ = min_count.  Pairs (P, 2) int32 word numbers, scores (P,) float64
Cost      sorting the adjacent pairs of frequent words, T of them at most; 30 to 80 bytes of
          memory for each.  NumPy does the work, so there is no kernel
Differs   from the paper: the factor N, as in word2phrase.c, so that one threshold suits texts of
          any length (in gensim the factor is the number of different words and pairs).  From
          word2phrase.c: it counts pairs across the end of a line, because of a bug, and drops rare
          pairs to save memory; here neither is done.
Read next words/word2vec.py, which learns a vector for new_york as for any other word

Why this score?  If words were independent, b would follow a about n_a n_b / N times.  Without δ the
score is the observed count divided by this expected one, e^PMI, and two words that occur only once,
together, have the highest score of all.  So the discount δ is subtracted first.  As n_ab ≤
min(n_a, n_b), a pair with a word rarer than δ scores below 0.  A second pass over the joined text
finds longer phrases.
"""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_unicode
from scratch_embed.text.corpus import split_words
from scratch_embed.text.vocab import Corpus, Vocab

BATCH = 1000                       # sentences that are joined at a time


class Phrases(NamedTuple):
    """The pairs of words that are phrases, as word numbers, the highest score first."""

    pairs: np.ndarray              # (P, 2) int32
    scores: np.ndarray             # (P,) float64


# ---- finding ----------------------------------------------------------------------------------

def find_phrases(corpus: Corpus, vocab: Vocab, min_count: int = 5, threshold: float = 100.0
                 ) -> Phrases:
    """Find the phrases of `corpus`, the highest score first.

    corpus, vocab   with ALL words (read with min_count=1): if rare words were dropped, words that
                    are not adjacent in the text would seem adjacent
    min_count       δ of the equation
    threshold       the score that phrases exceed; use a lower one for a second pass
    Raises          ValueError if min_count or threshold is negative or not finite
    """
    require_number("min_count", min_count)
    require_number("threshold", threshold)
    V, N = len(vocab), len(corpus.ids)
    frequent = vocab.counts > min_count            # a pair with another word scores at most 0
    first = np.flatnonzero(has_next(corpus) & frequent[corpus.ids])
    first = first[frequent[corpus.ids[first + 1]]]
    codes, n_ab = np.unique(pair_codes(corpus.ids[first], corpus.ids[first + 1], V),
                            return_counts=True)
    pairs = np.stack([codes // V, codes % V], axis=1)          # (different pairs, 2)
    n_a, n_b = vocab.counts[pairs].T.astype(np.float64)
    scores = (n_ab - min_count) / (n_a * n_b) * N
    best = np.argsort(-scores, kind="stable")
    best = best[scores[best] > threshold]
    return Phrases(pairs[best].astype(np.int32), scores[best])


def has_next(corpus: Corpus) -> np.ndarray:
    """Whether each token is followed by another in its sentence.  -> (T,) bool"""
    has = np.ones(len(corpus.ids), bool)
    has[corpus.offsets[1:] - 1] = False
    return has


def pair_codes(a: np.ndarray, b: np.ndarray, V: int) -> np.ndarray:
    """One number, a·V + b, for each pair of words.  a, b: (P,) -> (P,) int64."""
    return a.astype(np.int64) * V + b


# ---- joining ----------------------------------------------------------------------------------

def join_phrases(corpus: Corpus, vocab: Vocab, phrases: Phrases, delimiter: str = "_"
                 ) -> Iterator[list[str]]:
    """Join the phrases in the sentences of `corpus`.  -> an iterator of lists of str

    To train on the sentences, or for a second pass, give them to index_sentences.

    phrases     the result of find_phrases for this `vocab`
    delimiter   is put between the two words
    Raises      ValueError for a delimiter with white space, which would separate the two words
                again
    """
    require_unicode("delimiter", delimiter)
    if delimiter and split_words(delimiter) != [delimiter]:
        raise ValueError(f"delimiter={delimiter!r}: expected no white space, at which a "
                         "phrase would be split again")
    V = len(vocab)
    first, second = phrases.pairs.T
    codes = pair_codes(first, second, V)
    order = np.argsort(codes)
    names = vocab.words + [delimiter.join([vocab.words[a], vocab.words[b]])
                           for a, b in phrases.pairs[order]]
    return _joined(corpus, names, codes[order], V)


def _joined(corpus, names, codes, V):
    """Yield the joined sentences.  names: of the V words, then of the phrases; codes: sorted"""
    for s in range(0, len(corpus.offsets) - 1, BATCH):
        offsets = corpus.offsets[s:s + BATCH + 1]
        batch = Corpus(corpus.ids[offsets[0]:offsets[-1]], offsets - offsets[0])
        first, number = phrases_in(batch, codes, V)
        ids, kept = batch.ids.astype(np.int64), np.ones(len(batch.ids), bool)
        ids[first], kept[first + 1] = V + number, False
        before = np.concatenate([[0], np.cumsum(kept)])        # tokens kept before each position
        words, offsets = [names[i] for i in ids[kept].tolist()], before[batch.offsets].tolist()
        for start, end in zip(offsets, offsets[1:]):
            yield words[start:end]


def phrases_in(corpus: Corpus, codes: np.ndarray, V: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the phrases in a corpus; of two that share a token, the left one is taken.

    codes: (P,) sorted codes of the phrases -> positions (n,) of first tokens, numbers (n,) below P

    After a phrase "a b" the next one can begin only after b.  So where several adjacent tokens
    could each begin a phrase, the first, the third, the fifth ... of them do.
    """
    first = np.flatnonzero(has_next(corpus))
    code = pair_codes(corpus.ids[first], corpus.ids[first + 1], V)
    at = np.searchsorted(codes, code)
    is_phrase = np.append(codes, -1)[at] == code   # at = P if the code is above all: no match
    first, at = first[is_phrase], at[is_phrase]
    position = np.arange(len(first))
    is_first = np.diff(first, prepend=-2) > 1
    start = np.maximum.accumulate(np.where(is_first, position, 0))
    taken = (position - start) % 2 == 0                        # the first, third, fifth ...
    return first[taken], at[taken]
