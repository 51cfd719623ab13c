"""Labelled text: lines of words with their labels, as numbers.

An example of a line:  __label__meal __label__praise the soup was hot

Shapes    the words of line i are tokens.ids[tokens.offsets[i]:tokens.offsets[i+1]], and its labels
          are in targets in the same way; words and labels are numbered separately, from 0, in the
          order of first occurrence
Cost      one pass of the compiled reader over the text; 4 bytes per token and 16 per line
Differs   from fastText: a line with words but without a label is an error that names the line,
          where the original skips it; the last line ends with "</s>" like every other, even if the
          file does not end with a line break
Read next words/bags.py (from the words of a line to rows of a table), words/supervised.py
          (training)

Tokens are separated by ASCII white space or NUL.  Tokens that begin with __label__ are labels, at
any position; the others are words.  The end of a line is a word too, "</s>": in a line of unknown
words only its row is left, and predicts the frequent labels.  If "</s>" is written in a text, the
line ends there.  Blank lines are not examples.
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
LINES_PER_BLOCK = 1000             # lines joined into one block

Lines = File | Iterable[str]


class Labelled(NamedTuple):
    """A labelled text as numbers: S different words and L different labels."""

    words: list[str]               # S different ones, including "</s>"
    counts: np.ndarray             # (S,) int64
    tokens: Corpus                 # the words of each line, the last is "</s>"
    labels: list[str]              # including the prefix __label__
    label_counts: np.ndarray       # (L,) int64
    targets: Corpus                # the labels of each line


def read_labelled(source: Lines, errors: str = "strict") -> Labelled:
    """Read labelled lines.

    source   a path, plain or gzip; "-" for standard input; an open binary file; or an iterable of
             str, one per line
    errors   what to do with bytes that are not UTF-8: "strict", "replace" or "ignore"
    Raises   ValueError if a line has words but no label (it names the first), or if no line has a
             label; FormatError for bytes that are not UTF-8
    """
    text = _number(read_blocks(source, errors) if isinstance(source, FILE_TYPES)
                  else _blocks(source))
    words, labels = np.diff(text.tokens.offsets), np.diff(text.targets.offsets)
    bare = np.flatnonzero((labels == 0) & (words > 1))       # more than "</s>"
    if len(bare):
        first = text.tokens.ids[text.tokens.offsets[bare[0]]]
        raise ValueError(f"line {bare[0] + 1} has no label: expected a word that begins with "
                         f"{LABEL}, found none (its first word is {text.words[first]!r}); add one "
                         "or remove the line")
    if not labels.any():
        raise ValueError(f"expected lines with labels ({LABEL}...), found none: is the file "
                         "empty?")
    return text._replace(tokens=_select_lines(text.tokens, labels > 0),
                         targets=_select_lines(text.targets, labels > 0))


def read_texts(texts: Iterable[str]) -> Labelled:
    """Read texts, one line each; they may be blank and need no labels.

    Raises ValueError for a text with a line break, TypeError if one is not a str.
    """
    return _number(_blocks(texts))


def count_word_ngrams(lines: Labelled, word_ngrams: int) -> int:
    """The number of n-grams of 2 to word_ngrams words in all lines, with repetitions."""
    lengths = np.diff(lines.tokens.offsets)
    most = int(lengths.max(initial=0))
    return sum(int(np.maximum(lengths - n + 1, 0).sum())
               for n in range(2, min(word_ngrams, most) + 1))


# ---- from lines to numbers --------------------------------------------------------------------

def _blocks(lines: Iterable[str]) -> Iterator[bytes]:
    """Join lines into blocks.  A line ends at the first "</s>" that is written in it."""
    block = []
    for number, line in enumerate(lines, 1):
        if not isinstance(line, str):
            raise TypeError(f"text {number}: expected a str, got {type(line).__name__}")
        if "\n" in line:
            raise ValueError(f"text {number}: expected one line, got a line break; split the text")
        try:
            data = to_bytes(line)
        except ValueError as error:
            raise ValueError(f"text {number}: {error}") from None
        if END_OF_LINE in line:
            tokens = _without_nul(data).split()
            data = b" ".join(tokens[:tokens.index(b"</s>")] if b"</s>" in tokens else tokens)
        block.append(data)
        if len(block) == LINES_PER_BLOCK:
            yield b"\n".join(block) + b"\n"
            block = []
    if block:
        yield b"\n".join(block) + b"\n"


def _number(blocks):
    """Number all tokens, then separate labels and words.  -> Labelled"""
    ids_file = io.BytesIO()
    table, n = number_tokens(_with_line_ends(blocks), ids_file, io.BytesIO())
    ids = np.frombuffer(ids_file.getbuffer(), np.int32)
    start = table.start[:n + 1].tolist()
    letters = table.letters[:start[-1]].tobytes()
    names = [letters[first:end].decode("utf-8", "surrogateescape")
             for first, end in zip(start, start[1:])]
    is_label = np.array([name.startswith(LABEL) for name in names], bool)
    line_end = names.index(END_OF_LINE) if END_OF_LINE in names else -1
    offsets = np.concatenate([[0], np.flatnonzero(ids == line_end) + 1])
    words, labels = np.flatnonzero(~is_label), np.flatnonzero(is_label)
    counts = table.counts[:n]
    return Labelled([names[i] for i in words], counts[words],
                    _select_tokens(ids, offsets, ~is_label),
                    [names[i] for i in labels], counts[labels],
                    _select_tokens(ids, offsets, is_label))


def _with_line_ends(blocks):
    """Replace every line break by the word "</s>", and add one after the last line."""
    last = b"\n"
    for block in blocks:
        yield _without_nul(block).replace(b"\n", b" </s> ")
        last = block[-1:] or last
    if last != b"\n":
        yield b" </s> "


def _without_nul(data):
    return data.replace(b"\0", b" ")


def _select_tokens(ids, offsets, wanted):
    """Keep the wanted tokens of each line, and renumber them.  wanted: bool for each number"""
    number = np.cumsum(wanted, dtype=np.int32) - np.int32(1)
    kept = np.flatnonzero(wanted[ids])
    return Corpus(number[ids[kept]], np.searchsorted(kept, offsets))


def _select_lines(corpus, wanted):
    """Keep the wanted lines of a Corpus.  wanted: bool for each line"""
    lengths = np.diff(corpus.offsets)
    return Corpus(corpus.ids[np.repeat(wanted, lengths)],
                  np.concatenate([[0], np.cumsum(lengths[wanted])]))
