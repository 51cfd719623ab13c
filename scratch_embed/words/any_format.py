"""Load word vectors of any format, with the words' counts if the file has them.

Bytes     a fastText .bin (n-grams and counts); word2vec's text or binary format, GloVe, fastText's
          .vec, safetensors (a vector for each word)
Read next words/fasttext_vectors.py, words/vectors.py (what is returned)

The first bytes decide, not the name, because word2vec's binary files also end in .bin.
"""
import os

from scratch_embed.numerics.files import open_binary
from scratch_embed.text.vocab import Vocab
from scratch_embed.words.fasttext_files import read_bin
from scratch_embed.words.fasttext_header import HEADER, begins_like_fasttext
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.tables import KEEP
from scratch_embed.words.vectors import WordVectors


def load_words(path: str | os.PathLike, errors: str = KEEP
               ) -> tuple[WordVectors | FastTextVectors, Vocab | None]:
    """Read word vectors.  -> the vectors, the words with their counts (None: no counts)

    A fastText .bin gives FastTextVectors, which also have vectors for unknown words, and counts;
    any other format gives WordVectors without counts.
    errors: for words that are not UTF-8; see words/tables.py
    Raises FormatError if the file is damaged or of another kind.
    """
    with open_binary(path) as (file, _):
        start = file.read(HEADER.size)
    if not begins_like_fasttext(start):
        return WordVectors.load(path, errors), None
    model = read_bin(path, errors)
    settings = model.settings
    return (FastTextVectors(model.words, model.input, settings.min_n, settings.max_n),
            Vocab(model.words, model.counts))
