"""BM25: find documents by the words they share with a query; rare words count more, repeats less.

Paper     Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond",
          section 3.4; the idf is Lucene's.  Lù 2024, "BM25S: Orders of magnitude faster lexical
          search via eager sparse scoring" (weights are computed when the index is built).
Equation  score(q, d) = Σ_{w in q} weight(w, d)
          weight(w, d) = idf(w) · f / (f + k1 (1 − b + b |d| / mean |d|)),  f how often w is in d
          idf(w) = log(1 + (N − n + ½) / (n + ½)),  n of the N documents have w
Shapes    documents, queries: lists of lists of str -> ids (Q, k) int64, scores (Q, k) float32
Cost      to build, O(T log T) for T tokens; a query O(N + the documents that have its words).
          Memory: 8 bytes for each pair of a word and a document that has it.
Differs   The paper's idf has no "1 +": a word that more than half of the documents have gets a
          negative weight, and repels.  Lucene keeps a length in one byte, exact up to 39, and
          leaves empty documents out of N.  rank_bm25 (BM25Okapi) has k1 = 1.5, a factor k1 + 1,
          which changes no order, and the paper's idf, where it is negative ¼ of the mean idf.
          bm25s by default computes the same as here, with k1 = 1.5; Anserini has k1 = 0.9,
          b = 0.4.  The defaults here are Lucene's, 1.2 and 0.75.
Read next retrieve/lists.py (what is returned), retrieve/hybrid.py (and dense vectors)

Why a fraction.  The tenth time that a word occurs says less than the first: f/(f + k1) rises to 1,
and is ½ at f = k1.  A long document has more of every word without being about it, so k1 grows with
its length; b = 0 forgets the length, b = 1 counts only shares, f/|d|.

Why an inverted index.  A query has few words, and most documents have none of them.  So the weights
are kept word by word, as a sparse matrix in CSR form: row w holds the documents that have w.  A
query is the sum of its rows; a word that stands in it twice counts twice.

Words are strings that are equal or not: to lower-case them, to take off punctuation or endings, and
to leave out the commonest is for the caller to do, in the same way with documents and queries.
"""
import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.numerics.kernel import kernel
from scratch_embed.retrieve.lists import NO_ID, stack, top_k_of_query

u64 = np.uint64
S32, LOW_32 = u64(32), u64(0xFFFFFFFF)


class Postings(NamedTuple):
    """Word w stands in documents[start[w]:start[w+1]], which rise, and weighs weights[...]."""

    start: np.ndarray              # (V+1,) int64
    documents: np.ndarray          # (P,) int32
    weights: np.ndarray            # (P,) float32, all above 0


class BM25:
    """An index of N documents.  index: {word: number}, postings: Postings.

    >>> bm25 = BM25([["a", "fox", "runs"], ["a", "dog", "sleeps"], ["the", "fox"]])
    >>> bm25
    BM25(3 documents, 6 words)
    >>> ids, scores = bm25.search([["fox", "runs"]], k=3)
    >>> ids.tolist()                                # the list ends: no other document has a word
    [[0, 2, -1]]
    """

    def __init__(self, documents: Iterable[Sequence[str]], k1: float = 1.2, b: float = 0.75
                 ) -> None:
        """documents: lists of words; document i has id i, also where it is empty.

        Raises ValueError where there are no words at all, or a document is a str.
        """
        k1, b = require_number("k1", k1), require_number("b", b, 0, 1)
        self.index, ids, lengths = _number_words(documents)
        self.postings = _weigh(ids, lengths, len(self.index), k1, b)
        self.documents = len(lengths)

    def __len__(self) -> int:
        return self.documents

    def __repr__(self) -> str:
        return f"BM25({len(self):,} documents, {len(self.index):,} words)"

    def scores(self, query: Sequence[str]) -> np.ndarray:
        """Of every document; 0 where it has no word of the query.  list of str -> (N,) float32."""
        words = [self.index[word] for word in _words(query, "a query") if word in self.index]
        words, times = np.unique(np.array(words, np.int64), return_counts=True)
        scores = np.zeros(len(self), np.float32)
        add_rows(self.postings, words, times.astype(np.float32), scores)
        return scores

    def search(self, queries: Iterable[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best for each query: ids (Q, k), scores (Q, k); ties to the lowest id.

        A list ends, with id −1 and score −inf, where no other document has a word of the query.
        """
        k, rows = require_whole("k", k, 1), []
        if isinstance(queries, str):
            raise ValueError(f"expected a list of queries, each a list of words, found {queries!r}")
        for query in queries:
            rows.append(top_k_positive(self.scores(query), k))
        return stack(rows, k, np.float32)


# ---- the sum ----------------------------------------------------------------------------------

def add_rows_plain(postings: Postings, words: np.ndarray, times: np.ndarray, scores: np.ndarray
                   ) -> None:
    """scores += Σ_w times_w · (row w), in place.  words: (W,), times: (W,), scores: (N,)."""
    for word, t in zip(words, times):
        row = slice(postings.start[word], postings.start[word + 1])
        scores[postings.documents[row]] += t * postings.weights[row]     # no document comes twice


@kernel
def add_rows(postings, words, times, scores):
    """The same as add_rows_plain."""
    for i in range(len(words)):
        t = times[i]
        for at in range(postings.start[words[i]], postings.start[words[i] + 1]):
            scores[postings.documents[at]] += t * postings.weights[at]


# ---- the k best ---------------------------------------------------------------------------------

def top_k_positive_plain(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and scores, (k,) each, of the k highest above 0; ties to the lowest id.  scores: (N,)"""
    found = np.flatnonzero(scores > 0)
    return top_k_of_query(found, scores[found], k)


def top_k_positive(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for float32 in one pass, with a heap of the k best so far.

    Score and id are one integer, the score's bits above those of −id: numbers that are not negative
    are ordered as their bits are, so that the larger integer is the better document.
    """
    heap = np.full(min(k, len(scores)), LOW_32)              # score 0, id 0: nothing yet
    keep_best(scores.view(np.uint32), heap)
    heap = np.sort(heap)[::-1]
    n = np.count_nonzero(heap > LOW_32)
    ids, values = np.full(k, NO_ID, np.int64), np.full(k, -np.inf, np.float32)
    ids[:n] = (LOW_32 - (heap & LOW_32))[:n]
    values[:n] = (heap >> S32).astype(np.uint32).view(np.float32)[:n]
    return ids, values


@kernel
def keep_best(bits, heap):
    """Keep in heap, (n,), the largest keys bits_i · 2³² + 2³² − 1 − i; the smallest in heap[0]."""
    for i in range(len(bits)):
        key = (u64(bits[i]) << S32) | (LOW_32 - u64(i))
        if key > heap[0]:
            replace_smallest(heap, key)


@kernel
def replace_smallest(heap, key):
    """Put key in the place of heap[0], and let it sink while an entry below it is smaller.

    Below entry i are 2i + 1 and 2i + 2, neither of them smaller than it.
    """
    at, child = 0, 1
    while child < len(heap):
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = key


# ---- the weights --------------------------------------------------------------------------------

def idf(n: np.ndarray, N: int) -> np.ndarray:
    """log(1 + (N − n + ½) / (n + ½)): above 0 also for a word that all N documents have.

    >>> idf(np.array([1, 5, 10]), N=10).round(2).tolist()
    [1.99, 0.69, 0.05]
    """
    return np.log1p((N - n + 0.5) / (n + 0.5))


def _weigh(ids, lengths, V, k1, b):
    """Postings of the tokens `ids`, (T,), of documents that are so long, (N,)."""
    N = len(lengths)
    documents = np.repeat(np.arange(N), lengths)
    pairs, f = np.unique(ids * np.int64(N) + documents, return_counts=True)      # in order
    words, documents = np.divmod(pairs, N)
    n = np.bincount(words, minlength=V)                      # documents that have the word
    norm = k1 * (1 - b + b * lengths / lengths.mean())
    weights = idf(n, N)[words] * f / (f + norm[documents])
    return Postings(np.concatenate([[0], np.cumsum(n)]), documents.astype(np.int32),
                    weights.astype(np.float32))


def _number_words(documents):
    """({word: number} as first seen, numbers of all tokens (T,), length of each document (N,))."""
    if isinstance(documents, str):
        raise ValueError(f"expected a list of documents, each a list of words, found "
                         f"{documents[:30]!r}")
    index, ids, lengths = {}, array.array("q"), array.array("q")
    for document in documents:
        words = _words(document, f"document {len(lengths)}")
        ids.extend([index.setdefault(word, len(index)) for word in words])
        lengths.append(len(words))
    if not ids:
        raise ValueError(f"no word in {len(lengths)} documents: there is nothing to find")
    return index, np.array(ids, np.int64), np.array(lengths, np.int64)


def _words(words, whose):
    if isinstance(words, str):
        raise ValueError(f"{whose} is the str {words[:30]!r}: expected a list of words, such as "
                         "its split()")
    return words
