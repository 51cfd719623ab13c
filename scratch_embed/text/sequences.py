"""Sequences: from lines of text to the sequences or pairs on which a transformer is trained.

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding", section 3.1 and appendix A.2 (task 2: next sentence prediction)
Equation  one line   [CLS] a [SEP]              for each segment a of each line
          pairs      [CLS] a [SEP] b [SEP]      b: the segment after a, or a random one
          A line of n tokens is split into ⌈n / room⌉ segments, whose lengths differ by at most 1;
          room: the tokens that max_length leaves for each text beside the special tokens
Shapes    ids (T,) int32; offsets (N+1,) int64; starts_document (N,) bool.  N lines -> P segments
Cost      O(T), done by NumPy, so there is no kernel; the tokenizer takes nearly all the time
Differs   BERT fills each sequence with as many sentences as fit, and truncates what is too long.
          Here a sequence is one line, and a line that is too long becomes several: each token is in
          exactly one sequence, or in exactly one segment a.  BERT decides for each pair at random
          whether b is random, and draws a random b from another document.  Here half of the pairs,
          rounded down, have a random b (more if there are many documents, see below).  It may be
          any segment except a and the next one (after the last segment: the first).
Read next text/packed.py, transformer/masked_lm.py (how a transformer is trained on them)

A blank line ends a document, as in BERT's data: the line after it does not follow the line before
it.  The last segment of a document has no next one, so its b is always random, as in BERT's code.
If more than half of the segments end a document, more than half of the pairs are random.
"""
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.text.packed import Packed, positions, take
from scratch_embed.text.tokenizer import Part, Template


class Lines(NamedTuple):
    """N lines without special tokens: line n is ids[offsets[n]:offsets[n+1]]."""

    ids: np.ndarray                # (T,) int32
    offsets: np.ndarray            # (N+1,) int64
    starts_document: np.ndarray    # (N,) bool: whether the line is the first of a document


def encode_lines(lines: Iterable[str], token_ids: Callable[[str], list[int]]) -> Lines:
    """Tokenize a text.  A line without tokens ends a document and is dropped.

    token_ids: a function from a line to its ids, without special tokens.
    """
    ids, offsets, starts, is_first = array("i"), array("q", [0]), [], True
    for line in lines:
        line_ids = token_ids(line)
        if line_ids:
            ids.extend(line_ids)
            offsets.append(len(ids))
            starts.append(is_first)
        is_first = not line_ids
    return Lines(np.array(ids, np.int32), np.array(offsets, np.int64), np.array(starts, bool))


def split_long_lines(lines: Lines, room: int) -> Lines:
    """Split each line of more than `room` tokens into segments of equal length, to within 1."""
    lengths = np.diff(lines.offsets)
    parts = -(-lengths // room)
    line = np.repeat(np.arange(len(lengths)), parts)
    number = positions(np.concatenate([[0], np.cumsum(parts)]))
    ends = lines.offsets[line] + (number + 1) * lengths[line] // parts[line]
    return Lines(lines.ids, np.concatenate([lines.offsets[:1], ends]),
                 lines.starts_document[line] & (number == 0))


# ---- sequences ----------------------------------------------------------------------------------

def line_sequences(lines: Lines, template: Template, max_length: int) -> Packed:
    """Make one sequence of each segment of each line, with the template's special tokens.

    Raises ValueError if max_length leaves no room for a token.
    """
    segments = split_long_lines(lines, tokens_per_text(template.single, max_length))
    return apply_template(segments, template.single, np.arange(len(segments.starts_document)))


def next_sentence_pairs(lines: Lines, template: Template, max_length: int, seed: int
                        ) -> tuple[Packed, np.ndarray]:
    """Make one pair for each segment of each line; in half the pairs the second one is random.

    -> pairs, next_sentence_label (P,): 0 if the second segment follows the first, 1 if random
    Raises ValueError if max_length leaves no room, or for fewer than three segments.
    """
    segments = split_long_lines(lines, tokens_per_text(template.pair, max_length))
    P = len(segments.starts_document)
    if P < 3:
        raise ValueError(f"next sentence prediction: expected at least 3 lines, got {P} "
                         "(each part of a line that was split counts)")
    rng, first = np.random.default_rng(seed), np.arange(P)
    is_random = np.append(segments.starts_document[1:], True)    # the last of a document
    others = np.flatnonzero(~is_random)
    is_random[rng.choice(others, max(0, P // 2 - (P - len(others))), replace=False)] = True
    drawn = (first + rng.integers(2, P, P)) % P              # neither this one nor the next
    second = np.where(is_random, drawn, (first + 1) % P)
    return apply_template(segments, template.pair, first, second), is_random.astype(np.int64)


def tokens_per_text(parts: Sequence[Part], max_length: int) -> int:
    """The most tokens that each text may have, so that texts and special tokens fit."""
    special, texts = sum(len(part.ids) for part in parts), sum(p.text is not None for p in parts)
    if max_length < special + texts:
        raise ValueError(f"max_length={max_length}: expected at least {special + texts}, since "
                         f"the template adds {special} special tokens")
    return (max_length - special) // texts


def apply_template(segments: Lines, parts: Sequence[Part], *chosen: np.ndarray) -> Packed:
    """Pack N sequences; text k of sequence n is segment chosen[k][n].  chosen: arrays (N,)."""
    special = [np.array(part.ids, np.int32) for part in parts if part.text is None]
    ids = np.concatenate([segments.ids, *special])
    ends = np.cumsum([len(x) for x in special], dtype=int)
    offsets = np.concatenate([segments.offsets, segments.offsets[-1] + ends])
    P, N = len(segments.starts_document), len(chosen[0])
    numbers = iter(range(P, P + len(special)))               # sequences P.. are special tokens
    columns = [np.full(N, next(numbers)) if part.text is None else chosen[part.text]
               for part in parts]
    packed = take(Packed(ids, offsets, np.zeros_like(ids)), np.stack(columns, 1).ravel())
    types = np.repeat(np.tile(np.array([part.type for part in parts], np.int32), N),
                      np.diff(packed.offsets))
    return Packed(packed.ids, packed.offsets[::len(parts)], types)
