"""Search that learned: a bi-encoder trained on pairs of a toy world, beside its baselines.

Paper     Reimers & Gurevych 2019 (Sentence-BERT); Karpukhin et al. 2020, "Dense Passage Retrieval
          for Open-Domain Question Answering", section 3.
Equation  nDCG@10 of cos(x_query, x_report), for queries that are not in the training pairs
Shapes    a score is in %, one per seed
Cost      drawing a world takes a second, training the bi-encoder a few seconds
Read next sentences/sbert.py (the training), worlds/training_pairs.py (the pairs), why/sbert.py
          (ablations)

The pairs are newly drawn queries of the same world, each with a relevant report.  None of the
world's own queries is among them, see worlds/training_pairs.py for what both have in common.
"""
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import Objective, ranking
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.sentences.warm_start import with_word_vectors
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert
from scratch_embed.transformer.pooling import mean
from scratch_embed.why.contexts import untrained
from scratch_embed.why.searches import dense, lexical, ndcg_percent, word2vec_words
from scratch_embed.why.sentences import SIZES, Encode, Encoder, score
from scratch_embed.worlds.training_pairs import fact_triplets

BI_ENCODER = dict(tau=0.05, steps=300, batch_size=128, lr=3e-3, dropout=0.1)
LABELLED = 4000                    # facts of the training pairs


# ---- the start -----------------------------------------------------------------------------------

def start(encoder: Encoder, width: int = 1, pooling: Callable = mean) -> SentenceEncoder:
    """The bi-encoder with initial weights.  width: the factor by which D and F are multiplied"""
    config = encoder.model.config
    config = config._replace(dim=width * config.dim, ff=width * config.ff)
    return bi_encoder(encoder, untrained(config, encoder.seed), pooling)


def from_masked_lm(encoder: Encoder) -> SentenceEncoder:
    """The encoder's own model: a masked LM of the world's text if pretrain() made the encoder."""
    return bi_encoder(encoder, encoder.model)


def from_word_vectors(encoder: Encoder) -> SentenceEncoder:
    """Initial weights, with word2vec's vectors as token embeddings, trained on the same text."""
    search, model = encoder.search, start(encoder).model
    words = word2vec_words(search.vocab, search.text, encoder.seed, dim=model.dim)
    return bi_encoder(encoder, with_word_vectors(model, encoder.tokenizer, words)[0])


def bi_encoder(encoder: Encoder, model: Bert, pooling: Callable = mean) -> SentenceEncoder:
    """A SentenceEncoder of a model, without the heads of pre-training."""
    return SentenceEncoder(encoder.tokenizer, model.without_heads(),
                           Recipe((pooling,), max_seq_length=SIZES["positions"]))


# ---- training ------------------------------------------------------------------------------------

def train_bi_encoder(encoder: Encoder, before: SentenceEncoder | None = None,
                     texts: Sequence[Sequence[str]] | None = None,
                     objective: Objective | None = None, targets: np.ndarray | None = None,
                     workers: int = 1, **changes) -> SentenceEncoder:
    """Train a bi-encoder on labelled pairs of the encoder's world.

    before: the encoder to start from, by default start(encoder)
    texts: the views: queries, relevant texts and, if there are three, hard negatives; by default
    the first two of fact_triplets
    objective, targets, workers, changes: as in train_on
    """
    before = start(encoder) if before is None else before
    texts = fact_triplets(encoder.world, LABELLED, encoder.seed)[:2] if texts is None else texts
    return train_on(texts, before, encoder.seed, objective, targets, workers, **changes)


def train_on(texts: Sequence[Sequence[str]], before: SentenceEncoder, seed: int,
             objective: Objective | None = None, targets: np.ndarray | None = None,
             workers: int = 1, **changes) -> SentenceEncoder:
    """Train an encoder on views of texts, such as queries and relevant texts.

    objective, targets: by default InfoNCE at the settings' tau, which needs no targets
    changes: to the settings BI_ENCODER
    """
    settings = BI_ENCODER | changes
    tau, lr = settings.pop("tau"), settings.pop("lr")
    return sbert.train([sbert.tokenize(before, view) for view in texts], before,
                       ranking(tau) if objective is None else objective, targets,
                       optim=Optim(lr, weight_decay=0.0), **settings,
                       options=RunOptions(workers, seed)).encoder


def ndcgs(encoder: Encoder, encoders: Mapping[str, Encode]) -> dict[str, float]:
    """{search: nDCG@10 in %}: BM25, word2vec, the untrained model, and the given encoders.

    encoders: {name: function texts -> (N, D)}, such as {"bi-encoder": trained.encode}
    """
    search = encoder.search
    return {"BM25": ndcg_percent(search, lexical(search)),
            "word2vec, SIF": ndcg_percent(search, dense(search)),
            "untrained": score(encoder, start(encoder).encode).ndcg,
            **{name: score(encoder, encode).ndcg for name, encode in encoders.items()}}
