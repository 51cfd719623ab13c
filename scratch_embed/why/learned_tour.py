"""Search that learned, for the tour: from words in common to pairs, hard negatives, and reranking.

Equation  nDCG@10 of 300 queries in other words on the toy reports (worlds/facts.py); of 100
          queries that ask who did what (worlds/bindings.py)
Shapes    scores are in %, one per seed
Cost      a seed of searches takes about 20 s on one core, most of it for SimCSE's masked LM; one
          of reranked about 40 s, most of it for the cross-encoder
Read next why/learned.py (the bi-encoder), why/sbert.py (ablations), why/who_did_what.py (a task
          where words are not enough)

Each row knows more than the one before: BM25 the words in common; word2vec which words occur in the
same contexts, from unlabelled text; the bi-encoder which texts belong together, from pairs; with
hard negatives also which texts only seem to.  SimCSE has the network of the bi-encoder, but no
pairs.  The last row trains as long as "+ hard negatives", but without them, because more steps
alone also help.
"""
import numpy as np

from scratch_embed.why.learned import BI_ENCODER, LABELLED, ndcgs, train_bi_encoder
from scratch_embed.why.rerank import BASE, experiment, trained
from scratch_embed.why.sentences import Encoder, encode_by, pretrain, train_simcse
from scratch_embed.why.who_did_what import compared, train_bi
from scratch_embed.worlds.training_pairs import fact_triplets

MORE, LATER_LR = 100, 1e-3         # steps after those of BI_ENCODER, and their learning rate
TRAINED, HARD, AS_LONG = "bi-encoder", "+ hard negatives", "as many steps without them"


def searches(seed: int, **sizes) -> dict[str, np.ndarray]:
    """{search: nDCG@10 in % (1,)} for the world of a seed.  sizes: of pretrain"""
    return searches_in(pretrain(seed, **sizes))


def searches_in(encoder: Encoder, steps: int = BI_ENCODER["steps"], more: int = MORE
                ) -> dict[str, np.ndarray]:
    """{search: nDCG@10 in % (1,)} for one world and its masked LM."""
    triplets = fact_triplets(encoder.world, LABELLED, encoder.seed)
    first = train_bi_encoder(encoder, texts=triplets[:2], steps=steps)
    later = {name: train_bi_encoder(encoder, first, texts, steps=more, lr=LATER_LR).encode
             for name, texts in ((HARD, triplets), (AS_LONG, triplets[:2]))}
    return {name: np.array([score]) for name, score in ndcgs(encoder, {
        "SimCSE": encode_by(encoder, train_simcse(encoder).model),
        TRAINED: first.encode, **later}).items()}


def reranked(seed: int, steps: int = BASE["steps"], **sizes) -> dict[str, float]:
    """{search: nDCG@10 in %} where word order decides: baselines, the bi-encoder, and reranking.

    steps: of the cross-encoder; sizes: of the task
    """
    given = experiment(seed, **sizes)
    rows = compared(given.task, given.bi, trained(BASE | dict(steps=steps), given),
                    {HARD: train_bi(given.task, given.bi, hard=True)})
    return {name: row[1] for name, row in rows.items()}
