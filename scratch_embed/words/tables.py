"""A table of words and vectors in a file: how words become str and bytes, and what is checked.

Words are UTF-8.  Published files also hold words that are not, most of them cut inside a character.
One rule for every file of vectors and every fastText model, the argument `errors`:

    "surrogateescape"   the bytes are kept (the default): each wrong byte b is the character
                        U+DC00 + b in the str, as in Python's file names and command lines, and is
                        written as the same byte again
    "replace"           wrong bytes become U+FFFD
    "ignore"            wrong bytes are dropped
    "strict"            FormatError with the place

A warning states the number of such words.  Words that become equal to an earlier word are dropped
with their rows, also with a warning.

Read next words/vector_files.py, words/vector_tensors.py, words/fasttext_files.py (the files)
"""
import contextlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from scratch_embed.numerics.errors import FormatError

KEEP = "surrogateescape"
ERRORS = {KEEP: "their bytes are kept", "replace": "their wrong bytes are replaced by U+FFFD",
          "ignore": "their wrong bytes are dropped", "strict": ""}


# ---- reading ------------------------------------------------------------------------------------

class WordReader:
    """Decodes the words of a file, and counts those that are not UTF-8.

    >>> reader = WordReader("w.vec", errors="replace")
    >>> reader.decode("line 2", b"caf\\xe9")
    'caf\\ufffd'
    >>> reader.wrong
    1
    """

    def __init__(self, path: str | os.PathLike, errors: str = KEEP) -> None:
        if errors not in ERRORS:
            raise ValueError(f"errors={errors!r}: expected one of {', '.join(map(repr, ERRORS))}")
        self.path, self.errors = path, errors
        self.read = self.wrong = 0

    def decode(self, where: str, word: bytes) -> str:
        """The word as a str.  FormatError at `where` if it is not UTF-8 and errors="strict"."""
        self.read += 1
        try:
            return word.decode()
        except UnicodeDecodeError as error:
            if self.errors == "strict":
                raise FormatError(self.path, where, f"expected a word in UTF-8, found {word[:40]!r}"
                                  f" ({error.reason} at its byte {error.start}); "
                                  f'errors="{KEEP}" keeps its bytes') from None
        self.wrong += 1
        return word.decode("utf-8", self.errors)

    def not_empty(self, where: str, word: bytes, empty: str = "none before the first space"
                  ) -> str:
        """decode(), but FormatError for an empty word; the message says `empty`."""
        text = self.decode(where, word)
        if not text:
            found = empty if not word else f'none but {word[:40]!r}, which errors="ignore" drops'
            raise FormatError(self.path, where, f"expected a word, found {found}")
        return text

    def warn(self) -> None:
        """Warn of the words that were not UTF-8, if there were any."""
        if self.wrong:
            warnings.warn(f"{self.path}: {self.wrong} of {self.read} words are not UTF-8; "
                          f"{ERRORS[self.errors]}", stacklevel=3)


def finite_table(path: str | os.PathLike, place: str, words: list[str], vectors: np.ndarray
                 ) -> np.ndarray:
    """The vectors of a table that was read, in float32.  words: V, vectors: (V, D) -> (V, D)

    place: of the table in the file, for messages.  Raises FormatError for numbers that are not
    finite in float32.
    """
    with np.errstate(over="ignore"):                   # beyond float32 it is inf, an error below
        vectors = vectors.astype(np.float32, copy=False)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = int(finite.argmin())
        raise FormatError(path, f"{place}, row {row + 1} ({words[row]!r})", "expected finite "
                          "float32 numbers, found nan, inf or one beyond 3.4e38")
    return vectors


def keep_first(path: str | os.PathLike, words: list[str], vectors: np.ndarray
               ) -> tuple[list[str], np.ndarray]:
    """Drop rows that repeat an earlier word, with a warning.  -> words, vectors (V, D)"""
    rows = {}
    for row, word in enumerate(words):
        rows.setdefault(word, row)
    if len(rows) < len(words):
        warnings.warn(f"{path}: {len(words) - len(rows)} of {len(words)} rows repeat an earlier "
                      "word and are dropped", stacklevel=3)
        words, vectors = list(rows), vectors[list(rows.values())]
    return words, vectors


def as_text(word: str) -> str:
    """The word with U+FFFD in place of its bytes that are not UTF-8, for a picture.

    >>> as_text(b"caf\\xe9".decode("utf-8", KEEP))
    'caf\ufffd'
    """
    return word.encode("utf-8", KEEP).decode("utf-8", "replace")


# ---- writing ------------------------------------------------------------------------------------

def check_table(words: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Check a table.  -> vectors, (V, D) float32

    Raises ValueError unless there is a finite vector for each word, and the words are different.
    """
    with np.errstate(over="ignore"):
        vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(words) or vectors.size == 0:
        raise ValueError(f"vectors: expected one for each of {len(words)} words, at least one, got "
                         f"shape {vectors.shape}")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ValueError(f"vectors: expected finite float32 numbers, got nan or inf for "
                         f"{words[int(finite.argmin())]!r}")
    if len(set(words)) < len(words):
        word, times = Counter(words).most_common(1)[0]
        raise ValueError(f"words: expected different words, got {word!r} {times} times")
    return vectors


def refuse_spaces(parts: Sequence[str], word: str | None = None) -> None:
    """ValueError for a part that is empty, contains ASCII white space or has no bytes.

    word: the word that the parts belong to, for the message; None: each part is a word
    """
    for part in parts:
        if not part or re.search(r"[ \t\n\v\f\r]", part):
            raise ValueError(f"cannot write the word {part if word is None else word!r}: white "
                             "space separates the fields of this format, and none may be empty")
        word_bytes(part)


def word_bytes(word: str) -> bytes:
    """The bytes of a word, those kept by "surrogateescape" unchanged.

    Raises ValueError for any other lone surrogate, and for bytes that would be read as UTF-8.
    """
    try:
        return word.encode()
    except UnicodeEncodeError:
        pass
    with contextlib.suppress(UnicodeEncodeError):
        data = word.encode("utf-8", KEEP)
        if data.decode("utf-8", KEEP) == word:
            return data
    raise ValueError(f"cannot write the word {word!r}: it has no UTF-8 form")
