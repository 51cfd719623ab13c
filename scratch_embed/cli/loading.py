"""From a file's name to vectors, whichever kind of file it is."""
import contextlib
import struct


def load_vectors(path):
    """A FastTextVectors, which knows words that no text had, of a fastText .bin; else WordVectors.

    Told by the first bytes, not by the name: word2vec's binary files end in .bin as well.
    """
    from scratch_embed.numerics.files import open_binary
    from scratch_embed.words.fasttext_files import MAGIC
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.vectors import WordVectors
    with open_binary(path) as (file, _):
        is_fasttext = file.peek(4)[:4] == struct.pack("<i", MAGIC)
    return (FastTextVectors if is_fasttext else WordVectors).load(path)


def with_words(vectors, asked):
    """WordVectors of the known words and, behind them, of those asked that only n-grams make."""
    import numpy as np

    from scratch_embed.words.vectors import MissingWord, WordVectors
    if isinstance(vectors, WordVectors):
        return vectors
    known, made = vectors.words, {}
    for word in asked:
        if word not in known:
            with contextlib.suppress(MissingWord):         # whoever asks the result will say so
                made[word] = vectors[word]
    if not made:
        return known
    return WordVectors([*known, *made], np.vstack([known.vectors, *made.values()]))
