"""Verdict on a causal LM: is it better than the token before alone, or than frequencies alone?

Papers    Ney, Essen & Kneser 1994, "On Structuring Probabilistic Dependences in Stochastic Language
          Modelling" (absolute discounting); Chen & Goodman 1999 (D and its interpolated form).
Equation  L = −1/M Σ log P(token i+1 | tokens up to i), with P of the model, or
          unigrams  P(w) = (c_w + ½) / Σ_v (c_v + ½),  c_w how often w is a next token
          bigrams   P(w | v) = max(c_vw − D, 0) / c_v + D n_v / c_v · P(w),  D = ¾
          where c_vw counts w after v, c_v = Σ_w c_vw, and n_v is the number of different w after v
Shapes    as in transformer/causal_lm.py; e^L is the perplexity
Cost      two forward passes over a sample: a share SHARE of the tokens that training read, or
          SAMPLE tokens if that is more; counting sorts the pairs of the training text
Read next training/verdict.py (how losses become a verdict), transformer/verdict.py (for BERT)

A model that is not better than bigrams has learned at most which token follows which: it makes no
use of what is further back.  Why D?  A pair that occurs once in a text is less probable than its
count says, since most of the pairs that are possible have not occurred yet.  D moves the same part
of each count to them; P(w) says how it is shared.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.text.packed import Packed, by_length, take, token_batches
from scratch_embed.training.verdict import Verdict, compare, sample_groups
from scratch_embed.transformer.causal_lm import next_tokens
from scratch_embed.transformer.model import CausalModel

SAMPLE = 10_000                    # the least number of tokens in the sample
SHARE = 0.005                      # the least share of the tokens that training read
FEW = 50                           # sequences that are enough to measure on
TOKENS = 512                       # tokens per forward pass
DISCOUNT = 0.75


class Bigrams(NamedTuple):
    """How often each token, and each pair of tokens, occurs in a text of V different tokens."""

    unigram: np.ndarray            # (V,) P(w)
    pairs: np.ndarray              # (P,) v V + w, sorted
    counts: np.ndarray             # (P,) c_vw
    after: np.ndarray              # (V,) c_v
    different: np.ndarray          # (V,) n_v


def count_bigrams(text: Packed, V: int) -> Bigrams:
    """Count the next tokens of a text, and the pairs of a token and the next.

    >>> from scratch_embed.text.packed import pack
    >>> count_bigrams(pack([[0, 1, 1], [0, 1]]), V=2).counts.tolist()      # 0 1, and 1 1
    [2, 1]
    """
    rows, following = next_tokens(text)
    before = text.ids[rows].astype(np.int64)
    pairs, counts = np.unique(before * V + following, return_counts=True)
    frequency = np.bincount(following, minlength=V) + 0.5
    return Bigrams(frequency / frequency.sum(), pairs, counts, np.bincount(before, minlength=V),
                   np.bincount(pairs // V, minlength=V))


def bigram_probabilities(bigrams: Bigrams, before: np.ndarray, following: np.ndarray) -> np.ndarray:
    """P(w | v) for M pairs of a token v and the next token w.  before, following: (M,) -> (M,)

    If v never has a next token in the text, it is P(w).
    """
    unigram, pairs, counts, after, different = bigrams
    wanted = before.astype(np.int64) * len(unigram) + following
    at = np.minimum(np.searchsorted(pairs, wanted), max(len(pairs) - 1, 0))
    count = np.where(pairs[at] == wanted, counts[at], 0) if len(pairs) else np.zeros(len(wanted))
    total = after[before]
    seen = np.maximum(total, 1)
    rest = np.where(total > 0, DISCOUNT * different[before] / seen, 1.0)
    return np.maximum(count - DISCOUNT, 0) / seen + rest * unigram[following]


class CausalVerdict(NamedTuple):
    """The same losses of a model beside those of bigrams and of unigrams."""

    bigrams: Verdict
    unigrams: Verdict

    @property
    def learned(self) -> bool:
        """Whether the model is better than both; in a small text bigrams may be the worse."""
        return self.bigrams.learned and self.unigrams.learned

    @property
    def hardest(self) -> tuple[Verdict, str]:
        """The verdict beside the baseline with the lower loss, and what that baseline knows."""
        if self.bigrams.baseline < self.unigrams.baseline:
            return self.bigrams, "bigrams"
        return self.unigrams, "token frequencies"


def of_causal_lm(model: CausalModel, start: CausalModel, sample: Packed, text: Packed,
                 read: float = 0, seed: int = 1) -> CausalVerdict:
    """The CausalVerdict on a result of causal_lm.train.

    start    the model before training
    sample   sequences to measure on
    text     the training text, whose tokens and pairs are counted
    read     the number of tokens that training read, which sets the size of the sample
    """
    bigrams, sums = count_bigrams(text, model.config.vocab), []
    for group in sample_groups(sample.offsets, max(SAMPLE, SHARE * read), seed):
        batch = take(sample, group)
        batch = take(batch, by_length(batch))
        rows, following = next_tokens(batch)
        sums.append([*(-log_probabilities(m, batch).sum() for m in (model, start)),
                     -np.log(bigram_probabilities(bigrams, batch.ids[rows], following)).sum(),
                     -np.log(bigrams.unigram[following]).sum(), len(following)])
    trained, untrained, by_bigrams, by_unigrams, n = np.array(sums).reshape(-1, 5).T
    return CausalVerdict(*(compare(trained, baseline, untrained, n)
                           for baseline in (by_bigrams, by_unigrams)))


def log_probabilities(model: CausalModel, batch: Packed) -> np.ndarray:
    """log P of each next token of a batch.  (M,)"""
    found = [np.empty(0)]
    for numbers in token_batches(np.diff(batch.offsets), TOKENS):
        part = take(batch, numbers)
        rows, following = next_tokens(part)
        logits, _ = model.lm_head(model.infer(part)[rows])
        logits = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
        of_next = logits[np.arange(len(rows)), following].astype(np.float64)
        found.append(of_next - np.log(np.exp(logits).sum(axis=1, dtype=np.float64)))
    return np.concatenate(found)
