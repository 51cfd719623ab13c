"""Retrieval, for the tour: BM25 and word vectors, rare codes, and a second language.

Shapes    scores are in %, one per seed; intervals are computed over the seeds (why/effects.py);
          BitextScores are fractions
Cost      a seed takes about 2 s, most of it for training FastText and GloVe.
Read next why/searches.py (the searches), why/retrieval.py (ablations), worlds/facts.py,
          worlds/codes.py, worlds/second_language.py

A seed determines the world, the queries and the initial weights, so the intervals are about worlds
of this kind.  A text vector is a mean of word vectors.  Word vectors are trained on the text of the
same world, without evaluation queries, qrels or translations.  The baselines are in the same table:
BM25, untrained word vectors, random text vectors, and exact chance and upper bound.
"""
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.baselines import RandomVectors
from scratch_embed.evaluate.bitext import BitextScores, bitext_scores, mine
from scratch_embed.evaluate.ranking import Ranking, ndcg, recall, reciprocal_rank
from scratch_embed.retrieve.hybrid import weighted_sum
from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.text.vocab import index_sentences
from scratch_embed.training.session import RunOptions
from scratch_embed.why.retrieval import untrained
from scratch_embed.why.searches import (
    WORD2VEC,
    K,
    Search,
    dense,
    equal_weights,
    hybrid,
    lexical,
    rank_all,
    search_codes,
    search_facts,
    sif,
    word2vec_words,
)
from scratch_embed.words import fasttext, glove
from scratch_embed.words.cooccurrence import count_cells
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.subwords import NGrams
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.bounds import chance_ndcg, chance_reciprocal_rank
from scratch_embed.worlds.facts import Facts, facts
from scratch_embed.worlds.second_language import bitext, inverse, translate

GLOVE = dict(dim=64, x_max=10, epochs=25)
FASTTEXT = dict(dim=64, window=10, sample=1e-3, lr=0.05, epochs=5, ngrams=NGrams(3, 6, 20_000))
HYBRID, SCORES = "BM25 + word2vec, RRF", "BM25 + word2vec, scores"
SENTENCES = 500                    # that are matched with their translations


# ---- words ------------------------------------------------------------------------------------

def glove_words(search: Search) -> WordVectors:
    """GloVe's word vectors, trained on the text of the world."""
    cells = count_cells(search.text, len(search.vocab), WORD2VEC["window"])
    return WordVectors(search.vocab.words, glove.train(cells, len(search.vocab),
                                                       options=RunOptions(seed=search.seed),
                                                       **GLOVE).W)


def fasttext_words(search: Search) -> FastTextVectors:
    """FastText's word vectors, trained on the same text, also for out-of-vocabulary words."""
    W = fasttext.train(search.text, search.vocab, options=RunOptions(seed=search.seed),
                       **FASTTEXT).W
    return FastTextVectors(search.vocab.words, W, *FASTTEXT["ngrams"][:2])


class Learned(NamedTuple):
    """A world, and word vectors trained on its text by three methods."""

    world: Facts
    search: Search                 # with the vectors of word2vec
    glove: Search
    fasttext: Search


def learn(seed: int, world: Facts | None = None) -> Learned:
    """Train all word vectors of a seed.  world: by default facts(seed, pairs=0)"""
    world = facts(seed, pairs=0) if world is None else world
    search = search_facts(world, seed)
    return Learned(world, search, search._replace(words=glove_words(search)),
                   search._replace(words=fasttext_words(search)))


# ---- queries in other words ---------------------------------------------------------------------

MEASURES = {"Recall@10": partial(recall, k=K), "MRR@10": partial(reciprocal_rank, k=K),
            "nDCG@10": partial(ndcg, k=K)}


def random_ranking(search: Search) -> Ranking:
    """The Ranking by cosines of random vectors, one for each text."""
    encoder = RandomVectors(WORD2VEC["dim"], search.seed)
    return rank_all(search, cosine_matrix(encoder.encode([*search.queries.values()]),
                                          encoder.encode([*search.corpus.values()])))


def search_reports(learned: Learned) -> dict[str, np.ndarray]:
    """{search: MEASURES in % (3,)}; the last two rows are chance and the upper bound."""
    mean = partial(dense, weigh=equal_weights, common=False)
    rankings = {"BM25": lexical(learned.search)}
    for name, search in [("word2vec", learned.search), ("GloVe", learned.glove),
                         ("FastText", learned.fasttext)]:
        rankings |= {f"{name}, mean": mean(search), f"{name}, SIF": dense(search)}
    rankings |= {HYBRID: hybrid(learned.search),
                 "word2vec, untrained, SIF": dense(learned.search, learn=untrained),
                 "random vectors": random_ranking(learned.search)}
    scores = {name: np.array([100 * measure(ranking).mean() for measure in MEASURES.values()])
              for name, ranking in rankings.items()}
    return scores | {"chance (exact)": chance(learned.search),
                     "upper bound": upper_bound(learned.search)}


def chance(search: Search) -> np.ndarray:
    """The expected MEASURES of a random order, in %, exactly.  -> (3,)"""
    N = search.gains.shape[1]
    first = [chance_reciprocal_rank(R, N, K) for R in (search.gains > 0).sum(axis=1).tolist()]
    return 100 * np.array([min(1, K / N), np.mean(first), chance_ndcg(search.gains, K)])


def upper_bound(search: Search) -> np.ndarray:
    """MEASURES of a perfect ranking, in %.  Recall@10 is low if over 10 documents are relevant."""
    ranking = rank_all(search, search.gains)
    return np.array([100 * measure(ranking).mean() for measure in MEASURES.values()])


# ---- rare codes ---------------------------------------------------------------------------------

CODED = {
    "BM25": lambda learned: lexical(learned.search),
    "word2vec, SIF": lambda learned: dense(learned.search),
    "FastText, SIF": lambda learned: dense(learned.fasttext),
    HYBRID: lambda learned: hybrid(learned.search),
    SCORES: lambda learned: hybrid(
        learned.search, fuse=partial(weighted_sum, weights=[1, 1])),
}
PARTS = ("codes", "questions", "both")


def search_coded(learned: Learned) -> dict[str, np.ndarray]:
    """{search: nDCG@10 in % (3,)}: of queries that name a code, of the others, of all."""
    coded, by_code = search_codes(learned.search, learned.world)
    learned = learned._replace(search=coded, fasttext=coded._replace(words=learned.fasttext.words))
    scores = {name: ndcg(find(learned), K) for name, find in CODED.items()}
    return {name: 100 * np.array([x[by_code].mean(), x[~by_code].mean(), x.mean()])
            for name, x in scores.items()}


# ---- a second language --------------------------------------------------------------------------

def match_translations(seed: int, sentences: int = SENTENCES, pairs: int = 24_000
                       ) -> dict[str, BitextScores]:
    """Match sentences with translations, without translations to learn from.

    pairs: how many pairs are drawn for training text; `monolingual` uses at most one side of each.
    -> {vectors: BitextScores}
    """
    world = bitext(seed, sentences, pairs)
    english, foreign = monolingual(world.pairs)
    english_encoder, joint_encoder = mean_of(english, seed), mean_of(english + foreign, seed)
    # another seed: with the same one a word and its translation could start from the same vector
    foreign_encoder = mean_of(foreign, seed + 1000)
    deciphered = [translate(text, inverse(world.cipher)) for text in world.foreign]
    random_encoder = RandomVectors(WORD2VEC["dim"], seed)
    encoders = {"each language alone": (english_encoder, foreign_encoder, world.foreign),
                "both texts as one": (joint_encoder, joint_encoder, world.foreign),
                "random vectors": (random_encoder, random_encoder, world.foreign),
                "the cipher undone": (english_encoder, english_encoder, deciphered)}
    return {name: bitext_scores(mine(source.encode(world.english), target.encode(texts))[0])
            for name, (source, target, texts) in encoders.items()}


def monolingual(pairs: list[tuple[str, str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Two monolingual texts: the English of the first half of the pairs, the foreign of the second.

    A pair of the second half is left out if its English sentence is also in the first half.
    """
    half = len(pairs) // 2
    used = {text for text, _ in pairs[:half]}
    return ([text.split() for text, _ in pairs[:half]],
            [foreign.split() for text, foreign in pairs[half:] if text not in used])


def mean_of(sentences: list[list[str]], seed: int) -> StaticEncoder:
    """An encoder of texts: SIF's weighted mean of word2vec vectors trained on these sentences."""
    vocab, text = index_sentences(sentences, min_count=1)
    return StaticEncoder(word2vec_words(vocab, text, seed), sif(vocab))
