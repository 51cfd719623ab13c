"""Verdict on a sentence encoder: does it find texts better than before training, or than words do?

Equation  MRR = 1/N Σ_n 1/rank(key n among all N keys, by cosine with query n)
Shapes    queries, keys: N packed texts each; key n belongs to query n
Cost      the texts are encoded twice, by the trained model and the one before training: of
          MOST texts, about as much as five steps of training
Read next training/verdict.py (the same for losses), sentences/simcse.py

InfoNCE says little about the result: two views of a text that differ in their dropout are easily
matched by vectors that are useless otherwise.  So the verdict is a search.  Where there are pairs,
each text must find its partner; of single texts, the first half must find the second half.  Beside
it stand chance, (1 + 1/2 + … + 1/N)/N; the model before training; and the texts' common tokens:
the cosine of their counts, each weighted by log(2N/texts with the token), which needs no training
(retrieve/bm25.py has a better form of it).
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.sentences.simcse import HEAD, vectors
from scratch_embed.text.packed import Packed, pack, take
from scratch_embed.training.verdict import ERRORS
from scratch_embed.transformer.families import Model
from scratch_embed.transformer.pooling import Pool

MOST = 500                         # texts that are searched
FEW = 10                           # texts without which there is no verdict
PERFECT = 0.95                     # an MRR that leaves no room for improvement
SHORTEST = 8                       # tokens of a text that is split in half, without [CLS] and [SEP]


class SearchVerdict(NamedTuple):
    """The mean reciprocal rank of N texts: of the trained model, and of three others.

    error    the standard error of trained − start
    texts    N

    >>> SearchVerdict(0.5, start=0.3, tokens=0.4, chance=0.01, error=0.02, texts=500).learned
    True
    """

    trained: float
    start: float                   # the model before training
    tokens: float                  # the number of common tokens, weighted
    chance: float
    error: float
    texts: int

    @property
    def learned(self) -> bool:
        """Whether the model finds texts better than before training, significantly."""
        return bool(self.trained - self.start > ERRORS * self.error)

    def sentence(self) -> str:
        """The verdict in words."""
        figures = f"(MRR {self.trained:.3f} against {self.start:.3f}"
        if self.trained < self.tokens:
            other = (f"verdict: {'better' if self.learned else 'no better'} than the model before "
                     f"training {figures}), and worse than common tokens ({self.tokens:.3f})")
            return other + (": train the BERT on more text or for more steps first, or train on "
                            "--pairs")
        if self.learned:
            return (f"verdict: better than the model before training {figures}) and than common "
                    f"tokens ({self.tokens:.3f})")
        advice = ("train on more texts, for more --steps, or on --pairs" if self.trained < PERFECT
                  else "these texts are too easy to show a difference")
        return f"verdict: no better than the model before training {figures}): {advice}"


def of_encoder(model: Model, start: Model, pool: Pool, queries: Packed, keys: Packed,
               seed: int = 1, keep_head: bool = False) -> SearchVerdict | None:
    """The SearchVerdict on a result of simcse.train; None for fewer than FEW texts.

    start           the model before training
    queries, keys   N texts each, of which at most MOST are drawn; key n belongs to query n
    keep_head       whether the vectors are those after the head of the trained model
    """
    N = len(queries.offsets) - 1
    chosen = np.sort(np.random.default_rng([seed, 3]).permutation(N)[:MOST])
    if len(chosen) < FEW:
        return None
    queries, keys = take(queries, chosen), take(keys, chosen)
    N = len(chosen)
    trained, before = (
        reciprocal_ranks(*(vectors(side, m, pool, head) for side in (queries, keys)))
        for m, head in ((model, keep_head), (start, keep_head and HEAD in start.p)))
    gain = trained - before
    return SearchVerdict(float(trained.mean()), float(before.mean()),
                         float(reciprocal_ranks(*token_weights(queries, keys)).mean()),
                         float((1 / np.arange(1, N + 1)).mean()),
                         float(gain.std(ddof=1) / np.sqrt(N)), N)


def reciprocal_ranks(Q: np.ndarray, K: np.ndarray) -> np.ndarray:
    """1/rank of row n of K among all rows, by cosine with row n of Q.  (N, D), (N, D) -> (N,)

    Rows of equal score share their ranks: each gets the mean of 1/rank over all of these, so that
    vectors that are all equal are as good as chance.
    """
    scores = l2_normalize(Q.astype(np.float64))[0] @ l2_normalize(K.astype(np.float64))[0].T
    own = scores.diagonal()[:, None]
    before, equal = (scores > own).sum(1), np.maximum((scores == own).sum(1), 1)
    harmonic = np.cumsum(np.concatenate([[0], 1 / np.arange(1, len(scores) + 1)]))
    return (harmonic[np.minimum(before + equal, len(scores))] - harmonic[before]) / equal


def token_weights(queries: Packed, keys: Packed) -> tuple[np.ndarray, np.ndarray]:
    """The weighted counts of the tokens of both sides, (N, S) each, of S different tokens.

    Tokens of all texts, such as [CLS] and [SEP], have weight 0.
    """
    tokens, numbers = np.unique(np.concatenate([queries.ids, keys.ids]), return_inverse=True)
    counts = []
    for side, ids in zip((queries, keys), np.split(numbers.ravel(), [len(queries.ids)])):
        N = len(side.offsets) - 1
        rows = np.repeat(np.arange(N), np.diff(side.offsets))
        counts.append(np.bincount(rows * len(tokens) + ids, minlength=N * len(tokens)
                                  ).reshape(N, -1))
    both = np.concatenate(counts)
    weights = np.log(len(both) / (both > 0).sum(0))
    return counts[0] * weights, counts[1] * weights


def halves(texts: Packed) -> tuple[Packed, Packed]:
    """The first and the second half of each text of SHORTEST tokens or more.

    Each half begins and ends with the first and last tokens of the text, [CLS] and [SEP].
    """
    parts: tuple[list, list] = [], []
    for first, end in zip(texts.offsets[:-1], texts.offsets[1:]):
        ids = texts.ids[first:end].tolist()
        inside = ids[1:-1]
        if len(inside) >= SHORTEST:
            middle = len(inside) // 2
            for part, some in zip(parts, (inside[:middle], inside[middle:])):
                part.append([ids[0], *some, ids[-1]])
    return pack(parts[0]), pack(parts[1])
