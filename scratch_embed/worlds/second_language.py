"""An artificial second language: a letter cipher, with the words of a sentence in reverse order.

Equation  translate(w₁ … w_n) = c(w_n) … c(w_1), where c permutes the vowels and the consonants of
          a word.  The inverse uses c⁻¹.
Read next worlds/facts.py (the sentences that are translated)

    the weary sailor mended the lamp      →      zogn jka gampap woezuy haoyq jka

Known truth: every sentence has exactly one translation and every translation one original, so a
perfect matching has accuracy 1, and chance is 1/N.  The languages have no word in common, and
vectors learned from one are not comparable with vectors learned from the other.  Only `pairs`,
sentences with their translations, connect the languages.

What could explain a score?  Not the position of a word: the order is reversed so that a word and
its translation have different positions.  Not the training pairs: their facts are others.  Shared
letters could, where two words happen to have a character n-gram in common.
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

    english: list[str]                 # N sentences about N different facts
    foreign: list[str]                 # their translations, in the same order
    told: list[Fact]                   # the facts that they state
    pairs: list[tuple[str, str]]       # for training: other facts, not in `told`
    cipher: dict[str, str]             # {letter: letter}


def draw_cipher(rng: np.random.Generator, words: Collection[str] = ENGLISH) -> dict[str, str]:
    """Draw a permutation of the letters without fixed points that maps vowels to vowels.

    It is drawn again while it maps one of these words to another, as jail to boat.
    """
    while True:
        cipher = {}
        for letters in (VOWELS, CONSONANTS):
            order = rng.permutation(len(letters))
            cipher |= {letters[i]: letters[j] for i, j in zip(order, np.roll(order, 1))}
        if not {translate(word, cipher) for word in words} & set(words):
            return cipher


def translate(text: str, cipher: dict[str, str]) -> str:
    """Replace each letter by the cipher's and reverse the words; other characters stay."""
    return " ".join(reversed(text.translate(str.maketrans(cipher)).split()))


def inverse(cipher: dict[str, str]) -> dict[str, str]:
    """The inverse cipher, which translates back."""
    return {to: letter for letter, to in cipher.items()}


def bitext(seed: int = 0, sentences: int = 500, pairs: int = 4000, noise: float = 0.25,
           prototypes: np.ndarray | None = None) -> Bitext:
    """Draw `sentences` to be matched with their translations, and others for training.

    pairs       how many training pairs are drawn; those whose fact is in `sentences`, about half,
                are left out
    noise, prototypes  of the facts, as in worlds/facts.py; by default 20 prototypes are drawn
    Raises ValueError for a number out of range, or if there are too few different facts.
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
        raise ValueError(f"sentences: expected at most {len(told)}, the different facts in "
                         f"{100 * sentences} draws, got {sentences}; ask for fewer sentences or "
                         "more noise")
    told = dict.fromkeys(list(told)[:sentences])
    english = [report(fact, rng, IN_EITHER) for fact in told]
    others = [report(fact, rng, IN_EITHER) for fact in draw_facts(pairs, protos, noise, rng)
              if fact not in told]
    return Bitext(english, [translate(text, cipher) for text in english], list(told),
                  [(text, translate(text, cipher)) for text in others], cipher)
