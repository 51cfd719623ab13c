"""The two files of a retrieval experiment: what is relevant (qrels), what was returned (a run).

Bytes     qrels   query  iteration  document  gain                a line; gain a whole number
          run     query  Q0  document  rank  score  name          a line
          in UTF-8, plain or gzip; fields stand between ASCII white space.  Blank lines, and lines
          that begin with #, are left out.
Shapes    qrels {query: {document: gain}}, run {query: {document: score}}, as evaluate/ranking.py
          takes them
Differs   trec_eval reads a gain or a score as far as it is a number ("1.5" is the gain 1, "high"
          is 0), and takes nan; here these are errors that name the line.  As there, iteration,
          Q0, rank and what follows the name are read past: the order is that of the scores.
Read next evaluate/ranking.py
"""
import math
import os
from collections.abc import Iterator, Sequence

from scratch_embed.evaluate.ranking import Qrels, Run, order
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write, open_binary

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_qrels(path: str | os.PathLike) -> dict[str, dict[str, int]]:
    """{query: {document: gain}} of a qrels file.  Raises FormatError that names the line."""
    qrels = {}
    for place, fields in _lines(path):
        enter_judgement(qrels, fields, path, place)
    return _not_empty(qrels, path, "judgements")


def enter_judgement(qrels: dict[str, dict[str, int]], fields: Sequence[str],
                    path: str | os.PathLike, place: str) -> None:
    """Enter the fields of one line in qrels.  path, place: where it stands, for FormatError."""
    if len(fields) != 4:
        raise FormatError(path, place, "expected 4 fields, query iteration document gain, "
                                       f"found {len(fields)}")
    query, _, document, gain = fields
    gain = _number(int, gain, "a whole number as the gain", path, place)
    _enter(qrels, query, document, gain, path, place)


def read_run(path: str | os.PathLike) -> dict[str, dict[str, float]]:
    """{query: {document: score}} of a run file.  Raises FormatError that names the line."""
    run = {}
    for place, fields in _lines(path):
        if len(fields) < 6:
            raise FormatError(path, place, "expected 6 fields, query Q0 document rank score name, "
                                           f"found {len(fields)}")
        query, _, document, _, score = fields[:5]
        score = _number(float, score, "a number as the score", path, place)
        _enter(run, query, document, score, path, place)
    return _not_empty(run, path, "results")


def write_qrels(path: str | os.PathLike, qrels: Qrels) -> None:
    """Write a qrels file.  Raises ValueError for a name or a gain that the file cannot hold."""
    with atomic_write(path) as file:
        for query, judged in qrels.items():
            for document, gain in judged.items():
                if not float(gain).is_integer():
                    raise ValueError(f"query {query!r}, document {document!r}: expected a whole "
                                     f"number as the gain, found {gain}")
                file.write(f"{_query(query)} 0 {_word(document)} {int(gain)}\n".encode())


def write_run(path: str | os.PathLike, run: Run, name: str = "scratch_embed") -> None:
    """Write a run file, best first; every score reads back as the float64 that it was.

    A query without documents leaves no line.  Raises ValueError for nan, or for a name that the
    file cannot hold.
    """
    with atomic_write(path) as file:
        for query, scores in run.items():
            for rank, document in enumerate(order(scores), 1):
                file.write(f"{_query(query)} Q0 {_word(document)} {rank} "
                           f"{float(scores[document])!r} {_word(name)}\n".encode())


# ---- inside -----------------------------------------------------------------------------------

def _lines(path) -> Iterator[tuple[str, list[str]]]:
    """("line 7", its fields) for every line that has any and is no comment."""
    with open_binary(path) as (file, _):
        for number, line in enumerate(file, 1):
            line = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            fields = line.split()                  # of bytes: at ASCII white space only
            if not fields or fields[0].startswith(b"#"):
                continue
            try:
                yield f"line {number}", [field.decode() for field in fields]
            except UnicodeDecodeError:
                raise FormatError(path, f"line {number}", "expected UTF-8; convert the file"
                                  ) from None


def _number(kind, field, expected, path, place):
    """int or float of a field, without Python's own spellings such as 1_000; never nan."""
    try:
        number = kind(field)
        if field.isascii() and "_" not in field and not math.isnan(number):
            return number
    except ValueError:
        pass
    raise FormatError(path, place, f"expected {expected}, found {field!r}")


def _enter(table, query, document, number, path, place):
    row = table.setdefault(query, {})
    if document in row:
        raise FormatError(path, place, f"document {document!r} stands a second time for query "
                                       f"{query!r}; keep one of the two lines")
    row[document] = number


def _not_empty(table, path, what):
    if not table:
        raise FormatError(path, "the whole file", f"expected lines of {what}, found none")
    return table


def _query(name):
    if name.startswith("#"):
        raise ValueError(f"the query {name!r} would be read as a comment: rename it")
    return _word(name)


def _word(name):
    """A name that stays one field when it is read."""
    if name.encode().split() != [name.encode()]:
        raise ValueError(f"the name {name!r} is empty or holds white space, which would break its "
                         "line apart: rename it")
    return name
