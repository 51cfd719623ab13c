"""Warm start from word vectors: a new transformer whose token embeddings are word vectors.

Paper     Qi, Sachan, Felix, Padmanabhan & Neubig 2018, "When and Why Are Pre-Trained Word
          Embeddings Useful for Neural Machine Translation?"
Equation  E_t = c x_t   for each token t that is a word with a vector x_t;
          E_t ~ N(0, 0.02²), as without a warm start, for all other tokens;
          c = std / √(mean of x²), the mean over all numbers of these vectors; std = 0.2
Shapes    x (words, D), E (V, D)
Cost      a pass over the vocabulary
Read next sentences/sbert.py (the training), words/word2vec.py (where such vectors come from)

Why does it help?  All weights start with standard deviation 0.02, so the sublayers have small
outputs, and before training the encoder is nearly a mean of normalised token embeddings.  If these
are word vectors, it resembles the encoder of sentences/static.py, and words with similar vectors
need not be learned from the pairs.

Why the factor c?  A token's input is the layer norm of E_t + position + type, and the last two
start with standard deviation 0.02.  At the same scale, position and type would hide the word.
And AdamW moves a weight by about lr per step, whatever its size: ten steps of 0.003 can overwrite a
table of 0.02, but not one of 0.2.  A larger table keeps more of the word vectors and learns less
from the pairs.  After training on 100 pairs of a toy world, nDCG@10 is 42 from scratch, 53 at
std = 0.02 and 80 at 0.2; with 4,000 pairs nothing is gained (bench/sentences/warm_start.py).

Which tokens have no vector?  Special tokens, WordPiece's pieces of words ("##ing"), and words that
have no vector.  A word that is split into pieces does not profit, so vocabulary() adds the words of
the vectors to the learned pieces, also words that occur in no training pair: "puppy" is near "dog"
from the start, so what is learned about "dog" can apply to it.
"""
from collections.abc import Iterable

import numpy as np

from scratch_embed.text.basic_tokenizer import Normalizer, normalise, split_words
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.transformer.bert import TABLE, Bert
from scratch_embed.words.vectors import WordVectors

STD = 0.2                          # ten times the standard deviation of the other weights


def with_word_vectors(model: Bert, tokenizer: WordPiece, words: WordVectors, std: float = STD
                      ) -> tuple[Bert, int]:
    """A copy of a new model with word vectors as token embeddings, and how many tokens have one.

    words: of model.dim dimensions; std: the root mean square of the scaled vectors' numbers.
    Raises ValueError for another dimension, and if no token has a vector.

    >>> from scratch_embed.nn.params import init_params
    >>> from scratch_embed.text.wordpiece import SPECIAL
    >>> from scratch_embed.transformer.bert import Config, tensors
    >>> config = Config(vocab=8, dim=2, layers=1, heads=1, ff=4)
    >>> model = Bert(config, init_params(tensors(config), seed=1))
    >>> words = WordVectors(["red", "cat"], [[3.0, 4.0], [6.0, 0.0]])
    >>> warm, known = with_word_vectors(model, WordPiece([*SPECIAL, "red", "cat", "##s"]), words)
    >>> known, (warm.p[TABLE][6] / warm.p[TABLE][5]).round(2).tolist()      # one factor for all
    (2, [2.0, 0.0])
    """
    D = words.vectors.shape[1]
    if D != model.dim:
        raise ValueError(f"word vectors: expected {model.dim} dimensions, the model's dim, got {D}")
    rows = [(n, words.key_to_index[piece]) for n, piece in enumerate(tokenizer.pieces)
            if piece in words.key_to_index]
    if not rows:
        raise ValueError("word vectors: expected a word that is a token of the vocabulary, found "
                         f"none among {len(words):,}, such as {words.index_to_key[0]!r}")
    tokens, vectors = map(list, zip(*rows))
    x = words.vectors[vectors].astype(np.float64)                          # (known, D)
    p = model.p.copy()
    size = np.sqrt((x**2).mean())
    p[TABLE][tokens] = x * (std / size if size else 1)
    return model.with_params(p), len(rows)


def vocabulary(pieces: Iterable[str], words: Iterable[str], size: int, normalizer: Normalizer
               ) -> list[str]:
    """The learned pieces, then the words that are not among them, in order, up to `size` in all.

    Words that the tokenizer would change or split, such as "New" if it lower-cases, are left out.

    >>> from scratch_embed.text.basic_tokenizer import UNCASED
    >>> vocabulary(["[UNK]", "a", "##b"], ["a", "New", "new_york", "cat", "dog"], 4, UNCASED)
    ['[UNK]', 'a', '##b', 'cat']
    """
    found = dict.fromkeys(pieces)
    for word in words:
        if len(found) >= size:
            break
        if split_words(normalise(word, normalizer)) == [word]:
            found[word] = None
    return list(found)
