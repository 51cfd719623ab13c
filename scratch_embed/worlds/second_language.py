"""A second language: every letter another one, and the words in the opposite order.

Equation  translate(w₁ … w_n) = c(w_n) … c(w_1),  c a permutation of the vowels and one of the
          consonants, letter by letter.  Its inverse is the same with c⁻¹.
Read next worlds/facts.py (what is translated)

    the weary sailor mended the lamp      →      zogn jka gampap woezuy haoyq jka

So every sentence has exactly one translation, and every translation one original; nobody who knows
the cipher can be wrong.  But the languages have no word in common, and vectors learned from one
are not comparable with those from the other.  What links them is `pairs`, sentences beside their
translations.  The order is reversed, so that a word does not stand where its translation does.
"""
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.worlds.facts import (
    IN_EITHER,
    REPORTS,
    WORDS,
    Fact,
    draw_facts,
    draw_prototypes,
    report,
)

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnpqrstvwxyz"
ENGLISH = ({word for slot in WORDS for value in slot for word in value}
           | {token for frame in REPORTS for token in frame.split() if token.islower()})


class Bitext(NamedTuple):
    """Sentences and their translations."""

    english: list[str]                 # N sentences, no two of the same fact
    foreign: list[str]                 # their translations, in the same order
    told: list[Fact]                   # what they tell
    pairs: list[tuple[str, str]]       # to learn from: others, of facts that are not in `told`
    cipher: dict[str, str]             # {letter: letter}


def draw_cipher(rng: np.random.Generator, words: Collection[str] = ENGLISH) -> dict[str, str]:
    """A permutation of the letters that leaves none in its place, vowels vowels.

    It is drawn again while it makes one of these words of another: jail, boat.
    """
    while True:
        cipher = {}
        for letters in (VOWELS, CONSONANTS):
            order = rng.permutation(len(letters))
            cipher |= {letters[i]: letters[j] for i, j in zip(order, np.roll(order, 1))}
        if not {translate(word, cipher) for word in words} & set(words):
            return cipher


def translate(text: str, cipher: dict[str, str]) -> str:
    """The letters exchanged, the words reversed.  What is no letter of the cipher stays."""
    return " ".join(reversed(text.translate(str.maketrans(cipher)).split()))


def inverse(cipher: dict[str, str]) -> dict[str, str]:
    """The cipher that translates back."""
    return {to: letter for letter, to in cipher.items()}


def bitext(seed: int = 0, sentences: int = 500, pairs: int = 4000, noise: float = 0.25,
           prototypes: np.ndarray | None = None) -> Bitext:
    """`sentences` to be matched with their translations, and others to learn from.

    pairs       how many others are drawn; those of a fact that is in `sentences` are left out,
                about half
    noise, prototypes  of the facts, as in worlds/facts.py; by default 20 prototypes are drawn
    """
    require_whole("sentences", sentences, 1)
    require_whole("pairs", pairs)
    require_number("noise", noise, 0, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    cipher = draw_cipher(rng)
    protos = draw_prototypes(20, rng) if prototypes is None else prototypes
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
