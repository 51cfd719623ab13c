"""How mteb.json was made: by mteb 2.26.24 with scikit-learn 1.9.1, from the data in it.

    python tests/golden/make_mteb.py

There are sixty texts and a small task of each type.  The components of the texts' vectors are
multiples of 1/8, so that scores that are equal in mteb's float32 are equal in float64.  The file
contains the vectors, the tasks and all scores of mteb's runner, before it rounds them to five
decimals.  `tight`: the classification task with scikit-learn's solver at a tight tolerance.
"""
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "bench" / "evaluate"))

N, GROUPS, D = 60, 4, 5
rng = np.random.default_rng(3)
group = np.arange(N) % GROUPS
vectors = rng.standard_normal((GROUPS, D))[group] + 0.9 * rng.standard_normal((N, D))
vectors = (8 * vectors).round() / 8                # exact in float32, and so are their sums
texts = [f"text {i}" for i in range(N)]
ENDS = {"upper_bound": 1.0, "chance": 0.0}


def random_texts(n):
    """n random texts."""
    return [texts[i] for i in rng.permutation(N)[:n]]


def search():
    """Texts of the query's group are relevant with probability 0.6, with gain 1 or 2."""
    corpus = {f"d{i}": texts[i] for i in range(0, 40)}
    queries = {f"q{i}": texts[i] for i in range(40, N)}
    judged = {q: {d: int(rng.integers(1, 3)) for d in corpus
                  if group[int(d[1:])] == group[int(q[1:])] and rng.random() < 0.6}
              for q in queries}
    return dict(corpus=corpus, queries=queries, relevant_docs=judged)


def reranking():
    found = search()
    found["top_ranked"] = {q: sorted({*rng.permutation(list(found["corpus"]))[:12].tolist(),
                                      *list(judged)[:3]})
                           for q, judged in found["relevant_docs"].items()}
    return found


def two_lists(n):
    return dict(sentence1=random_texts(n), sentence2=random_texts(n))


def several_labels(i):
    labels = [f"group {group[i]}"] + (["even"] if vectors[i, 0] > 0 else [])
    return labels + (["third"] if vectors[i, 1] > 0.5 else [])


def split(label):
    order = rng.permutation(N).tolist()
    return {part: {"text": [texts[i] for i in rows], "label": [label(i) for i in rows]}
            for part, rows in (("train", order[:44]), ("test", order[30:]))}


def tasks():
    instructed = search()
    instructed["queries"] = dict.fromkeys(instructed["queries"], "text")
    instructed["instructions"] = {q: q[1:] for q in instructed["queries"]}
    return {
        "Retrieval": search() | {"measure": "ndcg_at_10"},
        "InstructionRetrieval": instructed | {"measure": "ndcg_at_10"},
        "Reranking": reranking() | {"measure": "map_at_1000"},
        "STS": two_lists(40) | {"score": rng.integers(0, 6, 40).tolist(),
                                "measure": "cosine_spearman"},
        "PairClassification": two_lists(40) | {"labels": rng.integers(0, 2, 40).tolist(),
                                               "measure": "max_ap"},
        "Classification": split(lambda i: f"group {group[i]}") | {"measure": "accuracy"},
        "MultilabelClassification": split(several_labels) | {"measure": "accuracy"},
        "Clustering": {"sentences": texts, "measure": "v_measure",
                       "labels": [[f"{g % 2}", f"{g}"] for g in group.tolist()]},
        "BitextMining": two_lists(30) | {"measure": "f1"},
        "Summarization": {"text": random_texts(8),
                          "human_summaries": [random_texts(3) for _ in range(8)],
                          "machine_summaries": [random_texts(6) for _ in range(8)],
                          "relevance": rng.integers(0, 5, (8, 6)).tolist(),
                          "measure": "cosine_spearman"}}


def main():
    import mteb
    from mteb_adapter import MtebModel, local_task, mteb_scores, numbers
    from sklearn.linear_model import LogisticRegression

    from scratch_embed.worlds import task_shapes as shapes

    table = dict(zip(texts, vectors.astype(np.float32)))

    class LookupEncoder:
        def encode(self, inputs):
            return np.array([table[text] for text in inputs])

    golden = {"vectors": vectors.tolist(), "tasks": tasks(), "scores": {}}
    for name, fields in golden["tasks"].items():
        fields |= {"name": f"Small{name}", **ENDS}
        whole = {key: shapes.Labelled(**value) if key in ("train", "test") else value
                 for key, value in fields.items()}
        task = getattr(shapes, name)(**whole)
        golden["scores"][name] = {
            key: value for key, value in numbers(mteb_scores(LookupEncoder(), task)).items()
            if not key.startswith(("nauc", "evaluation")) and value == value}
        if name == "Classification":
            local = local_task(task)
            local.evaluator_model = LogisticRegression(tol=1e-10, max_iter=10_000)
            found = mteb.evaluate(MtebModel(LookupEncoder()), local, cache=None, co2_tracker=False)
            golden["tight"] = numbers(found.task_results[0].scores["test"][0])
            golden["tight"] = {k: v for k, v in golden["tight"].items() if v == v}
    text = json.dumps(golden, separators=(",", ":"))
    (HERE / "mteb.json").write_text(text.replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
