"""Compiled reader: turn a text into word numbers, with a hash table of the words seen so far.

The plain form is index_sentences(read_sentences(source), ...) of text/vocab.py, which gives the
same result but makes a Python object of each token.  Here only the words that are kept become
Python objects.

Paper     Fowler, Noll & Vo 1991: the hash function FNV-1a
Equation  h ← (h xor byte) · p   over the bytes of a token, modulo 2⁶⁴
Shapes    ids (T,) int32, offsets (S+1,) int64, as in text/vocab.py
Cost      O(1) per token.  Memory: the vocabulary, one block, and little more than 4 bytes per
          token; with a folder the ids are on disk, so the corpus may be larger than memory.
Read next text/vocab.py (how words are numbered), text/corpus_folder.py (a corpus on disk)

The hash of a token selects a slot of the table.  If another word is in the slot, the next slots are
tried, until the word is found or an empty slot shows that it is new (open addressing).  At least
half of the slots are empty, so few are tried.  Words are numbered in the order in which they first
occur, and renumbered by frequency when all counts are known.
"""
import io
import os
import tempfile
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

import numpy as np

from scratch_embed.numerics.files import named_errors
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import require_memory
from scratch_embed.text.corpus import FILE_TYPES, MAX_SENTENCE, Source, read_blocks, read_sentences
from scratch_embed.text.corpus_folder import open_if_there, origin, save_corpus
from scratch_embed.text.vocab import Corpus, Vocab, index_sentences, rank_words, renumber
from scratch_embed.text.word_tokenizer import SPACES, WordTokenizer

u64 = np.uint64
FNV_START, FNV_PRIME = u64(0xCBF29CE484222325), u64(0x100000001B3)
SPACE, TAB, NEW_LINE, RETURN = (np.uint8(byte) for byte in b" \t\n\r")
FREE = np.int32(-1)                # an empty slot
FIRST_ROOM = 1 << 15               # words; the table doubles when it is full
BATCH = 1000                       # sentences that are renumbered at a time


# ---- the words seen so far --------------------------------------------------------------------

class WordTable(NamedTuple):
    """A hash table with room for N words.  Word i is letters[start[i]:start[i+1]]."""

    slot: np.ndarray               # (2N,) int32: the number of the word in each slot, or FREE
    hash: np.ndarray               # (N,) uint64
    counts: np.ndarray             # (N,) int64
    start: np.ndarray              # (N+1,) int64
    letters: np.ndarray            # uint8, UTF-8


class ReadState(NamedTuple):
    """How far the text has been read."""

    byte: int                      # the next byte of the block
    words: int                     # distinct words so far, in all blocks
    tokens: int                    # in this block
    ends: int                      # sentences that ended in this block
    length: int                    # tokens of the unfinished sentence


def empty_words(room: int) -> WordTable:
    """An empty table with room for `room` words, a power of two."""
    return WordTable(np.full(2 * room, FREE), np.zeros(room, u64), np.zeros(room, np.int64),
                 np.zeros(room + 1, np.int64), np.zeros(8 * room, np.uint8))


def grow(words: WordTable, known: int, longest: int) -> WordTable:
    """A larger table of the same `known` words, with room for one more of `longest` bytes."""
    slot, hash, counts, start, letters = words
    room = len(hash)
    if known == room:
        hash, counts, start = (np.concatenate([a, np.zeros(room, a.dtype)])
                              for a in (hash, counts, start))
        slot = np.full(4 * room, FREE)
        insert_words(slot, hash, known)
    if start[known] + longest > len(letters):
        letters = np.concatenate([letters, np.zeros(max(longest, len(letters)), np.uint8)])
    return WordTable(slot, hash, counts, start, letters)


@kernel
def insert_words(slot, hash, known):
    """Insert words 0..known−1 into empty slots."""
    mask = u64(len(slot) - 1)
    for i in range(known):
        at = hash[i] & mask
        while slot[at] != FREE:
            at = (at + u64(1)) & mask
        slot[at] = i


class DecodedWords:
    """The words of a WordTable as a sequence of str, decoded when they are accessed."""

    def __init__(self, words: WordTable, known: int) -> None:
        self.words, self.known = words, known

    def __len__(self) -> int:
        return self.known

    def __getitem__(self, i: int) -> str:
        return self.words.letters[self.words.start[i]:self.words.start[i + 1]].tobytes().decode()


# ---- from bytes to numbers --------------------------------------------------------------------

@kernel
def is_space(byte):
    """Whether bytes.split() would split at this byte."""
    return byte == SPACE or (byte >= TAB and byte <= RETURN)


@kernel
def hash_token(block, first):
    """Hash the token that begins at block[first].  -> hash, end of the token"""
    h, end = FNV_START, first
    while end < len(block) and not is_space(block[end]):
        h = (h ^ u64(block[end])) * FNV_PRIME
        end += 1
    return h, end


@kernel
def find(words, block, first, end, h):
    """Find the slot of the token block[first:end], with hash h; an empty slot if it is new."""
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
def read_tokens(block, words, state, ids, ends):
    """Number the tokens of `block`, starting at state.byte.  -> the state reached

    block: (B,) uint8, whole tokens.  ids, ends: at least B//2 + 1 elements; fills ids with the word
    numbers, and ends[i] with the end of sentence i in ids.  New words are added to `words`.  If the
    table has no room for a new word, the function returns before the end of the block: call it
    again with a larger table.
    """
    byte, known, tokens, ended, length = state
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
                for j in range(end - byte):              # a slice would compile more slowly
                    words.letters[letter + j] = block[byte + j]
                known += 1
            ids[tokens] = words.slot[at]
            words.counts[ids[tokens]] += 1
            tokens, length, byte = tokens + 1, length + 1, end
            line_ends = length == MAX_SENTENCE
        if line_ends and length > 0:
            ends[ended] = tokens
            ended, length = ended + 1, 0
    return ReadState(byte, known, tokens, ended, length)


def number_tokens(blocks: Iterable[bytes], ids_file: BinaryIO, ends_file: BinaryIO,
                  room: int = FIRST_ROOM) -> tuple[WordTable, int]:
    """Number the tokens of all blocks, in order of first occurrence.  -> table, number of words

    Writes the ids (int32) to one binary file and the offsets of the sentences (int64) to the other.
    room: the number of words for which the first table has room, a power of two
    """
    words, state, total = empty_words(room), ReadState(0, 0, 0, 0, 0), 0
    ends_file.write(np.zeros(1, np.int64))
    for block in blocks:
        block = np.frombuffer(block, np.uint8)
        ids, ends = (np.empty(len(block) // 2 + 1, dtype) for dtype in (np.int32, np.int64))
        state = state._replace(byte=0, tokens=0, ends=0)
        with np.errstate(over="ignore"):             # without the compiler, the hash would warn
            state = read_tokens(block, words, state, ids, ends)
            while state.byte < len(block):
                words = grow(words, state.words, len(block))
                state = read_tokens(block, words, state, ids, ends)
        ids_file.write(ids[:state.tokens])
        ends_file.write(ends[:state.ends] + total)
        total += state.tokens
    if state.length:
        ends_file.write(np.array([total]))
    return words, state.words


# ---- the whole text ----------------------------------------------------------------------------

def read_corpus(source: Source, min_count: int = 5, max_vocab_size: int | None = None,
                errors: str = "strict", folder: str | os.PathLike | None = None,
                tokenizer: WordTokenizer = SPACES) -> tuple[Vocab, Corpus]:
    """Read a text once.  -> (Vocab, Corpus), equal to those of index_sentences

    source      a path, plain or gzip; "-" for standard input; an open binary file; or an iterable
                of sentences that are lists of str
    min_count   words that occur less often are dropped
    max_vocab_size
                the vocabulary keeps at most this many words, the most frequent ones
    errors      what to do with bytes that are not UTF-8: "strict", "replace" or "ignore"
    folder      where to store a corpus that is too large for memory: see text/corpus_folder.py.
                If it already has the corpus of the same file and settings, that is opened, and the
                text is not read again.
    tokenizer   how the text of a file is split into words; by default at white space
    Raises      ValueError if the text has no words, or no word is frequent enough, or the folder
                has another corpus; FormatError as read_blocks does, or for a damaged folder or one
                with other files; MemoryError after the first block if the corpus would not fit
                into memory
    """
    if not isinstance(source, FILE_TYPES):
        if folder is not None:
            raise ValueError(f"folder={folder}: expected the text of a file, got sentences as "
                             "lists; leave the folder out, they are numbered in memory")
        return index_sentences(read_sentences(source), min_count, max_vocab_size)
    if folder is None:
        ids_file = io.BytesIO()
        blocks = _check_memory(tokenizer.separate_blocks(read_blocks(source, errors)), source)
        vocab, parts = _rank(blocks, min_count, max_vocab_size, ids_file, io.BytesIO())
        return vocab, _gather(parts, _contents(ids_file, np.int32))
    folder = os.fspath(folder)
    # max_vocab_size is called max_size here, as in the cards that version 0.1 wrote
    made_from = origin(source, f"min_count {min_count}, max_size {max_vocab_size}, errors {errors}"
                       + (f", {tokenizer}" if tokenizer.kind != "spaces" else ""))
    found = open_if_there(folder, made_from)
    if found is not None:
        return found
    os.makedirs(folder, exist_ok=True)
    with (named_errors(folder), tempfile.TemporaryFile(dir=folder) as ids_file,
          tempfile.TemporaryFile(dir=folder) as ends_file):
        blocks = tokenizer.separate_blocks(read_blocks(source, errors))
        vocab, parts = _rank(blocks, min_count, max_vocab_size, ids_file, ends_file)
        return save_corpus(folder, vocab, parts, made_from)


def _check_memory(blocks, source):
    """Yield the blocks unchanged.  MemoryError if the word numbers would not fit into memory.

    The number of words is estimated from the first block and the size of the file.  The size of a
    gzip file is the compressed size, so for gzip the estimate is usually too low.
    """
    named = isinstance(source, (str, os.PathLike)) and source != "-"
    length = os.stat(source).st_size if named else 0
    for number, block in enumerate(blocks):
        if number == 0:
            words = len(block.split()) * max(1, length / max(1, len(block)))
            require_memory(int(4 * words), f"{source}: about {words:,.0f} words as numbers "
                                           "(folder=FOLDER keeps them in files)")
        yield block


def _rank(blocks, min_count, max_vocab_size, ids_file, ends_file):
    """Number a text.  -> Vocab, an iterator over the parts of the corpus

    Preliminary word numbers, in order of first occurrence, are written to the two files.
    """
    words, known = number_tokens(blocks, ids_file, ends_file)
    vocab, number = rank_words(DecodedWords(words, known), words.counts[:known], min_count,
                               max_vocab_size)
    return vocab, _renumbered(_contents(ids_file, np.int32), _contents(ends_file, np.int64), number)


def _contents(file, dtype):
    """What was written to a file, as an array."""
    if isinstance(file, io.BytesIO):
        return np.frombuffer(file.getbuffer(), dtype)
    file.flush()
    return np.memmap(file, dtype, "r")


def _renumbered(ids, offsets, number):
    """Yield the corpus with final numbers, a Corpus of up to BATCH sentences at a time.

    The offsets of each part continue those of the part before it.
    """
    total = 0
    for first in range(0, len(offsets) - 1, BATCH):
        bounds = offsets[first:first + BATCH + 1]
        part = renumber(ids[bounds[0]:bounds[-1]], np.diff(bounds), number)
        yield Corpus(part.ids, part.offsets + total)
        total += len(part.ids)


def _gather(parts, ids):
    """Join the parts to one Corpus in memory, which overwrites the preliminary numbers `ids`.

    A part is never longer than the ids that it is made from, so only ids already read are
    overwritten.
    """
    offsets = [np.zeros(1, np.int64)]
    for part in parts:
        ids[part.offsets[0]:part.offsets[-1]] = part.ids
        offsets.append(part.offsets[1:])
    offsets = np.concatenate(offsets)
    return Corpus(ids[:offsets[-1]], offsets)
