"""Verdict on a sentence encoder: is it better than the same model before training?

Equation  of pairs           MRR = 1/N Σ_n 1/rank(key n among all N keys, by cosine with query n)
          of scored pairs    Spearman's ρ of cosine and score
          of classes         the mean loss of a classifier of pairs
Shapes    N pairs: N texts and N partners
Cost      the texts are encoded by the trained model and by the model before training; for MOST
          texts this takes about as long as five steps of training
Read next training/verdict.py (the same for losses), sentences/simcse.py, sentences/sbert.py

InfoNCE says little about the result: two views of a text that differ in their dropout are easily
matched by vectors that are useless otherwise.  So the verdict is a search: in a pair of texts, the
first must find the second; in a single text, the first half must find the second half.  Its MRR is
compared with three others: chance, (1 + 1/2 + … + 1/N)/N; the model before training; and a search
by common tokens, without training.  That search ranks by the cosine of token counts, each weighted
by log(2N / number of texts with the token); retrieve/bm25.py has a better form of it.

A model is called better than before training, or worse, if the difference is more than ERRORS
standard errors, so it is not called either after a step or two.  A model that is not above chance
by as much has learned nothing that a search can use, even if it is better than before.

Scored pairs have no right order of texts, so there the verdict is a correlation, compared with that
of the model before training and of a bag of words.  Its error is the standard deviation of
ρ(trained) − ρ(start) over bootstrap draws of the pairs, the same draws for both.  Classes have no
order either; the loss of their classifier is compared with that of class frequencies.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.baselines import BagOfWords
from scratch_embed.evaluate.correlation import spearman
from scratch_embed.evaluate.correlation_interval import drawn_ranks, weighted_pearson
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import Objective
from scratch_embed.sentences.sbert import Trained, trainable
from scratch_embed.sentences.simcse import HEAD, vectors
from scratch_embed.space.similarity import cosine
from scratch_embed.text.packed import Packed, pack, take
from scratch_embed.training.verdict import ERRORS, GROUPS, NOTHING, Verdict, compare
from scratch_embed.transformer.model import Transformer
from scratch_embed.transformer.pooling import Pool

MOST = 500                         # the most texts that are searched
FEW = 10                           # with fewer texts there is no verdict
PERFECT = 0.95                     # an MRR that leaves no room for improvement
SHORTEST = 8                       # tokens that a text must have inside [CLS], [SEP] to be halved
DRAWS = 200                        # of the bootstrap
FIRST_BERT = "train the BERT on more text or for more steps first, or train on --pairs"
MORE_TEXTS = "train on more texts, for more --steps, or on --pairs"
MORE_PAIRS = "train on more pairs, for more --steps, or from a pretrained --model"
SMALLER_STEPS = "train with a smaller --lr, or on more pairs"


class SearchVerdict(NamedTuple):
    """The mean reciprocal rank over N texts: the trained model's, and three others to compare.

    error    the standard error of trained − start
    texts    N
    spread   the standard error of trained

    >>> SearchVerdict(0.5, start=0.3, tokens=0.4, chance=0.01, error=0.02, texts=500).learned
    True
    """

    trained: float
    start: float                   # the model before training
    tokens: float                  # the search by common tokens
    chance: float
    error: float
    texts: int
    spread: float = 0.0

    @property
    def learned(self) -> bool:
        """Whether the model finds texts better than before training, and than chance."""
        return change(self) > 0 and above_chance(self)

    def sentence(self, if_worse: str = FIRST_BERT, if_no_better: str = MORE_TEXTS) -> str:
        """The verdict in words.

        if_worse, if_no_better: what to try if it is worse than common tokens, or no better than
        before training
        """
        return in_words("MRR", self, self.tokens, "common tokens", if_worse,
                        if_no_better if self.trained < PERFECT else
                        "these texts are too easy to show a difference")


class ScoreVerdict(NamedTuple):
    """Spearman's ρ over N scored pairs: the trained model's, and two others to compare.

    error    the standard error of trained − start
    pairs    N
    spread   the standard error of trained

    >>> ScoreVerdict(0.7, start=0.5, words=0.6, error=0.02, pairs=500).learned
    True
    """

    trained: float
    start: float                   # the model before training
    words: float                   # a bag of words
    error: float
    pairs: int
    spread: float = 0.0

    @property
    def chance(self) -> float:
        """The correlation of random scores."""
        return 0.0

    @property
    def learned(self) -> bool:
        """Whether the correlation is higher than before training, and than 0."""
        return change(self) > 0 and above_chance(self)

    def sentence(self) -> str:
        """The verdict in words."""
        return in_words("Spearman", self, self.words, "a bag of words", MORE_PAIRS, MORE_PAIRS)


def change(verdict: SearchVerdict | ScoreVerdict) -> int:
    """1 if the model is better than before training, −1 if worse, 0 if it is not significant."""
    gain = verdict.trained - verdict.start
    return int(np.sign(gain)) if abs(gain) > ERRORS * verdict.error else 0


def above_chance(verdict: SearchVerdict | ScoreVerdict) -> bool:
    """Whether the model is better than chance, significantly."""
    gain = verdict.trained - verdict.chance
    return bool(gain > max(ERRORS * verdict.spread, NOTHING * verdict.chance))


def in_words(measure: str, verdict: SearchVerdict | ScoreVerdict, baseline: float, name: str,
             if_worse: str, if_no_better: str) -> str:
    """A verdict in words.  name: of the baseline; if_worse, if_no_better: what to try then."""
    figures = f"({measure} {verdict.trained:.3f} against {verdict.start:.3f})"
    if change(verdict) < 0:
        return f"verdict: worse than the model before training {figures}: {SMALLER_STEPS}"
    if not above_chance(verdict):
        return (f"verdict: no better than chance ({measure} {verdict.trained:.3f} against "
                f"{verdict.chance:.3f}), so nothing was learned: {if_no_better}")
    how = "better" if verdict.learned else "no better"
    start = f"verdict: {how} than the model before training {figures}"
    if verdict.trained < baseline:
        return f"{start}, and worse than {name} ({baseline:.3f}): {if_worse}"
    return (f"{start} and than {name} ({baseline:.3f})" if verdict.learned else
            f"{start}: {if_no_better}")


# ---- pairs ---------------------------------------------------------------------------------------


def of_encoder(model: Transformer, start: Transformer, pool: Pool, queries: Packed, keys: Packed,
               seed: int = 1, keep_head: bool = False) -> SearchVerdict | None:
    """The SearchVerdict on a result of simcse.train; None for fewer than FEW texts.

    start           the model before training
    queries, keys   N texts each, of which at most MOST are drawn; key n belongs to query n
    keep_head       whether the vectors are those after the head of the trained model
    """
    chosen = sample(len(queries.offsets) - 1, seed)
    if len(chosen) < FEW:
        return None
    queries, keys = take(queries, chosen), take(keys, chosen)
    trained, before = (
        reciprocal_ranks(*(vectors(side, m, pool, head) for side in (queries, keys)))
        for m, head in ((model, keep_head), (start, keep_head and HEAD in start.p)))
    return search_verdict(trained, before, queries, keys)


def of_text_pairs(trained: SentenceEncoder, start: SentenceEncoder, queries: Sequence[str],
                  keys: Sequence[str], prompts: tuple[str, str] = ("", ""), seed: int = 1,
                  truncate_dim: int | None = None) -> SearchVerdict | None:
    """The SearchVerdict on a result of sbert.train; None for fewer than FEW pairs.

    start           the encoder before training
    queries, keys   N texts each, of which at most MOST are drawn; key n belongs to query n
    prompts         of queries and of keys; the search by common tokens does not use them
    truncate_dim    search with the first so many numbers of the vectors
    """
    chosen = sample(len(queries), seed)
    if len(chosen) < FEW:
        return None
    sides = [[side[n] for n in chosen] for side in (queries, keys)]
    after, before = (
        reciprocal_ranks(*(encoder.encode(side, prompt=prompt, truncate_dim=truncate_dim)
                           for side, prompt in zip(sides, prompts)))
        for encoder in (trained, start))
    return search_verdict(after, before, *map(start.tokenize, sides))


def sample(N: int, seed: int) -> np.ndarray:
    """The indices of at most MOST of N pairs, drawn at random."""
    return np.sort(np.random.default_rng([seed, 3]).permutation(N)[:MOST])


def search_verdict(trained: np.ndarray, before: np.ndarray, queries: Packed, keys: Packed
                   ) -> SearchVerdict:
    """The SearchVerdict of two models' reciprocal ranks, (N,) each.  queries, keys: N texts."""
    N, gain = len(trained), trained - before
    return SearchVerdict(float(trained.mean()), float(before.mean()),
                         float(reciprocal_ranks(*token_weights(queries, keys)).mean()),
                         float((1 / np.arange(1, N + 1)).mean()),
                         float(gain.std(ddof=1) / np.sqrt(N)), N,
                         float(trained.std(ddof=1) / np.sqrt(N)))


def reciprocal_ranks(Q: np.ndarray, K: np.ndarray) -> np.ndarray:
    """1/rank of row n of K among all rows, by cosine with row n of Q.  (N, D), (N, D) -> (N,)

    Rows of equal score share their ranks: each gets the mean of 1/rank over all of these, so that
    vectors that are all equal are as good as chance.
    """
    scores = l2_normalize(Q.astype(np.float64))[0] @ l2_normalize(K.astype(np.float64))[0].T
    return shared_ranks(scores, scores.diagonal())


def shared_ranks(scores: np.ndarray, own: np.ndarray) -> np.ndarray:
    """1/rank of own[n] among the scores of row n, to which it belongs.  (N, M), (N,) -> (N,)

    Equal scores share their ranks: the mean of 1/rank over all of them.
    """
    M, own = scores.shape[1], own[:, None]
    before, equal = (scores > own).sum(1), np.maximum((scores == own).sum(1), 1)
    harmonic = np.cumsum(np.concatenate([[0], 1 / np.arange(1, M + 1)]))
    return (harmonic[np.minimum(before + equal, M)] - harmonic[before]) / equal


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
    """The first and second halves of the texts of SHORTEST tokens or more.

    Each half begins and ends with the first and last tokens of the text, [CLS] and [SEP].
    """
    parts: tuple[list, list] = [], []
    for first, end in zip(texts.offsets[:-1], texts.offsets[1:]):
        ids = texts.ids[first:end].tolist()
        inside = ids[1:-1]
        if len(inside) >= SHORTEST:
            middle = len(inside) // 2
            for part, half in zip(parts, (inside[:middle], inside[middle:])):
                part.append([ids[0], *half, ids[-1]])
    return pack(parts[0]), pack(parts[1])


# ---- scored pairs --------------------------------------------------------------------------------

def of_scored_pairs(trained: SentenceEncoder, start: SentenceEncoder, first: Sequence[str],
                    second: Sequence[str], scores: np.ndarray, prompt: str = "", seed: int = 1,
                    truncate_dim: int | None = None) -> ScoreVerdict | None:
    """The ScoreVerdict on a result of sbert.train; None for fewer than FEW pairs, or equal scores.

    start           the encoder before training
    first, second   N texts each, of which at most MOST pairs are drawn; scores: (N,)
    truncate_dim    compare the first so many numbers of the vectors
    """
    chosen = sample(len(first), seed)
    scores = np.asarray(scores, np.float64)[chosen]
    if len(chosen) < FEW or np.ptp(scores) == 0:
        return None
    sides = [[side[n] for n in chosen] for side in (first, second)]
    after, before = (
        cosine(*(encoder.encode(side, prompt=prompt, truncate_dim=truncate_dim).astype(np.float64)
                 for side in sides)) for encoder in (trained, start))
    words = cosine(*map(BagOfWords([*sides[0], *sides[1]]).encode, sides))
    return score_verdict(after, before, words, scores, seed)


def score_verdict(after: np.ndarray, before: np.ndarray, words: np.ndarray, scores: np.ndarray,
                  seed: int) -> ScoreVerdict:
    """The ScoreVerdict of what three models say of N pairs, (N,) each.  scores: (N,), the truth.

    after, before: of the trained model and of the model before training; words: of the baseline
    """
    N = len(scores)
    counts = np.random.default_rng([seed, 4]).multinomial(
        N, np.full(N, 1 / N), DRAWS).astype(np.float64)
    ranks = drawn_ranks(scores, counts)
    drawn = np.nan_to_num([weighted_pearson(drawn_ranks(x, counts), ranks, counts)
                           for x in (after, before)])                              # constant: 0
    rho = np.nan_to_num([spearman(x, scores) for x in (after, before, words)])
    return ScoreVerdict(float(rho[0]), float(rho[1]), float(rho[2]),
                        float(np.std(drawn[0] - drawn[1])), N, float(np.std(drawn[0])))


def of_classes(trained: Trained, start: SentenceEncoder, objective: Objective, first: Sequence[str],
               second: Sequence[str], classes: np.ndarray, seen: np.ndarray, prompt: str = "",
               seed: int = 1) -> Verdict:
    """The Verdict on a result of sbert.train with a classifier of pairs.

    start           the encoder before training; seed: of the training, and so of its classifier
    first, second   N texts each, of which at most MOST pairs are drawn; classes: (N,)
    seen            the classes of the training pairs, whose frequencies are the baseline
    """
    chosen = sample(len(first), seed)
    groups = [g for g in np.array_split(np.arange(len(chosen)), GROUPS) if len(g)]
    counts, y = np.array([len(g) for g in groups]), classes[chosen]

    def losses(encoder, p):                                          # the sum of each group
        u, v = (encoder.encode([side[n] for n in chosen], prompt=prompt)
                for side in (first, second))
        return counts * [objective.loss([u[g], v[g]], y[g], p)[0] for g in groups]
    frequencies = np.bincount(seen) / len(seen)
    rare = -np.log(np.maximum(frequencies, 1 / len(seen)))[y]        # of each pair's class
    return compare(losses(trained.encoder, trained.p), np.array([rare[g].sum() for g in groups]),
                   losses(start, trainable(start, objective, seed)[0].p), counts)
