"""Labelled text: lines that say what they are about, as numbers.

Shapes    the words of line i are tokens.ids[tokens.offsets[i]:tokens.offsets[i+1]], its labels the
          same of targets; both count from 0, in the order in which they are first seen
Cost      one pass of the compiled reader over the text; 4 bytes a token, 16 a line.
Differs   from fastText: a line with words but no label is an error with its number, where the
          original skips it; the last line ends with "</s>" as every other does, whether or not
          the file ends with a line break.
Read next words/bags.py (from a line's words to rows of a table), words/supervised.py (learns).

    __label__meal __label__praise the soup was hot

Labels are the tokens that begin with __label__, wherever they stand; what is left are the words,
parted at ASCII white space and NUL.  The end of a line is a word too, "</s>", in every bag: where
nothing else is known of a text, its vector says which label is frequent.  A "</s>" that is written
in a text ends the line there.  Blank lines are no examples.
"""
import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from scratch_embed.text.corpus import FILE_TYPES, File, read_blocks
from scratch_embed.text.reader import number_tokens
from scratch_embed.text.vocab import Corpus
from scratch_embed.words.subwords import END_OF_LINE, to_bytes

LABEL = "__label__"
AT_A_TIME = 1000                   # lines that are joined to one block

Lines = File | Iterable[str]


class Labelled(NamedTuple):
    """A labelled text as numbers of its own spellings."""

    words: list[str]               # S different ones, "</s>" among them
    counts: np.ndarray             # (S,) int64
    tokens: Corpus                 # of each line its words, the last "</s>"
    labels: list[str]              # with their __label__
    label_counts: np.ndarray       # (L,) int64
    targets: Corpus                # of each line its labels


def read_labelled(source: Lines, errors: str = "strict") -> Labelled:
    """Read examples, every one with a label.

    source   a path, plain or gzip; "-"; an open binary file; or an iterable of str, a line each
    errors   "strict", or what to do with bytes that are not UTF-8: "replace", "ignore"
    Raises   ValueError with the number of the first line that has words but no label, or where
             there is no example at all; FormatError for bytes that are not UTF-8.
    """
    text = _split(read_blocks(source, errors) if isinstance(source, FILE_TYPES)
                  else _joined(source))
    words, labels = np.diff(text.tokens.offsets), np.diff(text.targets.offsets)
    bare = np.flatnonzero((labels == 0) & (words > 1))
    if len(bare):
        first = text.tokens.ids[text.tokens.offsets[bare[0]]]
        raise ValueError(f"line {bare[0] + 1} has no label: it begins with {text.words[first]!r}, "
                         f"and no word of it begins with {LABEL}; add one or take the line out")
    if not labels.any():
        raise ValueError("there is no line with a label: is the file empty?")
    return text._replace(tokens=_lines_where(text.tokens, labels > 0),
                         targets=_lines_where(text.targets, labels > 0))


def read_texts(texts: Iterable[str]) -> Labelled:
    """Read texts that may have no label and may be blank, as many lines as there are texts.

    Raises ValueError for a text that holds a line break, TypeError for what is no str.
    """
    return _split(_joined(texts))


# ---- from lines to numbers --------------------------------------------------------------------

def _joined(lines: Iterable[str]) -> Iterator[bytes]:
    """Blocks of a thousand lines, each up to the first "</s>" that is written in it."""
    block = []
    for number, line in enumerate(lines, 1):
        if not isinstance(line, str):
            raise TypeError(f"text {number}: expected a str, found {type(line).__name__}")
        if "\n" in line:
            raise ValueError(f"text {number} holds a line break: a line is one text")
        data = to_bytes(line)
        if END_OF_LINE in line:
            tokens = _without_nul(data).split()
            data = b" ".join(tokens[:tokens.index(b"</s>")] if b"</s>" in tokens else tokens)
        block.append(data)
        if len(block) == AT_A_TIME:
            yield b"\n".join(block) + b"\n"
            block = []
    if block:
        yield b"\n".join(block) + b"\n"


def _split(blocks):
    """Number all tokens; then part the labels from the words."""
    ids_file = io.BytesIO()
    found, known = number_tokens(_with_line_ends(blocks), ids_file, io.BytesIO())
    ids = np.frombuffer(ids_file.getbuffer(), np.int32)
    start = found.start[:known + 1].tolist()
    letters = found.letters[:start[-1]].tobytes()
    names = [letters[first:end].decode("utf-8", "surrogateescape")
             for first, end in zip(start, start[1:])]
    is_label = np.array([name.startswith(LABEL) for name in names], bool)
    end = names.index(END_OF_LINE) if END_OF_LINE in names else -1
    offsets = np.concatenate([[0], np.flatnonzero(ids == end) + 1])
    words, labels = np.flatnonzero(~is_label), np.flatnonzero(is_label)
    count = found.counts[:known]
    return Labelled([names[i] for i in words], count[words], _part(ids, offsets, ~is_label),
                    [names[i] for i in labels], count[labels], _part(ids, offsets, is_label))


def _with_line_ends(blocks):
    """The blocks, every line break as the word "</s>", one behind the last line too."""
    last = b"\n"
    for block in blocks:
        yield _without_nul(block).replace(b"\n", b" </s> ")
        last = block[-1:] or last
    if last != b"\n":
        yield b" </s> "


def _without_nul(data):
    return data.replace(b"\0", b" ")


def _part(ids, offsets, wanted):
    """The lines with their tokens of one kind alone, renumbered.  wanted: (S,) bool."""
    number = np.cumsum(wanted, dtype=np.int32) - np.int32(1)
    kept = np.flatnonzero(wanted[ids])
    return Corpus(number[ids[kept]], np.searchsorted(kept, offsets))


def _lines_where(corpus, wanted):
    """Some of the lines.  wanted: (N,) bool."""
    lengths = np.diff(corpus.offsets)
    return Corpus(corpus.ids[np.repeat(wanted, lengths)],
                  np.concatenate([[0], np.cumsum(lengths[wanted])]))
