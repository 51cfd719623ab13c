"""From a file's name to vectors of words, or to an encoder of texts, whichever kind it is."""
import contextlib
import hashlib
import os
import re
from pathlib import Path

from scratch_embed.cli.parsing import positive
from scratch_embed.cli.training import say

TOKENS = "spaces", "words"          # how a text falls apart: see `splitter`
WORD = re.compile(r"\w+")
MODELS = ("a folder: a sentence encoder, of `train simcse` or of sentence-transformers, or a BERT, "
          "whose tokens' mean is taken; or a file of word vectors: a text is the mean of its words")


def load_vectors(path):
    """A FastTextVectors, which knows words that no text had, of a fastText .bin; else WordVectors.

    Told by the first bytes, not by the name: word2vec's binary files end in .bin as well.
    """
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.vectors import WordVectors
    return (FastTextVectors if is_fasttext(path) else WordVectors).load(path)


def is_fasttext(path):
    """Whether a file begins like a fastText .bin."""
    from scratch_embed import loading
    return loading.is_fasttext(loading.look_at(path))


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


# ---- encoders -----------------------------------------------------------------------------------

def add_encoder_options(command):
    """How a file of word vectors becomes an encoder: see load_encoder.  Folders need none of it."""
    command.add_argument("--sif", type=positive, metavar="A",
                         help="weigh a word by a/(a + p), p its share of all words: the rare count "
                              "more; 0.001 is usual.  p from the counts of a fastText .bin, else "
                              "from the order of the file, by Zipf's law.  (all words alike)")
    command.add_argument("--tokens", choices=TOKENS, default=TOKENS[0],
                         help="a text's words: what stands between white space, or its letters and "
                              "digits, lower-cased, without the punctuation (spaces)")


def load_encoder(path, sif=None, tokens="spaces"):
    """Whatever encodes, encode(texts, show_progress_bar=...) -> (N, D), from a model's path.

    Word vectors of any format become the mean of a text's words; a folder is a SentenceEncoder.

    sif: the a of sif_weights, None for none; tokens: one of TOKENS; both are for words.
    """
    if os.path.isdir(path):
        if sif is not None:
            raise ValueError(f"--sif weighs words, and {path} is a folder with a transformer, "
                             "which has no use for it; leave it out")
        return transformer_of(path)
    return mean_of_words(path, sif, tokens)


def transformer_of(folder):
    """A SentenceEncoder of a folder, as its modules.json says; without one, the tokens' mean."""
    from scratch_embed.cli.models import require_model
    from scratch_embed.loading import mean_of_tokens
    from scratch_embed.sentences.encoder import SentenceEncoder
    if os.path.exists(os.path.join(folder, "modules.json")):
        return SentenceEncoder.load(folder)
    require_model(folder)
    encoder = mean_of_tokens(folder)
    say(f"{folder} has no modules.json: a text is the mean of its tokens' vectors")
    return encoder


def mean_of_words(path, sif, tokens):
    """A StaticEncoder of a file of word vectors."""
    from scratch_embed.sentences.static import StaticEncoder, sif_weights, zipf_frequencies
    from scratch_embed.words.fasttext_files import read_bin
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    split = splitter(tokens)
    if sif is None:
        return StaticEncoder(load_vectors(path), tokenize=split)
    if is_fasttext(path):                                  # which has the counts too
        model = read_bin(path, errors="surrogateescape")
        words = FastTextVectors(model.words, model.input, model.settings.min_n,
                                model.settings.max_n)
        shares = dict(zip(model.words, (model.counts / model.counts.sum()).tolist()))
    else:
        words = load_vectors(path)
        shares = zipf_frequencies(words.index_to_key)
    return StaticEncoder(words, sif_weights(shares, sif), tokenize=split)


def splitter(tokens):
    """A function from a text to its words; tokens: "spaces", or "words" of letters and digits."""
    from scratch_embed.sentences.static import tokens as between_spaces
    return {"spaces": between_spaces, "words": lambda text: WORD.findall(text.lower())}[tokens]


def digest_of(path):
    """16 hexadecimal digits that change with a model's bytes: a file, or all files of a folder.

    The words beside a .safetensors of word vectors are not in it: that holds their digest itself.
    """
    path = Path(path)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        with open(file, "rb") as contents:
            while block := contents.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def column_names(paths, taken=()):
    """{path: a short name}: the file's own, or the whole path where two would have one name.

    Raises ValueError for a path that comes twice.
    """
    if len(set(paths)) < len(paths):
        raise ValueError(f"{next(p for p in paths if paths.count(p) > 1)} is named twice")
    short = [os.path.basename(os.path.normpath(path)) for path in paths]
    return {path: path if short.count(name) > 1 or name in taken else name
            for path, name in zip(paths, short)}
