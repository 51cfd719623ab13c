"""Corpus folder: a corpus on disk, for a text whose word numbers do not fit into memory.

    ids.i32     (T,) int32, little-endian      off.i64     (S+1,) int64, little-endian
    words.txt   one line per word: the word, a space, its count
    card.json   T, S, V, the checksums of the three files, and what the corpus was made from

The card is written last: a folder with a card is complete, and a folder without one is not a
corpus.  ids.i32 and off.i64 (the offsets) are memory-mapped: the system loads the parts that are
read, and drops them when memory is short.  Writing to such an array changes it in this process
only, never in the file.

Shapes    Corpus as in text/vocab.py
Cost      opening reads the files once, to verify their checksums: the kernels that train on the
          corpus use its ids as row indices, and a wrong id would access memory outside the table.
"""
import contextlib
import json
import mmap
import os
import sys
import zlib
from collections.abc import Iterable

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.corpus import MAX_SENTENCE, READ_SIZE, File
from scratch_embed.text.vocab import Corpus, Vocab

FORMAT = "scratch_embed corpus 1"
CARD, IDS, OFF, WORDS = "card.json", "ids.i32", "off.i64", "words.txt"
AGAIN = "delete the folder and read the text again"
MOST_TOKENS = 2**60 - 1           # so that 8 bytes for each of them fit into an int64

# Without this flag Linux reserves memory for every page that might be written to, so it refuses a
# corpus larger than memory.  Python 3.11 has no name for the flag.
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


# ---- what it was made from --------------------------------------------------------------------

def origin(source: File, settings: str) -> dict:
    """What a corpus is made from, for its card: size and modification time of the file; settings.

    source: a path; for "-" or a stream, the file is recorded as None.  settings: a description
    """
    file = None
    if isinstance(source, (str, os.PathLike)) and source != "-":
        found = os.stat(source)
        file = {"bytes": found.st_size, "changed_ns": found.st_mtime_ns}
    return {"file": file, "settings": f"{settings}, sentences of at most {MAX_SENTENCE} tokens"}


def open_if_there(folder: str | os.PathLike, made_from: dict) -> tuple[Vocab, Corpus] | None:
    """Open the corpus of a folder.  -> (Vocab, Corpus); None for an empty or missing folder

    made_from   the origin() that the corpus must have
    Raises      ValueError if the folder has another corpus; FormatError if it has an incomplete
                corpus or anything else
    """
    if not os.path.exists(folder) or not os.listdir(folder):
        return None
    recorded = read_card(folder).values["made_from"]
    if made_from["file"] is None:
        raise ValueError(f"{folder} already holds a corpus, and a stream cannot be compared with "
                         "what it was made from; choose another folder, or use open_corpus")
    for name, expected in made_from.items():
        if recorded.get(name) != expected:
            raise ValueError(f"{folder} holds another corpus: expected {name} {expected}, got "
                             f"{recorded.get(name)}; delete the folder, or choose another")
    return open_corpus(folder)


# ---- writing ----------------------------------------------------------------------------------

def save_corpus(folder: str | os.PathLike, vocab: Vocab, parts: Iterable[Corpus],
                made_from: dict) -> tuple[Vocab, Corpus]:
    """Write a corpus, given in parts, to an empty folder.  -> (Vocab, Corpus), as from open_corpus

    parts       Corpora; the offsets of each continue those of the one before
    made_from   a dict for the card: see origin()
    """
    checksums, sentences = dict.fromkeys((IDS, OFF, WORDS), 0), 0
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(atomic_write(os.path.join(folder, name)))
                 for name in checksums}

        def write(name, data):
            files[name].write(data)
            checksums[name] = zlib.crc32(data, checksums[name])
        write(OFF, np.zeros(1, "<i8"))
        for part in parts:
            write(IDS, part.ids.astype("<i4"))
            write(OFF, part.offsets[1:].astype("<i8"))
            sentences += len(part.offsets) - 1
        for word, count in zip(vocab.words, vocab.counts):
            write(WORDS, f"{word} {count}\n".encode())
    card = {"format": FORMAT, "tokens": int(vocab.counts.sum()), "sentences": sentences,
            "words": len(vocab), "made_from": made_from, **checksums}
    with atomic_write(os.path.join(folder, CARD)) as file:
        file.write(json.dumps(card, indent=1).encode())
    return vocab, mapped_corpus(folder)


# ---- reading ----------------------------------------------------------------------------------

def open_corpus(folder: str | os.PathLike) -> tuple[Vocab, Corpus]:
    """Open a folder that read_corpus has written.  -> (Vocab, Corpus), memory-mapped

    Raises FormatError if a file is missing, has the wrong length, or has changed since.
    """
    card = read_card(folder).values
    lengths = {IDS: 4 * card["tokens"], OFF: 8 * (card["sentences"] + 1), WORDS: None}
    for name, expected in lengths.items():
        length, checksum = length_and_checksum(os.path.join(folder, name))
        if expected is not None and length != expected:
            raise FormatError(folder, name, f"expected {expected} bytes, found {length}; {AGAIN}")
        if checksum != card[name]:
            raise FormatError(folder, name, "its content has changed since it was written (the "
                              f"checksum differs); {AGAIN}")
    vocab, corpus = read_words(folder, card["words"]), mapped_corpus(folder)
    ids, offsets = corpus
    if not (0 <= ids.min(initial=0) and ids.max(initial=-1) < len(vocab) and offsets[0] == 0
            and (np.diff(offsets) >= 0).all() and offsets[-1] == len(ids)):
        raise FormatError(folder, f"{IDS}, {OFF}", f"expected numbers of {len(vocab)} words, and "
                          f"offsets that rise from 0 to {len(ids)}, found others; {AGAIN}")
    return vocab, corpus


def read_words(folder: str | os.PathLike, V: int) -> Vocab:
    """Read the V words of a folder and their counts.  FormatError for any other number of lines."""
    with open(os.path.join(folder, WORDS), "rb") as file:
        lines = file.read().split(b"\n")
    try:
        rows = [line.decode().rsplit(" ", 1) for line in lines[:-1]]
        vocab = Vocab([word for word, _ in rows], [int(count) for _, count in rows])
    except (ValueError, OverflowError) as error:
        raise FormatError(folder, WORDS, "expected lines of a word, a space and its count, found "
                                         f"another ({error}); {AGAIN}") from None
    if len(vocab) != V:
        raise FormatError(folder, WORDS, f"expected {V} words, found {len(vocab)}; {AGAIN}")
    return vocab


def read_card(folder: str | os.PathLike) -> Fields:
    """Read a folder's card.  FormatError if it is missing or not the card of a corpus."""
    path = os.path.join(folder, CARD)
    if not os.path.exists(path):
        raise FormatError(folder, CARD, "missing, so this is not a complete corpus; delete the "
                          "folder, or choose another")
    card = Fields.read(path)
    card.one_of("format", [FORMAT])
    for name in "tokens", "sentences", "words":
        card.whole(name, 0, most=MOST_TOKENS)
    for name in IDS, OFF, WORDS:
        card.whole(name, 0, most=2**32 - 1)                 # a CRC-32
    card.object("made_from")
    return card


def length_and_checksum(path: str | os.PathLike) -> tuple[int, int]:
    """(length, CRC-32) of a file; (0, 0) if it does not exist."""
    length, checksum = 0, 0
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        while block := file.read(READ_SIZE):
            length, checksum = length + len(block), zlib.crc32(block, checksum)
    return length, checksum


def mapped_corpus(folder: str | os.PathLike) -> Corpus:
    """The Corpus of a folder, memory-mapped; its checksums are not verified."""
    return Corpus(_mapped(os.path.join(folder, IDS), "<i4"),
                  _mapped(os.path.join(folder, OFF), "<i8"))


def _mapped(path, dtype):
    """A file as an array.  Writing to the array does not change the file."""
    with open(path, "rb") as file:
        copy_on_write = ({"access": mmap.ACCESS_COPY} if os.name == "nt" else
                         {"flags": mmap.MAP_PRIVATE | NO_RESERVE})
        return np.frombuffer(mmap.mmap(file.fileno(), 0, **copy_on_write), dtype)
