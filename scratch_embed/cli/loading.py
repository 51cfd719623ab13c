"""Load word vectors or an encoder of texts from a path, whatever its format."""
import contextlib
import hashlib
import os
from pathlib import Path

from scratch_embed.cli.parsing import non_negative
from scratch_embed.cli.tokenizing import DEDUCED, add_encoder_tokenizer, count_words
from scratch_embed.cli.training import say

MODELS = ("a folder with a sentence encoder, of `train simcse` or of sentence-transformers; or a "
          "folder with a transformer, whose token vectors are averaged; or a file of word vectors, "
          "which are averaged")
OF_SENSES = "; or a folder of CLIP, CLAP, ImageBind or Whisper, which encode files too"
SIF = 0.001                        # the a of SIF's weights, as in the paper


def add_vectors(command):
    """Add the argument VECTORS: a file of word vectors."""
    command.add_argument("file", metavar="VECTORS", help="word vectors: word2vec (text or binary), "
                         "GloVe, fastText (.vec, or .bin, which also has vectors for unknown "
                         "words), or .safetensors or .npy with its words in a .vocab.txt beside "
                         "it; text and .bin may be gzip-compressed")


def load_vectors(path):
    """Load a fastText .bin as FastTextVectors, any other file of vectors as WordVectors.

    FastTextVectors also have vectors for unknown words.  The first bytes decide, not the name,
    because word2vec's binary files also end in .bin.
    """
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.vectors import WordVectors
    return (FastTextVectors if is_fasttext(path) else WordVectors).load(path)


def is_fasttext(path):
    """Whether a file begins with the header of a fastText .bin."""
    from scratch_embed import recognition
    return recognition.is_fasttext(recognition.look_at(path))


def with_words(vectors, wanted):
    """WordVectors of the known words and, after them, of the wanted unknown words.

    The vector of an unknown word is made of its n-grams; a word without n-grams stays missing.
    """
    import numpy as np

    from scratch_embed.words.vectors import MissingWord, WordVectors
    if isinstance(vectors, WordVectors):
        return vectors
    known, made = vectors.words, {}
    for word in wanted:
        if word not in known:
            with contextlib.suppress(MissingWord):         # a word without n-grams
                made[word] = vectors[word]
    if not made:
        return known
    return WordVectors([*known, *made], np.vstack([known.vectors, *made.values()]))


# ---- encoders -----------------------------------------------------------------------------------

def add_model(command, more=""):
    """Add the argument MODEL: anything that encodes texts.  -> it"""
    return command.add_argument("model", metavar="MODEL", help=MODELS + more)


def add_encoder_options(command, bm25=False):
    """Add --sif and the tokenizer's options, which apply to an encoder of word vectors.

    bm25: whether the tokenizer's options apply to BM25 too.
    """
    command.add_argument("--sif", type=non_negative, metavar="A",
                         help="weight each word by A/(A + p), where p is its share of all words, "
                              "so that rare words count more, the more so the smaller A is; 0: "
                              "equal weights.  p comes from the "
                              "counts in a fastText .bin, else by Zipf's law from the rank of the "
                              "word in the file, whose first word should be the most frequent "
                              f"(default: {SIF})")
    add_encoder_tokenizer(command, bm25)


def chosen_sif(arguments, model):
    """The a of --sif; by default SIF for word vectors, None for a folder.  0 gives None."""
    if arguments.sif is None and not os.path.isdir(model):
        return SIF
    return arguments.sif or None


def load_encoder(path, sif=None, tokenizer=None, deduced=DEDUCED, note=True):
    """An encoder, with encode(texts, show_progress_bar=...) -> (N, D), from a model's path.

    A folder becomes a SentenceEncoder, or a StaticEncoder if it has a StaticEmbedding; a file of
    word vectors becomes a StaticEncoder, the mean of the vectors of a text's words; a folder of
    CLIP, CLAP, ImageBind or Whisper a SenseEncoder.

    sif: the a of sif_weights, or None for equal weights; a number for a folder is a ValueError.
    tokenizer: text -> words, for word vectors; None: the model's, which is printed.
    deduced: what is printed of a tokenizer that the file does not store.
    note: whether to print that a folder without modules.json gets mean pooling.
    """
    if os.path.isdir(path):
        if sif is not None:
            raise ValueError(f"--sif weights word vectors, and {path} is a folder with a "
                             "transformer; leave it out")
        return transformer_of(path, note)
    return mean_of_words(path, sif, tokenizer, deduced)


def transformer_of(folder, note):
    """The encoder of a folder; one without modules.json gets mean pooling: see `note`."""
    from scratch_embed.cli.models import require_model
    from scratch_embed.cli.sense_encoder import SenseEncoder, is_sense_folder
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.sentences.folder import has_modules
    from scratch_embed.sentences.static_folder import is_static_folder, read_static_folder
    from scratch_embed.transformer.pooling import mean
    if is_static_folder(folder):
        return read_static_folder(folder)
    require_model(folder)
    if is_sense_folder(folder):
        return SenseEncoder.load(folder)
    encoder = SentenceEncoder.load(folder)
    if note and not has_modules(folder):
        vector = ("the mean of its tokens' vectors" if encoder.recipe.poolings == (mean,) else
                  "that of [CLS], normalised, because it has BGE-M3's heads")
        say(f"{folder} has no modules.json: a text's vector is {vector}")
    return encoder


def mean_of_words(path, sif, tokenizer, deduced):
    """A StaticEncoder of a file of word vectors, which counts known words: see say_known()."""
    from scratch_embed.sentences.static import StaticEncoder
    encoder = StaticEncoder.load(path, tokenizer, sif)
    if tokenizer is None:
        stored = encoder.words.tokenizer is not None
        say(f"tokenizer of {os.path.basename(path)}: {encoder.tokenize} "
            f"({'stored in the file' if stored else deduced})")
    count_words(encoder)
    return encoder


def digest_of(path, heads=False):
    """A hash of a model's file, or of the files of its folder that are read: 16 hex digits.

    heads: whether the two heads of BGE-M3 are among them.
    The vocabulary file of a .safetensors is left out, because the .safetensors stores its digest.
    Raises ValueError for a device or a pipe, which may have no end.
    """
    from scratch_embed.cli import sense_encoder
    from scratch_embed.sentences.bge_m3_folder import FILES
    from scratch_embed.sentences.folder import model_files
    if not os.path.isdir(path):
        return _digest(path, [""])
    more = [f"{stem}.safetensors" for stem in FILES.values()] if heads else (
        sense_encoder.FILES if sense_encoder.is_sense_folder(path) else [])
    more = [name for name in more if os.path.exists(os.path.join(path, name))]
    return _digest(path, [*model_files(path), *more])


def is_model(path, digest, heads=False):
    """Whether `digest` is that of the model, or that of all files of its folder.

    Indexes of earlier versions store the latter.  heads: as in digest_of()
    """
    if digest_of(path, heads) == digest or not os.path.isdir(path):
        return digest_of(path, heads) == digest
    names = sorted(p for p in Path(path).rglob("*") if p.is_file())
    return _digest(path, [str(p.relative_to(path)) for p in names]) == digest


def _digest(path, names):
    """A hash of files, by their names below `path`; the name "" is `path` itself."""
    digest = hashlib.blake2b(digest_size=8)
    for name in names:
        file = os.path.join(path, name) if name else path
        if os.path.exists(file) and not os.path.isfile(file):
            raise ValueError(f"{file}: expected a regular file of a model, found a device or a "
                             "pipe; give the model's file or folder with --model")
        digest.update(f"{name or '.'}\0{os.path.getsize(file)}\0".encode())
        with open(file, "rb") as contents:
            while block := contents.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def column_names(paths, taken=()):
    """{path: a short name}: the file's name, or the whole path if two files have the same name.

    Raises ValueError for a path that is given twice.
    """
    if len(set(paths)) < len(paths):
        raise ValueError(f"{next(p for p in paths if paths.count(p) > 1)} is given twice")
    short = [os.path.basename(os.path.normpath(path)) for path in paths]
    return {path: path if short.count(name) > 1 or name in taken else name
            for path, name in zip(paths, short)}
