"""Warm start: a new transformer whose token embeddings are word vectors.

Paper     Qi, Sachan, Felix, Padmanabhan & Neubig 2018, "When and Why Are Pre-Trained Word
          Embeddings Useful for Neural Machine Translation?"
Equation  E_t = c x_t   for each token t that is a word with a vector x_t,
          c = std / √(mean of x²), the mean over all numbers of these vectors; std = 0.2
          all other tokens keep their initial values, N(0, 0.02²)
Shapes    x (words, D), E (V, D)
Cost      a pass over the vocabulary
Read next sentences/sbert.py (the training), words/word2vec.py (where such vectors come from)

Why does it help?  The sublayers start with small outputs (weights of deviation 0.02), so before
training the encoder is nearly a mean of normalised token embeddings: with word vectors it already
resembles sentences/static.py's encoder, without SIF's weights.  Pairs need not teach every synonym
from nothing.

Why the factor c?  A token's input is the layer norm of E_t + position + type, and the last two
start as noise of deviation 0.02.  At the same scale they would be as large as the word.  And AdamW
moves a weight by about lr per step, whatever its size: ten steps of 0.003 overwrite a table of
0.02, but not one of 0.2.  A larger table keeps more of what the vectors know, and learns less from
the pairs.  After training on 100 pairs of a toy world, nDCG@10 is 42 from scratch, 53 at std = 0.02
and 80 at 0.2; with 4,000 pairs nothing is gained (bench/sentences/warm_start.py).

Which tokens have no vector?  Special tokens, the letters and endings of WordPiece ("##ing"), and
words that the vectors lack.  They start as noise of 0.02, so they count little in the mean until
training moves them.  A word in several pieces gains nothing, so vocabulary() adds the words of the
vectors to the learned pieces.  These need not occur in the training pairs: "puppy" is near "dog"
from the start, so what is learned for "dog" can apply to it.
"""
from collections.abc import Iterable

import numpy as np

from scratch_embed.text.basic_tokenizer import Normalizer, normalise, split_words
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.transformer.bert import TABLE, Bert
from scratch_embed.words.vectors import WordVectors

STD = 0.2                          # ten times that of the other initial weights


def with_word_vectors(model: Bert, tokenizer: WordPiece, words: WordVectors, std: float = STD
                      ) -> tuple[Bert, int]:
    """A copy of a new model with word vectors as token embeddings, and how many tokens have one.

    words: of model.dim dimensions; std: the root mean square of the scaled vectors' numbers.
    Raises ValueError for other dimensions, and if no token has a vector.

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
    """The learned pieces, then words that are not among them, in their order, up to `size` in all.

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
