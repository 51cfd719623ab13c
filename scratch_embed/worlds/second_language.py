"""A second language: every letter another one, and the words in the opposite order.

Equation  translate(w₁ … w_n) = c(w_n) … c(w_1),  c a permutation of the vowels and one of the
          consonants, letter by letter.  Its inverse is the same with c⁻¹.
Read next worlds/facts.py (what is translated)

    the weary sailor mended the lamp      →      guzc kas nalnaj myeguf wayfb kas

So every sentence has exactly one translation, and every translation one original; nobody who knows
the cipher can be wrong.  For a model the languages have no word in common.  (A full stop, a dash
and digits stay, and no fact's sentence has any.)  What links them is `pairs`, sentences beside
their translations; without such pairs no vectors of the one are comparable with those of the
other.  The order is reversed, so that a word stands far from its translation's place.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.worlds.facts import (
    IN_EITHER,
    Fact,
    draw_facts,
    draw_prototypes,
    report,
)

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnpqrstvwxyz"


class Bitext(NamedTuple):
    """Sentences and their translations."""

    english: list[str]                 # N sentences, no two of the same fact
    foreign: list[str]                 # their translations, in the same order
    told: list[Fact]                   # what they tell
    pairs: list[tuple[str, str]]       # to learn from: others, of facts that are not in `told`
    cipher: dict[str, str]             # {letter: letter}


def draw_cipher(rng: np.random.Generator) -> dict[str, str]:
    """A permutation of the letters that leaves none in its place, vowels vowels."""
    cipher = {}
    for letters in (VOWELS, CONSONANTS):
        order = rng.permutation(len(letters))
        cipher |= {letters[i]: letters[j] for i, j in zip(order, np.roll(order, 1))}
    return cipher


def translate(text: str, cipher: dict[str, str]) -> str:
    """The letters exchanged, the words reversed.  What is no letter of the cipher stays."""
    return " ".join(reversed(text.translate(str.maketrans(cipher)).split()))


def inverse(cipher: dict[str, str]) -> dict[str, str]:
    """The cipher that translates back."""
    return {to: letter for letter, to in cipher.items()}


def bitext(seed: int = 0, sentences: int = 500, pairs: int = 4000, prototypes: int = 20,
           noise: float = 0.25) -> Bitext:
    """`sentences` to be matched with their translations, and up to `pairs` others to learn from.

    The facts are as correlated as in worlds/facts.py; noise above 0, or there are too few.
    """
    if sentences < 1 or pairs < 0 or prototypes < 1 or not 0 < noise <= 1:
        raise ValueError(f"sentences={sentences}, pairs={pairs}, prototypes={prototypes}, "
                         f"noise={noise}: expected at least 1 sentence and prototype, 0 pairs, "
                         "and a noise above 0, at most 1")
    rng = np.random.Generator(np.random.PCG64(seed))
    protos, cipher = draw_prototypes(prototypes, rng), draw_cipher(rng)
    told: dict[Fact, None] = {}
    for _ in range(100):
        told |= dict.fromkeys(draw_facts(sentences, protos, noise, rng))
        if len(told) >= sentences:
            break
    else:
        raise ValueError(f"sentences={sentences}: only {len(told)} different facts were found in "
                         f"{100 * sentences} draws; ask for fewer, or for more noise")
    told = dict.fromkeys(list(told)[:sentences])
    english = [report(fact, rng, IN_EITHER) for fact in told]
    others = [report(fact, rng, IN_EITHER) for fact in draw_facts(pairs, protos, noise, rng)
              if fact not in told]
    return Bitext(english, [translate(text, cipher) for text in english], list(told),
                  [(text, translate(text, cipher)) for text in others], cipher)
