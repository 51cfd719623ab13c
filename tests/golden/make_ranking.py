"""How ranking.json was made: by pytrec-eval-terrier 0.5.11, from the 1,000 queries of `fuzzed`.

    python tests/golden/make_ranking.py

The results have ties, documents without a judgement, negative gains, empty lists, queries without a
relevant document, and scores that differ only in float64.  They are drawn with Python's random(),
whose sequence never changes, so the file contains only values: of the measures without a cutoff
and with cutoff 5.

Every query has at least one gain ≥ 0, because pytrec_eval reads foreign memory if all gains are
negative.
"""
import json
from pathlib import Path
from random import Random

CUTOFFS = 1, 5, 10
SCORES = [-0.5, 0.0, 0.25, 0.25 + 2**-40, 1.0, 1.0 + 2**-30, 3e38, 1e-46]
MEASURES = {"MRR": "recip_rank", "MAP": "map", "nDCG": "ndcg", **{
    f"{ours}@{k}": f"{theirs}_{k}" for k in CUTOFFS for ours, theirs in {
        "P": "P", "Recall": "recall", "Hit": "success", "MAP": "map_cut", "nDCG": "ndcg_cut"
    }.items()}}


def fuzzed():
    """(qrels, run) of 1,000 queries."""
    rng = Random(7)

    def below(n):
        return int(rng.random() * n)

    qrels, run = {}, {}
    for number in range(1000):
        names = [*(str(i) for i in range(12)), "é", "日本", "🙂", "\uffff", "B", "a"]
        judged, untied = below(len(names)), number % 3 == 0
        qrels[f"q{number}"] = {names.pop(below(len(names))): max(-1, below(6) - 2)
                               for _ in range(judged)} | {"0": below(3)}
        names = [*names, *list(qrels[f"q{number}"])[below(4):]]
        returned = max(0, below(len(names) + 3) - 3)
        run[f"q{number}"] = {names.pop(below(len(names))):
                             rng.random() if untied else SCORES[below(len(SCORES))]
                             for _ in range(returned)}
    return qrels, run


def original(qrels, run):
    """The values of pytrec_eval: {measure: list of values, one for each query}."""
    from pytrec_eval import RelevanceEvaluator
    cut = ",".join(map(str, CUTOFFS))
    names = {f"{name}.{cut}" for name in ("P", "recall", "success", "map_cut", "ndcg_cut")}
    judge = RelevanceEvaluator(qrels, names | {"recip_rank", "map", "ndcg"})
    scores = judge.evaluate(run)
    return {ours: [scores[query][theirs] for query in qrels] for ours, theirs in MEASURES.items()}


def main():
    values = {name: [round(value, 10) for value in column]
              for name, column in original(*fuzzed()).items() if not name.endswith(("@1", "@10"))}
    text = json.dumps(values, separators=(",", ":")).replace("],", "],\n")
    Path(__file__).with_name("ranking.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
