"""Scored sentence pairs in a file: two sentences and a human score of their similarity per line.

Bytes     sentence <tab> sentence <tab> score       one pair per line, or
          sentence,sentence,score                   CSV: a field with a comma, a quote or a line end
                                                    is in double quotes, and "" in it is a quote
          UTF-8, plain or gzip.  The first line that is not blank decides: it has a tab only in the
          first format.  Empty lines are skipped, in the first format also lines of white space.
          Line 1 is a header if its score is a word: it does not begin with a digit, as 4,5 does.
Shapes    -> three lists of N: sentences, their partners, scores
Read next evaluate/sts.py (the correlation with these scores)

A sentence may contain commas in the first format, and tabs in the second, except in its first line.
"""
import csv
import math
import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.wording import counted
from scratch_embed.text.columns import Note, header_note
from scratch_embed.text.corpus import read_lines

LIKE_A_NUMBER = re.compile(r"[-+.]*(\d|nan$|inf)|$")        # a score gone wrong, or none


class ScoredPairs(NamedTuple):
    """N pairs of sentences and the human score of each pair."""

    first: list[str]
    second: list[str]
    scores: list[float]


def read_scored_pairs(path: str | os.PathLike, errors: str = "strict",
                      valid: Callable[[float], bool] = math.isfinite, expected: str = "a number",
                      note: Note | None = None) -> ScoredPairs:
    """Read a file of sentence pairs with scores.

    errors   what to do with bytes that are not UTF-8: "strict", or "replace" / "ignore"
    valid    whether a finite number can be a score; expected: what it should be, in words
    note     is called with a sentence about the header, if there is one
    Raises   FormatError that names the line, for another number of fields, a blank sentence or a
             score that is not a finite number or not valid; and for a file without pairs.
    """
    pairs = []
    for number, fields in _rows(path, errors):
        place = f"line {number}"
        if len(fields) != 3:
            raise FormatError(path, place, "expected sentence, sentence and score with tabs or "
                              "commas between them, found "
                              f"{counted(len(fields), 'field')}; a sentence with a comma needs "
                              "double quotes, or tabs between the fields")
        first, second, score = (field.strip() for field in fields)
        value = _number(score)
        if number == 1 and math.isnan(value) and not LIKE_A_NUMBER.match(score):
            if note:
                note(header_note(number, fields))
            continue
        if not (math.isfinite(value) and valid(value)):
            raise FormatError(path, place, f"expected {expected} as the score, found "
                                           f"{score[:40]!r}")
        if not (first and second):
            raise FormatError(path, place, "expected two sentences, found a blank one")
        pairs.append((first, second, value))
    if not pairs:
        raise FormatError(path, "its lines", "expected pairs of sentences with a score, found none")
    return ScoredPairs(*map(list, zip(*pairs)))


def _rows(path, errors) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its last line, its fields) for every pair."""
    lines = iter(read_lines(path, errors))
    before = []
    for line in lines:
        before.append(line)
        if line.strip():
            break
    first = before[-1] if before else ""
    rows = enumerate(_chained(before, lines), 1)
    if "\t" in first:
        yield from ((number, line.split("\t")) for number, line in rows if line.strip())
        return
    reader = csv.reader((line + "\n" for _, line in rows), strict=True)
    try:
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise FormatError(path, f"line {reader.line_num}", f"expected CSV, found damage ({error})"
                          ) from None


def _chained(before, lines):
    yield from before
    yield from lines


def _number(field):
    """The number in the field, or nan."""
    try:
        return float(field)
    except ValueError:
        return math.nan
