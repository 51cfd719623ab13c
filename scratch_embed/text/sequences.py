"""From lines of text to what a transformer is trained on: sequences, or pairs of neighbours.

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding", section 3.1 and appendix A.2 (task 2: next sentence).
Equation  one line   [CLS] a [SEP]              of each piece a of each line
          pairs      [CLS] a [SEP] b [SEP]      of each piece a; b the piece after it, or any other
          a line of n tokens becomes ⌈n / room⌉ pieces, of equal length to within one token
Shapes    ids (T,) int32; offsets (N+1,) int64; begins (N,) bool.  N lines -> P pieces, packed
Cost      O(T), NumPy's own copies: no kernel.  The tokenizer takes nearly all the time.
Differs   BERT fills its sequences with as many sentences as have room, and cuts off what is too
          long.  Here a sequence is a line, and a line that is too long is several: each token
          stands in exactly one sequence, or in exactly one place as a.  BERT tosses a coin for
          each pair, and takes the false b from another document; here exactly half of the pairs
          are false, and b is any piece but a and the one after it.
Read next text/packed.py, transformer/masked_lm.py (what is learnt from them)

A blank line ends a document, as in BERT's own data: the line after it does not follow the line
before it.  The last line of a document has no next one, so it is always the a of a false pair, in
BERT's code too.  A text whose documents are mostly single lines has more than half false.
"""
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.text.packed import Packed, positions, take
from scratch_embed.text.wordpiece import Frame, Part


class Lines(NamedTuple):
    """N lines, nothing around them: line n is ids[offsets[n]:offsets[n+1]]."""

    ids: np.ndarray                # (T,) int32
    offsets: np.ndarray                # (N+1,) int64
    begins: np.ndarray             # (N,) bool: the first of a document


def number_lines(lines: Iterable[str], ids_of: Callable[[str], list[int]]) -> Lines:
    """The tokens of a text; a line without any ends a document and is left out.

    ids_of: a line -> its ids, nothing around them.
    """
    ids, offsets, begins, border = array("i"), array("q", [0]), [], True
    for line in lines:
        found = ids_of(line)
        if found:
            ids.extend(found)
            offsets.append(len(ids))
            begins.append(border)
        border = not found
    return Lines(np.array(ids, np.int32), np.array(offsets, np.int64), np.array(begins, bool))


def cut(lines: Lines, room: int) -> Lines:
    """Each line of more than `room` tokens as several, as equal as may be; no token is lost."""
    lengths = np.diff(lines.offsets)
    parts = -(-lengths // room)
    line = np.repeat(np.arange(len(lengths)), parts)
    number = positions(np.concatenate([[0], np.cumsum(parts)]))
    ends = lines.offsets[line] + (number + 1) * lengths[line] // parts[line]
    return Lines(lines.ids, np.concatenate([lines.offsets[:1], ends]),
                 lines.begins[line] & (number == 0))


# ---- sequences ----------------------------------------------------------------------------------

def line_sequences(lines: Lines, frame: Frame, max_length: int) -> Packed:
    """A sequence for each piece of each line, in its frame.

    Raises ValueError where max_length leaves no room for a token.
    """
    pieces = cut(lines, room_in(frame.one, max_length))
    return in_frame(pieces, frame.one, np.arange(len(pieces.begins)))


def next_sentence_pairs(lines: Lines, frame: Frame, max_length: int, seed: int
                        ) -> tuple[Packed, np.ndarray]:
    """A pair for each piece of each line; half of them are false.  -> pairs, follows (P,)

    follows: 0 where the second part follows the first, 1 where it was drawn by lot.
    Raises ValueError where max_length leaves no room, or for fewer than three pieces.
    """
    pieces = cut(lines, room_in(frame.two, max_length))
    P = len(pieces.begins)
    if P < 3:
        raise ValueError(f"next sentences are told from others: expected at least 3, found {P}")
    rng, first = np.random.default_rng(seed), np.arange(P)
    false = np.append(pieces.begins[1:], True)               # nothing follows
    true = np.flatnonzero(~false)
    false[rng.choice(true, max(0, P // 2 - (P - len(true))), replace=False)] = True
    other = (first + rng.integers(2, P, P)) % P              # not itself, and not the next
    second = np.where(false, other, (first + 1) % P)
    return in_frame(pieces, frame.two, first, second), false.astype(np.int64)


def room_in(parts: Sequence[Part], max_length: int) -> int:
    """The tokens that each text may have in a frame of so many, at least one."""
    around, texts = sum(len(part.ids) for part in parts), sum(p.text is not None for p in parts)
    if max_length < around + texts:
        raise ValueError(f"max_length={max_length}: expected at least {around + texts}, for "
                         f"{around} tokens stand around the text alone")
    return (max_length - around) // texts


def in_frame(pieces: Lines, parts: Sequence[Part], *chosen: np.ndarray) -> Packed:
    """N sequences: text k of sequence n is piece chosen[k][n].  chosen: (N,) each."""
    own = [np.array(part.ids, np.int32) for part in parts if part.text is None]
    ids = np.concatenate([pieces.ids, *own])
    ends = np.cumsum([len(x) for x in own], dtype=int)
    offsets = np.concatenate([pieces.offsets, pieces.offsets[-1] + ends])
    P, N = len(pieces.begins), len(chosen[0])
    numbers = iter(range(P, P + len(own)))                   # the frame's own stand behind the text
    columns = [np.full(N, next(numbers)) if part.text is None else chosen[part.text]
               for part in parts]
    laid = take(Packed(ids, offsets, np.zeros_like(ids)), np.stack(columns, 1).ravel())
    types = np.repeat(np.tile(np.array([part.type for part in parts], np.int32), N),
                      np.diff(laid.offsets))
    return Packed(laid.ids, laid.offsets[::len(parts)], types)
