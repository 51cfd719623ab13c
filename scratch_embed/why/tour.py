"""Word vectors, for the tour: methods compared, and FastText on out-of-vocabulary words.

Shapes    a score is the % of analogies or of tasks that are solved, one for each seed
Cost      a training run takes about half a second.
Read next worlds/words.py (the world), why/word2vec.py (ablations of a method)

The methods are trained on two texts of one world.  In the easy text a word occurs only in the
contexts of its attributes, and most pairs of words never co-occur.  In the hard text meaningless
words are inserted and a tenth of all words is replaced by random ones, so most pairs co-occur now
and then.  That a pair never co-occurs is information too: all methods use it except GloVe, which is
trained only on the pairs that co-occur.  The baselines are untrained and random vectors.

An inflected form that is not in the text (rabbits) has a FastText vector, the mean of its n-gram
vectors.  Its stem is the other form, which is in the text (rabbit).  The two share many n-grams, so
they are similar even before training: that the stem is the nearest word proves nothing.  Therefore
four tasks are scored before and after training:

    stem      Is the stem the nearest of all known words to the form?
    context   Is a context word of the stem (burrow, carrots), which apart from noise occurs with
              the stem only, among the five nearest words besides it?  The spelling does not help.
    analogy   mouse : mice = rabbit : ?  among all words and all held-out forms.  The spelling
              helps: 3CosAdd excludes the stem, and the solution has the most similar spelling.
    number    Is the form nearer to mice than to mouse?  The mean over all such pairs of the table
              that share no n-gram with the form.  Chance is 50%.
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
    """The committed text with its analogies; its seed, 1, affects only the training."""
    vocab, corpus = index_sentences(read_sentences(corpus_path("words-easy.txt")), min_count=1)
    return Text(vocab, corpus, read_analogies(corpus_path("words-easy.analogies.txt")), seed=1)


def cells_of(text: Text) -> Cells:
    """The co-occurrence counts for GloVe."""
    return count_cells(text.corpus, len(text.vocab), GLOVE_WINDOW)


def cooccurring_pairs(text: Text) -> float:
    """The share of all pairs of words that occur within a window at least once."""
    return len(cells_of(text).rows) / len(text.vocab)**2


def glove_words(text: Text) -> np.ndarray:
    """GloVe's word vectors W alone.  -> (V, D)"""
    return glove.train(cells_of(text), len(text.vocab), options=RunOptions(seed=text.seed),
                       **GLOVE).W


def glove_sum(text: Text) -> np.ndarray:
    """GloVe's word vectors plus context vectors, W + U, the output of glove.c.  -> (V, D)"""
    return glove.train(cells_of(text), len(text.vocab), options=RunOptions(seed=text.seed),
                       **GLOVE).vectors


def subword_model(text: Text, max_n: int = MAX_N) -> FastTextVectors:
    """Train FastText.  max_n = 0: without n-grams"""
    W = fasttext.train(text.corpus, text.vocab, ngrams=NGrams(MIN_N, max_n, BUCKETS),
                       options=RunOptions(seed=text.seed), **FASTTEXT).W
    return FastTextVectors(text.vocab.words, W, MIN_N, max_n)


def untrained_model(text: Text) -> FastTextVectors:
    """FastText before training, where only words that share n-grams are similar."""
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


# ---- out-of-vocabulary words --------------------------------------------------------------------

TASKS = {
    "stem": "rabbits: the nearest word is rabbit",
    "context": "burrow or carrots is among the next five",
    "analogy": "mouse : mice = rabbit : rabbits",
    "number": "nearer to mice than to mouse (chance: 50)",
}


class Form(NamedTuple):
    """An inflected form that is not in the text."""

    word: str                      # rabbits
    stem: str                      # rabbit, its other form, which is in the text
    context: set[str]              # words of its attributes, such as burrow and carrots
    rows: list[tuple[str, str]]    # other pairs of its table, both in the text: (mouse, mice)


def held_out_forms() -> Iterator[Form]:
    """Yield a Form for each word of HELD_OUT; all are in the right columns of their tables."""
    for table in TABLES.values():
        rows = [row.split() for row in table.rows]
        known = [(left, right) for left, right, *_ in rows if right not in HELD_OUT]
        for left, right, *attributes in rows:
            if right in HELD_OUT:
                context = {word for attribute in attributes
                           for words in ATTRIBUTES[attribute].values() for word in words.split()}
                yield Form(right, left, context, known)


def task_scores(vectors: WordVectors) -> np.ndarray:
    """The score in % on each of TASKS.  vectors: of the text's words and HELD_OUT  -> (4,)"""
    solved = {task: [] for task in TASKS}
    for form in held_out_forms():
        near = [word for word, _ in vectors.most_similar(form.word, topn=20)
                if word not in HELD_OUT]
        solved["stem"].append(near[0] == form.stem)
        others = [word for word in near if word != form.stem]
        solved["context"].append(not form.context.isdisjoint(others[:5]))
        analogies = [(left, other, form.stem, form.word) for left, other in form.rows]
        scores = score_analogies(vectors.key_to_index, vectors.vectors, [Section("", analogies)])
        solved["analogy"] += [1] * scores.overall.correct
        solved["analogy"] += [0] * (scores.overall.total - scores.overall.correct)
        solved["number"] += [cosine(vectors[form.word], vectors[other])
                            > cosine(vectors[form.word], vectors[left])
                            for left, other in form.rows
                            if not share_ngrams(form.word, left, other)]
    return np.array([100 * np.mean(solved[task]) for task in TASKS])


def share_ngrams(word: str, *others: str) -> bool:
    """Whether the word has an n-gram in common with any of the others."""
    return any(not set(ngrams(word, MIN_N, MAX_N)).isdisjoint(ngrams(other, MIN_N, MAX_N))
               for other in others)


def with_held_out(model: FastTextVectors) -> WordVectors:
    """The vectors of all known words, followed by the vectors of the held-out forms."""
    forms = sorted(HELD_OUT)
    return WordVectors([*model.words, *forms], np.vstack([model.words.vectors, model[forms]]))


def random_vectors(text: Text) -> WordVectors:
    """Vectors of normal random numbers for the same words."""
    words = [*text.vocab.words, *sorted(HELD_OUT)]
    return WordVectors(words, np.random.default_rng(text.seed).standard_normal((len(words), 50)))


UNKNOWN = {
    "trained": lambda text: with_held_out(subword_model(text)),
    "untrained": lambda text: with_held_out(untrained_model(text)),
    "random": random_vectors,
}


def score_unknown_words(texts: list[Text], workers: int = 2) -> dict[str, np.ndarray]:
    """{name: scores in % on TASKS (texts, 4)} for each of UNKNOWN; `workers` run at a time."""
    found = {name: np.empty((len(texts), len(TASKS))) for name in UNKNOWN}

    def score_job(job):
        name, t = job
        return name, t, task_scores(UNKNOWN[name](texts[t]))
    jobs = [(name, t) for name in UNKNOWN for t in range(len(texts))]
    for name, t, row in imap_unordered(score_job, jobs, workers):
        found[name][t] = row
    return found
