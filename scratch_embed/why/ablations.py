"""Tricks and texts: what every `why` needs to remove a trick and to measure what happens.

Shapes    a score is a number in %, by default the analogies solved on a toy text (worlds/words.py,
          hard); why/retrieval.py has another
Read next why/effects.py (the intervals), why/word2vec.py (the first use)

A seed is another text as well as other starting weights, so what holds over the seeds holds for
texts of this kind, not for one of them.
"""
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.evaluate.words import Section, score_analogies
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.text.vocab import Corpus, Vocab, index_sentences
from scratch_embed.why.effects import NOT_SIGNIFICANT, Interval, paired_difference
from scratch_embed.worlds.words import hard


class Ablation(NamedTuple):
    """Something a method does, and what else it might do.

    prediction: a sentence.  settings: training with the ablation.  without: {what is done instead:
    (the settings that change, the verdict that is predicted for the trick)}.
    """

    name: str
    prediction: str
    settings: dict
    variants: dict


class Text(NamedTuple):
    """A toy text, the analogies that it should teach, and the seed of both it and its training."""

    vocab: Vocab
    corpus: Corpus
    sections: list
    seed: int


def toy_text(seed: int, sentences: int = 10_000) -> Text:
    """The Text of a seed: a hard world of its own."""
    world = hard(seed, sentences)
    vocab, corpus = index_sentences(world.sentences, min_count=1)
    return Text(vocab, corpus, [Section(*section) for section in world.analogies], seed)


# ---- measuring --------------------------------------------------------------------------------

class Effect(NamedTuple):
    """One alternative to a trick: mean % with the trick and without, and with − without.

    others: with − without of whatever else was measured.
    """

    variant: str
    with_it: float
    without: float
    difference: Interval
    predicted: str
    others: tuple[Interval, ...] = ()


def analogies_solved(text: Text, vectors: np.ndarray) -> float:
    """The % of the text's analogies that vectors (V, D) solve."""
    return 100 * score_analogies(text.vocab.index, vectors, text.sections).overall.accuracy


def measure(methods: list, texts: list, workers: int = 2, progress: bool = False,
            score: Callable = analogies_solved) -> np.ndarray:
    """Every method on every text, (methods, texts).  methods: functions text -> vectors (V, D).

    score: (text, what a method made of it) -> a number; other methods may make other things.  A
    score of K numbers makes (methods, texts, K).
    workers: how many run at a time; each is alone on its vectors, so the numbers stay the same.
    progress: a bar on stderr, where that is a terminal.
    """
    scores = {}

    def step(place):
        method, text = methods[place[0]], texts[place[1]]
        return place, score(text, method(text))

    places = [(m, t) for m in range(len(methods)) for t in range(len(texts))]
    with tqdm(total=len(places), unit="run", leave=False,
              disable=None if progress else True) as bar:
        for place, number in imap_unordered(step, places, workers):
            scores[place] = number
            bar.update()
    return np.array([[scores[m, t] for t in range(len(texts))] for m in range(len(methods))])


def measure_ablations(ablations: list[Ablation], texts: list, trained: Callable, workers: int = 2,
                   progress: bool = False, score: Callable = analogies_solved
                   ) -> Iterator[list[Effect]]:
    """Yield for each trick, as soon as it is measured, a list of Effect.

    trained: (settings, text) -> vectors (V, D), or whatever `score` takes, as in measure.  Where
    that gives several numbers, the first is what a trick is judged by, and all others are told.
    """
    known = []                                     # (settings, scores): tricks share their start
    for ablation in ablations:
        forms = [ablation.settings, *(ablation.settings | change
                                   for change, _ in ablation.variants.values())]
        new = [form for form in forms if form not in [settings for settings, _ in known]]
        scores = measure([partial(trained, form) for form in new], texts, workers, progress,
                         score)
        known += zip(new, scores)
        with_it, *without = (next(x for settings, x in known if settings == form)
                             for form in forms)
        yield [effect(instead, columns(with_it), columns(x), predicted)
               for (instead, (_, predicted)), x in zip(ablation.variants.items(), without)]


def effect(instead: str, with_it: np.ndarray, without: np.ndarray, predicted: str) -> Effect:
    """The Effect of scores, (K, texts) each."""
    first, *others = (paired_difference(*pair) for pair in zip(with_it, without))
    return Effect(instead, with_it[0].mean(), without[0].mean(), first, predicted, tuple(others))


def columns(scores: np.ndarray) -> np.ndarray:
    """(texts,) or (texts, K) -> (K, texts)."""
    return scores.reshape(len(scores), -1).T


def not_distinguished(scores: np.ndarray) -> list[list[int]]:
    """For each row of scores (methods, n), the rows from which n seeds cannot tell it apart."""
    return [[other for other in range(len(scores)) if other != one and
             paired_difference(scores[one], scores[other]).verdict == NOT_SIGNIFICANT]
            for one in range(len(scores))]
