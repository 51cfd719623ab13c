"""A toy world of labelled text: short reviews, and the exact accuracy of the best classifier.

Equation  P(label, text) = Σ_{true} P(true) P(text | true) · (1 − noise if label = true,
                                                              else noise / (L − 1))
Shapes    L = 8 labels, 4 topics × 2 verdicts; 11,520 texts, which can all be enumerated
Read next worlds/corpora.py (finds the committed lines), words/supervised.py (learns them)

Known truth: the true label of each text.  Each text has a word that occurs in no other topic.  The
verdict is expressed in one of two ways: by a word that only this verdict has ("superb", "useless"),
or by the order of words that both verdicts share:

    the soup was not dull but nice at our table        meal-praise
    the soup was not nice but dull at our table        meal-blame

These two texts have the same bag of words, and both are equally likely.  Finally labels are
changed: with probability `noise` a line gets one of the other labels, which no model can predict.

What could explain an accuracy?  Predicting the most frequent label is right for about a fifth of
the lines.  A bag of words finds the true label of about half of the reviews whose verdict depends
on word order; a model with bigrams can find it for all of them.  upper_bound() computes the exact
accuracy of the best bag of words and of the best classifier with word order, which is 1 − noise.
"""
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.numerics.files import atomic_write

TOPICS = {                                         # probability, THING, WHERE
    "film": (0.4, "plot cast music ending hero camera",
             ["in the cinema", "on the big screen", "behind the popcorn", "until the credits"]),
    "meal": (0.3, "soup service wine ending bread sauce",
             ["at our table", "on the plate", "for a hungry guest", "after the starter"]),
    "hotel": (0.2, "room service music bed view breakfast",
              ["on the top floor", "near the lobby", "for two nights", "by the pool"]),
    "phone": (0.1, "screen battery sound camera case speaker",
              ["in my pocket", "after the update", "with the charger", "on every call"]),
}
NICE, DULL = ("nice", "fine", "good", "fresh", "clever"), ("dull", "poor", "bad", "stale", "silly")
OWN = {"praise": ("superb", "splendid", "lovely", "perfect", "brilliant"),
       "blame": ("useless", "awful", "dreadful", "hopeless", "dismal")}
BY_WORD = ["the THING was OWN WHERE", "WHERE the THING is not cheap but OWN"]
BY_ORDER = ["the THING was not LESS but MORE WHERE", "WHERE the THING is MORE and not LESS"]
LABELS = [f"{topic}-{verdict}" for topic in TOPICS for verdict in OWN]


class Text(NamedTuple):
    """One of the 11,520 reviews."""

    words: str                     # the text
    label: str                     # the true label
    by_order: bool                 # whether only word order expresses the verdict


class Reviews(NamedTuple):
    """A sample of N reviews.  lines: N strings such as "__label__meal-praise the soup ..."."""

    lines: list[str]
    true_labels: list[str]         # of each text, before labels were changed
    by_order: list[bool]           # as in Text


def texts(by_order: float = 0.5) -> Iterator[tuple[float, Text]]:
    """Yield (probability, Text) of every review.  by_order: P(only order shows the verdict)"""
    for (topic, (probability, things, places)), verdict in product(TOPICS.items(), OWN):
        more, less = (NICE, DULL) if verdict == "praise" else (DULL, NICE)
        slots = {"THING": things.split(), "WHERE": places, "OWN": OWN[verdict], "MORE": more,
                 "LESS": less}
        for frames, share in ((BY_WORD, 1 - by_order), (BY_ORDER, by_order)):
            for frame in frames:
                filled = list(product(*(slots.get(token, [token]) for token in frame.split())))
                per_text = probability / len(OWN) * share / len(frames) / len(filled)
                for words in filled:
                    yield per_text, Text(" ".join(words), f"{topic}-{verdict}", frames is BY_ORDER)


def reviews(seed: int = 0, lines: int = 1500, noise: float = 0.05, by_order: float = 0.5,
            two_labels: bool = False) -> Reviews:
    """Draw a sample of `lines` reviews.

    noise        the probability that a line gets a wrong label, one of the other 7
    by_order     the probability that only the order of words expresses the verdict
    two_labels   whether each line has two labels, "__label__meal __label__praise"
    """
    require_whole("lines", lines, 1)
    require_number("noise", noise, 0, 1)
    require_number("by_order", by_order, 0, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    weights, all_texts = zip(*texts(by_order))
    probabilities = np.divide(weights, sum(weights))
    drawn = [all_texts[i] for i in rng.choice(len(weights), lines, p=probabilities)]
    shift = np.where(rng.random(lines) < noise, rng.integers(1, len(LABELS), lines), 0)
    given_labels = [LABELS[(LABELS.index(text.label) + change) % len(LABELS)]
                    for text, change in zip(drawn, shift.tolist())]
    if two_labels:
        given_labels = [label.replace("-", " __label__") for label in given_labels]
    return Reviews([f"__label__{label} {text.words}" for label, text in zip(given_labels, drawn)],
                   [text.label for text in drawn], [text.by_order for text in drawn])


def upper_bound(noise: float = 0.05, by_order: float = 0.5, sees_order: bool = True) -> float:
    """The accuracy of the best possible classifier over the whole world.  noise: at most 7/8.

    sees_order: whether the classifier uses the order of words; if not, it has a bag of words.
    Where only the order expresses the verdict, a bag of words leaves two equally likely labels, and
    either is right with probability (1 − noise)/2 + noise/14.
    """
    half = (1 - noise) / 2 + noise / (len(LABELS) - 1) / 2
    return (1 - noise) if sees_order else (1 - by_order) * (1 - noise) + by_order * half


def write(folder: str | os.PathLike, seed: int = 0) -> None:
    """Write labelled-train.txt (1,500 lines) and labelled-test.txt (400) to an existing folder."""
    lines = reviews(seed, 1900).lines
    for name, part in (("labelled-train.txt", lines[:1500]), ("labelled-test.txt", lines[1500:])):
        with atomic_write(Path(folder) / name) as file:
            file.write("".join(line + "\n" for line in part).encode())
