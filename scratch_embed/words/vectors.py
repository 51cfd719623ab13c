"""Words and their vectors, and the questions one asks them: the interface that gensim's users know.

Equation  similarity(a, b) = cos(u_a, u_b)
          most_similar(positive, negative) = argmax_x cos(x, Σ positive − Σ negative)
Shapes    V words, vectors (V, D) float32; row i of the vectors belongs to word i
Cost      a second table of unit rows, made when first needed; O(V·D) a question after that
Differs   from gensim: the vectors are read-only, a missing word is an error everywhere (gensim's
          doesnt_match skips it), and kv[...] takes words only, no row numbers.
Read next space/analogy.py (the sum of vectors), evaluate/words.py (the two evaluations),
          words/vector_files.py, words/vector_tensors.py (the formats)

Directions carry the meaning, and lengths mostly how often and how uniformly a word is used; so
every question is asked of unit rows.
"""
import difflib
import os
from collections.abc import Callable, Iterable, Iterator
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
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.analogy import odd_one_out, three_cos_mul
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.similarity import cosine
from scratch_embed.words.vector_files import (
    read_vectors,
    write_word2vec_binary,
    write_word2vec_text,
)
from scratch_embed.words.vector_tensors import read_vectors_safetensors, write_vectors_safetensors


class MissingWord(KeyError):
    """A word without a vector.  Its message looks for similar spellings when it is printed."""

    def __init__(self, word: str, words: list[str]) -> None:
        super().__init__(word)
        self.word, self._words = word, words

    def __str__(self) -> str:                      # not in __init__: most are caught, never shown
        close = difflib.get_close_matches(str(self.word), self._words, n=3)
        hint = f"; the closest spellings are {', '.join(map(repr, close))}" if close else ""
        return f"{self.word!r} is not among the {len(self._words)} words{hint}"


def writer_for(path: str | os.PathLike) -> Callable:
    """The function that writes the format that a name's ending asks for.  ValueError for .gz."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".gz":
        raise ValueError(f"{path}: vectors are written uncompressed; leave out the .gz")
    return {".bin": write_word2vec_binary,
            ".safetensors": write_vectors_safetensors}.get(suffix, write_word2vec_text)


class WordVectors:
    """V words, each with one vector.

    index_to_key   the words, a list           key_to_index   {word: row}
    vectors        (V, D) float32, read-only; kv["word"] is a row, kv[["a", "b"]] is (2, D)

    A float32 array is not copied: whoever made it must not change it any more.

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

    def __init__(self, words: Iterable[str], vectors: np.ndarray) -> None:
        """words: V different strings; vectors: (V, D), finite in float32."""
        if isinstance(words, str):
            raise ValueError("words: expected a list of words, found one str")
        with np.errstate(over="ignore"):           # beyond float32 is inf, refused below
            vectors = np.asarray(vectors, np.float32).view()
        vectors.flags.writeable = False
        self.index_to_key = list(words)
        self.key_to_index = {word: row for row, word in enumerate(self.index_to_key)}
        self.vectors = vectors
        self._check()

    def _check(self):
        words, vectors = self.index_to_key, self.vectors
        if vectors.ndim != 2 or len(vectors) != len(words) or vectors.shape[1] == 0:
            raise ValueError(f"expected a vector for each of {len(words)} words, "
                             f"({len(words)}, D); found shape {vectors.shape}")
        if len(self.key_to_index) < len(words):
            twice = next(word for row, word in enumerate(words) if self.key_to_index[word] != row)
            raise ValueError(f"the word {twice!r} comes more than once; keep one vector of it")
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            raise ValueError(f"the vector of {words[finite.argmin()]!r} is not finite in float32")

    # ---- files -------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike) -> "WordVectors":
        """From a file of word2vec (text or binary), GloVe or fastText (.vec), gzip or plain.

        If the name ends in .safetensors, from that file and the .vocab.txt beside it.
        """
        suffix = os.path.splitext(path)[1].lower()
        read = read_vectors_safetensors if suffix == ".safetensors" else read_vectors
        return cls(*read(path))

    def save(self, path: str | os.PathLike) -> None:
        """Write, not compressed, the format that the name's ending asks for.

        .bin: word2vec's binary format.  .safetensors: that, and beside it the words: .vocab.txt.
        Anything else: word2vec's text format.
        """
        writer_for(path)(path, self.index_to_key, self.vectors)

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

    @cached_property
    def unit_rows(self) -> np.ndarray:
        """The vectors, each divided by its length: (V, D)."""
        return l2_normalize(self.vectors)[0]

    def _row(self, word):
        try:
            return self.key_to_index[word]
        except KeyError:
            raise MissingWord(word, self.index_to_key) from None

    def _rows(self, words):
        return np.array([self._row(word) for word in words], int)

    # ---- questions ---------------------------------------------------------

    def similarity(self, a: str, b: str) -> float:
        """cos(u_a, u_b), from −1 to 1.

        >>> kv = WordVectors(["up", "right", "down"], [[0, 1], [1, 0], [0, -2]])
        >>> kv.similarity("up", "right"), kv.similarity("up", "down")
        (0.0, -1.0)
        """
        return float(cosine(self[a], self[b]))

    def most_similar(self, positive: str | np.ndarray | Iterable[str | np.ndarray] = (),
                     negative: str | np.ndarray | Iterable[str | np.ndarray] = (), topn: int = 10
                     ) -> list[tuple[str, float]]:
        """The `topn` words nearest to the sum of +positive and −negative, which are left out.

        Each side is a word, a vector (D,), or a list of either.  A word counts by its unit row, a
        vector as it is, with its own length.  Returns [(word, cosine)], the nearest first.
        """
        positive, negative = _as_list(positive), _as_list(negative)
        if not positive and not negative:
            raise ValueError("expected at least one word or vector, found none")
        if topn < 1:
            return []
        target = np.zeros(self.vectors.shape[1])
        for side, sign in (positive, 1), (negative, -1):
            for item in side:
                target += sign * self._direction(item)
        inputs = {self.key_to_index[item] for item in positive + negative if isinstance(item, str)}
        target = l2_normalize(target[None])[0].astype(np.float32)
        rows, scores = nearest(target, self.unit_rows, topn,
                               exclude=np.array([sorted(inputs)], int))
        return [(self.index_to_key[row], float(np.clip(score, -1, 1)))
                for row, score in zip(rows[0], scores[0])]

    def most_similar_cosmul(self, positive: str | Iterable[str] = (),
                            negative: str | Iterable[str] = (), topn: int = 10
                            ) -> list[tuple[str, float]]:
        """The same by 3CosMul, which multiplies where most_similar adds: words only.

        Returns [(word, score)], the best first; scores are no cosines.
        """
        if topn < 1:
            return []
        rows, scores = three_cos_mul(self.unit_rows, self._rows(_as_list(positive)),
                                     self._rows(_as_list(negative)), topn)
        return [(self.index_to_key[row], float(score)) for row, score in zip(rows, scores)]

    def _direction(self, item):
        """The unit row of a word; a vector (D,) unchanged."""
        if isinstance(item, str):
            return self.unit_rows[self._row(item)]
        vector = np.asarray(item)
        if vector.shape != self.vectors.shape[1:] or not np.isfinite(vector).all():
            raise ValueError(f"expected a word or a finite vector of shape "
                             f"{self.vectors.shape[1:]}, found shape {vector.shape}")
        return vector

    def doesnt_match(self, words: Iterable[str]) -> str:
        """The word whose cosine with the mean of all these words' unit rows is the lowest.

        >>> kv = WordVectors(["up", "higher", "right"], [[0, 1], [0.1, 1], [1, 0]])
        >>> kv.doesnt_match(["up", "higher", "right"])
        'right'
        """
        if isinstance(words, str):
            raise ValueError(f"expected a list of words, found one str; try {words!r}.split()")
        return self.index_to_key[odd_one_out(self.unit_rows, self._rows(words))]

    def evaluate_word_analogies(self, path: str | os.PathLike, lower: bool = True) -> AnalogyScores:
        """Score a file of analogies: evaluate.words.AnalogyScores."""
        return score_analogies(self.key_to_index, self.vectors, read_analogies(path, lower))

    def evaluate_word_pairs(self, path: str | os.PathLike, lower: bool = True) -> PairScores:
        """Score a file of rated word pairs: evaluate.words.PairScores."""
        return score_pairs(self.key_to_index, self.vectors, read_pairs(path, lower))


def _as_list(side):
    """A word or a vector alone is a list of one."""
    alone = isinstance(side, str) or (isinstance(side, np.ndarray) and side.ndim == 1)
    return [side] if alone else list(side)
