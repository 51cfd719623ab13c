"""Searches side by side on a toy world: by words, by vectors, by both; each gives a Ranking.

Equation  by words    BM25 (retrieve/bm25.py)
          by vectors  cos(x_q, x_d), x the weighted mean of a text's word vectors
                      (sentences/static.py)
          by both     their first DEPTH joined (retrieve/hybrid.py)
Shapes    Q queries, N documents; gains (Q, N); a search -> Ranking, gains by place, (Q, N)
Cost      a world and word2vec's vectors of it half a second, a search a tenth of one.
Read next why/retrieval.py (what each part is worth), why/retrieval_tour.py, worlds/facts.py

A search scores every document for every query, so that no tie is cut; equal scores go by the
documents' names (evaluate/ranking.py).  A seed is another world as well as other starting weights.
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
K = 10                             # the rank at which all lists are cut
DEPTH = 100                       # documents of each search that a hybrid sees


class Search(NamedTuple):
    """What is sought in what, and what there is to learn words from."""

    corpus: dict[str, str]         # {document id: text}, N of them
    queries: dict[str, str]        # Q of them
    gains: np.ndarray              # (Q, N), the truth
    vocab: Vocab
    text: Corpus                   # numbered by vocab
    words: Words                   # learned from it, by word2vec unless said otherwise
    seed: int


def word2vec_words(vocab: Vocab, text: Corpus, seed: int, **changes) -> WordVectors:
    """What word2vec learns from a text with the settings WORD2VEC, some of them changed."""
    return WordVectors(vocab.words, train(text, vocab, options=RunOptions(seed=seed),
                                           **(WORD2VEC | changes)).W)


def search_facts(world: Facts, seed: int) -> Search:
    """Questions about reports, in other words than theirs.  seed: of the words' training."""
    vocab, text = index_sentences(world.text, min_count=1)
    return Search(world.corpus, world.queries, gain_table(world.qrels, list(world.corpus)), vocab,
                  text, word2vec_words(vocab, text, seed), seed)


def search_codes(search: Search, world: Facts) -> tuple[Search, np.ndarray]:
    """The same reports, each with a code; and which queries name a code, (Q,), half of them."""
    coded: Coded = with_codes(world, search.seed)
    return search._replace(
        corpus=coded.corpus, queries=coded.queries,
        gains=gain_table(coded.qrels, list(coded.corpus))), np.array([*coded.by_code.values()])


def _split(texts):
    return [text.split() for text in texts.values()]


def ndcg_percent(search: Search, ranking: Ranking) -> float:
    """The mean nDCG@10 of a Ranking, in %: the number that all searches are judged by."""
    return 100 * float(ndcg(ranking, K).mean())


def rank_all(search: Search, scores: np.ndarray) -> Ranking:
    """Every document in its place.  scores: (Q, N) -> Ranking."""
    return rank_table(scores, search.gains, list(search.corpus))


# ---- scores, (Q, N) ---------------------------------------------------------------------------

def word_scores(search: Search, k1: float = 1.2, b: float = 0.75,
                documents: Callable[[Search], list[str]] | None = None) -> np.ndarray:
    """BM25's of all documents, float32.  documents: the texts that stand for them."""
    texts = search.corpus.values() if documents is None else documents(search)
    index = BM25([text.split() for text in texts], k1, b)
    return np.stack([index.scores(query) for query in _split(search.queries)])


def sif(vocab: Vocab, a: float = 1e-3) -> dict[str, float]:
    """SIF's weights by the words' shares of the text."""
    return sif_weights(frequencies(vocab), a)


def equal_weights(vocab: Vocab) -> dict[str, float]:
    """All words weigh 1."""
    return {}


def embed(search: Search, words: Words | None = None,
          weigh: Callable[[Vocab], Mapping[str, float]] = sif, common: bool = True,
          unit_words: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of queries and documents, (Q, D) and (N, D) float32.

    words: by default search.words; weigh: a vocabulary -> {word: weight}; common: take out the
    direction that the documents share; unit_words: bring each word to length 1 first.
    """
    encoder = StaticEncoder(search.words if words is None else words, weigh(search.vocab),
                            unit_words=unit_words)
    if common:
        encoder = encoder.without_common(search.corpus.values())
    return encoder.encode(search.queries.values()), encoder.encode(search.corpus.values())


# ---- searches ---------------------------------------------------------------------------------

def by_words(search: Search, **settings) -> Ranking:
    """BM25.  settings: of word_scores."""
    return rank_all(search, word_scores(search, **settings))


def by_vectors(search: Search, compare: Callable = cosine_matrix,
               learn: Callable[[Search], Words] | None = None, **settings) -> Ranking:
    """Vectors of texts.  compare: (Q, D), (N, D) -> (Q, N), the higher the nearer.

    learn: a Search -> the vectors of words, by default search.words; settings: of embed.
    """
    words = None if learn is None else learn(search)
    return rank_all(search, compare(*embed(search, words, **settings)))


def by_both(search: Search, fuse: Callable = reciprocal_rank_fusion, depth: int = DEPTH
            ) -> Ranking:
    """The first `listed` of BM25 and of the vectors, joined; what neither lists comes last.

    fuse: ([(ids, scores) of each], k) -> ids, scores.
    """
    words = BM25(_split(search.corpus)).search(_split(search.queries), depth)
    ids, values = fuse([words, top_k(cosine_matrix(*embed(search)), depth)], k=2 * depth)
    scores = np.full(search.gains.shape, -np.inf)
    row, place = np.nonzero(ids != NO_ID)
    scores[row, ids[row, place]] = values[row, place]
    return rank_all(search, scores)
