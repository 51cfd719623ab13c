"""How bm25.json was made: by bm25s 0.3.16 (its "lucene" and in float64) and rank_bm25 0.2.2.

    python tests/golden/make_bm25.py

There are twelve documents; one is empty.  One query word occurs in all others, another in none, and
words repeat.  rank_bm25's BM25Okapi has another idf and a factor k1 + 1.  The file contains its
score of each single word divided by both: f / (f + k1 (1 − b + b |d| / mean |d|)), with f the
number of times that the word occurs in document d.
"""
import json
from pathlib import Path

DOCUMENTS = [text.split() for text in (
    "the cat sat on the mat", "the dog sat on the log", "the cat and the dog", "the", "",
    "the error code is kx-417", "the code the code the code", "cats are not the cat",
    "日本 the naïve", "the log of the cat the dog and the code", "on and on the",
    "sat sat sat the")]
QUERIES = [text.split() for text in (
    "the", "cat", "kx-417", "the cat", "sat on the log", "cat cat dog", "code the code", "日本 dog",
    "nothing", "nothing cat")]
SETTINGS = [(1.2, 0.75), (0.9, 0.4), (1.5, 0.0), (2.0, 0.95), (0.5, 0.5)]


def bm25s_scores(k1, b):
    """Scores of all documents for each query."""
    from bm25s import BM25
    model = BM25(k1=k1, b=b, method="lucene", dtype="float64")
    model.index(DOCUMENTS, show_progress=False)
    known = {word for document in DOCUMENTS for word in document}
    return [model.get_scores(words).tolist() if (words := [w for w in query if w in known])
            else [0.0] * len(DOCUMENTS) for query in QUERIES]


def rank_bm25_saturation(k1, b):
    """Scores / (idf (k1 + 1)) of all documents for each known word, {word: [...]}."""
    from rank_bm25 import BM25Okapi
    model = BM25Okapi(DOCUMENTS, k1=k1, b=b)
    return {word: (model.get_scores([word]) / (idf * (k1 + 1))).tolist()
            for word, idf in model.idf.items()}


def main():
    kept = [{"k1": k1, "b": b, "bm25s": bm25s_scores(k1, b),
             "rank_bm25": rank_bm25_saturation(k1, b)} for k1, b in SETTINGS]
    text = json.dumps(json.loads(json.dumps(kept), parse_float=lambda x: round(float(x), 12)),
                      ensure_ascii=False, separators=(",", ":")).replace('},{"k1', '},\n{"k1')
    Path(__file__).with_name("bm25.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
