"""TREC's two file formats: relevance judgements (qrels), and the results of a system (a run).

Bytes     qrels   query  iteration  document  gain                one per line
          run     query  Q0  document  rank  score  name          one per line
          A gain is a whole number: the relevance of the document to the query.  The files are
          UTF-8, plain or gzip; fields are separated by ASCII white space.  Blank lines and lines
          that begin with # are skipped.
Shapes    qrels {query: {document: gain}}, run {query: {document: score}}, as in evaluate/ranking.py
Differs   trec_eval reads a gain or a score up to the first character that cannot belong to it (a
          gain "1.5" is 1, "high" is 0), and accepts nan; here these are errors that name the line.
          As in trec_eval, iteration, Q0, rank and anything after the name are ignored: the scores
          decide the order.
Read next evaluate/ranking.py
"""
import math
import os
from collections.abc import Iterable, Iterator, Sequence

from scratch_embed.evaluate.ranking import Qrels, Run, order
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write, open_binary

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_qrels(path: str | os.PathLike) -> dict[str, dict[str, int]]:
    """Read a qrels file -> {query: {document: gain}}.  Raises FormatError that names the line."""
    qrels = {}
    for place, fields in _lines(path):
        enter_judgement(qrels, fields, path, place)
    return _require_entries(qrels, path, "judgements")


def enter_judgement(qrels: dict[str, dict[str, int]], fields: Sequence[str],
                    path: str | os.PathLike, place: str) -> None:
    """Add the fields of one line to qrels, in place.  path, place: file and line, for errors."""
    if len(fields) != 4:
        raise FormatError(path, place, "expected 4 fields, query iteration document gain, "
                                       f"found {len(fields)}")
    query, _, document, gain = fields
    gain = _number(int, gain, "a whole number as the gain", path, place)
    _add_entry(qrels, query, document, gain, path, place)


def read_run(path: str | os.PathLike) -> dict[str, dict[str, float]]:
    """Read a run file -> {query: {document: score}}.  Raises FormatError that names the line."""
    run = {}
    for place, fields in _lines(path):
        if len(fields) < 6:
            raise FormatError(path, place, "expected 6 fields, query Q0 document rank score name, "
                                           f"found {len(fields)}")
        query, _, document, _, score = fields[:5]
        score = _number(float, score, "a number as the score", path, place)
        _add_entry(run, query, document, score, path, place)
    return _require_entries(run, path, "results")


def write_qrels(path: str | os.PathLike, qrels: Qrels) -> None:
    """Write a qrels file.

    Raises ValueError for a fractional gain, a name that is empty or contains white space, or a
    query that begins with #.
    """
    with atomic_write(path) as file:
        for query, judged in qrels.items():
            for document, gain in judged.items():
                if not float(gain).is_integer():
                    raise ValueError(f"query {query!r}, document {document!r}: expected a whole "
                                     f"number as the gain, got {gain}")
                file.write(f"{_require_query(query)} 0 {_require_field(document)} {int(gain)}\n"
                           .encode())


def write_run(path: str | os.PathLike, run: Run, name: str = "scratch_embed") -> None:
    """Write a run file, best document first; read_run returns the same float64 scores.

    A query without documents has no line.  Raises ValueError for a nan score, a name that is empty
    or contains white space, or a query that begins with #.
    """
    with atomic_write(path) as file:
        for query, scores in run.items():
            for rank, document in enumerate(order(scores), 1):
                file.write(f"{_require_query(query)} Q0 {_require_field(document)} {rank} "
                           f"{float(scores[document])!r} {_require_field(name)}\n".encode())


def require_run_names(queries: Iterable[str], documents: Iterable[str]) -> None:
    """Raise ValueError for a query or document whose name write_run refuses."""
    for query in queries:
        _require_query(query)
    for document in documents:
        _require_field(document)


# ---- helpers ----------------------------------------------------------------------------------

def _lines(path) -> Iterator[tuple[str, list[str]]]:
    """("line 7", its fields) for every line, except blank lines and comments."""
    with open_binary(path) as (file, _):
        for number, line in enumerate(file, 1):
            line = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            fields = line.split()                  # bytes are split at ASCII white space only
            if not fields or fields[0].startswith(b"#"):
                continue
            try:
                yield f"line {number}", [field.decode() for field in fields]
            except UnicodeDecodeError:
                raise FormatError(path, f"line {number}", "expected UTF-8; convert the file"
                                  ) from None


def _number(kind, field, expected, path, place):
    """Convert a field to int or float; FormatError for nan, and for Python's own notation 1_000."""
    try:
        number = kind(field)
        if field.isascii() and "_" not in field and not math.isnan(number):
            return number
    except ValueError:
        pass
    raise FormatError(path, place, f"expected {expected}, found {field!r}")


def _add_entry(table, query, document, number, path, place):
    row = table.setdefault(query, {})
    if document in row:
        raise FormatError(path, place, f"expected each document once for a query, found "
                                       f"{document!r} a second time for {query!r}; keep one of "
                                       "the two lines")
    row[document] = number


def _require_entries(table, path, what):
    if not table:
        raise FormatError(path, "the whole file", f"expected lines of {what}, found none")
    return table


def _require_query(name):
    if name.startswith("#"):
        raise ValueError(f"query {name!r}: expected a name that does not begin with #, the mark of "
                         "a comment; rename it")
    return _require_field(name)


def _require_field(name):
    """The name, which must be one field of a line: not empty, and without white space."""
    if name.encode().split() != [name.encode()]:
        raise ValueError(f"name {name!r}: expected one or more characters and no white space; "
                         "rename it")
    return name
