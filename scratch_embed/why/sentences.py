"""Sentence vectors on a toy world: train a masked LM, then SimCSE, and score their vectors.

Paper     Gao, Yao & Chen 2021 (SimCSE), section 5 and table 5: alignment, uniformity and STS.
Equation  nDCG@10 of cos(x_query, x_report);  Spearman's ρ of cos(x_a, x_b) with the number of slots
          that agree;  alignment and uniformity as in space/geometry.py
Shapes    x (N, D); Scores: five numbers
Cost      the masked LM about ten seconds on one core, SimCSE less.
Read next sentences/simcse.py, why/simcse_tour.py (with baselines), why/simcse.py (ablations),
          worlds/facts.py

Known truth: the fact of every report, and so every gain and every STS score.  Both models are
trained on the text of the world, without evaluation queries, qrels or pairs.  The STS pairs are
reports about newly drawn facts of the same world; alignment is measured on the pairs that agree in
every slot.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.correlation import spearman
from scratch_embed.evaluate.ranking import ndcg
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.sentences import simcse
from scratch_embed.space.geometry import alignment, mean_cosine, uniformity
from scratch_embed.space.similarity import cosine, cosine_matrix
from scratch_embed.text.packed import Packed, take
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import masked_lm
from scratch_embed.transformer.bert import Bert, Config
from scratch_embed.transformer.pooling import mean
from scratch_embed.why import contexts
from scratch_embed.why.contexts import masking, packed, whole_words, with_optim
from scratch_embed.why.searches import K, Search, rank_all, search_facts
from scratch_embed.worlds.facts import NAMES, Facts, draw_facts, facts
from scratch_embed.worlds.task_shapes import STS
from scratch_embed.worlds.toy_mteb import sts

SIZES = dict(dim=32, layers=2, heads=2, ff=64, positions=24, types=1)
BERT = dict(steps=1500, batch_size=64, lr=2e-3, dropout=0.0)
SIMCSE = dict(pool=mean, tau=0.05, steps=300, batch_size=64, lr=3e-3, dropout=0.1)
PAIRS = 600                        # of STS; in every sixth the reports agree in all slots

Encode = Callable[[list[str]], np.ndarray]        # N texts -> (N, D)


class Encoder(NamedTuple):
    """A world, a masked LM, trained on its text or not yet, and the data to evaluate vectors."""

    world: Facts
    search: Search
    sts: STS
    text: Packed                   # the training text, sentence by sentence
    tokenizer: WordPiece
    model: Bert
    seed: int


class Scores(NamedTuple):
    """Scores of text vectors.  The first two are in %, and higher is better."""

    ndcg: float
    sts: float
    alignment: float               # lower is better, as for uniformity
    uniformity: float
    cosine: float                  # the mean over pairs of reports


def draw(seed: int, documents: int = 2000, sentences: int = 12_000) -> Encoder:
    """Make a world and a masked LM with its initial weights."""
    world = facts(seed, documents, documents * 3 // 20, sentences=sentences, pairs=0)
    rng = np.random.default_rng([seed, 2])
    pairs = sts(draw_facts(PAIRS, world.prototypes, 0.25, rng), rng)
    tokenizer = whole_words([*world.text, *(text.split() for text in [
        *world.queries.values(), *pairs.sentence1, *pairs.sentence2])])
    config, text = Config(len(tokenizer), **SIZES), packed(tokenizer, world.text)
    return Encoder(world, search_facts(world, seed), pairs, text, tokenizer,
                   contexts.untrained(config, seed), seed)


def pretrain(seed: int, documents: int = 2000, sentences: int = 12_000, workers: int = 1,
             **changes) -> Encoder:
    """Make a world and train a masked LM on its text.  changes: to the settings BERT"""
    encoder = draw(seed, documents, sentences)
    return encoder._replace(model=masked_lm.train(
        encoder.text, encoder.model.config, masking(encoder.tokenizer),
        options=RunOptions(workers, seed), **with_optim(BERT | changes)).model)


def untrained(encoder: Encoder) -> Bert:
    """The masked LM with its initial weights."""
    return contexts.untrained(encoder.model.config, encoder.seed)


def unique_sentences(text: Packed) -> Packed:
    """Drop duplicate sentences: in a batch, a duplicate would be used as a negative."""
    seen = {}
    for n in range(len(text.offsets) - 1):
        seen.setdefault(text.ids[text.offsets[n]:text.offsets[n + 1]].tobytes(), n)
    return take(text, np.array(list(seen.values())))


def train_simcse(encoder: Encoder, views: list[Packed] | None = None, **changes) -> simcse.Trained:
    """Train SimCSE.  views: by default the unique sentences; changes: to the settings SIMCSE"""
    views = [unique_sentences(encoder.text)] if views is None else views
    return simcse.train(views, encoder.model, options=RunOptions(seed=encoder.seed),
                        **with_optim(SIMCSE | changes, weight_decay=0.0))


def encode_by(encoder: Encoder, model: Bert, pool: Callable = mean, keep_head: bool = False
              ) -> Encode:
    """The function texts -> vectors (N, D) of a model."""
    def encode(texts):
        batch = packed(encoder.tokenizer, (text.split() for text in texts))
        return simcse.vectors(batch, model, pool, keep_head)
    return encode


def score(encoder: Encoder, encode: Encode) -> Scores:
    """Score an encoder of texts on retrieval, STS, alignment and uniformity."""
    search, pairs = encoder.search, encoder.sts
    Q, X = (encode(list(texts.values())) for texts in (search.queries, search.corpus))
    A, B = encode(pairs.sentence1), encode(pairs.sentence2)
    same = np.array(pairs.score) == len(NAMES)
    unit_X = l2_normalize(X.astype(np.float64))[0]
    return Scores(100 * float(ndcg(rank_all(search, cosine_matrix(Q, X)), K).mean()),
                  100 * spearman(cosine(A, B), pairs.score),
                  alignment(*(l2_normalize(side[same].astype(np.float64))[0] for side in (A, B))),
                  uniformity(unit_X), mean_cosine(unit_X))
