"""Subwords: the character n-grams of a word, and the rows of a table that they share by hashing.

Paper     Bojanowski, Grave, Joulin & Mikolov 2017, "Enriching Word Vectors with Subword
          Information", section 3.2
Equation  rows(w) = the number of w, and V + (hash(g) mod buckets) for each n-gram g of "<w>", with
          min_n ≤ n ≤ max_n
Shapes    rows (R,) int32, offsets (V+1,) int64: word w's rows are rows[offsets[w]:offsets[w+1]],
          its own first
Cost      O(letters · max_n) per word, once
Differs   from the paper, like fastText: the end of a line, "</s>", has no n-grams; "<" and ">"
          alone are not n-grams; an n-gram that occurs twice, as "ana" in "banana", counts twice
          (the paper has a set); a word has its own row in addition to its n-grams, even if
          "<w>" is one of them; the hash is FNV-1a, but each byte is XORed as a SIGNED char: bytes
          ≥ 128 also flip the upper 24 bits.  All published models use this hash.
Read next words/fasttext.py (how the rows are learned)

The brackets mark the beginning and end of a word: "where" is "<where>", with the 3-grams <wh whe
her ere re>, so the n-gram "her" differs from the word "<her>".  A row for each n-gram would take
too much memory: a hash maps the n-grams to `buckets` rows, and some n-grams share a row.

A letter is one code point: in UTF-8 a first byte and the bytes 10xxxxxx that follow.  Words that
are not valid UTF-8 occur in published models; their bytes are split by the same rule.  In Python
such a word is a str decoded with errors="surrogateescape", and so are its n-grams.
"""
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.kernel import kernel

END_OF_LINE = "</s>"
FNV_START, FNV_PRIME = 2166136261, 16777619
ALL_32 = 2**32 - 1                 # a mask: & ALL_32 is mod 2³²
LAST_CONTINUATION = -65            # 10xxxxxx as signed char: −128 … −65


class NGrams(NamedTuple):
    """Which n-grams a word has.

    min_n, max_n: their lengths in letters, < and > included; max_n = 0: no n-grams.
    buckets: the number of rows that they share.

    >>> NGrams(buckets=100_000)
    NGrams(min_n=3, max_n=6, buckets=100000)
    """

    min_n: int = 3
    max_n: int = 6
    buckets: int = 2_000_000


class Subwords(NamedTuple):
    """The rows of the input table whose mean is the vector of each word."""

    rows: np.ndarray               # (R,) int32
    offsets: np.ndarray            # (V+1,) int64


# ---- the definition, for one word -----------------------------------------------------------

def fnv1a(data: bytes) -> int:
    """fastText's 32-bit FNV-1a: h ← (h XOR byte) · 16777619 mod 2³², bytes as signed chars."""
    h = FNV_START
    for byte in data:
        signed = byte - 256 if byte > 127 else byte
        h = (h ^ (signed & ALL_32)) * FNV_PRIME & ALL_32
    return h


def to_bytes(word: str) -> bytes:
    """The bytes of a word in UTF-8.  ValueError if it has no UTF-8 form (a lone surrogate)."""
    try:
        return word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError(f"the word {word!r} cannot be written as UTF-8: {error.reason}") from None


def ngrams(word: str, min_n: int, max_n: int) -> list[str]:
    """The n-grams of "<word>", sorted by start, then by length; with repetitions.

    [] if max_n < min_n (max_n = 0: no n-grams), and for "</s>".
    """
    if word == END_OF_LINE:
        return []
    letters = re.findall(rb"[^\x80-\xBF][\x80-\xBF]*", b"<" + to_bytes(word) + b">")
    L = len(letters)
    return [b"".join(letters[i:i + n]).decode("utf-8", "surrogateescape")
            for i in range(L) for n in range(max(min_n, 1), min(max_n, L - i) + 1)
            if not (n == 1 and i in (0, L - 1))]


def ngram_row(ngram: str, V: int, buckets: int) -> int:
    """The row of one n-gram in a table whose first V rows belong to words."""
    return V + fnv1a(to_bytes(ngram)) % buckets


def bucket_rows(word: str, V: int, min_n: int, max_n: int, buckets: int) -> list[int]:
    """The rows of a word's n-grams, without its own row; [] if buckets = 0.

    An unknown word has no other rows.
    """
    if buckets == 0:
        return []
    return [ngram_row(ngram, V, buckets) for ngram in ngrams(word, min_n, max_n)]


# ---- the same for a whole vocabulary --------------------------------------------------------

def index_subwords(words: Sequence[str], min_n: int, max_n: int, buckets: int) -> Subwords:
    """The rows of each word: its own number first, then those of bucket_rows.

    Raises ValueError if V + buckets exceeds 2³¹ − 1, the largest int32.
    """
    check_subwords(min_n, max_n, buckets)
    V = len(words)
    if V + buckets >= 2**31:
        raise ValueError(f"expected at most 2³¹ − 1 rows, got {V} words and {buckets} buckets")
    if buckets == 0 or max_n < max(min_n, 1):                        # no n-grams
        return Subwords(np.arange(V, dtype=np.int32), np.arange(V + 1))
    encoded = [b"" if word == END_OF_LINE else b"<" + to_bytes(word) + b">" for word in words]
    text = np.frombuffer(b"".join(encoded), np.int8)
    text_offsets = np.cumsum([0, *map(len, encoded)])
    starts = np.concatenate([[0], np.cumsum(text > LAST_CONTINUATION)])  # letters before each byte
    letters = np.diff(starts[text_offsets])                              # (V,), with < and >
    sizes = np.ones(V, np.int64)                                         # its own row + n-grams
    for n in range(max(min_n, 1), min(max_n, int(letters.max(initial=0))) + 1):
        sizes += np.maximum(letters - n + 1, 0)
    if min_n <= 1:
        sizes -= 2 * (letters > 0)                                       # "<" and ">" alone
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    rows = np.empty(offsets[-1], np.int32)
    fill_rows(text, text_offsets, min_n, max_n, buckets, rows, offsets)
    return Subwords(rows, offsets)


@kernel
def fill_rows(text, text_offsets, min_n, max_n, buckets, rows, offsets):
    """Fill rows (R,) of index_subwords.  text: int8, the bytes of all "<word>", end to end."""
    V = len(offsets) - 1
    for w in range(V):
        at = offsets[w]
        rows[at] = w
        first, end = text_offsets[w], text_offsets[w + 1]
        for i in range(first, end):
            if text[i] <= LAST_CONTINUATION:
                continue                                   # not the first byte of a letter
            h, n, j = np.int64(FNV_START), 0, i
            while j < end and n < max_n:
                h = fnv_step(h, text[j])
                j += 1
                while j < end and text[j] <= LAST_CONTINUATION:
                    h = fnv_step(h, text[j])
                    j += 1
                n += 1
                if n >= min_n and not (n == 1 and (i == first or j == end)):
                    at += 1
                    rows[at] = V + h % buckets


@kernel
def fnv_step(h, byte):
    """One step of fnv1a.  h: int64 below 2³², so the product stays below 2⁶³; byte: int8"""
    return (h ^ (np.int64(byte) & ALL_32)) * FNV_PRIME & ALL_32


def default_buckets(words: Sequence[str], min_n: int, max_n: int) -> int:
    """Twice the number of these words' different n-grams; at least 1, at most fastText's 2,000,000.

    With 2n buckets for n n-grams, 4 in 10 n-grams share their row, and 6 in 10 rows are empty:
    each with probability (1 − 1/2n)ⁿ, about e^(−1/2) = 0.61, a row has no (other) n-gram.
    On a million words of English the correlation with WordSim-353, times 100, is 28.1 with these
    161,722 buckets, 28.6 with 2,000,000 and 26.9 with 80,861 (5 epochs, means of two seeds).

    >>> default_buckets(["aa"], 3, 3)                      # <aa, aa>
    4
    """
    if max_n == 0:
        return 1
    rows = index_subwords(words, min_n, max_n, 2**31 - 1 - len(words)).rows
    return min(NGrams().buckets, max(1, 2 * len(np.unique(rows[rows >= len(words)]))))


def check_subwords(min_n: int, max_n: int, buckets: int) -> None:
    """Raise a ValueError that names the first of these settings that is out of range."""
    for name, value in (("min_n", min_n), ("max_n", max_n), ("buckets", buckets)):
        require_whole(name, value)


def needed_buckets(ngrams: NGrams) -> NGrams:
    """The same settings, with 0 buckets if there are no n-grams.

    Raises ValueError if there are n-grams but no buckets, or if min_n > max_n > 0.
    """
    min_n, max_n, buckets = ngrams
    check_subwords(min_n, max_n, buckets)
    if max_n and not buckets:
        raise ValueError(f"buckets=0: expected at least 1, for n-grams of {min_n} to {max_n} "
                         "letters; set max_n=0 for no n-grams")
    if 0 < max_n < min_n:
        raise ValueError(f"min_n={min_n}: expected at most max_n={max_n}; set max_n=0 for no "
                         "n-grams")
    return ngrams if max_n else ngrams._replace(buckets=0)
