"""Verdict on BGE-M3: does it find texts better than before training, and which score finds them?

Equation  MRR = 1/N Σ_n 1/rank(text n among all N texts, by the score with query n)
Shapes    N pairs: N queries and N texts
Cost      as sentences/verdict.py, with max-sim of all pairs of texts
Read next sentences/verdict.py (what the verdict is compared with)

The verdict is on the hybrid score, with equal weights, as a search uses it.
"""
from collections.abc import Sequence

from scratch_embed.sentences.bge_m3 import BgeM3
from scratch_embed.sentences.bge_m3_scores import hybrid_scores
from scratch_embed.sentences.verdict import (
    FEW,
    SearchVerdict,
    sample,
    search_verdict,
    shared_ranks,
)


def of_pairs(trained: BgeM3, start: BgeM3, queries: Sequence[str], keys: Sequence[str],
             prompts: tuple[str, str] = ("", ""), seed: int = 1
             ) -> tuple[SearchVerdict, dict[str, float]] | None:
    """The SearchVerdict on the hybrid score, and {kind of score: MRR}; None for few pairs.

    start          the model before training
    queries, keys  N texts each, of which at most MOST are drawn; key n belongs to query n
    prompts        put before the queries and before the keys
    """
    chosen = sample(len(queries), seed)
    if len(chosen) < FEW:
        return None
    sides = [[side[n] for n in chosen] for side in (queries, keys)]

    def reciprocal_ranks(m3):                                       # {kind of score: (N,)}
        of_queries, of_keys = (
            m3.encode(side, return_sparse=True, return_multi_vector=True, prompt=prompt)
            for side, prompt in zip(sides, prompts))
        return {kind: shared_ranks(scores, scores.diagonal())
                for kind, scores in hybrid_scores(of_queries, of_keys)._asdict().items()}
    after, before = reciprocal_ranks(trained), reciprocal_ranks(start)
    verdict = search_verdict(after["hybrid"], before["hybrid"],
                             *map(start.encoder.tokenize, sides))
    return verdict, {kind: float(ranks.mean()) for kind, ranks in after.items()}
