"""Vocabulary: words with their counts, and a text as word numbers.

Words are numbered by frequency: the most frequent word is number 0, and equally frequent words are
in the order in which they first occur.  A text becomes one array of word numbers, all sentences end
to end, and the offsets of the sentences.  Words outside the vocabulary are dropped before windows
are formed, so a window extends across them to words further away.

Paper     Mikolov et al. 2013b, section 2.3 (subsampling), eq. 5
Shapes    ids (T,) int32; offsets (S+1,) int64: sentence s is ids[offsets[s]:offsets[s+1]]
Cost      O(T) dictionary look-ups in plain Python; text/reader.py does the same, compiled
Differs   the subsampling formula is word2vec.c's, not the paper's: see keep_probability
"""
import array
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from scratch_embed.numerics.checks import require_unicode, require_whole
from scratch_embed.numerics.settings import digest_words
from scratch_embed.text.corpus import Source, read_sentences

ESCAPED = re.compile("[\udc80-\udcff]")            # bytes decoded with errors="surrogateescape"


class Corpus(NamedTuple):
    """A text as numbers: sentence s is ids[offsets[s]:offsets[s+1]]."""

    ids: np.ndarray                # (T,) int32
    offsets: np.ndarray            # (S+1,) int64

    def __repr__(self) -> str:
        return f"Corpus({len(self.ids):,} words in {len(self.offsets) - 1:,} sentences)"


class Vocab:
    """Words with their counts.  words: list of str; counts: (V,) int64; index: {word: number}

    >>> vocab = Vocab(["the", "king", "queen"], [6, 2, 1])
    >>> vocab
    Vocab(3 words, 9 counts: 'the', 'king', ...)
    >>> vocab.index["king"], int(vocab.counts[1])
    (1, 2)
    """

    def __init__(self, words: Iterable[str], counts: Sequence[int] | np.ndarray) -> None:
        self.words = list(words)
        self.counts = np.asarray(counts, np.int64)
        self.index = {word: number for number, word in enumerate(self.words)}
        if len(self.counts) != len(self.words):
            raise ValueError(f"counts: expected one for each of {len(self.words)} words, got "
                             f"{len(self.counts)}")
        if len(self.index) != len(self.words):
            raise ValueError("words: expected different words, got one of them twice")

    def __len__(self) -> int:
        return len(self.words)

    def digest(self) -> str:
        """The SHA-256 of the words and their counts."""
        return digest_words(self.words, self.counts)

    def __repr__(self) -> str:
        first = ", ".join([*map(repr, self.words[:2]), *["..."] * (len(self) > 2)])
        return f"Vocab({len(self):,} words, {self.counts.sum():,} counts: {first})"


def index_sentences(sentences: Source, min_count: int = 5,
                    max_vocab_size: int | None = None) -> tuple[Vocab, Corpus]:
    """Read sentences once.  -> (Vocab, Corpus)

    sentences   lists of str, or any other source that read_sentences accepts
    min_count   words that occur less often are dropped
    max_vocab_size
                the vocabulary keeps at most this many words, the most frequent ones
    Raises      ValueError if the text has no words, no word is frequent enough, or a word has a
                lone surrogate (but "\\udc80" to "\\udcff", bytes that were not UTF-8, are kept);
                TypeError for a word that is not a str

    Words are numbered in the order in which they first occur, and renumbered by frequency when all
    counts are known.

    >>> vocab, corpus = index_sentences([["a", "b", "a"], ["b", "a", "c"]], min_count=2)
    >>> vocab
    Vocab(2 words, 5 counts: 'a', 'b')
    >>> corpus
    Corpus(5 words in 2 sentences)
    >>> corpus.ids.tolist(), corpus.offsets.tolist()    # "c" is dropped
    ([0, 1, 0, 1, 0], [0, 3, 5])
    """
    first_seen, ids, lengths = {}, array.array("i"), array.array("q")
    for sentence in read_sentences(sentences):
        ids.extend([first_seen.setdefault(word, len(first_seen)) for word in sentence])
        lengths.append(len(sentence))
    wrong = next((word for word in first_seen if not isinstance(word, str)), None)
    if wrong is not None or None in first_seen:
        raise TypeError(f"sentences: expected words of type str, got {wrong!r}; write str(word)")
    for word in first_seen:
        require_unicode("sentences", word if word.isascii() else ESCAPED.sub("", word))
    ids = np.frombuffer(ids, np.int32) if ids else np.empty(0, np.int32)
    vocab, number = rank_words(list(first_seen), np.bincount(ids, minlength=len(first_seen)),
                               min_count, max_vocab_size)
    return vocab, renumber(ids, np.array(lengths, np.int64), number)


class WordList(Protocol):
    """Words by number: a list, or any other object with these two methods."""

    def __len__(self) -> int:
        """The number of words."""

    def __getitem__(self, i: int, /) -> str:
        """Word i."""


def rank_words(words: WordList, counts: np.ndarray, min_count: int, max_vocab_size: int | None
               ) -> tuple[Vocab, np.ndarray]:
    """Number words by frequency.  -> Vocab, number (W,) int32

    words, counts: of W words, in the order in which they first occur; equal counts keep this order
    number: the new number of each word, or −1 if the word is dropped
    """
    require_whole("min_count", min_count, 1)
    if max_vocab_size is not None:                                    # None: no limit
        require_whole("max_vocab_size", max_vocab_size, 1)
    if not words:
        raise ValueError("corpus: expected a text with words, found none")
    order = np.argsort(-counts, kind="stable")[:max_vocab_size]
    order = order[counts[order] >= min_count]
    if not len(order):
        top = int(counts.argmax())
        raise ValueError(f"0 of {len(words)} words reach min_count={min_count}; the most frequent "
                         f"is {words[top]!r} ({counts[top]}): choose a smaller min_count")
    number = np.full(len(words), -1, np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    return Vocab([words[i] for i in order], counts[order]), number


def renumber(ids: np.ndarray, lengths: np.ndarray, number: np.ndarray) -> Corpus:
    """Replace each id i by number[i].  ids: (T,); lengths: (S,) of the sentences -> Corpus

    number: as rank_words returns it.  Words with number −1 are dropped, and then empty sentences.
    """
    new = number[ids]
    kept = new >= 0
    before = np.concatenate([[0], np.cumsum(kept)])            # words kept before each position
    offsets = before[np.concatenate([[0], np.cumsum(lengths)])]
    return Corpus(new[kept], offsets[np.concatenate([[True], np.diff(offsets) > 0])])


def keep_probability(counts: np.ndarray, sample: float) -> np.ndarray:
    """The probability that subsampling keeps a word.  counts: (V,) -> (V,) float32.

        keep(w) = min(1, (√(f/t) + 1) · t/f),   f = count(w) / Σ counts,   t = sample

    sample = 0 keeps every word.  The formula is word2vec.c's and gensim's.  The paper's, √(t/f)
    (eq. 5), lacks the second term, t/f.

    >>> keep_probability([99, 1], sample=0.01)
    array([0.1106..., 1. ], dtype=float32)
    """
    counts = np.asarray(counts, np.float64)
    if sample == 0:
        return np.ones(len(counts), np.float32)
    ratio = counts / counts.sum() / sample                      # f/t
    return np.minimum((np.sqrt(ratio) + 1) / ratio, 1).astype(np.float32)
