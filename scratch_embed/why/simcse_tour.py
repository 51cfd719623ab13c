"""SimCSE, for the tour: vectors of a masked LM before and after SimCSE, and baselines.

Paper     Gao, Yao & Chen 2021 (SimCSE), figure 2: contrastive training increases uniformity.
Shapes    a row of five numbers for each seed, the Scores of why/sentences.py
Cost      a seed takes about twenty seconds on one core, most of it for training the masked LM.
Read next why/sentences.py (the scores), why/simcse.py (ablations of SimCSE)

The baselines are in the same table: the untrained model, means of word2vec vectors, BM25.
"""
import numpy as np

from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.transformer.pooling import cls, mean
from scratch_embed.why.searches import equal_weights, lexical, ndcg_percent, sif
from scratch_embed.why.sentences import (
    Encoder,
    Scores,
    encode_by,
    pretrain,
    score,
    train_simcse,
    untrained,
)

BEFORE, AFTER = "masked LM, mean", "SimCSE, mean"


def before_and_after(seed: int, **sizes) -> dict[str, np.ndarray]:
    """{vectors: Scores (5,)} for the world and the model of a seed.  sizes: of pretrain"""
    return compare(pretrain(seed, **sizes))


def compare(encoder: Encoder, **changes) -> dict[str, np.ndarray]:
    """{vectors: Scores (5,)} for one masked LM.  changes: to the settings SIMCSE"""
    contrast = {pool: train_simcse(encoder, pool=pool, **changes).model for pool in (mean, cls)}
    initial = untrained(encoder)
    ways = {"untrained, mean": encode_by(encoder, initial),
            BEFORE: encode_by(encoder, encoder.model),
            "masked LM, [CLS]": encode_by(encoder, encoder.model, cls),
            AFTER: encode_by(encoder, contrast[mean]),
            "SimCSE, [CLS]": encode_by(encoder, contrast[cls], cls),
            "word2vec, mean": word2vec_encode(encoder, equal_weights),
            "word2vec, SIF": word2vec_encode(encoder, sif)}
    rows = {name: score(encoder, encode) for name, encode in ways.items()}
    rows["BM25"] = Scores(ndcg_percent(encoder.search, lexical(encoder.search)), *[np.nan] * 4)
    return {name: np.array(row) for name, row in rows.items()}


def word2vec_encode(encoder: Encoder, weigh):
    """The function texts -> means of word2vec vectors; SIF also removes the common direction."""
    search = encoder.search
    means = StaticEncoder(search.words, weigh(search.vocab))
    if weigh is sif:
        means = means.without_common(search.corpus.values())
    return means.encode
