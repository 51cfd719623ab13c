"""A corpus on the disk, for a text whose numbers are more than memory holds.

    ids.i32     (T,) int32, little-endian      off.i64     (S+1,) int64, little-endian
    words.txt   a line for each word: the word, a space, its count
    card.json   T, S, V, the checksums of the three, and what the corpus was made from

The card is written last: a folder with a card is whole, one without is not a corpus.  Opened,
ids and off are mapped: the system reads the parts that are looked at and forgets them again when
memory is short.  An array that is written to changes in this process alone, never in the file.

Shapes    Corpus as in text/vocab.py
Cost      opening reads the files once, for their checksums: a wrong id would be a wrong address
          in the kernels that train on it.
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
from scratch_embed.text.corpus import MAX_SENTENCE, PIECE, File
from scratch_embed.text.vocab import Corpus, Vocab

FORMAT = "scratch_embed corpus 1"
CARD, IDS, OFF, WORDS = "card.json", "ids.i32", "off.i64", "words.txt"
AGAIN = "delete the folder and read the text again"
ON_CARD = {"format", "tokens", "sentences", "words", "made_from", IDS, OFF, WORDS}

# Linux sets memory aside for every page that might be written to, unless told not to; it would
# refuse a corpus larger than memory.  Python names the flag from 3.12 on.
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


# ---- what it was made from --------------------------------------------------------------------

def origin(source: File, settings: str) -> dict:
    """What a corpus is made from, for its card: the file's size and time of change; the settings.

    source: a path, or "-" or a stream, of which nothing is known before it is read; settings: str.
    """
    file = None
    if isinstance(source, (str, os.PathLike)) and source != "-":
        found = os.stat(source)
        file = {"bytes": found.st_size, "changed_ns": found.st_mtime_ns}
    return {"file": file, "settings": f"{settings}, sentences of at most {MAX_SENTENCE} tokens"}


def open_if_there(folder: str | os.PathLike, made_from: dict) -> tuple[Vocab, Corpus] | None:
    """(Vocab, Corpus) of the folder, or None if it is empty or there is none.

    made_from   the origin() of the text that is meant
    Raises      ValueError if the folder holds another corpus; FormatError if it holds anything
                else, or half a corpus.
    """
    if not os.path.exists(folder) or not os.listdir(folder):
        return None
    there = read_card(folder)["made_from"]
    if made_from["file"] is None:
        raise ValueError(f"{folder} holds a corpus already, and a stream cannot be compared with "
                         "what that was made from; name another folder, or use open_corpus")
    for name, meant in made_from.items():
        if there.get(name) != meant:
            raise ValueError(f"{folder} holds another corpus: it was made from the {name} "
                             f"{there.get(name)}, not {meant}; delete it, or name another folder")
    return open_corpus(folder)


# ---- writing ----------------------------------------------------------------------------------

def save_corpus(folder: str | os.PathLike, vocab: Vocab, pieces: Iterable[Corpus],
                made_from: dict) -> tuple[Vocab, Corpus]:
    """Write a corpus that comes in pieces to an empty folder; return it as open_corpus does.

    pieces      Corpus after Corpus, whose `offsets` counts on from one to the next
    made_from   a dict for the card: see origin()
    """
    checksums, sentences = dict.fromkeys((IDS, OFF, WORDS), 0), 0
    with contextlib.ExitStack() as closing:
        files = {name: closing.enter_context(atomic_write(os.path.join(folder, name)))
                 for name in checksums}

        def write(name, data):
            files[name].write(data)
            checksums[name] = zlib.crc32(data, checksums[name])
        write(OFF, np.zeros(1, "<i8"))
        for piece in pieces:
            write(IDS, piece.ids.astype("<i4"))
            write(OFF, piece.offsets[1:].astype("<i8"))
            sentences += len(piece.offsets) - 1
        for word, count in zip(vocab.words, vocab.counts):
            write(WORDS, f"{word} {count}\n".encode())
    card = {"format": FORMAT, "tokens": int(vocab.counts.sum()), "sentences": sentences,
            "words": len(vocab), "made_from": made_from, **checksums}
    with atomic_write(os.path.join(folder, CARD)) as file:
        file.write(json.dumps(card, indent=1).encode())
    return vocab, mapped_corpus(folder)


# ---- reading ----------------------------------------------------------------------------------

def open_corpus(folder: str | os.PathLike) -> tuple[Vocab, Corpus]:
    """(Vocab, Corpus) of a folder that read_corpus has written; ids and off are mapped.

    Raises FormatError if a file is missing, of another length, or not what was written.
    """
    card = read_card(folder)
    lengths = {IDS: 4 * card["tokens"], OFF: 8 * (card["sentences"] + 1), WORDS: None}
    for name, meant in lengths.items():
        length, checksum = measure(os.path.join(folder, name))
        if meant is not None and length != meant:
            raise FormatError(folder, name, f"{length} bytes where {meant} are meant; {AGAIN}")
        if checksum != card[name]:
            raise FormatError(folder, name, "its bytes are not those that were written (the "
                              f"checksum differs); {AGAIN}")
    with open(os.path.join(folder, WORDS), "rb") as file:
        rows = [line.rsplit(b" ", 1) for line in file.read().split(b"\n")[:-1]]
    vocab = Vocab([word.decode() for word, _ in rows], [int(count) for _, count in rows])
    return vocab, mapped_corpus(folder)


def read_card(folder: str | os.PathLike) -> dict:
    """The folder's card, a dict.  FormatError if there is none, or it is not one of ours."""
    try:
        with open(os.path.join(folder, CARD), "rb") as file:
            card = json.load(file)
    except FileNotFoundError:
        raise FormatError(folder, CARD, "missing, so this is half a corpus or none; delete the "
                          "folder, or name another") from None
    except ValueError:
        card = None
    if not isinstance(card, dict) or card.get("format") != FORMAT or not ON_CARD <= card.keys():
        raise FormatError(folder, CARD, f"not the card of a {FORMAT!r}; name another folder")
    return card


def measure(path: str | os.PathLike) -> tuple[int, int]:
    """(length, CRC-32) of a file; of no file, (0, 0)."""
    length, checksum = 0, 0
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        while piece := file.read(PIECE):
            length, checksum = length + len(piece), zlib.crc32(piece, checksum)
    return length, checksum


def mapped_corpus(folder: str | os.PathLike) -> Corpus:
    """The Corpus of a folder, mapped and not checked."""
    return Corpus(_mapped(os.path.join(folder, IDS), "<i4"),
                  _mapped(os.path.join(folder, OFF), "<i8"))


def _mapped(path, dtype):
    """A file as an array that may be written to, which changes no file."""
    with open(path, "rb") as file:
        copy_on_write = ({"access": mmap.ACCESS_COPY} if os.name == "nt" else
                         {"flags": mmap.MAP_PRIVATE | NO_RESERVE})
        return np.frombuffer(mmap.mmap(file.fileno(), 0, **copy_on_write), dtype)
