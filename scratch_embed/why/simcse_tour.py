"""What the tour measures of sentences: a masked LM's vectors before SimCSE and after, and others.

Paper     Gao, Yao & Chen 2021 (SimCSE), figure 2: contrast makes all more uniform.
Shapes    a row of five numbers a seed, as why/sentences.py's Scores
Cost      a seed takes some twenty seconds of one core, most of it the masked LM's training.
Read next why/sentences.py (the measures), why/simcse.py (what each part of SimCSE is worth)
"""
import numpy as np

from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.transformer.pooling import cls, mean
from scratch_embed.why.searches import by_words, equal_weights, ndcg_percent, sif
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
    """{vectors: (5,) a Scores} of a world and a model of its own.  sizes: as pretrain has them."""
    return compare(pretrain(seed, **sizes))


def compare(encoder: Encoder, **changes) -> dict[str, np.ndarray]:
    """All rows for one model.  changes: to the settings SIMCSE."""
    contrast = {pool: train_simcse(encoder, pool=pool, **changes).model for pool in (mean, cls)}
    first = untrained(encoder)
    ways = {"untrained, mean": encode_by(encoder, first),
            BEFORE: encode_by(encoder, encoder.model),
            "masked LM, [CLS]": encode_by(encoder, encoder.model, cls),
            AFTER: encode_by(encoder, contrast[mean]),
            "SimCSE, [CLS]": encode_by(encoder, contrast[cls], cls),
            "word2vec, mean": by_words_of(encoder, equal_weights),
            "word2vec, SIF": by_words_of(encoder, sif)}
    rows = {name: score(encoder, encode) for name, encode in ways.items()}
    rows["BM25"] = Scores(ndcg_percent(encoder.search, by_words(encoder.search)), *[np.nan] * 4)
    return {name: np.array(row) for name, row in rows.items()}


def by_words_of(encoder: Encoder, weigh):
    """Means of word2vec's vectors of the same text; weighted ones without what all share."""
    search = encoder.search
    means = StaticEncoder(search.words, weigh(search.vocab))
    if weigh is sif:
        means = means.without_common(search.corpus.values())
    return means.encode
