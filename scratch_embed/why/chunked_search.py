"""Search in chunks of long documents, for a reader with a budget: BM25, SIF, bi-encoders.

Equation  a chunk is evidence for a question if it contains the whole sentence that states the fact
          of its document, and this document has every value that the question names
          recall at a budget of B tokens: evaluate/context.py
Shapes    Q questions, C chunks; scores and evidence (Q, C); a token is a word here
Cost      drawing a collection and training word2vec on its text takes two seconds, training a
          bi-encoder a few, encoding the chunks of 300 documents half a second
Read next worlds/long_documents.py (the world), text/chunks.py, evaluate/context.py, answers/rag.py

Known truth: where each document states its fact, and which facts answer a question.  Questions
without an answer are near misses: one of the values of a question is replaced so that no document
has all of them.
"""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import ndcg, rank_table
from scratch_embed.nn.params import init_params
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.text.chunks import chunk_spans
from scratch_embed.text.vocab import Vocab, index_sentences
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.why.contexts import whole_words
from scratch_embed.why.learned import train_on
from scratch_embed.why.searches import K, sif, word2vec_words
from scratch_embed.why.sentences import SIZES
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.facts import GAIN, VALUES, Facts, facts, gain_table, question
from scratch_embed.worlds.long_documents import LongDocuments, filler_sentence, insert, lengthen
from scratch_embed.worlds.training_pairs import fact_triplets

SENTENCES = 20                     # irrelevant ones of a document, about 220 words
PAIRS = 12                         # training pairs for each document of the collection
AROUND = 3                         # irrelevant sentences in a passage to train on, at most

Scorer = Callable[[Sequence[str], Sequence[str]], np.ndarray]      # questions, chunks -> (Q, C)


class Collection(NamedTuple):
    """Long documents, questions with and without an answer, and word vectors of its text."""

    world: Facts                   # the same facts in short reports
    documents: LongDocuments
    gains: np.ndarray              # (Q, N)
    questions: list[str]           # Q, with an answer
    unanswerable: list[str]        # Q, near misses
    vocab: Vocab
    words: WordVectors
    tokenizer: WordPiece
    seed: int


class Chunks(NamedTuple):
    """C chunks of all documents."""

    texts: list[str]
    document: np.ndarray           # (C,) the number of the document that a chunk is from
    lengths: np.ndarray            # (C,) in words
    has_fact: np.ndarray           # (C,) bool: it contains the whole sentence with the fact


def draw_collection(seed: int, documents: int = 300) -> Collection:
    """Draw documents and questions, half as many, and train word2vec on the documents' world."""
    world = facts(seed, documents, documents // 2, sentences=40 * documents, pairs=0)
    long = lengthen(world, seed, SENTENCES)
    text = world.text + [sentence.split() for document in long.corpus.values()
                         for sentence in document.split(" . ")]
    vocab, indexed = index_sentences(text, min_count=1)
    questions = list(world.queries.values())
    return Collection(world, long, gain_table(world.qrels, list(long.corpus)), questions,
                      near_misses(world, seed), vocab, word2vec_words(vocab, indexed, seed),
                      whole_words([*text, *(line.split() for line in questions), ["."]]), seed)


def near_misses(world: Facts, seed: int) -> list[str]:
    """For each query one that differs in a value, so that no document has all its values."""
    rng, stated = np.random.default_rng([seed, 11]), np.array(list(world.document_facts.values()))
    texts = []
    for slots in world.query_slots.values():
        changed = dict(slots)
        while (stated[:, list(changed)] == list(changed.values())).all(axis=1).any():
            changed = dict(slots) | {int(rng.choice(list(slots))): int(rng.integers(VALUES))}
        texts.append(question(changed, rng))
    return texts


# ---- chunks --------------------------------------------------------------------------------------

def cut(collection: Collection, size: int | None, overlap: int = 0) -> Chunks:
    """Cut all documents into chunks of `size` words; None: a document is one chunk."""
    texts, document, lengths, has_fact = [], [], [], []
    long = collection.documents
    for number, (name, text) in enumerate(long.corpus.items()):
        words = text.split()
        for start, end in chunk_spans(len(words), size or len(words), overlap):
            texts.append(" ".join(words[start:end]))
            document.append(number)
            lengths.append(end - start)
            has_fact.append(start <= long.start[name] and long.end[name] <= end)
    return Chunks(texts, np.array(document), np.array(lengths), np.array(has_fact))


def facts_cut(chunks: Chunks, documents: int) -> float:
    """The share of documents whose fact is in no chunk as a whole."""
    whole = np.bincount(chunks.document, chunks.has_fact, documents)
    return float((whole == 0).mean())


def evidence(collection: Collection, chunks: Chunks) -> np.ndarray:
    """Whether a chunk answers a question.  -> (Q, C) bool"""
    return (collection.gains[:, chunks.document] == GAIN[-1]) & chunks.has_fact


def document_ndcg(collection: Collection, chunks: Chunks, scores: np.ndarray) -> float:
    """The mean nDCG@10 of documents, in %; a document scores as its best chunk.  scores: (Q, C)"""
    N = len(collection.documents.corpus)
    best = np.full((len(scores), N), -np.inf)
    np.maximum.at(best, (slice(None), chunks.document), scores)
    ranking = rank_table(best, collection.gains, list(collection.documents.corpus))
    return 100 * float(ndcg(ranking, K).mean())


# ---- searches ------------------------------------------------------------------------------------

def bm25(questions: Sequence[str], chunks: Sequence[str]) -> np.ndarray:
    """The BM25 scores of chunks.  -> (Q, C)"""
    index = BM25([text.split() for text in chunks])
    return np.stack([index.scores(text.split()) for text in questions])


def by_sif(collection: Collection) -> Scorer:
    """Cosines of SIF's weighted means of word vectors, without the chunks' common direction."""
    means = StaticEncoder(collection.words, sif(collection.vocab))

    def score(questions, chunks):
        encode = means.without_common(chunks).encode
        return cosine_matrix(encode(questions), encode(chunks))
    return score


def by_encoder(encode: Callable, encode_chunks: Callable | None = None) -> Scorer:
    """Cosines of an encoder's vectors.  encode_chunks: another model's, for the chunks"""
    def score(questions, chunks):
        return cosine_matrix(encode(list(questions)), (encode_chunks or encode)(list(chunks)))
    return score


# ---- bi-encoders ---------------------------------------------------------------------------------

def untrained(collection: Collection, seed: int) -> SentenceEncoder:
    """A small bi-encoder with initial weights, for texts of the length of a document."""
    longest = 2 + max(len(text.split()) for text in collection.documents.corpus.values())
    config = Config(len(collection.tokenizer), **SIZES | {"positions": longest})
    return SentenceEncoder(collection.tokenizer, Bert(config, init_params(tensors(config), seed)),
                           Recipe(max_seq_length=longest))


def train_on_passages(collection: Collection, steps: int, seed: int) -> SentenceEncoder:
    """Train on queries with passages: relevant reports among irrelevant sentences."""
    queries, reports = pairs(collection)
    return train_on((queries, passages(reports, seed)), untrained(collection, seed), seed,
                    steps=steps)


def train_on_reports(collection: Collection, steps: int, seed: int) -> SentenceEncoder:
    """Train on the same queries with the relevant reports alone: not what is searched later."""
    return train_on(pairs(collection), untrained(collection, seed), seed, steps=steps)


def pairs(collection: Collection) -> tuple[list[str], list[str]]:
    """Queries and relevant reports about new facts of the collection's world."""
    number = PAIRS * len(collection.documents.corpus)
    return fact_triplets(collection.world, number, collection.seed)[:2]


def passages(reports: Sequence[str], seed: int) -> list[str]:
    """Each report at a random place among 1 to AROUND irrelevant sentences."""
    rng, found = np.random.default_rng([seed, 12]), []
    for report in reports:
        filler = [filler_sentence(rng) for _ in range(rng.integers(1, AROUND + 1))]
        found.append(insert(report, filler, int(rng.integers(len(filler) + 1)))[0])
    return found
