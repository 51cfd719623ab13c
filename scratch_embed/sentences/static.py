"""Static sentence vectors: the mean of word vectors, or SIF, which gives rare words more weight.

Paper     Arora, Liang & Ma 2017, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings",
          Algorithm 1.
Equation  x_s = 1/|s| Σ_{w in s} a/(a + p(w)) v_w,   then   x_s ← x_s − u uᵀ x_s
          p(w) the share of w among the words of a large text, a = 10⁻³; |s| the number of known
          words of s;  u the common direction, the first singular vector of many x_s
Shapes    v (D,) each, from word2vec, GloVe or FastText; u (D,); encode: N texts -> (N, D)
Cost      O(D) per word.  Memory: the result, a row per distinct word, about 20 bytes per token
Differs   u is fitted once, to texts that the caller chooses, so a sentence always has the same
          vector.  Algorithm 1 fits u to the set that it encodes (the authors' code, to each side
          of the pairs): if the set is two sentences, the cosine of the results is 1 or −1.  Their
          code replaces an unknown word by UUUNKKK or else by the last word of the table; here it
          is ignored.  A sentence without a known word gets the zero vector.
Read next sentences/weighted_means.py, text/vocab.py (the counts behind p),
          sentences/interface.py (encode's last steps), space/similarity.py

Why these weights?  Assume that a sentence has a topic c, and that each of its words occurs either
because it is frequent or because it fits the topic:
    P(w | c) = α p(w) + (1 − α) exp(v_w · c) / Z.
The gradient of its logarithm at c = 0 is
    ∇ log P = (1 − α)/Z · v_w / (α p(w) + (1 − α)/Z) = a/(a + p(w)) v_w,   a = (1 − α)/(α Z).
To first order in c, log P(s | c) = const + c · Σ a/(a + p(w)) v_w.  Among all c of equal norm, the
sum is largest for the c in the direction of Σ a/(a + p(w)) v_w.  "The", 6 % of all words, occurs
with any topic and has the weight 1/61; a word that occurs once in a million has the weight 0.999.

Why remove u?  Trained word vectors share a direction, and so do their sums.  This direction raises
all cosines and says nothing about the topic.  PCA would subtract the mean of the x_s first; here it
stays, because the mean is most of what u should remove.
"""
import array
import os
from collections.abc import Iterable, Mapping, Sized
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.memory import require_memory
from scratch_embed.sentences.interface import (
    choose_prompt,
    finish,
    require_encode_arguments,
    require_text,
    require_texts,
    round_to,
    similarity,
    similarity_pairwise,
)
from scratch_embed.sentences.weighted_means import Table, batches, weighted_means_kernel
from scratch_embed.text.corpus import slices_at_spaces
from scratch_embed.text.vocab import Corpus, Vocab
from scratch_embed.text.word_tokenizer import SPACES, WordTokenizer, deduced
from scratch_embed.words.any_format import load_words

FIT_BATCH = 1024                   # texts per batch, while the common direction is computed


class Words(Protocol):
    """A table of word vectors: WordVectors, or any object with these two attributes."""

    @property
    def vectors(self) -> np.ndarray:
        """(n, D); only D is used."""

    def __getitem__(self, word: Any, /) -> np.ndarray:
        """The vector (D,) of a word, as Tokenize returns it; KeyError for an unknown word."""


class Tokenize(Protocol):
    """A function that splits a text into words: a WordTokenizer, str.split ..."""

    def __call__(self, text: str, /) -> list:
        """The words of the text, in order: str, or the ids of tokens."""


# ---- the weights of words ---------------------------------------------------------------------

def frequencies(vocab: Vocab) -> dict[str, float]:
    """{word: p(w)}: each word's share of all counted words."""
    return dict(zip(vocab.words, (vocab.counts / vocab.counts.sum()).tolist()))


def zipf_frequencies(words: Iterable[str]) -> dict[str, float]:
    """{word: p(w)}, estimated from ranks, for words without counts.

    words: the most frequent first, as in vector files.  Zipf's law, corrected by Mandelbrot:
    p ∝ 1/(r + 2.7) for rank r = 1, 2, ...
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
        raise ValueError(f"a={a}: expected a positive number; for equal weights, give no weights")
    return {word: a / (a + share) for word, share in p.items()}


# ---- the common direction ---------------------------------------------------------------------

def first_singular_vector(tables: Iterable[np.ndarray]) -> np.ndarray:
    """The unit vector u that maximises Σ (u · x)² over the rows x of all tables.  -> (D,)

    tables: arrays (S, D).  u is the first eigenvector of XᵀX (D, D), summed table by table.
    """
    gram = sum(x.T @ x for x in tables)
    return np.linalg.eigh(gram)[1][:, -1]          # eigenvalues ascend


def without(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """x − u uᵀ x for a unit vector u.  x: (S, D), u: (D,) -> (S, D)."""
    along = np.einsum("sd,d->s", x, u)             # in x @ u, the order of sums depends on S
    return x - along[:, None] * u


# ---- the encoder ------------------------------------------------------------------------------

class WordCounts:
    """Counts of the texts and words that encode() and without_common() have read.

    texts           the number of texts
    words           the number of their words
    known           the number of words that have a vector
    without_known   the number of texts without a known word; their vectors are zero
    """

    def __init__(self) -> None:
        self.texts = self.words = self.known = self.without_known = 0

    def add(self, word_count: int, known_words: Corpus) -> None:
        """Add texts with `word_count` words.  known_words: their words that have a vector."""
        lengths = np.diff(known_words.offsets)
        self.texts += len(lengths)
        self.words += word_count
        self.known += len(known_words.ids)
        self.without_known += int((lengths == 0).sum())


class StaticEncoder:
    """Sentence vectors from word vectors: encode(texts) -> (N, D).

        StaticEncoder(words)                                        the mean
        StaticEncoder(words, sif_weights(frequencies(vocab)))       SIF's weights
        StaticEncoder(words, ...).without_common(texts)             SIF
        StaticEncoder(fasttext, unit_words=True)                    fastText's get_sentence_vector
        StaticEncoder.load("words.vec")                             a file, with its tokenizer

    Words are looked up as `tokenize` returns them.  By default it only splits at white space, so a
    text must be prepared like the text on which the vectors were trained (lower case, no
    punctuation ...); tokenize=WordTokenizer() does that.

    >>> from scratch_embed.words.vectors import WordVectors
    >>> words = WordVectors(["a", "fox", "runs"], [[1, 1], [4, 0], [0, 2]])
    >>> StaticEncoder(words)
    StaticEncoder(3 words x 2 dimensions)
    >>> StaticEncoder(words).encode(["fox runs", "a fox sleeps"]).tolist()    # unknown: "sleeps"
    [[2.0, 1.0], [2.5, 0.5]]
    >>> StaticEncoder(words, weights={"a": 0}).encode("a fox").tolist()
    [2.0, 0.0]
    """

    def __init__(self, words: Words, weights: Mapping[str, float] | None = None,
                 common: np.ndarray | None = None, tokenize: Tokenize = SPACES,
                 prompts: Mapping[str, str] | None = None, unit_words: bool = False,
                 counts: WordCounts | None = None, normalize: bool = False) -> None:
        """words: a WordVectors, or any Words; weights: {word: weight}, by default 1.

        common: (D,), a direction that is removed from every vector; tokenize: a text -> its words;
        prompts: {name: text}, see encode; unit_words: scale each word's vector to norm 1 first,
        so that all words have the same influence; words with a zero vector are then ignored;
        counts: a WordCounts, to which encode() and without_common() add;
        normalize: encode() scales every text's vector to norm 1.
        """
        self.words, self.weights, self.tokenize = words, dict(weights or {}), tokenize
        self.prompts, self.unit_words, self.counts = dict(prompts or {}), unit_words, counts
        self.normalize = normalize
        self.dim = words.vectors.shape[1]
        self.common = None if common is None else self._direction(common)

    @classmethod
    def load(cls, path: str | os.PathLike, tokenizer: Tokenize | None = None,
             sif: float | None = 1e-3) -> "StaticEncoder":
        """Read word vectors of any format: word2vec, GloVe, fastText (.vec, .bin), safetensors.

        tokenizer   a WordTokenizer or another function text -> words.  By default the one that the
                    file stores (safetensors), or else the one that its vocabulary suggests: see
                    deduced() in text/word_tokenizer.py
        sif         the a of sif_weights, or None for equal weights.  p comes from the counts in a
                    fastText .bin, else from the ranks of the words in the file, by Zipf's law
        Raises      FormatError if the file is damaged or of another kind
        """
        words, counted = load_words(path)
        if tokenizer is None:
            tokenizer = words.tokenizer or deduced(words.index_to_key)
        if sif is None:
            return cls(words, tokenize=tokenizer)
        p = zipf_frequencies(words.index_to_key) if counted is None else frequencies(counted)
        return cls(words, sif_weights(p, sif), tokenize=tokenizer)

    def __repr__(self) -> str:
        known = f"{len(self.words)} words" if isinstance(self.words, Sized) else "words"
        return (f"StaticEncoder({known} x {self.dim} dimensions"
                + f", {len(self.weights)} weights" * bool(self.weights)
                + ", without the common direction" * (self.common is not None) + ")")

    def _direction(self, common):
        u = np.asarray(common, np.float64)
        if u.shape != (self.dim,) or not np.isfinite(u).all() or not u.any():
            raise ValueError(f"common: expected a direction, a finite vector ({self.dim},) other "
                             f"than zero, got shape {u.shape}")
        return l2_normalize(u)[0]

    def without_common(self, texts: Iterable[str]) -> "StaticEncoder":
        """Return a copy of this encoder that removes the common direction of these texts.

        If this encoder removes a direction already, the copy does not remove that one.

        texts: thousands of sentences of the kind that will be encoded.  The common direction of a
        few sentences is their topic.  The common direction of one sentence is its own vector: if it
        is removed, only rounding errors are left.
        Raises ValueError if no word of the texts is known.
        """
        if isinstance(texts, str):
            raise TypeError(f"texts: expected many texts, got one str, {texts!r:.40}")
        corpus, table = self._look_up(texts)
        if not len(corpus.ids):
            raise ValueError("texts: expected texts with known words, got "
                             f"{len(corpus.offsets) - 1} without any; prepare them like the text "
                             "on which the vectors were trained")
        u = first_singular_vector(weighted_means_kernel(batch, table)
                                  for _, batch in batches(corpus, FIT_BATCH))
        return StaticEncoder(self.words, self.weights, u, self.tokenize, self.prompts,
                             self.unit_words, self.counts, self.normalize)

    def encode(self, inputs: str | Iterable[str], prompt_name: str | None = None,
               prompt: str | None = None, batch_size: int = 32,
               show_progress_bar: bool | None = None, precision: str = "float32",
               normalize_embeddings: bool = False, truncate_dim: int | None = None) -> np.ndarray:
        """The vectors of texts, in their order: n texts -> (n, d) float32, a single str -> (d,).

        prompt_name           a key of `prompts`; its text is put before every input
        prompt                the prompt itself, instead of its name
        batch_size            texts per batch; the result does not depend on it
        show_progress_bar     on stderr, if that is a terminal
        precision             "float32", or codes: "int8", "uint8", "binary", "ubinary"
        normalize_embeddings  scale to norm 1, after truncation; zero stays zero
        truncate_dim          d, the number of dimensions to keep; by default all
        Raises                ValueError for an invalid argument; TypeError for an input that is
                              not a str
        """
        require_encode_arguments(self.dim, batch_size, precision, truncate_dim)
        prompt = choose_prompt(self.prompts, prompt_name, prompt)
        require_texts(inputs)
        single = isinstance(inputs, str)
        corpus, table = self._look_up(tqdm([inputs] if single else inputs, unit="text",
                                           disable=None if show_progress_bar else True), prompt)
        n, d = len(corpus.offsets) - 1, truncate_dim or self.dim
        require_memory(4 * n * d, f"vectors of {n} texts x {d} dimensions")
        out = np.empty((n, d), np.float32)
        for start, batch in batches(corpus, batch_size):
            x = weighted_means_kernel(batch, table)
            x = x if self.common is None else without(x, self.common)
            out[start:start + len(x)] = finish(x, truncate_dim,
                                               normalize_embeddings or self.normalize)
        out = round_to(precision, out)
        return out[0] if single else out

    similarity = staticmethod(similarity)
    similarity_pairwise = staticmethod(similarity_pairwise)

    def _look_up(self, texts, prompt=""):
        """-> (the Corpus of the texts' known words, as row numbers of a Table; the Table)."""
        seen, ids, lengths = {}, array.array("i"), array.array("q", [0])
        for number, text in enumerate(texts):
            require_text(number, text)
            start = len(ids)
            for part in self._parts(prompt + text):
                ids.extend([seen.setdefault(word, len(seen)) for word in self.tokenize(part)])
            lengths.append(len(ids) - start)
        vectors = {word: vector for word in seen if (vector := self._vector(word)) is not None}
        known = np.array([word in vectors for word in seen], np.bool_)
        row = (np.cumsum(known) - 1).astype(np.int32)          # of a known word in the Table
        ids = np.array(ids, np.int32)
        kept = known[ids]
        before = np.concatenate([[0], np.cumsum(kept)])        # known words before each position
        corpus = Corpus(row[ids[kept]], before[np.cumsum(lengths)])
        if self.counts is not None:
            self.counts.add(len(ids), corpus)
        return corpus, self._table(vectors)

    def _parts(self, text):
        """Slices of a text, for a WordTokenizer; another function may need the whole text."""
        return slices_at_spaces(text) if isinstance(self.tokenize, WordTokenizer) else [text]

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
            raise ValueError(f"expected finite vectors and weights, got others for {word!r}")
        return Table(rows, weights)
