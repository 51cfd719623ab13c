"""An artificial second language: a letter cipher, with the words of a sentence in reverse order.

Equation  translate(w₁ … w_n) = c(w_n) … c(w_1), where c replaces each letter by another: vowels by
          vowels, consonants by consonants (a substitution cipher).  The inverse uses c⁻¹.
Read next worlds/facts.py (the sentences that are translated)

    the weary sailor mended the lamp      →      zogn jka gampap woezuy haoyq jka

Known truth: translation is one-to-one, so a perfect matching has accuracy 1; the accuracy of chance
is 1/N.  The languages have no word in common, and vectors learned from one are not comparable with
vectors learned from the other.  Only `pairs`, sentences with their translations, connect them.

What could explain a score?  Hardly the position of a word: the order is reversed, so only the
middle word of a sentence of odd length keeps its position.  Nor memorised training pairs: they are
about other facts.  Character n-grams could explain a small part: an English word and a foreign word
can have one in common by chance.
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
    facts: list[Fact]                  # the facts that they state
    pairs: list[tuple[str, str]]       # for training, about facts that are not in `facts`
    cipher: dict[str, str]             # {letter: letter}


def draw_cipher(rng: np.random.Generator, words: Collection[str] = ENGLISH) -> dict[str, str]:
    """Draw a derangement of the letters (no letter stays itself) that maps vowels to vowels.

    It is drawn again if it maps one of `words` to another of them, for example jail to boat.
    """
    while True:
        cipher = {}
        for letters in (VOWELS, CONSONANTS):
            order = rng.permutation(len(letters))
            cipher |= {letters[i]: letters[j] for i, j in zip(order, np.roll(order, 1))}
        if not {translate(word, cipher) for word in words} & set(words):
            return cipher


def translate(text: str, cipher: dict[str, str]) -> str:
    """Replace each lower-case letter by the cipher's, and reverse the order of the words.

    Other characters stay; the words are joined with single spaces.
    """
    return " ".join(reversed(text.translate(str.maketrans(cipher)).split()))


def inverse(cipher: dict[str, str]) -> dict[str, str]:
    """The inverse cipher, which translates back."""
    return {to: letter for letter, to in cipher.items()}


def bitext(seed: int = 0, sentences: int = 500, pairs: int = 4000, noise: float = 0.25,
           prototypes: np.ndarray | None = None) -> Bitext:
    """Draw N = `sentences` sentences and their translations, to be matched, and training pairs.

    pairs       the number of training pairs that are drawn; a pair is left out if its fact is also
                the fact of one of the N sentences (by default nearly half of the pairs)
    noise       the probability that a slot is redrawn, as in worlds/facts.py
    prototypes  (P, 5), the facts that all facts are copies of; None: 20 are drawn
    Raises ValueError for a number out of range, or if there are too few different facts.
    """
    require_whole("sentences", sentences, 1)
    require_whole("pairs", pairs)
    require_number("noise", noise, 0, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    cipher = draw_cipher(rng)
    protos = draw_prototypes(20, rng) if prototypes is None else prototypes
    facts: dict[Fact, None] = {}
    for _ in range(100):
        facts |= dict.fromkeys(draw_facts(sentences, protos, noise, rng))
        if len(facts) >= sentences:
            break
    else:
        raise ValueError(f"sentences: expected at most {len(facts)}, because {100 * sentences} "
                         f"draws gave only so many different facts, got {sentences}; use fewer "
                         "sentences or more noise")
    facts = dict.fromkeys(list(facts)[:sentences])
    english = [report(fact, rng, IN_EITHER) for fact in facts]
    others = [report(fact, rng, IN_EITHER) for fact in draw_facts(pairs, protos, noise, rng)
              if fact not in facts]
    return Bitext(english, [translate(text, cipher) for text in english], list(facts),
                  [(text, translate(text, cipher)) for text in others], cipher)
