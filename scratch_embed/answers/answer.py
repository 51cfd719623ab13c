"""The form of an answer: tables, claims with their intervals, plain words, and a figure's numbers.

Equation  the claim a > b holds if the 95% interval of mean(a − b), paired by seed, is above 0
          (why/effects.py)
Shapes    measured numbers are (seeds,); the columns of a table (seeds, columns)
Read next answers/questions.py, answers/contrastive.py (an answer), cli/answer.py (prints answers)

Each file of this package has one function, answer(seeds, documents, steps, progress) -> Answer.  It
trains what it needs and measures it on toy worlds whose truth is known.

The words of an answer are fixed; its numbers and its claims are not.  A claim that the measured
numbers do not support is printed as "this run does not show that ...".  So the text is true for
every seed, every size and every change of the code.
"""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.why.effects import HELPS, Interval, paired_difference


class Table(NamedTuple):
    """Measured numbers: rows by name, one column per measure."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, np.ndarray]    # {name: (seeds, columns)}; nan: does not apply
    digits: tuple[int, ...]        # decimals of each column


class Claim(NamedTuple):
    """An inequality, greater > less, of numbers measured for each seed.

    >>> claim = Claim("labels find more than no labels", np.array([9.0, 8, 9]), np.array([2, 1, 3]))
    >>> claim.sentence()
    'Labels find more than no labels (8.7 against 2.0, difference 6.7 ± 1.4).'
    >>> claim._replace(greater=claim.less).sentence()[:54]
    'This run does not show that labels find more than no l'
    """

    clause: str                    # what is claimed, as a clause after "that"
    greater: np.ndarray            # (seeds,)
    less: np.ndarray               # (seeds,), of the same seeds
    digits: int = 1

    @property
    def difference(self) -> Interval:
        """The 95% interval of greater − less, paired by seed."""
        return paired_difference(self.greater, self.less)

    @property
    def holds(self) -> bool:
        """Whether the interval is above 0."""
        return self.difference.verdict == HELPS

    def sentence(self) -> str:
        """The claim with its numbers; if it does not hold, the sentence says so."""
        mean, half = self.difference
        numbers = [format(value, f".{self.digits}f")
                   for value in (self.greater.mean(), self.less.mean(), mean, half)]
        clause = (self.clause[0].upper() + self.clause[1:] if self.holds
                  else f"This run does not show that {self.clause}")
        return clause + " ({} against {}, difference {} ± {}).".format(*numbers)


class Paragraph(NamedTuple):
    """A part of the answer: what is true by definition, then what the claims say of this run."""

    text: str
    claims: tuple[Claim, ...] = ()
    conclusion: str = ""           # advice that is given only if all of the claims hold

    def __str__(self) -> str:
        held = all(claim.holds for claim in self.claims)
        return "  ".join([self.text, *(claim.sentence() for claim in self.claims),
                          *([self.conclusion] if held and self.conclusion else [])])


class Answer(NamedTuple):
    """A question's answer."""

    question: str
    seeds: Sequence[int]
    tables: list[Table]
    paragraphs: list[Paragraph]
    figure: Any                    # the numbers of its figure; cli/answer_figures.py draws them

    @property
    def claims(self) -> list[Claim]:
        """All claims, in the order of the text."""
        return [claim for paragraph in self.paragraphs for claim in paragraph.claims]
