"""A toy world of labelled text: short reviews, and exactly how often any classifier can be right.

Equation  P(label, text) = Σ_{told} P(told) P(text | told) · (1 − noise if label = told,
                                                              else noise / (L − 1))
Shapes    L = 8 labels, 4 topics × 2 verdicts; 11,520 texts, all of which can be listed
Read next worlds/corpora.py (finds the committed lines), words/supervised.py (learns them)

A review tells its topic by words that no other topic has, and its verdict in one of two ways: by a
word of its own ("superb", "useless"), or by the order of words that both verdicts share:

    the soup was not dull but nice at our table        meal-praise
    the soup was not nice but dull at our table        meal-blame

These two are the same bag of words, and each as likely as the other.  So who knows only which
words are there is right about half of such reviews; who sees runs of two words can be right about
all.  Then labels are changed: with chance `noise` a line bears any other label.  Nobody can know
that, so the best that can be had is known to the last digit: `upper_bound`.
"""
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.numerics.files import atomic_write

TOPICS = {                                         # chance, THING, WHERE
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
    """One of the reviews that the world holds."""

    words: str
    label: str                     # what it tells
    by_order: bool                 # is the verdict told by the order of the words alone?


class Reviews(NamedTuple):
    """A sample of the world.  lines: N strings, "__label__meal-praise the soup ..."."""

    lines: list[str]
    true_labels: list[str]                # the label that each text tells, before any was changed
    by_order: list[bool]


def texts(by_order: float = 0.5) -> Iterator[tuple[float, Text]]:
    """Every review with its chance.  by_order: the share whose verdict is told by order alone."""
    for (topic, (chance, things, places)), verdict in product(TOPICS.items(), OWN):
        more, less = (NICE, DULL) if verdict == "praise" else (DULL, NICE)
        slots = {"THING": things.split(), "WHERE": places, "OWN": OWN[verdict], "MORE": more,
                 "LESS": less}
        for frames, share in ((BY_WORD, 1 - by_order), (BY_ORDER, by_order)):
            for frame in frames:
                filled = list(product(*(slots.get(token, [token]) for token in frame.split())))
                each = chance / len(OWN) * share / len(frames) / len(filled)
                for words in filled:
                    yield each, Text(" ".join(words), f"{topic}-{verdict}", frames is BY_ORDER)


def reviews(seed: int = 0, lines: int = 1500, noise: float = 0.05, by_order: float = 0.5,
            two_labels: bool = False) -> Reviews:
    """A sample of `lines` reviews.

    noise      the chance that a line bears another label, any of the 7
    by_order   the share of texts whose verdict is told by the order of words alone
    two_labels   two labels a line, "__label__meal __label__praise"
    """
    require_whole("lines", lines, 1)
    require_number("noise", noise, 0, 1)
    require_number("by_order", by_order, 0, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    chances, all_texts = zip(*texts(by_order))
    drawn = [all_texts[i] for i in rng.choice(len(chances), lines, p=np.divide(chances,
                                                                               sum(chances)))]
    shift = np.where(rng.random(lines) < noise, rng.integers(1, len(LABELS), lines), 0)
    borne = [LABELS[(LABELS.index(text.label) + by) % len(LABELS)]
             for text, by in zip(drawn, shift.tolist())]
    if two_labels:
        borne = [label.replace("-", " __label__") for label in borne]
    return Reviews([f"__label__{label} {text.words}" for label, text in zip(borne, drawn)],
                   [text.label for text in drawn], [text.by_order for text in drawn])


def upper_bound(noise: float = 0.05, by_order: float = 0.5, sees_order: bool = True) -> float:
    """How often the best of all classifiers is right, in the whole world.  noise: at most 7/8.

    sees_order: whether it knows more of a text than which words are there, and how often.
    Where the verdict is told by order alone, who does not see it has two labels to choose from,
    and is right with (1 − noise)/2 + noise/14.
    """
    half = (1 - noise) / 2 + noise / (len(LABELS) - 1) / 2
    return (1 - noise) if sees_order else (1 - by_order) * (1 - noise) + by_order * half


def write(folder: str | os.PathLike, seed: int = 0) -> None:
    """Write labelled-train.txt (1,500 lines) and labelled-test.txt (400) to an existing folder."""
    lines = reviews(seed, 1900).lines
    for name, part in (("labelled-train.txt", lines[:1500]), ("labelled-test.txt", lines[1500:])):
        with atomic_write(Path(folder) / name) as file:
            file.write("".join(line + "\n" for line in part).encode())
