"""BM25: rank documents by the words they share with the query; rare words count more.

Paper     Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond",
          section 3.4; the idf is Lucene's.  Lù 2024, "BM25S: Orders of magnitude faster lexical
          search via eager sparse scoring" (weights are computed when the index is built).
Equation  score(q, d) = Σ_{w in q} weight(w, d)
          weight(w, d) = idf(w) · f / (f + k1 (1 − b + b |d| / mean |d|)),  f = count of w in d
          idf(w) = log(1 + (N − n + ½) / (n + ½)),  n of the N documents contain w
Shapes    documents, queries: lists of lists of str -> ids (Q, k) int64, scores (Q, k) float32
Cost      A posting is a document that contains a given word.  O(T log T) to build, for T tokens;
          O(N + p) per query whose words have p postings, and O(log k) per update of the k best.
          Memory: 8 bytes per posting, and the vocabulary.
Differs   The paper's idf has no "1 +", so a word that is in more than half of the documents gets
          a negative weight.  Lucene stores a length in one byte, exact up to 40, and leaves empty
          documents out of N.  rank_bm25 (BM25Okapi) has k1 = 1.5; a factor k1 + 1, which changes no
          ranking; and the paper's idf, replaced by ¼ of the mean idf where it is negative.  bm25s
          with its defaults computes the same formula as this file, with k1 = 1.5; Anserini has
          k1 = 0.9, b = 0.4.  The defaults here are Lucene's, k1 = 1.2 and b = 0.75.
Read next retrieve/lists.py (what a search returns), retrieve/hybrid.py (with dense vectors)

Why the fraction?  The tenth occurrence of a word tells less about the document than the first:
f/(f + k1) rises towards 1, and is ½ at f = k1.  A long document contains more of every word without
being about it, so k1 is multiplied by a factor that grows with the length.  With b = 0 the length
is ignored; with b = 1 the weight depends only on the share f/|d|.

Why an inverted index?  A query has few words, and most documents contain none of them.  So the
weights are stored by word, as a sparse matrix in CSR form: row w holds the documents that contain
w.  The scores of a query are the sum of its words' rows; a word that occurs twice in the query
counts twice.

Words match only if the strings are equal.  Lower-casing, removing punctuation and stop words, and
stemming are up to the caller, who must treat documents and queries alike.
"""
import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.numerics.kernel import kernel
from scratch_embed.retrieve.lists import NO_ID, stack, top_k_of_query

u64 = np.uint64
S32, LOW_32 = u64(32), u64(0xFFFFFFFF)                      # a shift, and a mask of the low bits


class Postings(NamedTuple):
    """Word w is in documents[start[w]:start[w+1]], with weights[start[w]:start[w+1]].

    A (V, N) matrix in CSR form; SciPy's names are indptr, indices and data.
    """

    start: np.ndarray              # (V+1,) int64
    documents: np.ndarray          # (P,) int32, ascending within each word
    weights: np.ndarray            # (P,) float32, all positive


class BM25:
    """An inverted index of N documents.  index: {word: number}, postings: Postings.

    >>> bm25 = BM25([["a", "fox", "runs"], ["a", "dog", "sleeps"], ["the", "fox"]])
    >>> bm25
    BM25(3 documents, 6 words)
    >>> ids, scores = bm25.search([["fox", "runs"]], k=3)
    >>> ids.tolist()                                # document 1 has neither word, so −1
    [[0, 2, -1]]
    """

    def __init__(self, documents: Iterable[Sequence[str]], k1: float = 1.2, b: float = 0.75
                 ) -> None:
        """documents: lists of words; the id of a document is its position, from 0.

        Raises ValueError if all documents are empty, a document is a str, k1 is negative or b is
        outside 0..1.
        """
        k1, b = require_number("k1", k1), require_number("b", b, 0, 1)
        self.index, ids, lengths = _number_words(documents)
        self.postings = _build_postings(ids, lengths, len(self.index), k1, b)
        self.documents = len(lengths)

    def __len__(self) -> int:
        return self.documents

    def __repr__(self) -> str:
        return f"BM25({len(self):,} documents, {len(self.index):,} words)"

    def scores(self, query: Sequence[str]) -> np.ndarray:
        """The score of every document, 0 if it has no word of the query.  words -> (N,) float32."""
        query = _require_words(query, "a query")
        words = np.array([self.index[word] for word in query if word in self.index], np.int64)
        words, times = np.unique(words, return_counts=True)
        scores = np.zeros(len(self), np.float32)
        add_rows(self.postings, words, times.astype(np.float32), scores)
        return scores

    def search(self, queries: Iterable[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best documents for each query: ids (Q, k), scores (Q, k); ties go to the lowest id.

        If k > N, there are N columns.  Only documents with a word of the query are listed; the rest
        of a row is filled with id −1 and score −inf.
        """
        k, rows = min(require_whole("k", k, 1), len(self)), []
        if isinstance(queries, str):
            raise ValueError(f"queries: expected a list of lists of words, got the str "
                             f"{queries!r}")
        for query in queries:
            rows.append(top_k_positive(self.scores(query), k))
        return stack(rows, k, np.float32)


# ---- the sum ----------------------------------------------------------------------------------

def add_rows_plain(postings: Postings, words: np.ndarray, times: np.ndarray, scores: np.ndarray
                   ) -> None:
    """scores += Σ_w times_w · (row w), in place.  words: (W,), times: (W,), scores: (N,)."""
    for word, t in zip(words, times):
        row = slice(postings.start[word], postings.start[word + 1])
        scores[postings.documents[row]] += t * postings.weights[row]    # each id once in a row


@kernel
def add_rows(postings, words, times, scores):
    """add_rows_plain, compiled."""
    for i in range(len(words)):
        t = times[i]
        for p in range(postings.start[words[i]], postings.start[words[i] + 1]):
            scores[postings.documents[p]] += t * postings.weights[p]


# ---- the k best ---------------------------------------------------------------------------------

def top_k_positive_plain(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest scores above 0; ties go to the lowest id.  (N,) -> ids (k,), scores (k,)."""
    found = np.flatnonzero(scores > 0)
    return top_k_of_query(found, scores[found], k)


def top_k_positive(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """top_k_positive_plain for float32, in one pass over the scores, with a heap of the k best.

    Score and id are packed into one integer: the score's 32 bits, then 2³² − 1 − id.  Non-negative
    floats have the order of their bit patterns, so the larger integer is the better document, and
    on a tie the lower id.
    """
    heap = np.full(min(k, len(scores)), LOW_32)              # key of score 0, id 0: an empty entry
    keep_best(scores.view(np.uint32), heap)
    heap = np.sort(heap)[::-1]
    n = np.count_nonzero(heap > LOW_32)
    ids, values = np.full(k, NO_ID, np.int64), np.full(k, -np.inf, np.float32)
    ids[:n] = (LOW_32 - (heap & LOW_32))[:n]
    values[:n] = (heap >> S32).astype(np.uint32).view(np.float32)[:n]
    return ids, values


@kernel
def keep_best(bits, heap):
    """Keep the n largest keys bits_i · 2³² + 2³² − 1 − i in heap (n,), a min-heap.  bits: (N,)."""
    for i in range(len(bits)):
        key = (u64(bits[i]) << S32) | (LOW_32 - u64(i))
        if key > heap[0]:
            replace_smallest(heap, key)


@kernel
def replace_smallest(heap, key):
    """Replace heap[0] by key and restore the min-heap (sift down).

    In a min-heap, the children of entry i, 2i + 1 and 2i + 2, are not smaller than entry i.
    """
    hole, child = 0, 1
    while child < len(heap):
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[hole] = heap[child]
        hole, child = child, 2 * child + 1
    heap[hole] = key


# ---- the weights --------------------------------------------------------------------------------

def idf(n: np.ndarray, N: int) -> np.ndarray:
    """log(1 + (N − n + ½) / (n + ½)), positive even for a word that is in all N documents.

    >>> idf(np.array([1, 5, 10]), N=10).round(2).tolist()
    [1.99, 0.69, 0.05]
    """
    return np.log1p((N - n + 0.5) / (n + 0.5))


def _build_postings(ids, lengths, V, k1, b):
    """The Postings of N documents.  ids: (T,) word numbers, lengths: (N,) their counts."""
    N = len(lengths)
    documents = np.repeat(np.arange(N), lengths)
    pairs, f = np.unique(ids * np.int64(N) + documents, return_counts=True)      # by word
    words, documents = np.divmod(pairs, N)
    n = np.bincount(words, minlength=V)                      # documents that contain the word
    norm = k1 * (1 - b + b * lengths / lengths.mean())
    weights = idf(n, N)[words] * f / (f + norm[documents])
    return Postings(np.concatenate([[0], np.cumsum(n)]), documents.astype(np.int32),
                    weights.astype(np.float32))


def _number_words(documents):
    """Number the words by first occurrence -> {word: number}, ids (T,), lengths (N,)."""
    if isinstance(documents, str):
        raise ValueError(f"documents: expected a list of lists of words, got the str "
                         f"{documents[:30]!r}")
    index, ids, lengths = {}, array.array("q"), array.array("q")
    for document in documents:
        words = _require_words(document, f"document {len(lengths)}")
        ids.extend([index.setdefault(word, len(index)) for word in words])
        lengths.append(len(words))
    if not ids:
        raise ValueError(f"documents: expected at least one word, got none in {len(lengths)} "
                         "documents")
    return index, np.array(ids, np.int64), np.array(lengths, np.int64)


def _require_words(words, name):
    if isinstance(words, str):
        raise ValueError(f"{name}: expected a list of words, got the str {words[:30]!r}; pass "
                         "text.split()")
    return words
