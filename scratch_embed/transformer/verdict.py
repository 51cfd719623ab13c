"""Verdict on a masked LM: is it better than the frequencies of the tokens?

Equation  L = −1/M Σ_{masked t} log P(the token that was there), with P of the model, or
          P(w) = (c_w + ½) / Σ_v (c_v + ½), c_w how often token w occurs in the training text
Shapes    as in transformer/masked_lm.py
Cost      two forward passes over a sample: a share SHARE of the tokens that training read, or
          SAMPLE tokens if that is more
Read next training/verdict.py (how losses become a verdict), sentences/verdict.py

P(w) is the best prediction that does not use the other tokens: it is the same at every masked
position.  In its first steps a BERT learns only these frequencies, and its loss falls fast.  If its
loss is lower than that of P(w), the model has begun to use the context.

All chosen tokens are replaced by [MASK] here.  In training one in ten is kept.  If it were kept
here too, a model that only repeats the tokens that it sees would seem better than frequencies.
"""
import numpy as np

from scratch_embed.text.packed import Packed, by_length, take, token_batches
from scratch_embed.training.verdict import Verdict, compare, sample_groups
from scratch_embed.transformer.bert import Bert, mlm_head
from scratch_embed.transformer.masked_lm import Masking, mask_tokens

SAMPLE = 10_000                    # the least number of tokens in the sample
SHARE = 0.005                      # the least share of the tokens that training read
FEW = 50                           # sequences that are enough to measure on
TOKENS = 1024                      # tokens per forward pass


def of_masked_lm(model: Bert, start: Bert, corpus: Packed, counts: np.ndarray, masking: Masking,
                 read: float = 0, seed: int = 1) -> Verdict:
    """The Verdict on a result of masked_lm.train.

    start    the model before training
    corpus   sequences to measure on, of which a sample is masked anew
    counts   (V,) how often each token occurs in the training text
    read     the number of tokens that training read, which sets the size of the sample
    """
    frequencies = np.log((counts + 0.5) / (counts + 0.5).sum())
    rng, masking = np.random.default_rng([seed, 3]), masking._replace(masked=1.0, random=0.0)
    sums: list[list[float]] = []
    for group in sample_groups(corpus.offsets, max(SAMPLE, SHARE * read), seed):
        batch = take(corpus, group)
        examples = mask_tokens(take(batch, by_length(batch)), masking, model.config.vocab, rng)
        targets = examples.targets
        sums.append([*(-log_probabilities(m, examples).sum() for m in (model, start)),
                     -frequencies[targets].sum(), len(targets)])
    trained, untrained, baseline, n = np.array(sums).reshape(-1, 4).T
    return compare(trained, baseline, untrained, n)


def log_probabilities(model: Bert, examples) -> np.ndarray:
    """log P(target) of each masked token.  (M,)"""
    batch, masked, targets, _ = examples
    log_p_target = np.empty(len(targets))
    for rows in token_batches(np.diff(batch.offsets), TOKENS):
        first, end = batch.offsets[rows[0]], batch.offsets[rows[-1] + 1]
        inside = (first <= masked) & (masked < end)
        x = model.infer(take(batch, rows))[masked[inside] - first]
        logits = mlm_head(x, model.p, model.config)[0].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        log_p_target[inside] = log_p[np.arange(len(log_p)), targets[inside]]
    return log_p_target
