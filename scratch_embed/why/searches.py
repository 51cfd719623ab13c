"""Three ways to search a toy world: by BM25, by word vectors, and by a hybrid of both.

Equation  by words    BM25 (retrieve/bm25.py)
          by vectors  cos(x_q, x_d), where x is the weighted mean of a text's word vectors
                      (sentences/static.py)
          by both     the first DEPTH of each list, fused (retrieve/hybrid.py)
Shapes    Q queries, N documents; gains (Q, N); each search -> Ranking, gains by rank (Q, N)
Cost      drawing a world and training word2vec takes half a second, a search 0.1 s.
Read next why/retrieval.py (ablations), why/retrieval_tour.py (the baselines), worlds/facts.py

A search ranks every document for every query; equal scores are ordered by document id
(evaluate/ranking.py).  A seed determines the world and the initial weights.
"""
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import Ranking, ndcg, rank_table
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion
from scratch_embed.retrieve.lists import NO_ID
from scratch_embed.sentences.static import StaticEncoder, Words, frequencies, sif_weights
from scratch_embed.space.neighbours import top_k
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.text.vocab import Corpus, Vocab, index_sentences
from scratch_embed.training.session import RunOptions
from scratch_embed.words.vectors import WordVectors
from scratch_embed.words.word2vec import train
from scratch_embed.worlds.codes import Coded, with_codes
from scratch_embed.worlds.facts import Facts, gain_table

WORD2VEC = dict(dim=64, window=10, negatives=5, sample=1e-3, lr=0.05, epochs=5)
K = 10                             # the k of nDCG@k and the other measures
DEPTH = 100                        # how many documents of each search a hybrid fuses


class Search(NamedTuple):
    """A collection with queries and gains, and a text with word vectors trained on it."""

    corpus: dict[str, str]         # {document id: text}, N of them
    queries: dict[str, str]        # Q of them
    gains: np.ndarray              # (Q, N), the true gains
    vocab: Vocab
    text: Corpus                   # indexed by vocab
    words: Words                   # word vectors trained on text, by default by word2vec
    seed: int


def word2vec_words(vocab: Vocab, text: Corpus, seed: int, **changes) -> WordVectors:
    """Train word2vec on a text.  changes: to the settings WORD2VEC"""
    return WordVectors(vocab.words, train(text, vocab, options=RunOptions(seed=seed),
                                           **(WORD2VEC | changes)).W)


def search_facts(world: Facts, seed: int) -> Search:
    """The Search of a world, with word vectors trained on its text.  seed: of the training"""
    vocab, text = index_sentences(world.text, min_count=1)
    return Search(world.corpus, world.queries, gain_table(world.qrels, list(world.corpus)), vocab,
                  text, word2vec_words(vocab, text, seed), seed)


def search_codes(search: Search, world: Facts) -> tuple[Search, np.ndarray]:
    """The same reports, each with a code; and for each query whether it names a code (Q,)."""
    coded: Coded = with_codes(world, search.seed)
    return search._replace(
        corpus=coded.corpus, queries=coded.queries,
        gains=gain_table(coded.qrels, list(coded.corpus))), np.array([*coded.by_code.values()])


def _split(texts):
    """{id: text} -> the list of words of each text."""
    return [text.split() for text in texts.values()]


def ndcg_percent(search: Search, ranking: Ranking) -> float:
    """The score of a search: the mean nDCG@10 of its Ranking, in %."""
    return 100 * float(ndcg(ranking, K).mean())


def rank_all(search: Search, scores: np.ndarray) -> Ranking:
    """The Ranking of all documents.  scores: (Q, N)"""
    return rank_table(scores, search.gains, list(search.corpus))


# ---- scores, (Q, N) ---------------------------------------------------------------------------

def word_scores(search: Search, k1: float = 1.2, b: float = 0.75,
                documents: Callable[[Search], list[str]] | None = None) -> np.ndarray:
    """The BM25 scores of all documents, float32 (Q, N).  documents: a Search -> other texts"""
    texts = search.corpus.values() if documents is None else documents(search)
    index = BM25([text.split() for text in texts], k1, b)
    return np.stack([index.scores(query) for query in _split(search.queries)])


def sif(vocab: Vocab, a: float = 1e-3) -> dict[str, float]:
    """SIF's weights, from the frequencies of words in the text."""
    return sif_weights(frequencies(vocab), a)


def equal_weights(vocab: Vocab) -> dict[str, float]:
    """Weight 1 for all words, the default of words that are not in the dict."""
    return {}


def embed(search: Search, words: Words | None = None,
          weigh: Callable[[Vocab], Mapping[str, float]] = sif, common: bool = True,
          unit_words: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of queries and documents, (Q, D) and (N, D) float32.

    words: by default search.words.  weigh: a vocabulary -> {word: weight}.  common: whether to
    remove the direction that the documents share.  unit_words: whether to normalise word vectors.
    """
    encoder = StaticEncoder(search.words if words is None else words, weigh(search.vocab),
                            unit_words=unit_words)
    if common:
        encoder = encoder.without_common(search.corpus.values())
    return encoder.encode(search.queries.values()), encoder.encode(search.corpus.values())


# ---- searches ---------------------------------------------------------------------------------

def lexical(search: Search, **settings) -> Ranking:
    """Search by BM25.  settings: of word_scores"""
    return rank_all(search, word_scores(search, **settings))


def dense(search: Search, compare: Callable = cosine_matrix,
          learn: Callable[[Search], Words] | None = None, **settings) -> Ranking:
    """Search by vectors of texts.

    compare: (Q, D), (N, D) -> (Q, N), higher for more similar.  learn: a Search -> word vectors, by
    default search.words.  settings: of embed.
    """
    words = None if learn is None else learn(search)
    return rank_all(search, compare(*embed(search, words, **settings)))


def hybrid(search: Search, fuse: Callable = reciprocal_rank_fusion, depth: int = DEPTH,
           vectors: tuple[np.ndarray, np.ndarray] | None = None) -> Ranking:
    """Fuse the first `depth` documents of BM25 and of the vectors; all other documents come last.

    fuse: ([(ids, scores) of each], k) -> ids, scores
    vectors: of queries (Q, D) and documents (N, D), by default those of embed
    """
    Q, X = embed(search) if vectors is None else vectors
    words = BM25(_split(search.corpus)).search(_split(search.queries), depth)
    ids, values = fuse([words, top_k(cosine_matrix(Q, X), depth)], k=2 * depth)
    scores = np.full(search.gains.shape, -np.inf)
    row, rank = np.nonzero(ids != NO_ID)
    scores[row, ids[row, rank]] = values[row, rank]
    return rank_all(search, scores)
