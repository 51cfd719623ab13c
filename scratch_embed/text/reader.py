"""Text to numbers, compiled: every token is looked up in a hash table of the words seen so far.

The plain form is index_sentences(read_sentences(source), ...) of text/vocab.py: it has the same
result, to the last number, and takes many times as long.  Here no Python object is made for a
token, only one for each word that is kept.

Paper     Fowler, Noll & Vo 1991: the hash FNV-1a.
Equation  h ← (h xor byte) · p   over the bytes of a token, modulo 2⁶⁴
Shapes    ids (T,) int32, offsets (S+1,) int64, as in text/vocab.py
Cost      O(1) a token.  Memory: the vocabulary, one block, and 4 bytes a token; with a folder
          these are on the disk, and the corpus may be larger than memory.
Read next text/vocab.py (how words are ranked), text/corpus_folder.py (a corpus on the disk).

A token's hash names a slot of the table.  If the slot holds another word the next one is tried,
until the word is found or a free slot shows that it is new (open addressing; half of the slots are
free, so that is soon).  Words are numbered as they are first seen, and renumbered by frequency when
the counts are known.
"""
import io
import os
import tempfile
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import require_memory
from scratch_embed.text.corpus import FILE_TYPES, MAX_SENTENCE, Source, read_blocks, read_sentences
from scratch_embed.text.corpus_folder import open_if_there, origin, save_corpus
from scratch_embed.text.vocab import Corpus, Vocab, index_sentences, rank_words, renumber

u64 = np.uint64
FNV_START, FNV_PRIME = u64(0xCBF29CE484222325), u64(0x100000001B3)
SPACE, TAB, NEW_LINE, RETURN = (np.uint8(byte) for byte in b" \t\n\r")
FREE = np.int32(-1)                # a slot without a word
FIRST_ROOM = 1 << 15               # words; the table grows by doubling
BATCH = 1000                       # sentences that are renumbered at a time


# ---- the words seen so far --------------------------------------------------------------------

class Words(NamedTuple):
    """Word i is letters[start[i]:start[i+1]].  There is room for N words and some letters."""

    slot: np.ndarray               # (2N,) int32: the number of the word whose hash led here
    hash: np.ndarray               # (N,) uint64
    counts: np.ndarray             # (N,) int64
    start: np.ndarray              # (N+1,) int64
    letters: np.ndarray            # uint8, UTF-8


class Place(NamedTuple):
    """How far the reading has come."""

    byte: int                      # of the block: the next to be read
    words: int                     # different ones, in all blocks
    tokens: int                    # in this block
    ends: int                      # sentences that ended in this block
    length: int                    # tokens of the sentence that has not ended yet


def no_words(room: int) -> Words:
    """An empty table with room for `room` words, a power of two."""
    return Words(np.full(2 * room, FREE), np.zeros(room, u64), np.zeros(room, np.int64),
                 np.zeros(room + 1, np.int64), np.zeros(8 * room, np.uint8))


def with_more_room(words: Words, known: int, longest: int) -> Words:
    """The same `known` words in a table that has room for one more, of up to `longest` bytes."""
    slot, hash, counts, start, letters = words
    room = len(hash)
    if known == room:
        hash, counts, start = (np.concatenate([a, np.zeros(room, a.dtype)])
                              for a in (hash, counts, start))
        slot = np.full(4 * room, FREE)
        place_words(slot, hash, known)
    if start[known] + longest > len(letters):
        letters = np.concatenate([letters, np.zeros(max(longest, len(letters)), np.uint8)])
    return Words(slot, hash, counts, start, letters)


@kernel
def place_words(slot, hash, known):
    """Enter words 0..known−1 in an empty table of slots."""
    mask = u64(len(slot) - 1)
    for i in range(known):
        at = hash[i] & mask
        while slot[at] != FREE:
            at = (at + u64(1)) & mask
        slot[at] = i


class Spelling:
    """The words as a sequence of str, in order of first sight, each decoded when asked for."""

    def __init__(self, words: Words, known: int) -> None:
        self.words, self.known = words, known

    def __len__(self) -> int:
        return self.known

    def __getitem__(self, i: int) -> str:
        return self.words.letters[self.words.start[i]:self.words.start[i + 1]].tobytes().decode()


# ---- from bytes to numbers --------------------------------------------------------------------

@kernel
def is_space(byte):
    """Whether bytes.split() would cut here."""
    return byte == SPACE or (byte >= TAB and byte <= RETURN)


@kernel
def hash_token(block, first):
    """(hash, end) of the token block[first:end]."""
    h, end = FNV_START, first
    while end < len(block) and not is_space(block[end]):
        h = (h ^ u64(block[end])) * FNV_PRIME
        end += 1
    return h, end


@kernel
def find(words, block, first, end, h):
    """The slot of the token block[first:end], whose hash is h; a free slot if it is new."""
    mask = u64(len(words.slot) - 1)
    at = h & mask
    while words.slot[at] != FREE:
        word = words.slot[at]
        if words.hash[word] == h:
            start = words.start[word]
            same = words.start[word + 1] - start == end - first
            j = 0
            while same and j < end - first:
                same = words.letters[start + j] == block[first + j]
                j += 1
            if same:
                return at
        at = (at + u64(1)) & mask
    return at


@kernel
def read_tokens(block, words, place, ids, ends):
    """Number the tokens of `block` from place.byte on; return the place that was reached.

    block: (B,) uint8 of whole tokens; ids and ends have room for B//2 + 1.  Writes the numbers to
    ids and to ends[i] where in ids sentence i ends; adds to `words`.  Returns before the block's
    end where a new word finds no room; call again with more.
    """
    byte, known, tokens, ended, length = place
    while byte < len(block):
        if is_space(block[byte]):
            line_ends, byte = block[byte] == NEW_LINE, byte + 1
        else:
            h, end = hash_token(block, byte)
            at = find(words, block, byte, end, h)
            if words.slot[at] == FREE:
                letter = words.start[known]
                if known == len(words.hash) or letter + end - byte > len(words.letters):
                    break
                words.slot[at], words.hash[known] = known, h
                words.start[known + 1] = letter + end - byte
                for j in range(end - byte):              # a slice would compile 3 s longer
                    words.letters[letter + j] = block[byte + j]
                known += 1
            ids[tokens] = words.slot[at]
            words.counts[ids[tokens]] += 1
            tokens, length, byte = tokens + 1, length + 1, end
            line_ends = length == MAX_SENTENCE
        if line_ends and length > 0:
            ends[ended] = tokens
            ended, length = ended + 1, 0
    return Place(byte, known, tokens, ended, length)


def number_tokens(blocks: Iterable[bytes], ids_file: BinaryIO, ends_file: BinaryIO,
                  room: int = FIRST_ROOM) -> tuple[Words, int]:
    """Number the tokens of all blocks in order of first sight.  Return (Words, how many).

    Writes int32 ids to one binary file; to the other int64: before the first token of each
    sentence, and after the last of all, how many tokens there are.  room: for how many words the
    table is made at first, a power of two
    """
    words, place, total = no_words(room), Place(0, 0, 0, 0, 0), 0
    ends_file.write(np.zeros(1, np.int64))
    for block in blocks:
        block = np.frombuffer(block, np.uint8)
        ids, ends = (np.empty(len(block) // 2 + 1, dtype) for dtype in (np.int32, np.int64))
        place = place._replace(byte=0, tokens=0, ends=0)
        with np.errstate(over="ignore"):             # without the compiler, the hash would warn
            place = read_tokens(block, words, place, ids, ends)
            while place.byte < len(block):
                words = with_more_room(words, place.words, len(block))
                place = read_tokens(block, words, place, ids, ends)
        ids_file.write(ids[:place.tokens])
        ends_file.write(ends[:place.ends] + total)
        total += place.tokens
    if place.length:
        ends_file.write(np.array([total]))
    return words, place.words


# ---- the whole way ----------------------------------------------------------------------------

def read_corpus(source: Source, min_count: int = 5, max_size: int | None = None,
                errors: str = "strict", folder: str | os.PathLike | None = None
                ) -> tuple[Vocab, Corpus]:
    """Read a text once.  Return (Vocab, Corpus), equal to those of index_sentences.

    source      a path, plain or gzip; "-" for standard input; an open binary file; or an iterable
                of sentences that are lists of str
    min_count   words seen less often are left out
    max_size    the vocabulary keeps at most this many words, the most frequent
    errors      "strict", or what to do with bytes that are not UTF-8: "replace", "ignore"
    folder      where to keep the corpus, if it is too large for memory: see text/corpus_folder.py.
                A corpus that stands there already is taken as it is, if it was made from the same
                file by the same settings; then nothing is read again.
    Raises      ValueError when the text has no words, or none that are frequent enough, or the
                folder holds anything else; FormatError as read_blocks does, or for a broken folder;
                MemoryError after the first block of a text that memory cannot hold.
    """
    if not isinstance(source, FILE_TYPES):
        if folder is not None:
            raise ValueError(f"folder={folder}: a folder is for the text of a file; sentences that "
                             "are lists already are numbered in memory")
        return index_sentences(read_sentences(source), min_count, max_size)
    if folder is None:
        ids_file = io.BytesIO()
        blocks = _fit_for_memory(read_blocks(source, errors), source)
        vocab, pieces = _rank(blocks, min_count, max_size, ids_file, io.BytesIO())
        return vocab, _gather(pieces, _contents(ids_file, np.int32))
    folder = os.fspath(folder)
    made_from = origin(source, f"min_count {min_count}, max_size {max_size}, errors {errors}")
    found = open_if_there(folder, made_from)
    if found is not None:
        return found
    os.makedirs(folder, exist_ok=True)
    with (tempfile.TemporaryFile(dir=folder) as ids_file,
          tempfile.TemporaryFile(dir=folder) as ends_file):
        vocab, pieces = _rank(read_blocks(source, errors), min_count, max_size, ids_file, ends_file)
        return save_corpus(folder, vocab, pieces, made_from)


def _fit_for_memory(blocks, source):
    """The blocks as they are; MemoryError if a file of this size, all like its first, is too large.

    A gzip file is held to be as long as it is packed, and so has too few words here, not too many.
    """
    named = isinstance(source, (str, os.PathLike)) and source != "-"
    length = os.stat(source).st_size if named else 0
    for number, block in enumerate(blocks):
        if number == 0:
            words = len(block.split()) * max(1, length / max(1, len(block)))
            require_memory(int(4 * words), f"{source}: about {words:,.0f} words as numbers (a "
                                           "folder, --on-disk, keeps them on the disk)")
        yield block


def _rank(blocks, min_count, max_size, ids_file, ends_file):
    """(Vocab, the corpus in pieces); the two files are for the first numbers."""
    words, known = number_tokens(blocks, ids_file, ends_file)
    vocab, number = rank_words(Spelling(words, known), words.counts[:known], min_count, max_size)
    return vocab, _pieces(_contents(ids_file, np.int32), _contents(ends_file, np.int64), number)


def _contents(file, dtype):
    """What was written to a file, as an array."""
    if isinstance(file, io.BytesIO):
        return np.frombuffer(file.getbuffer(), dtype)
    file.flush()
    return np.memmap(file, dtype, "r")


def _pieces(ids, offsets, number):
    """The corpus in new numbers, a batch of sentences at a time; `offsets` counts on."""
    total = 0
    for first in range(0, len(offsets) - 1, BATCH):
        bounds = offsets[first:first + BATCH + 1]
        piece = renumber(ids[bounds[0]:bounds[-1]], np.diff(bounds), number)
        yield Corpus(piece.ids, piece.offsets + total)
        total += len(piece.ids)


def _gather(pieces, ids):
    """The pieces as one Corpus in memory, in place of the first numbers `ids` they are made from.

    A piece is never longer than what it was made from, so it overwrites only what has been read.
    """
    offsets = [np.zeros(1, np.int64)]
    for piece in pieces:
        ids[piece.offsets[0]:piece.offsets[-1]] = piece.ids
        offsets.append(piece.offsets[1:])
    offsets = np.concatenate(offsets)
    return Corpus(ids[:offsets[-1]], offsets)
