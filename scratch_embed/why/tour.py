"""What the tour measures: the methods side by side, and what FastText knows of unknown words.

Shapes    a score is a % of questions answered; seeds make the spread
Cost      a training takes about half a second.
Read next worlds/words.py (the world), why/word2vec.py (the tricks of a method, one by one)

The methods see two texts of one world.  In the easy one a word stands only where its attributes
put it, and most pairs of words never meet; in the hard one, words of no meaning are strewn in and
a tenth of all words is replaced by any word, so nearly every pair meets now and then.  All of
them read "this pair is rare" off the text, except GloVe: it learns from the pairs that meet.

An inflected form that no text held (rabbits) has a FastText vector, the mean of its n-grams'.  It
shares most of these with its other form (rabbit), so even before training the two are alike: a
form that finds its stem proves nothing.  Hence four questions, asked before and after training:

    stem      is the nearest of all known words its other form?
    company   is a word that the text uses of this thing alone (burrow, carrots) among the five
              nearest besides the stem?  No spelling tells.
    analogy   mouse : mice = rabbit : ?  among all words and all held-out forms.  (3CosAdd leaves
              the stem out, and what looks most like it is the answer: spelling helps.)
    number    is it nearer to mice than to mouse, asked of those rows of its table with which it
              has no n-gram in common?  A coin says yes to half.
"""
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.words import Section, read_analogies, score_analogies
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.space.similarity import cosine
from scratch_embed.text.corpus import read_sentences
from scratch_embed.text.vocab import index_sentences
from scratch_embed.training.session import RunOptions
from scratch_embed.why.ablations import Text
from scratch_embed.why.word2vec import SKIPGRAM, counted, random, trained, untrained
from scratch_embed.words import fasttext, glove
from scratch_embed.words.cooccurrence import Cells, count_cells
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.subwords import NGrams, ngrams
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.corpora import corpus_path
from scratch_embed.worlds.words import ATTRIBUTES, HELD_OUT, TABLES

GLOVE = dict(dim=50, x_max=10, epochs=25)
GLOVE_WINDOW = 10
FASTTEXT = dict(dim=50, window=5, sample=1e-3, lr=0.05, epochs=5)
BUCKETS = 20_000
MIN_N, MAX_N = 3, 6


# ---- the methods --------------------------------------------------------------------------------

def easy_text() -> Text:
    """The committed text with its analogies; seed 1.  Another seed trains otherwise on the same."""
    vocab, corpus = index_sentences(read_sentences(corpus_path("words-easy.txt")), min_count=1)
    return Text(vocab, corpus, read_analogies(corpus_path("words-easy.analogies.txt")), seed=1)


def cells_of(text: Text) -> Cells:
    """GloVe's counts."""
    return count_cells(text.corpus, len(text.vocab), GLOVE_WINDOW)


def cooccurring_pairs(text: Text) -> float:
    """Of all pairs of words, the share that ever stand within a window."""
    return len(cells_of(text).rows) / len(text.vocab)**2


def glove_words(text: Text) -> np.ndarray:
    """GloVe's vectors of words alone, (V, D)."""
    return glove.train(cells_of(text), len(text.vocab), options=RunOptions(seed=text.seed),
                       **GLOVE).W


def glove_sum(text: Text) -> np.ndarray:
    """GloVe's vectors of words and of contexts added, which the original writes.  (V, D)."""
    return glove.train(cells_of(text), len(text.vocab), options=RunOptions(seed=text.seed),
                       **GLOVE).vectors


def subword_model(text: Text, max_n: int = MAX_N) -> FastTextVectors:
    """What FastText learns; max_n = 0: without n-grams."""
    W = fasttext.train(text.corpus, text.vocab, ngrams=NGrams(MIN_N, max_n, BUCKETS),
                       options=RunOptions(seed=text.seed), **FASTTEXT).W
    return FastTextVectors(text.vocab.words, W, MIN_N, max_n)


def untrained_model(text: Text) -> FastTextVectors:
    """What FastText starts from: spelling is all that its words share."""
    W = fasttext.initial_rows(len(text.vocab) + BUCKETS, FASTTEXT["dim"], text.seed)
    return FastTextVectors(text.vocab.words, W, MIN_N, MAX_N)


METHODS = {
    "word2vec": partial(trained, SKIPGRAM),
    "GloVe, words": glove_words,
    "GloVe, words + contexts": glove_sum,
    "FastText": lambda text: subword_model(text).words.vectors,
    "FastText, no n-grams": lambda text: subword_model(text, max_n=0).words.vectors,
    "counted: PPMI and SVD": counted,
    "FastText, untrained": lambda text: untrained_model(text).words.vectors,
    "word2vec, untrained": untrained,
    "random": random,
}


# ---- words that no text held --------------------------------------------------------------------

TASKS = {
    "stem": "rabbits: the nearest word is rabbit",
    "context": "burrow or carrots is among the next five",
    "analogy": "mouse : mice = rabbit : rabbits",
    "number": "nearer to mice than to mouse (coin: 50)",
}


class Form(NamedTuple):
    """An inflected form that no text held."""

    word: str                      # rabbits
    stem: str                      # rabbit, its other form
    context: set[str]              # words used of it alone: burrow, carrots
    rows: list[tuple[str, str]]    # the other rows of its table: (mouse, mice)


def held_out_forms() -> Iterator[Form]:
    """All words of HELD_OUT; they stand in the right columns of their tables."""
    for table in TABLES.values():
        rows = [row.split() for row in table.rows]
        whole = [(left, right) for left, right, *_ in rows if right not in HELD_OUT]
        for left, right, *attributes in rows:
            if right in HELD_OUT:
                company = {word for attribute in attributes
                           for words in ATTRIBUTES[attribute].values() for word in words.split()}
                yield Form(right, left, company, whole)


def task_scores(vectors: WordVectors) -> np.ndarray:
    """How many % of each of TASKS are answered.  vectors: of the text's words and HELD_OUT.

    -> (4,).
    """
    right = {question: [] for question in TASKS}
    for form in held_out_forms():
        near = [word for word, _ in vectors.most_similar(form.word, topn=20)
                if word not in HELD_OUT]
        right["stem"].append(near[0] == form.stem)
        others = [word for word in near if word != form.stem]
        right["context"].append(not form.context.isdisjoint(others[:5]))
        questions = [(left, other, form.stem, form.word) for left, other in form.rows]
        scores = score_analogies(vectors.key_to_index, vectors.vectors, [Section("", questions)])
        right["analogy"] += [1] * scores.overall.correct
        right["analogy"] += [0] * (scores.overall.total - scores.overall.correct)
        right["number"] += [cosine(vectors[form.word], vectors[other])
                            > cosine(vectors[form.word], vectors[left])
                            for left, other in form.rows
                            if not share_ngrams(form.word, left, other)]
    return np.array([100 * np.mean(right[question]) for question in TASKS])


def share_ngrams(word: str, *others: str) -> bool:
    """Whether the word has an n-gram in common with any of the others."""
    return any(not set(ngrams(word, MIN_N, MAX_N)).isdisjoint(ngrams(other, MIN_N, MAX_N))
               for other in others)


def with_held_out(model: FastTextVectors) -> WordVectors:
    """The vectors of all known words, and of the held-out forms behind them."""
    forms = sorted(HELD_OUT)
    return WordVectors([*model.words, *forms], np.vstack([model.words.vectors, model[forms]]))


def random_vectors(text: Text) -> WordVectors:
    """Normal numbers for the same words."""
    words = [*text.vocab.words, *sorted(HELD_OUT)]
    return WordVectors(words, np.random.default_rng(text.seed).standard_normal((len(words), 50)))


UNKNOWN = {
    "trained": lambda text: with_held_out(subword_model(text)),
    "untrained": lambda text: with_held_out(untrained_model(text)),
    "random": random_vectors,
}


def score_unknown_words(texts: list[Text], workers: int = 2) -> dict[str, np.ndarray]:
    """{name: (texts, 4) the % of TASKS answered} for each of UNKNOWN."""
    found = {name: np.empty((len(texts), len(TASKS))) for name in UNKNOWN}

    def step(job):
        name, t = job
        return name, t, task_scores(UNKNOWN[name](texts[t]))
    jobs = [(name, t) for name in UNKNOWN for t in range(len(texts))]
    for name, t, row in imap_unordered(step, jobs, workers):
        found[name][t] = row
    return found
