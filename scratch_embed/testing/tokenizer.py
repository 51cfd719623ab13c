"""check_tokenizer: does a tokenizer turn every text, in any script, into valid ids, and back?

Equation  encode(text) -> ids, each in 0 .. vocab_size − 1;  decode(ids) -> text
Shapes    encode(text) -> a list or array of T ids, including special tokens such as [CLS]
Bounds    exact, because ids are integers
Read next text/wordpiece.py

A byte-level tokenizer restores every text, character for character.  WordPiece does not: it
lower-cases, and [UNK] replaces words without pieces, so leave out "lossless" for it.  But a text
that WordPiece has decoded must not change when it is encoded and decoded once more ("settled").
"""
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from scratch_embed.testing.invariants import Invariant, equal, named, require, run
from scratch_embed.testing.strategies import texts


class Tokenizer(NamedTuple):
    """The subject of the check; None for a function that the tokenizer does not have."""

    encode: Callable[[str], Iterable[int]]
    decode: Callable[[list[int]], str]
    vocab_size: int
    encode_batch: Callable[[list[str]], Iterable[Iterable[int]]] | None
    encode_cut: Callable[[str, int], Iterable[int]] | None
    offsets: Callable[[str], Iterable[tuple[int, int]]] | None

    def ids(self, text: str) -> list[int]:
        """encode(text) as a list of int."""
        return [int(i) for i in self.encode(text)]


def check_tokenizer(encode: Callable[[str], Any], decode: Callable[[list[int]], str],
                    vocab_size: int, *,
                    encode_batch: Callable[[list[str]], Any] | None = None,
                    encode_cut: Callable[[str, int], Any] | None = None,
                    offsets: Callable[[str], Any] | None = None, without: Collection[str] = (),
                    max_examples: int | None = None, seed: int | None = 0) -> None:
    """Raise AssertionError unless a tokenizer satisfies TOKENIZER's invariants.

    encode(text) -> T ids                  decode(ids) -> text
    vocab_size: the number of ids, which is the number of rows of the embedding table
    encode_batch(texts) -> a list of ids for each text
    encode_cut(text, max_length) -> at most max_length ids
    offsets(text) -> (begin, end) of each id in the text, in characters
    Invariants of functions that are not given are left out.  For a tokenizer that lower-cases or
    has unknown tokens, pass without=("lossless",).
    without: invariants to leave out; max_examples, seed: see scratch_embed/testing/README.md.

    >>> check_tokenizer(lambda text: text.encode(), lambda ids: bytes(ids).decode(), vocab_size=256)
    >>> check_tokenizer(lambda text: [ord(c) for c in text],
    ...                 lambda ids: "".join(map(chr, ids)), vocab_size=256)
    Traceback (most recent call last):
    AssertionError: check_tokenizer: the invariant 'ids_in_range' is broken: ...
    """
    without = [without] if isinstance(without, str) else list(without)
    absent = {"batch": encode_batch, "cut": encode_cut, "offsets_in_text": offsets}
    run("check_tokenizer", TOKENIZER,
        Tokenizer(encode, decode, vocab_size, encode_batch, encode_cut, offsets),
        without + [name for name, given in absent.items() if given is None], max_examples, seed)


# ---- the invariants -----------------------------------------------------------------------------

def ids_in_range(subject, text):
    """Every text has ids, and they lie in 0 .. vocab_size − 1.

    Bound: exact.  An unknown character has the id of [UNK], or no id; it does not raise an error.
    """
    found = subject.ids(text)
    require(all(0 <= i < subject.vocab_size for i in found), f"encode({text!r}) = {found}",
            f"ids in 0..{subject.vocab_size - 1}")


def deterministic(subject, text):
    """The same text has the same ids, independent of what was encoded before.

    Bound: exact.  A cache that is filled wrongly, or sampled subwords, break it.
    """
    first = subject.ids(text)
    subject.ids(text + " " + text)
    equal(f"encode({text!r}), called again", subject.ids(text), first)


def empty_text(subject, text):
    """The empty text has only the tokens that surround every text, such as [CLS].

    Bound: exact.
    """
    special = subject.ids(text)
    equal(f"decode({special})", subject.decode(special).strip(), "")


def settled(subject, text):
    """A decoded text does not change when it is encoded and decoded once more.

    Bound: exact.
    """
    once = subject.decode(subject.ids(text))
    equal(f"decode(encode({once!r}))", subject.decode(subject.ids(once)), once)


def lossless(subject, text):
    """decode(encode(text)) = text, character for character.

    Bound: exact.  For byte-level tokenizers, not for WordPiece.
    """
    equal(f"decode(encode({text!r}))", subject.decode(subject.ids(text)), text)


def batch(subject, batch_of_texts):
    """Each text has the same ids in a batch as alone, without padding.

    Bound: exact.
    """
    found = [[int(i) for i in ids] for ids in subject.encode_batch(list(batch_of_texts))]
    equal("encode_batch(texts)", found, [subject.ids(text) for text in batch_of_texts])


def cut(subject, text, max_content):
    """A text of more than max_length ids is cut to max_length: its first ids, then closing tokens.

    Bound: exact.  max_length counts the tokens around the text.
    """
    whole, special = subject.ids(text), subject.ids("")
    max_length = len(special) + max_content            # the content is all but the special ids
    found = [int(i) for i in subject.encode_cut(text, max_length)]
    closing = next(n for n in range(len(special), -1, -1)            # the number of closing tokens
               if special[len(special) - n:] == whole[len(whole) - n:])
    allowed = _allowed_cuts(whole, min(max_length, len(whole)), closing)
    require(found in allowed, f"encode_cut({text!r}, {max_length}) = {found}", f"{allowed[0]}")


def offsets_in_text(subject, text):
    """Each id has offsets 0 ≤ begin ≤ end ≤ len(text), and these ascend.

    Bound: exact.  Empty offsets, begin = end, may be in any order: special tokens have (0, 0).
    """
    spans = [(int(begin), int(end)) for begin, end in subject.offsets(text)]
    equal("number of offsets", len(spans), len(subject.ids(text)))
    filled = [span for span in spans if span[0] != span[1]]
    require(all(0 <= begin <= end <= len(text) for begin, end in spans)
            and filled == sorted(filled), f"offsets({text!r}) = {spans}",
            f"ascending offsets within 0..{len(text)}")


def _allowed_cuts(whole: Sequence[int], length: int, closing: int) -> list[list[int]]:
    """The first length − n ids of `whole`, then its last n, for n = closing .. 0."""
    return [[*whole[:length - n], *whole[len(whole) - n:]]
            for n in range(min(closing, length), -1, -1)]


_text = st.tuples(texts())
TOKENIZER = named(
    Invariant(ids_in_range, _text),
    Invariant(deterministic, _text),
    Invariant(empty_text, st.tuples(st.just(""))),
    Invariant(settled, _text),
    Invariant(lossless, _text),
    Invariant(batch, st.tuples(st.lists(texts(10), max_size=5))),
    Invariant(cut, st.tuples(texts(), st.integers(0, 8))),
    Invariant(offsets_in_text, _text))
