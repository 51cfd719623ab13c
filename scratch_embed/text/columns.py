"""Parallel texts: read a file in which each line is a text and its partners, with tabs between.

Bytes     UTF-8, plain or gzip.  Every line has the same number of fields, and no field is blank.
          Blank lines and white space (text/corpus.py) around a field are dropped.  Line 1 is a
          header if each of its fields is a usual name of that column, such as anchor, positive.
Read next text/corpus.py (read_lines)
"""
import re
from collections.abc import Callable, Sequence

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.corpus import File, read_lines, strip

# names of columns in data sets, by their place; "Sentence_1" is read as sentence1
NAMES = (re.compile("anchor|query|question|title|premise|text|text1|sentence|sentence[01]|source"),
         re.compile("pos|positive|answer|passage|document|context|body|hypothesis|text2|target|"
                    "response|sentence[12]"),
         re.compile(r"(neg|negative|hardnegative)\d*|sentence[23]|text3"))
Note = Callable[[str], object]


def read_columns(source: File, least: int = 2, most: int = 2, errors: str = "strict",
                 note: Note | None = None) -> list[list[str]]:
    """Read the columns of a file.  -> between `least` and `most` lists of N texts

    note: is called with a sentence about the header, if there is one
    Raises a FormatError that names the line if a field is blank, or if a line has too few or too
    many fields, or not as many as the first line.
    """
    rows, first = [], 0
    for number, line in enumerate(read_lines(source, errors), 1):
        if strip(line):
            rows.append([strip(field) for field in line.split("\t")])
            width, first = len(rows[0]), first or number
            expected = (str(width) if len(rows) > 1 else
                        str(least) if least == most else f"{least} to {most}")
            if not least <= len(rows[-1]) <= most or len(rows[-1]) != width:
                raise FormatError(source, f"line {number}", f"expected {expected} texts with tabs "
                                                            f"between them, found {len(rows[-1])}")
            if not all(rows[-1]):
                raise FormatError(source, f"line {number}", "expected a text between the tabs, "
                                                            "found nothing")
    if rows and is_header(rows[0]):
        if note:
            note(header_note(first, rows[0]))
        del rows[0]
    if not rows:
        raise FormatError(source, "its lines", "expected texts with tabs between them, found none")
    return [list(column) for column in zip(*rows)]


def is_header(fields: Sequence[str]) -> bool:
    """Whether each field of a first line is a usual name of its column.

    >>> is_header(["query", "Positive", "negative_1"]), is_header(["positive", "query"])
    (True, False)
    """
    names = [NAMES[min(place, 2)] for place in range(len(fields))]
    return len(fields) > 1 and all(name.fullmatch(re.sub("[ _-]", "", field.lower()))
                                   for name, field in zip(names, fields))


def header_note(number: int, fields: Sequence[str]) -> str:
    """The sentence about a line that is not read as an example."""
    shown = ", ".join(repr(field.strip()[:40]) for field in fields)
    return f"line {number} is taken for a header: {shown}"
