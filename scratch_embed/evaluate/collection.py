"""A retrieval collection in files: documents, queries, and relevance judgements (qrels).

Paper     Thakur et al. 2021, "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of
          Information Retrieval Models", whose format this is.
Bytes     documents  {"_id": "d1", "title": "...", "text": "..."}      one JSON object per line
          queries    {"_id": "q1", "text": "..."}                      the same without a title
                     or d1 <tab> the text, for both; the first line decides
          judgements q1 <tab> d1 <tab> gain                            with or without a header line
                     or TREC's format, q1 0 d1 gain (evaluate/trec.py)
          A gain is a whole number, the relevance of d1 to q1.  All files are UTF-8, plain or
          gzip; blank lines are skipped.
Shapes    documents and queries {id: text}, judgements {query: {document: gain}}
Cost      one pass over each file, all texts in memory
Differs   As in BEIR's own encoders, a document is its title, a space and its text.  BEIR always
          drops the first line of the judgements; here it is a header only if its third field is the
          word "score".  Other JSON fields are ignored.
Read next evaluate/ranking.py (the measures), evaluate/trec.py (runs in files)

The judgements decide which queries count: BEIR's query files contain those of all splits.  A
judged query without a text is an error: it would score 0 for every system.  A judged document
without a text only causes a warning: no system can find it, so scores remain comparable.
"""
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from scratch_embed.evaluate.ranking import Qrels
from scratch_embed.evaluate.trec import enter_judgement
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import Fields, parse, show
from scratch_embed.text.corpus import read_lines

HEADER = "query-id\tcorpus-id\tscore"


class Collection(NamedTuple):
    """Documents, queries and relevance judgements; every query has judgements."""

    documents: dict[str, str]      # {document: text}
    queries: dict[str, str]        # {query: text}
    qrels: Qrels                   # {query: {document: gain}}


def read_collection(documents: str | os.PathLike, queries: str | os.PathLike,
                    qrels: str | os.PathLike, errors: str = "strict") -> Collection:
    """Read the three files; queries without judgements are left out.

    errors   what to do with bytes that are not UTF-8: "strict", or "replace" / "ignore"
    Raises   FormatError for a malformed line, for a judged query without a text, or if no judged
             document has a text.  Warns if some judged documents have no text.
    """
    texts, query_texts = read_texts(documents, errors), read_texts(queries, errors)
    judged = read_judgements(qrels, errors)
    unknown = next((query for query in judged if query not in query_texts), None)
    if unknown is not None:
        raise FormatError(qrels, f"query {unknown!r}", f"expected a text for it in {queries}, "
                          f"found none among {len(query_texts)} queries; are they of the same "
                          "collection?")
    judged_documents = {document for gains in judged.values() for document in gains}
    missing = sorted(judged_documents - texts.keys())
    if len(missing) == len(judged_documents):
        raise FormatError(qrels, f"document {missing[0]!r}", f"expected it in {documents}, found "
                          f"neither it nor any other judged document among {len(texts)}; are they "
                          "of the same collection?")
    if missing:
        warnings.warn(f"{qrels}: {len(missing)} of {len(judged_documents)} judged documents, the "
                      f"first {missing[0]!r}, are not in {documents}: no system can find them",
                      stacklevel=2)
    return Collection(texts, {query: query_texts[query] for query in judged}, judged)


# ---- texts --------------------------------------------------------------------------------------

def read_texts(path: str | os.PathLike, errors: str = "strict") -> dict[str, str]:
    """Read documents or queries -> {id: text}.  Raises FormatError that names the line."""
    texts, parse_line = {}, None
    for place, line in _lines(path, errors):
        parse_line = parse_line or (_from_json if line.lstrip().startswith("{") else _from_tabs)
        name, text = parse_line(line, path, place)
        if name in texts:
            raise FormatError(path, place, f"expected each id once, found {name!r} a second time; "
                                           "keep one of the two lines")
        texts[name] = text
    if not texts:
        raise FormatError(path, "the whole file", "expected one text per line, found none")
    return texts


def _from_json(line, path, place):
    """Parse a JSON line in BEIR's format -> id, text."""
    entry = Fields(path, parse(path, place, line.encode("utf-8", "surrogatepass")), place)
    name, text, title = entry.text("_id"), entry.text("text"), entry.text("title", "")
    if not name:
        raise entry.fault("_id", "an id", "an empty one")
    return name, f"{title} {text}".strip()


def _from_tabs(line, path, place):
    """Parse a line id, tab, text -> id, text; the text may contain tabs."""
    name, tab, text = line.partition("\t")
    if not tab or not name:
        raise FormatError(path, place, f"expected id <tab> text, found {show(line)}")
    return name, text


# ---- judgements ---------------------------------------------------------------------------------

def read_judgements(path: str | os.PathLike, errors: str = "strict") -> dict[str, dict[str, int]]:
    """Read a qrels file in BEIR's format (3 fields) or TREC's (4) -> {query: {document: gain}}.

    The first line decides which format it is.  Raises FormatError that names the line.
    """
    qrels, split = {}, None
    for place, line in _lines(path, errors):
        if split is None:
            if line.startswith("#") and line.count("\t") != 2:
                continue                           # a comment, in TREC's format
            split = _split_tabs if line.count("\t") == 2 else _split_white_space
            if split is _split_white_space and len(line.encode().split()) != 4:
                raise FormatError(path, place, "expected query <tab> document <tab> gain, or "
                                  f"TREC's query iteration document gain, found {show(line)}")
            if split is _split_tabs and line.lower().split("\t")[2].strip() == "score":
                continue                           # the header
        fields = split(line, path, place)
        if fields:
            enter_judgement(qrels, fields, path, place)
    if not qrels:
        raise FormatError(path, "the whole file", "expected judgements, found none")
    return qrels


def _split_tabs(line, path, place):
    """Split a line in BEIR's format -> the four fields of TREC's."""
    fields = line.split("\t")
    if len(fields) != 3 or not all(fields):
        raise FormatError(path, place, "expected 3 fields between tabs, query document gain, found "
                                       f"{show(line)}")
    query, document, gain = fields
    return query, "0", document, gain


def _split_white_space(line, path, place):
    """Split a line in TREC's format -> its fields; [] for a comment."""
    fields = [field.decode() for field in line.encode().split()]       # bytes: ASCII white space
    return [] if fields[0].startswith("#") else fields


# ---- writing ------------------------------------------------------------------------------------

def write_collection(folder: str | os.PathLike, collection: Collection) -> list[Path]:
    """Write BEIR's corpus.jsonl, queries.jsonl and qrels.tsv; the folder is created if missing.

    Fractional gains are truncated.  -> the three paths.
    Raises ValueError for an id of a document or a query that is empty or contains a tab or a line
    end.
    """
    for name in (*collection.documents, *collection.queries):
        if not name or set(name) & set("\t\r\n"):
            raise ValueError(f"the id {name!r}: expected characters other than tab and line end, "
                             "one or more; rename it")
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = [Path(folder) / name for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv")]
    judgements = (f"{query}\t{document}\t{int(gain)}" for query, gains in collection.qrels.items()
                  for document, gain in gains.items())
    for path, lines in zip(paths, (_as_json(collection.documents, {"title": ""}),
                                   _as_json(collection.queries, {}), [HEADER, *judgements])):
        with atomic_write(path) as file:
            file.writelines(f"{line}\n".encode() for line in lines)
    return paths


def _as_json(texts: Mapping[str, str], extra_fields) -> Iterator[str]:
    return (json.dumps({"_id": name, **extra_fields, "text": text}) for name, text in texts.items())


# ---- helpers ------------------------------------------------------------------------------------

def _lines(path, errors) -> Iterator[tuple[str, str]]:
    """("line 7", its text) for every line that is not blank."""
    for number, line in enumerate(read_lines(path, errors), 1):
        if line.strip():
            yield f"line {number}", line
