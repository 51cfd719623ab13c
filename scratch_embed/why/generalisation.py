"""What labelled pairs do not cover: new words, rare codes, and a second language.

Shapes    a score is nDCG@10, F1 or accuracy in %, one per seed
Cost      a training takes a few seconds on one core
Read next why/learned.py (the bi-encoder), worlds/fact_pairs.py, worlds/codes.py,
          worlds/second_language.py, why/retrieval_tour.py (the same worlds without pairs)

New words.  One word of each value, a quarter of all, occurs in no training pair; it still occurs
in the text of the world, which nobody has labelled, and in the evaluation.  From initial weights
such a word has a random vector; from word vectors it starts near its synonyms.

Codes.  kx-417 is an unknown token for the bi-encoder; BM25 finds it.

A second language.  Pairs of sentences with their translations, none of them in the evaluation,
train one encoder for both languages.  Pairs of queries and reports are in the first language only;
the queries should find documents in the second language, too.
"""
from functools import partial

import numpy as np

from scratch_embed.evaluate.bitext import bitext_scores, mine
from scratch_embed.evaluate.ranking import Ranking, ndcg, rank_table
from scratch_embed.retrieve.hybrid import DENSE_WEIGHT, weighted_sum
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.transformer.bert import Config
from scratch_embed.why.contexts import untrained, whole_words
from scratch_embed.why.learned import (
    LABELLED,
    from_masked_lm,
    from_word_vectors,
    start,
    train_bi_encoder,
    train_on,
)
from scratch_embed.why.searches import K, dense, hybrid, lexical, rank_all, search_codes
from scratch_embed.why.sentences import SIZES, Encode, Encoder
from scratch_embed.worlds.fact_pairs import held_out_synonyms, replace_words
from scratch_embed.worlds.facts import facts, gain_table
from scratch_embed.worlds.second_language import bitext, inverse, translate
from scratch_embed.worlds.training_pairs import fact_triplets

# ---- new words -----------------------------------------------------------------------------------

WORD_PARTS = ("known words", "new words", "all")


def search_new_words(encoder: Encoder, **changes) -> dict[str, np.ndarray]:
    """{search: nDCG@10 in % (3,)}: of queries without a held-out word, with one, and of all.

    changes: to the settings BI_ENCODER
    """
    held_out, search = held_out_synonyms(encoder.seed), encoder.search
    texts = fact_triplets(encoder.world, LABELLED, encoder.seed)[:2]
    without = [replace_words(view, held_out) for view in texts]
    new = np.array([any(word in held_out for word in text.split())
                    for text in search.queries.values()])
    starts = {"initial weights": start, "the masked LM": from_masked_lm,
              "word vectors": from_word_vectors}
    rankings = {"BM25": lexical(search), "word2vec, SIF": dense(search)}
    rankings |= {f"from {name}": rank_by(
        encoder, train_bi_encoder(encoder, make(encoder), without, **changes).encode)
        for name, make in starts.items()}
    rankings["no word held out"] = rank_by(
        encoder, train_bi_encoder(encoder, texts=texts, **changes).encode)
    scores = {name: 100 * ndcg(ranking, K) for name, ranking in rankings.items()}
    return {name: np.array([x[~new].mean(), x[new].mean(), x.mean()])
            for name, x in scores.items()}


def rank_by(encoder: Encoder, encode: Encode) -> Ranking:
    """The Ranking of the world's documents by an encoder of texts."""
    search = encoder.search
    return rank_all(search, cosine_matrix(*(encode([*texts.values()]) for texts in
                                            (search.queries, search.corpus))))


# ---- codes ---------------------------------------------------------------------------------------

def search_coded(encoder: Encoder, encode: Encode) -> dict[str, np.ndarray]:
    """{search: nDCG@10 in % (3,)}: of queries that name a code, of the others, of all.

    encode: of the bi-encoder
    """
    search, by_code = search_codes(encoder.search, encoder.world)
    vectors = tuple(encode([*texts.values()]) for texts in (search.queries, search.corpus))
    rankings = {"BM25": lexical(search), "bi-encoder": rank_all(search, cosine_matrix(*vectors)),
                "BM25 + bi-encoder, RRF": hybrid(search, vectors=vectors),
                "BM25 + bi-encoder, scores": hybrid(
                    search, partial(weighted_sum, weights=[1 - DENSE_WEIGHT, DENSE_WEIGHT]),
                    vectors=vectors)}
    scores = {name: 100 * ndcg(ranking, K) for name, ranking in rankings.items()}
    return {name: np.array([x[by_code].mean(), x[~by_code].mean(), x.mean()])
            for name, x in scores.items()}


# ---- a second language ---------------------------------------------------------------------------

LANGUAGE_PARTS = ("F1", "nDCG, foreign", "nDCG, English")
SENTENCES = 500                    # that are matched with their translations


def search_across_languages(seed: int, documents: int = 2000, labelled: int = LABELLED, **changes
                            ) -> dict[str, np.ndarray]:
    """{training: scores in % (3,)}: F1 of matching translations; nDCG@10 of English queries on
    foreign and on English documents.

    labelled: drawn pairs of each kind, queries with reports and sentences with translations
    changes: to the settings BI_ENCODER
    """
    world = facts(seed, documents, documents * 3 // 20, sentences=0, pairs=0)
    languages = bitext(seed, min(SENTENCES, documents), 2 * labelled, prototypes=world.prototypes)
    foreign = [translate(text, languages.cipher) for text in world.corpus.values()]
    queries = list(zip(*fact_triplets(world, labelled, seed)[:2]))
    known = {*world.corpus.values()}
    translations = [pair for pair in languages.pairs if pair[0] not in known][:labelled]
    before = bilingual_start([*world.queries.values(), *known, *foreign, *languages.english,
                              *languages.foreign, *(text for pair in queries + translations
                                                    for text in pair)], seed)
    encoders = {"untrained": before}
    for name, pairs in (("pairs in English", queries), ("translations", translations),
                        ("both", queries + translations)):
        encoders[name] = train_on(list(zip(*pairs)), before, seed, **changes)

    def scores(encoder, side, documents):
        Q, X, Y = (encoder.encode(list(texts)) for texts in
                   (world.queries.values(), documents, world.corpus.values()))
        gains, ids = gain_table(world.qrels, list(world.corpus)), list(world.corpus)
        matched, _ = mine(encoder.encode(languages.english), encoder.encode(side))
        return 100 * np.array([bitext_scores(matched).f1, *(
            ndcg(rank_table(cosine_matrix(Q, D), gains, ids), K).mean() for D in (X, Y))])
    found = {name: scores(encoder, languages.foreign, foreign)
             for name, encoder in encoders.items()}
    back = inverse(languages.cipher)
    found["both, the cipher undone"] = scores(
        encoders["both"], [translate(text, back) for text in languages.foreign],
        world.corpus.values())
    return found


def bilingual_start(texts: list[str], seed: int) -> SentenceEncoder:
    """A bi-encoder with initial weights, whose tokens are all words of these texts."""
    tokenizer = whole_words([text.split() for text in texts])
    model = untrained(Config(len(tokenizer), **SIZES), seed)
    return SentenceEncoder(tokenizer, model.without_heads(),
                           Recipe(max_seq_length=SIZES["positions"]))
