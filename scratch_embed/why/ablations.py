"""Ablations: remove one part of a method at a time, and measure the effect.

Shapes    a score is one number or K numbers for a method on a text; by default it is the % of
          analogies solved on a toy text (hard() of worlds/words.py)
Read next why/effects.py (intervals, and what significant means), why/word2vec.py (an example)

Each ablation states its prediction before the measurement.  A seed determines the text as well as
the initial weights, so the result is about texts of this kind, not about one text.
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
    """A part of a method, and the variants that replace it.

    name: of the part.  prediction: what the experiment should show, and why.  settings: those of
    the complete method.  variants: {what replaces the part: (the settings that change, the
    predicted verdict on the part)}.
    """

    name: str
    prediction: str
    settings: dict
    variants: dict


class Text(NamedTuple):
    """A toy text, its analogies, and the seed of the text and of the training run."""

    vocab: Vocab
    corpus: Corpus
    sections: list
    seed: int


def toy_text(seed: int, sentences: int = 10_000) -> Text:
    """Draw a Text from the hard world of worlds/words.py."""
    world = hard(seed, sentences)
    vocab, corpus = index_sentences(world.sentences, min_count=1)
    return Text(vocab, corpus, [Section(*section) for section in world.analogies], seed)


# ---- measuring --------------------------------------------------------------------------------

class Effect(NamedTuple):
    """The effect of a part, compared with one variant: mean scores with and without the part.

    difference: with − without.  predicted: the verdict.  If a score is K numbers, `others` has the
    differences of the numbers after the first.
    """

    variant: str
    with_it: float
    without: float
    difference: Interval
    predicted: str
    others: tuple[Interval, ...] = ()


def analogies_solved(text: Text, vectors: np.ndarray) -> float:
    """The % of the text's analogies that are solved by word vectors (V, D)."""
    return 100 * score_analogies(text.vocab.index, vectors, text.sections).overall.accuracy


def measure(methods: list, texts: list, workers: int = 2, progress: bool = False,
            score: Callable = analogies_solved) -> np.ndarray:
    """Score every method on every text.  -> (methods, texts)

    methods: functions from a text to what `score` accepts, by default vectors (V, D).
    score: (text, output of a method) -> a number, or K numbers; then the result is
    (methods, texts, K).
    workers: how many methods run at the same time; this does not change the scores.
    progress: whether to show a progress bar, if stderr is a terminal.
    """
    scores = {}

    def score_job(job):
        method, text = methods[job[0]], texts[job[1]]
        return job, score(text, method(text))

    jobs = [(m, t) for m in range(len(methods)) for t in range(len(texts))]
    with tqdm(total=len(jobs), unit="run", leave=False,
              disable=None if progress else True) as bar:
        for job, result in imap_unordered(score_job, jobs, workers):
            scores[job] = result
            bar.update()
    return np.array([[scores[m, t] for t in range(len(texts))] for m in range(len(methods))])


def measure_ablations(ablations: list[Ablation], texts: list, trained: Callable, workers: int = 2,
                      progress: bool = False, score: Callable = analogies_solved
                      ) -> Iterator[list[Effect]]:
    """Yield the list of Effects of each ablation, as soon as it is measured.

    trained: (settings, text) -> what `score` accepts, by default vectors (V, D).  If a score is K
    numbers, the first decides the verdict, and the others go to Effect.others.
    """
    known = []                      # (settings, scores): measured once, shared by ablations
    for ablation in ablations:
        needed = [ablation.settings, *(ablation.settings | change
                                       for change, _ in ablation.variants.values())]
        new = [settings for settings in needed if settings not in [done for done, _ in known]]
        scores = measure([partial(trained, settings) for settings in new], texts, workers,
                         progress, score)
        known += zip(new, scores)
        with_it, *without = (next(x for done, x in known if done == settings)
                             for settings in needed)
        yield [effect(variant, columns(with_it), columns(x), predicted)
               for (variant, (_, predicted)), x in zip(ablation.variants.items(), without)]


def effect(variant: str, with_it: np.ndarray, without: np.ndarray, predicted: str) -> Effect:
    """The Effect of a part.  with_it, without: (K, texts), scores with and without the part"""
    first, *others = (paired_difference(*pair) for pair in zip(with_it, without))
    return Effect(variant, with_it[0].mean(), without[0].mean(), first, predicted, tuple(others))


def columns(scores: np.ndarray) -> np.ndarray:
    """(texts,) or (texts, K) -> (K, texts)."""
    return scores.reshape(len(scores), -1).T


def not_distinguished(scores: np.ndarray) -> list[list[int]]:
    """For each method, the other methods from which it does not differ significantly.

    scores: (methods, seeds) -> for each method a list of row numbers.
    """
    return [[other for other in range(len(scores)) if other != method and
             paired_difference(scores[method], scores[other]).verdict == NOT_SIGNIFICANT]
            for method in range(len(scores))]
