"""Hard negatives: documents that a search ranks high for a query, but that are not relevant to it.

Papers    Karpukhin et al. 2020, "Dense Passage Retrieval for Open-Domain Question Answering",
          section 3.2 (DPR: found with BM25).
          Xiong et al. 2021, "Approximate Nearest Neighbor Negative Contrastive Learning for Dense
          Text Retrieval" (ANCE: found with the model itself, again and again during training).
          Moreira et al. 2024, "NV-Retriever: Improving Text Embedding Models with Effective
          Hard-Negative Mining", section 3 (the margins to the positive's score).
Equation  candidates(q) = the range_max documents d ∉ P(q) with the highest s(q, d)
          negatives(q) = the K best candidates d, after the first range_min, of those with
              s(q, d) ≤ s⁺ − absolute_margin   and   s(q, d) ≤ s⁺ − relative_margin · |s⁺|
          P(q): the known positives of q;  s⁺ = min over p ∈ P(q) of s(q, p);  s: BM25 or cosine
Shapes    N pairs (query, positive), M documents -> ids (N, K), scores (N, K), in the form of
          retrieve/lists.py: best first, filled up with id −1 and score −inf
Cost      one score for each query and document, and O(M) per query for the selection; memory: the
          vectors of the texts, and a block of scores.  BLAS computes the products, so no kernel
Differs   from sentence-transformers' mine_hard_negatives: there the margin is applied to the best
          range_max + max |P(q)| documents, positives included; here to the best range_max of the
          others, which gives the same if all queries have equally many positives.  The default of
          range_max is larger there by max |P(q)|, and smaller by 9 K if there is no margin.  A
          document that equals the query is left out here, and is a candidate there.
          from ANCE: the negatives are found once, before training; repeat both for more rounds
Read next losses/infonce.py (which negatives push), sentences/sbert.py (trains with them),
          why/e5.py (what they and the margins are worth)

Why hard negatives?  In a batch of random pairs, most negatives are about something else, so their
share of the gradient is nearly 0 (losses/infonce.py).  The model learns the topic, and then
nothing tells it to learn more.  A document that it ranks just below, or above, the right one has
a large share of the gradient, and shows what the model confuses.

Why margins?  A data set names one positive for a query, or a few, but other documents answer it
too.  A good model ranks these unlabelled positives first, so they are what mining finds first.  As
negatives they would teach the opposite of what is right (false negatives).  A document that scores
as high as the known positive is probably one of them.  So only documents that score lower than the
positive, by a margin, are used.  The price: the model's worst errors, wrong documents that it
ranks above the right one, are left out too.  NV-Retriever found 5% of the positive's score best
(relative_margin = 0.05); BM25 scores have no common scale, so only a relative margin makes sense.

Why skip the first ranks?  For the same reason, without a look at the scores: range_min = 10 leaves
out the ten best candidates, right or wrong.
"""
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_function, require_number, require_whole
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.lists import NO_ID
from scratch_embed.space.neighbours import top_k
from scratch_embed.space.similarity import cosine_matrix

BLOCK = 1 << 22                    # scores that are computed at a time

Scorer = Callable[[list[str], list[str]], Iterable[np.ndarray]]      # -> (M,) scores per query
Encode = Callable[[list[str]], np.ndarray]

# The reasons for which a candidate is left out: the keys of Mined.excluded.
DUPLICATE = "equal to another document"
EQUAL = "equal to the query"
POSITIVE = "known positives"
MARGIN = "too near the positive's score"
SKIPPED = "skipped by range_min"


# ---- how candidates are chosen -------------------------------------------------------------------

def top(options: np.ndarray, K: int) -> np.ndarray:
    """The first K options, which are the best.  (n,) -> at most K of them."""
    return options[:K]


def at_random(seed: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """A function that draws K of the options, in their order; the draws continue from call to call.

    >>> draw = at_random(seed=1)
    >>> draw(np.arange(10), 3), draw(np.arange(2), 3)
    (array([3, 4, 7]), array([0, 1]))
    """
    rng = np.random.default_rng(seed)

    def draw(options, K):
        return options[np.sort(rng.choice(len(options), min(K, len(options)), replace=False))]
    return draw


class Mining(NamedTuple):
    """Which candidates become negatives.  The names are those of sentence-transformers."""

    num_negatives: int = 3                     # K
    range_min: int = 0                         # skip so many of the candidates that are left
    range_max: int | None = None               # candidates of a query; None: range_min + 10 K
    absolute_margin: float | None = None       # None: no condition
    relative_margin: float | None = None
    sampling_strategy: Callable[[np.ndarray, int], np.ndarray] = top       # or at_random(seed)

    @property
    def candidates(self) -> int:
        """range_max, or its default."""
        return self.range_min + 10 * self.num_negatives if self.range_max is None else (
            self.range_max)

    def limit(self, positive: float) -> float:
        """The highest score of a negative, if the positive has this score."""
        if positive == -np.inf and (self.absolute_margin, self.relative_margin) != (None, None):
            return positive                    # BM25 has not found the positive: no negatives
        limits = [np.inf]
        if self.absolute_margin is not None:
            limits.append(positive - self.absolute_margin)
        if self.relative_margin is not None:
            limits.append(positive - abs(positive) * self.relative_margin)
        return min(limits)


def choose(scores: np.ndarray, positives: Sequence[int], mining: Mining, equal: Sequence[int] = ()
           ) -> tuple[np.ndarray, np.ndarray, Counter]:
    """The negatives of one query.  scores: (M,) of all documents -> ids (n,), scores (n,), n ≤ K,
    and a Counter of the candidates that were left out, by reason.

    positives: ids of the query's positives; equal: of documents with the text of the query.  A
    document with the score −inf is not a candidate.

    >>> scores = np.array([0.9, 0.99, 0.8, 0.5, 0.4])           # document 0 is the positive
    >>> choose(scores, [0], Mining(num_negatives=2, relative_margin=0.05))[0].tolist()
    [2, 3]
    """
    limit = mining.limit(float(scores[list(positives)].min()))
    out = [*positives, *equal]
    others = scores.copy()
    others[out] = -np.inf
    ids, values = top_k(others, mining.candidates)
    last = values[-1]
    ids, values = ids[values > -np.inf], values[values > -np.inf]
    left_out = Counter({POSITIVE: np.sum(scores[list(positives)] > last),
                        EQUAL: np.sum(scores[list(equal)] > last),
                        MARGIN: np.sum(values > limit)})
    options = np.flatnonzero(values <= limit)
    left_out[SKIPPED] = min(mining.range_min, len(options))
    chosen = mining.sampling_strategy(options[mining.range_min:], mining.num_negatives)
    return ids[chosen], values[chosen], left_out


# ---- scores --------------------------------------------------------------------------------------

def cosines(encode_queries: Encode, encode_documents: Encode | None = None) -> Scorer:
    """The Scorer of an encoder: cosines.  encode_documents: if documents are encoded otherwise,
    such as with another prompt.

    >>> def count(texts): return np.array([[t.count("a"), t.count("b")] for t in texts])
    >>> [row.round(2).tolist() for row in cosines(count)(["a"], ["ab", "b", "aa"])]
    [[0.71, 0.0, 1.0]]
    """
    def score(queries, documents) -> Iterator[np.ndarray]:
        Q, X = encode_queries(queries), (encode_documents or encode_queries)(documents)
        height = max(1, BLOCK // len(documents))
        for start in range(0, len(queries), height):
            yield from cosine_matrix(Q[start:start + height], X)
    return score


def bm25(split: Callable[[str], Sequence[str]] = str.split) -> Scorer:
    """The Scorer of BM25.  A document that has no word of the query has −inf: it is not found.

    split: text -> words
    """
    def score(queries, documents) -> Iterator[np.ndarray]:
        index = BM25([split(document) for document in documents])
        for query in queries:
            scores = index.scores(split(query))
            yield np.where(scores > 0, scores, np.float32(-np.inf))
    return score


# ---- mining --------------------------------------------------------------------------------------

class Mined(NamedTuple):
    """Hard negatives of N pairs, up to K each."""

    queries: list[str]             # N
    positives: list[str]           # N
    documents: list[str]           # M different texts: the corpus, then positives that it lacks
    ids: np.ndarray                # (N, K) of documents, best first; −1 where there are fewer
    scores: np.ndarray             # (N, K) of the negatives; −inf where there are fewer
    positive_scores: np.ndarray    # (N,) s⁺, of the query's positive with the lowest score
    excluded: dict[str, int]       # {reason: candidates that were left out, over all queries}

    @property
    def found(self) -> np.ndarray:
        """(N,) how many negatives each pair has."""
        return (self.ids != NO_ID).sum(axis=1)

    def triplets(self) -> list[list[str]]:
        """[queries, positives, negatives]: a row for each negative, so that pairs are repeated."""
        pairs, columns = np.nonzero(self.ids != NO_ID)
        return [[self.queries[i] for i in pairs], [self.positives[i] for i in pairs],
                [self.documents[i] for i in self.ids[pairs, columns]]]

    def tuples(self, others: Sequence[Sequence[str]] | None = None) -> list[list[str]]:
        """[queries, positives, first negatives, ..., K-th negatives] of the pairs that have K.

        others: K lists of N texts, which take the places that are empty; then all pairs are kept
        """
        if others is not None:
            return [self.queries, self.positives, *(
                [other if id == NO_ID else self.documents[id] for id, other in zip(ids, texts)]
                for ids, texts in zip(self.ids.T, others))]
        full = np.flatnonzero(self.found == self.ids.shape[1])
        return [[self.queries[i] for i in full], [self.positives[i] for i in full],
                *([self.documents[i] for i in column] for column in self.ids[full].T)]


def mine_hard_negatives(queries: Sequence[str], positives: Sequence[str], score: Scorer,
                        corpus: Sequence[str] | None = None, mining: Mining = Mining()) -> Mined:
    """Find hard negatives for the pairs (queries[i], positives[i]) among the texts of corpus.

    A query that occurs in several pairs has several positives, none of which is its negative, and
    its pairs have the same negatives.
    score    cosines(encoder.encode), bm25(), or another function of this form
    corpus   the documents; None: the positives of all pairs.  Equal texts count as one document,
             and positives that it lacks are added
    Raises   ValueError for no pairs, lists of different lengths, or a Mining without meaning

    >>> mined = mine_hard_negatives(["fox", "dog"], ["the red fox", "the dog sleeps"], bm25(),
    ...                             corpus=["fox farm", "dog and cat"], mining=Mining(1))
    >>> mined.triplets()[2], mined.excluded[POSITIVE]
    (['fox farm', 'dog and cat'], 2)
    """
    if not 0 < len(queries) == len(positives):
        raise ValueError(f"expected as many positives as queries, at least one, got {len(queries)} "
                         f"queries and {len(positives)} positives")
    require_function("score", score, "cosines(encoder.encode) or bm25()")
    check(mining)
    corpus = positives if corpus is None else corpus
    documents = list(dict.fromkeys([*corpus, *positives]))
    id_of = {text: id for id, text in enumerate(documents)}
    positives_of: dict[str, dict[int, None]] = {}
    for query, positive in zip(queries, positives):
        positives_of.setdefault(query, {})[id_of[positive]] = None

    K, left_out = mining.num_negatives, Counter({DUPLICATE: len(corpus) - len(set(corpus))})
    row_of, shape = {query: row for row, query in enumerate(positives_of)}, (len(positives_of), K)
    ids, values = np.full(shape, NO_ID, np.int64), np.full(shape, -np.inf)
    positive_scores = np.empty(len(positives_of))
    for row, (query, scores) in enumerate(zip(positives_of, score(list(positives_of), documents))):
        relevant = list(positives_of[query])
        equal = [id_of[query]] if query in id_of and id_of[query] not in relevant else []
        found, its_scores, reasons = choose(scores, relevant, mining, equal)
        ids[row, :len(found)], values[row, :len(found)] = found, its_scores
        positive_scores[row] = scores[relevant].min()
        left_out.update(reasons)
    rows = [row_of[query] for query in queries]
    return Mined(list(queries), list(positives), documents, ids[rows], values[rows],
                 positive_scores[rows], {reason: int(n) for reason, n in left_out.items()})


def check(mining: Mining) -> None:
    """Raise ValueError for numbers that are out of range, or that leave no candidates."""
    K = require_whole("num_negatives", mining.num_negatives, 1)
    least = require_whole("range_min", mining.range_min) + K
    if mining.candidates < least:
        raise ValueError(f"range_max={mining.range_max}: expected at least {least}, range_min + "
                         f"num_negatives; give a larger range_max")
    if mining.absolute_margin is not None:
        require_number("absolute_margin", mining.absolute_margin)
    if mining.relative_margin is not None:
        require_number("relative_margin", mining.relative_margin)
