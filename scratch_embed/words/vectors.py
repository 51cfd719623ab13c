"""Word vectors: similarity, nearest words and analogies, with gensim's KeyedVectors interface.

Equation  similarity(a, b) = cos(v_a, v_b)
          most_similar(positive, negative) = argmax_x cos(v_x, Σ_{p ∈ positive} v_p/‖v_p‖ −
                                                               Σ_{n ∈ negative} v_n/‖v_n‖)
Shapes    V words, vectors (V, D) float32; row i is the vector of word i
Cost      a second table of normalised rows, computed when first needed; then O(V·D) per query
Differs   from gensim: the vectors are read-only; a missing word is always an error (gensim's
          doesnt_match skips it); kv[...] accepts words, not row indices
Read next space/analogy.py (the sum of vectors), evaluate/words.py (the two evaluations),
          words/vector_files.py, words/vector_tensors.py (the formats)

Why cosines?  The direction of a word vector depends on the word's meaning, its norm mostly on how
often and how uniformly the word is used.  So all methods compare normalised rows.
"""
import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from scratch_embed.evaluate.words import (
    AnalogyScores,
    PairScores,
    read_analogies,
    read_pairs,
    score_analogies,
    score_pairs,
)
from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.endings import by_ending, ending_of
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.analogy import odd_one_out, three_cos_mul
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.similarity import cosine
from scratch_embed.text.word_tokenizer import WordTokenizer
from scratch_embed.words.tables import KEEP
from scratch_embed.words.vector_arrays import read_vectors_npy, write_vectors_npy
from scratch_embed.words.vector_files import (
    read_vectors,
    write_word2vec_binary,
    write_word2vec_text,
)
from scratch_embed.words.vector_tensors import (
    read_tokenizer,
    read_vectors_safetensors,
    write_vectors_safetensors,
)


class MissingWord(KeyError):
    """A word that has no vector.  The message suggests words of similar spelling."""

    def __init__(self, word: str, words: Sequence[str], message: str = "") -> None:
        super().__init__(word)
        self.word, self._words, self._message = word, words, message

    def __reduce__(self) -> tuple:
        """Let pickle send the word and the message, without the list of all words."""
        return MissingWord, (self.word, (), str(self))

    def __str__(self) -> str:                      # not in __init__: it is slow, and rarely shown
        if self._message:
            return self._message
        close = close_spellings(str(self.word), self._words)
        verb = "spelling is" if len(close) == 1 else "spellings are"
        hint = f"; the closest {verb} {', '.join(map(repr, close))}" if close else ""
        return f"{self.word!r} is not among the {len(self._words)} words{hint}"


def close_spellings(word: str, words: Sequence[str], n: int = 3) -> list[str]:
    """At most `n` of the words that are spelled like `word`, first those that differ only in case.

    >>> close_spellings("KING", ["king", "sings", "King", "queen"])
    ['king', 'King', 'sings']
    """
    lower = word.casefold()
    first = {}                                     # {word in lower case: the first such word}
    for known in words:
        first.setdefault(known.casefold(), known)
    same = [known for known in words if known.casefold() == lower][:n]
    others = difflib.get_close_matches(lower, [other for other in first if other != lower], n)
    return [*same, *(first[other] for other in others)][:n]


WRITERS: dict[str, Callable] = {   # ending of the file -> the function that writes its format
    ".vec": write_word2vec_text,
    ".txt": write_word2vec_text,
    ".bin": write_word2vec_binary,
    ".safetensors": write_vectors_safetensors,
    ".npy": write_vectors_npy,
    "": write_word2vec_text,
}


def writer_for(path: str | os.PathLike, writers: Mapping[str, Callable] = WRITERS) -> Callable:
    """The function that writes the format for the ending of `path`.

    Raises ValueError, with the known endings, for an unknown one.
    """
    return by_ending(path, writers, "word vectors")


class WordVectors:
    """V words, each with one vector.

    index_to_key   the words, a list           key_to_index   {word: row}
    vectors        (V, D) float32, read-only; kv["word"] is a row, kv[["a", "b"]] is (2, D)
    tokenizer      how the training text was split into words, or None if that is not known

    A float32 array is not copied, so it must not be changed afterwards.

    >>> kv = WordVectors(["king", "queen", "man", "woman"], [[2, 2], [2, -2], [1, 9], [1, -9]])
    >>> kv
    WordVectors(4 words x 2 dimensions)
    >>> kv["king"].tolist(), "prince" in kv
    ([2.0, 2.0], False)
    >>> kv.most_similar("king", topn=1)[0][0]
    'man'
    >>> kv.most_similar(positive=["king", "woman"], negative=["man"], topn=1)[0][0]
    'queen'
    """

    def __init__(self, words: Iterable[str], vectors: np.ndarray,
                 tokenizer: WordTokenizer | None = None) -> None:
        """words: V different strings; vectors: (V, D), finite in float32; tokenizer: see above."""
        if isinstance(words, str):
            raise ValueError("words: expected a list of words, got one str")
        with np.errstate(over="ignore"):           # beyond float32 it is inf, an error below
            vectors = np.asarray(vectors, np.float32).view()
        vectors.flags.writeable = False
        self.index_to_key = list(words)
        self.key_to_index = {word: row for row, word in enumerate(self.index_to_key)}
        self.vectors, self.tokenizer = vectors, tokenizer
        self._check()

    def _check(self):
        words, vectors = self.index_to_key, self.vectors
        if vectors.ndim != 2 or len(vectors) != len(words) or vectors.shape[1] == 0:
            raise ValueError(f"vectors: expected shape ({len(words)}, D), one for each word, got "
                             f"{vectors.shape}")
        if len(self.key_to_index) < len(words):
            twice = next(word for row, word in enumerate(words) if self.key_to_index[word] != row)
            raise ValueError(f"words: expected different words, got {twice!r} twice; keep one "
                             "vector of it")
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            raise ValueError(f"vectors: expected finite float32 numbers, got nan or inf for "
                             f"{words[finite.argmin()]!r}")

    # ---- files -------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike, errors: str = KEEP) -> "WordVectors":
        """Read a file of word2vec (text or binary), GloVe or fastText (.vec), gzip or plain.

        If the name ends in .safetensors or .npy, read that file and the .vocab.txt beside it.
        errors: for words that are not UTF-8; see words/tables.py.  By default their bytes are kept.
        """
        if os.path.isdir(path):
            raise IsADirectoryError(f"{path}: expected a file of word vectors, found a folder; "
                                    "scratch_embed.load() reads the folder of a model")
        if ending_of(path) == ".safetensors":
            return cls(*read_vectors_safetensors(path, errors=errors), read_tokenizer(path))
        return cls(*(read_vectors_npy if ending_of(path) == ".npy" else read_vectors)(path,
                                                                                      errors=errors))

    def save(self, path: str | os.PathLike) -> None:
        """Write the vectors, uncompressed, in the format for the ending of `path`.

        .vec, .txt or none: word2vec's text format.  .bin: its binary format.  .safetensors, .npy:
        a table, and the words in a .vocab.txt; only .safetensors has a place for the tokenizer.
        ValueError for any other ending.
        """
        write = writer_for(path)
        if write is write_vectors_safetensors:
            write_vectors_safetensors(path, self.index_to_key, self.vectors, self.tokenizer)
        else:
            write(path, self.index_to_key, self.vectors)

    # ---- a word and its vector ---------------------------------------------

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __repr__(self) -> str:
        return f"WordVectors({len(self)} words x {self.vectors.shape[1]} dimensions)"

    def __iter__(self) -> Iterator[str]:
        return iter(self.index_to_key)

    def __contains__(self, word: str) -> bool:
        return word in self.key_to_index

    def __getitem__(self, words: str | Iterable[str]) -> np.ndarray:
        """The vector (D,) of a word, or the vectors (n, D) of a list of n words."""
        return self.vectors[self._row(words) if isinstance(words, str) else self._rows(words)]

    def get_vector(self, key: str, norm: bool = False) -> np.ndarray:
        """The vector (D,) of a word; norm: divided by its norm.

        >>> WordVectors(["up"], [[0, 2]]).get_vector("up", norm=True).tolist()
        [0.0, 1.0]
        """
        return (self.unit_rows if norm else self.vectors)[self._row(key)]

    @cached_property
    def unit_rows(self) -> np.ndarray:
        """The vectors, each divided by its norm.  (V, D)"""
        return l2_normalize(self.vectors)[0]

    def _row(self, word):
        try:
            return self.key_to_index[word]
        except KeyError:
            raise MissingWord(word, self.index_to_key) from None

    def _rows(self, words):
        return np.array([self._row(word) for word in words], int)

    # ---- similarity and analogies ------------------------------------------

    def similarity(self, a: str, b: str) -> float:
        """cos(v_a, v_b), from −1 to 1.

        >>> kv = WordVectors(["up", "right", "down"], [[0, 1], [1, 0], [0, -2]])
        >>> kv.similarity("up", "right"), kv.similarity("up", "down")
        (0.0, -1.0)
        """
        return float(cosine(self[a], self[b]))

    def most_similar(self, positive: str | np.ndarray | Iterable[str | np.ndarray] = (),
                     negative: str | np.ndarray | Iterable[str | np.ndarray] = (), topn: int = 10,
                     *, restrict_vocab: int | None = None) -> list[tuple[str, float]]:
        """The `topn` words nearest to Σ positive − Σ negative, without the given words.

        Each side is a word, a vector (D,), or a list of both kinds.  Vectors of words are
        normalised before they are added; given vectors are not.
        restrict_vocab: the number of words to search, from the first; in files, the most frequent
        -> [(word, cosine)], the nearest first
        """
        if restrict_vocab is not None:
            require_whole("restrict_vocab", restrict_vocab, 1)
        candidates = self.unit_rows[:restrict_vocab]
        positive, negative = _as_list(positive), _as_list(negative)
        if not positive and not negative:
            raise ValueError("positive, negative: expected at least one word or vector, got none")
        if topn < 1:
            return []
        target = np.zeros(self.vectors.shape[1])
        for side, sign in (positive, 1), (negative, -1):
            for item in side:
                target += sign * self._direction(item)
        inputs = {self.key_to_index[item] for item in positive + negative if isinstance(item, str)}
        target = l2_normalize(target[None])[0].astype(np.float32)
        exclude = [row for row in sorted(inputs) if row < len(candidates)]
        rows, scores = nearest(target, candidates, topn, exclude=np.array([exclude], int))
        return [(self.index_to_key[row], float(np.clip(score, -1, 1)))
                for row, score in zip(rows[0], scores[0])]

    def similar_by_vector(self, vector: np.ndarray, topn: int = 10,
                          restrict_vocab: int | None = None) -> list[tuple[str, float]]:
        """The `topn` words nearest to a vector (D,); the other arguments are most_similar's.

        >>> kv = WordVectors(["up", "right", "down"], [[0, 1], [1, 0], [0, -2]])
        >>> kv.similar_by_vector(np.array([0, 3]), topn=1)
        [('up', 1.0)]
        """
        return self.most_similar([np.asarray(vector)], topn=topn, restrict_vocab=restrict_vocab)

    def most_similar_cosmul(self, positive: str | Iterable[str] = (),
                            negative: str | Iterable[str] = (), topn: int = 10
                            ) -> list[tuple[str, float]]:
        """Rank by 3CosMul, which multiplies cosines where most_similar adds vectors.

        Arguments as for most_similar, but words only.
        -> [(word, score)], the best first; scores are not cosines
        """
        if topn < 1:
            return []
        rows, scores = three_cos_mul(self.unit_rows, self._rows(_as_list(positive)),
                                     self._rows(_as_list(negative)), topn)
        return [(self.index_to_key[row], float(score)) for row, score in zip(rows, scores)]

    def _direction(self, item):
        """The normalised row of a word; a vector (D,) unchanged."""
        if isinstance(item, str):
            return self.unit_rows[self._row(item)]
        vector = np.asarray(item)
        if vector.shape != self.vectors.shape[1:] or not np.isfinite(vector).all():
            raise ValueError(f"expected a word or a finite vector of shape "
                             f"{self.vectors.shape[1:]}, got shape {vector.shape}")
        return vector

    def doesnt_match(self, words: Iterable[str]) -> str:
        """The word with the lowest cosine to the mean of the normalised rows of all these words.

        >>> kv = WordVectors(["up", "higher", "right"], [[0, 1], [0.1, 1], [1, 0]])
        >>> kv.doesnt_match(["up", "higher", "right"])
        'right'
        """
        if isinstance(words, str):
            raise ValueError(f"words: expected a list of words, got one str; try {words!r}.split()")
        return self.index_to_key[odd_one_out(self.unit_rows, self._rows(words))]

    def evaluate_word_analogies(self, path: str | os.PathLike, lower: bool = True) -> AnalogyScores:
        """Accuracy on a file of analogies; see evaluate/words.py."""
        return score_analogies(self.key_to_index, self.vectors, read_analogies(path, lower))

    def evaluate_word_pairs(self, path: str | os.PathLike, lower: bool = True) -> PairScores:
        """Correlation with a file of rated word pairs; see evaluate/words.py."""
        return score_pairs(self.key_to_index, self.vectors, read_pairs(path, lower))


def _as_list(side):
    """A list; a single word or vector becomes a list of one."""
    alone = isinstance(side, str) or (isinstance(side, np.ndarray) and side.ndim == 1)
    return [side] if alone else list(side)
