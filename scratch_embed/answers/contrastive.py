"""How does contrastive learning train embedding models?  Before and after, on the world of facts.

Paper     Gao, Yao & Chen 2021 (SimCSE); Wang & Isola 2020 (alignment and uniformity)
Shapes    an Answer (answers/answer.py); scores of vectors as in why/sentences.py
Cost      see answers/questions.py
Read next losses/infonce.py (the equation and its gradient), why/simcse.py
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.answers.answer import Answer, Claim, Paragraph, Table, for_seeds, stack
from scratch_embed.answers.questions import CONTRASTIVE
from scratch_embed.why.searches import lexical, ndcg_percent
from scratch_embed.why.sentences import encode_by, pretrain, score, train_simcse, untrained

UNTRAINED, SIMCSE, BM25 = "untrained", "two dropout masks", "BM25"


class Cosines(NamedTuple):
    """Cosines of pairs of texts, before and after training."""

    positives: dict[str, np.ndarray]       # {model: (P,)}
    others: dict[str, np.ndarray]


def answer(seeds: Sequence[int], documents: int = CONTRASTIVE.documents,
           steps: int = CONTRASTIVE.steps, progress: bool = False) -> Answer:
    """Train with contrast and without, and compare."""
    rows = stack(for_seeds(lambda seed: measure(seed, documents, steps), seeds, progress))
    claim = Claim("contrast improves the search", rows[SIMCSE][:, 0], rows[UNTRAINED][:, 0])
    return Answer(CONTRASTIVE.text, seeds, [Table(
        "Searches of one world.", ("nDCG@10, %", "STS, %", "uniformity"), rows, (1, 1, 2))],
        [Paragraph("A batch is a classification: each text must find its positive.", (claim,))],
        Cosines({}, {}))


def measure(seed: int, documents: int, steps: int) -> dict[str, np.ndarray]:
    """{search: nDCG@10, STS, uniformity}."""
    encoder = pretrain(seed, documents, steps=1)
    trained = train_simcse(encoder, steps=steps).model
    found = {UNTRAINED: encode_by(encoder, untrained(encoder)), SIMCSE: encode_by(encoder, trained)}
    rows = {}
    for name, encode in found.items():
        scores = score(encoder, encode)
        rows[name] = np.array([scores.ndcg, scores.sts, scores.uniformity])
    rows[BM25] = np.array([ndcg_percent(encoder.search, lexical(encoder.search)), np.nan, np.nan])
    return rows
