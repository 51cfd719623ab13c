"""Static sentence vectors: the mean of the words' vectors, rare words weighing more (SIF).

Paper     Arora, Liang & Ma 2017, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings",
          Algorithm 1.
Equation  x_s = 1/|s| Σ_{w in s} a/(a + p(w)) v_w,   then   x_s ← x_s − u uᵀ x_s
          p(w) the share of w among the words of a large text, a = 10⁻³; |s| the known words of s;
          u the direction that sentences share: the first singular vector of a table of many x_s
Shapes    v (D,) each, from word2vec, GloVe or FastText alike; u (D,); encode: N texts -> (N, D)
Cost      O(D) a word.  Memory: the result, a row for each different word, 20 bytes a token.
Differs   u is fitted once, to texts that the caller names, and kept: a sentence has one vector.
          Algorithm 1 fits u to the very set that it encodes, the authors' code even to the two
          sides of its pairs apart; of two sentences alone that leaves two opposite vectors.  The
          code reads an unknown word as UUUNKKK or, without that, as the last word of its table;
          here it is left out, and a sentence without a known word is the zero vector, cosine 0.
Read next text/vocab.py (the counts behind p), sentences/interface.py (encode's last steps),
          space/similarity.py (what to do with the vectors)

Why these weights.  Let a sentence have a topic c, and write each word down either because it is
frequent or because it fits:
    P(w | c) = α p(w) + (1 − α) exp(v_w · c) / Z.
Its logarithm has at c = 0 the gradient
    ∇ log P = (1 − α)/Z · v_w / (α p(w) + (1 − α)/Z) = a/(a + p(w)) v_w,   a = (1 − α)/(α Z).
So to first order log P(s | c) = const + c · Σ a/(a + p(w)) v_w, and of all c of one length the
likeliest points along this sum.  "The", 6 % of all words, is there whatever the topic, and weighs
1/61; a word seen once in a million weighs 1.

Why u.  Trained word vectors share a direction, so all their sums do, and it lifts every cosine
without a word about the topic.  The table is not centred before, as for PCA: the mean is the
greater part of what is to go.
"""
import array
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.memory import require_memory
from scratch_embed.sentences.interface import (
    choose_prompt,
    finish,
    require_encode_arguments,
    require_text,
    round_to,
    similarity,
    similarity_pairwise,
)
from scratch_embed.text.vocab import Corpus, Vocab

FIT_BATCH = 1024                   # texts at a time, while what they have in common is sought
TOKEN = re.compile(r"[^ \t\n\r\v\f]+")


class Words(Protocol):
    """What gives words their vectors: WordVectors, or whatever has these two."""

    vectors: np.ndarray            # (n, D): only its width is asked for

    def __getitem__(self, word: str) -> np.ndarray:
        """The vector (D,) of a word; KeyError for a word that has none."""


# ---- how much a word weighs -------------------------------------------------------------------

def frequencies(vocab: Vocab) -> dict[str, float]:
    """{word: p(w)}, its share of all counted words."""
    return dict(zip(vocab.words, (vocab.counts / vocab.counts.sum()).tolist()))


def zipf_frequencies(words: Iterable[str]) -> dict[str, float]:
    """{word: p(w)} guessed from the order alone, most frequent first, as files of vectors are.

    p ∝ 1/(r + 2.7), r = 1, 2, ...: the law of Zipf as Mandelbrot mended it, for words without
    counts.
    """
    words = list(words)
    p = 1 / (np.arange(1, len(words) + 1) + 2.7)
    return dict(zip(words, (p / p.sum()).tolist()))


def sif_weights(p: Mapping[str, float], a: float = 1e-3) -> dict[str, float]:
    """{word: a/(a + p(w))}, near 1 for rare words.  Raises ValueError unless a > 0.

    >>> sif_weights({"the": 0.06, "fox": 1e-6})
    {'the': 0.0163..., 'fox': 0.999...}
    """
    if not 0 < a < np.inf:
        raise ValueError(f"a={a}: expected a positive number; without weights all words weigh 1")
    return {word: a / (a + share) for word, share in p.items()}


# ---- the mean ---------------------------------------------------------------------------------

class Table(NamedTuple):
    """The words of some texts, by number."""

    rows: np.ndarray               # (U, D) float32, their vectors
    weights: np.ndarray            # (U,) float64


def weighted_means(corpus: Corpus, table: Table) -> np.ndarray:
    """x_s = 1/|s| Σ weight · v, in NumPy.  S sentences of numbers below U -> (S, D) float64."""
    ids, offsets = corpus
    x = np.zeros((len(offsets) - 1, table.rows.shape[1]))
    for s in range(len(x)):
        here = ids[offsets[s]:offsets[s + 1]]
        if len(here):
            x[s] = table.weights[here] @ table.rows[here].astype(np.float64) / len(here)
    return x


@kernel(keep_order=True)
def weighted_means_kernel(corpus, table):
    """The same, summed word by word: a sentence's bits do not depend on what stands beside it."""
    S, D = len(corpus.offsets) - 1, table.rows.shape[1]
    means = np.zeros((S, D))
    for s in range(S):
        x, first, end = means[s], corpus.offsets[s], corpus.offsets[s + 1]
        for i in corpus.ids[first:end]:
            v, weight = table.rows[i], table.weights[i]
            for d in range(D):
                x[d] += weight * v[d]
        if end > first:
            for d in range(D):
                x[d] /= end - first
    return means


def batches(corpus: Corpus, size: int) -> Iterator[tuple[int, Corpus]]:
    """(s, a Corpus of `size` sentences from s on), for all of them in order; words not copied."""
    for s in range(0, len(corpus.offsets) - 1, size):
        yield s, Corpus(corpus.ids, corpus.offsets[s:s + size + 1])


# ---- what sentences have in common ------------------------------------------------------------

def first_singular_vector(tables: Iterable[np.ndarray]) -> np.ndarray:
    """u, the unit vector for which Σ (u · x)² is largest, over all rows x.  (S, D) ... -> (D,).

    The first eigenvector of XᵀX, which is only (D, D) and is summed table by table.
    """
    gram = sum(x.T @ x for x in tables)
    return np.linalg.eigh(gram)[1][:, -1]          # eigenvalues ascend


def without(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """x − u uᵀ x for a unit vector u.  x: (S, D), u: (D,) -> (S, D)."""
    along = np.einsum("sd,d->s", x, u)             # row by row; BLAS would sum by the table's size
    return x - along[:, None] * u


# ---- the encoder ------------------------------------------------------------------------------

def tokens(text: str) -> list[str]:
    """What stands between ASCII white space, as in text/corpus.py."""
    return TOKEN.findall(text)


class StaticEncoder:
    """Sentence vectors from word vectors: encode(texts) -> (N, D).

        StaticEncoder(words)                                        the mean
        StaticEncoder(words, sif_weights(frequencies(vocab)))       SIF's weights
        StaticEncoder(words, ...).without_common(texts)             SIF
        StaticEncoder(fasttext, unit_words=True)                    fastText's get_sentence_vector

    Words are looked up as they stand in the text: it must be prepared as the text was that the
    vectors were trained on (lower-cased, its punctuation off), by the caller or in `tokenize`.

    >>> from scratch_embed.words.vectors import WordVectors
    >>> words = WordVectors(["a", "fox", "runs"], [[1, 1], [4, 0], [0, 2]])
    >>> StaticEncoder(words)
    StaticEncoder(3 words x 2 dimensions)
    >>> StaticEncoder(words).encode(["fox runs", "a fox sleeps"]).tolist()      # no "sleeps"
    [[2.0, 1.0], [2.5, 0.5]]
    >>> StaticEncoder(words, weights={"a": 0}).encode("a fox").tolist()
    [2.0, 0.0]
    """

    def __init__(self, words: Words, weights: Mapping[str, float] | None = None,
                 common: np.ndarray | None = None, tokenize: Callable[[str], list[str]] = tokens,
                 prompts: Mapping[str, str] | None = None, unit_words: bool = False) -> None:
        """words: a WordVectors, or any Words; weights: {word: weight}, 1 for words not in it.

        common: (D,), a direction that is taken out of every vector; tokenize: a text -> its
        words; prompts: {name: text}, see encode; unit_words: scale each word's vector to length 1
        first, so that none speaks for the rest; a word of length 0 is then left out.
        """
        self.words, self.weights, self.tokenize = words, dict(weights or {}), tokenize
        self.prompts, self.unit_words = dict(prompts or {}), unit_words
        self.dim = words.vectors.shape[1]
        self.common = None if common is None else self._direction(common)

    def __repr__(self) -> str:
        known = f"{len(self.words)} words" if isinstance(self.words, Sized) else "words"
        return (f"StaticEncoder({known} x {self.dim} dimensions"
                + f", {len(self.weights)} weights" * bool(self.weights)
                + ", without the common direction" * (self.common is not None) + ")")

    def _direction(self, common):
        u = np.asarray(common, np.float64)
        if u.shape != (self.dim,) or not np.isfinite(u).all() or not u.any():
            raise ValueError(f"common: expected a direction, a finite vector ({self.dim},) that "
                             f"is not zero, found shape {u.shape}")
        return l2_normalize(u)[0]

    def without_common(self, texts: Iterable[str]) -> "StaticEncoder":
        """An encoder like this one that takes out what these texts have in common, from now on.

        texts: thousands of sentences of the kind that will be encoded.  Of a handful, their own
        topic is taken out; of one alone, only rounding is left.
        Raises ValueError if none of their words is known.
        """
        if isinstance(texts, str):
            raise TypeError(f"expected many texts, found one str, {texts!r:.40}")
        corpus, table = self._look_up(texts)
        if not len(corpus.ids):
            raise ValueError(f"{len(corpus.offsets) - 1} texts without a known word have nothing "
                             "in common: are they prepared as the words' own text was?")
        u = first_singular_vector(weighted_means_kernel(batch, table)
                                  for _, batch in batches(corpus, FIT_BATCH))
        return StaticEncoder(self.words, self.weights, u, self.tokenize, self.prompts,
                             self.unit_words)

    def encode(self, inputs: str | Iterable[str], prompt_name: str | None = None,
               prompt: str | None = None, batch_size: int = 32,
               show_progress_bar: bool | None = None, precision: str = "float32",
               normalize_embeddings: bool = False, truncate_dim: int | None = None) -> np.ndarray:
        """The vectors of texts, in their order: n texts -> (n, d) float32, a single str -> (d,).

        prompt_name           a key of `prompts`; its text goes before every input
        prompt                that text itself
        batch_size            texts that are summed at a time; no bit of the result depends on it
        show_progress_bar     on stderr, where that is a terminal
        precision             "float32", or codes: "int8", "uint8", "binary", "ubinary"
        normalize_embeddings  scale to length 1, after truncation; zero stays zero
        truncate_dim          d, the first dimensions to keep; all of them by default
        Raises                ValueError for a name or a number that is not valid; TypeError for an
                              input that is no str
        """
        require_encode_arguments(self.dim, batch_size, precision, truncate_dim)
        before = choose_prompt(self.prompts, prompt_name, prompt)
        alone = isinstance(inputs, str)
        corpus, table = self._look_up(tqdm([inputs] if alone else inputs, unit="text",
                                           disable=None if show_progress_bar else True), before)
        n, d = len(corpus.offsets) - 1, truncate_dim or self.dim
        require_memory(4 * n * d, f"vectors of {n} texts x {d} dimensions")
        out = np.empty((n, d), np.float32)
        for start, batch in batches(corpus, batch_size):
            x = weighted_means_kernel(batch, table)
            x = x if self.common is None else without(x, self.common)
            out[start:start + len(x)] = finish(x, truncate_dim, normalize_embeddings)
        out = round_to(precision, out)
        return out[0] if alone else out

    similarity = staticmethod(similarity)
    similarity_pairwise = staticmethod(similarity_pairwise)

    def _look_up(self, texts, prompt=""):
        """The texts as (Corpus, Table): words are numbered as they come, unknown ones left out."""
        seen, ids, lengths = {}, array.array("i"), array.array("q", [0])
        for number, text in enumerate(texts):
            require_text(number, text)
            found = self.tokenize(prompt + text)
            ids.extend([seen.setdefault(word, len(seen)) for word in found])
            lengths.append(len(found))
        vectors = {word: vector for word in seen if (vector := self._vector(word)) is not None}
        known = np.array([word in vectors for word in seen], np.bool_)
        row = (np.cumsum(known) - 1).astype(np.int32)          # of the known words, in their order
        ids = np.array(ids, np.int32)
        kept = known[ids]
        before = np.concatenate([[0], np.cumsum(kept)])        # known words before each position
        return Corpus(row[ids[kept]], before[np.cumsum(lengths)]), self._table(vectors)

    def _vector(self, word):
        try:
            vector = self.words[word]
        except KeyError:
            return None
        if self.unit_words:
            return l2_normalize(np.asarray(vector, np.float64))[0] if np.any(vector) else None
        return vector

    def _table(self, vectors):
        rows = np.empty((len(vectors), self.dim), np.float32)
        for i, vector in enumerate(vectors.values()):
            rows[i] = vector
        weights = np.array([self.weights.get(word, 1.0) for word in vectors], np.float64)
        finite = np.isfinite(rows).all(axis=1) & np.isfinite(weights)
        if not finite.all():
            word = list(vectors)[finite.argmin()]
            raise ValueError(f"the vector of {word!r}, or its weight, is not finite")
        return Table(rows, weights)
