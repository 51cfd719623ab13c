"""scratch_embed: embeddings from scratch in NumPy and Numba, written to be read.

    >>> import scratch_embed as se
    >>> words = se.train_word2vec(se.corpus_path("words-easy.txt"), dim=50, sample=0)
    >>> words
    WordVectors(233 words x 50 dimensions)
    >>> words.most_similar(positive=["king", "woman"], negative=["man"], topn=1)[0][0]
    'queen'

Each public name is loaded when it is first used, so that importing the package costs nothing:

    WordVectors, FastTextVectors    words and their vectors
    StaticEncoder, SentenceEncoder  encode(texts) -> (N, D), from word vectors or from a transformer
    Index, BM25                     search by vectors, search by words
    train_word2vec, train_glove, train_fasttext   from a path or from sentences, in one call;
                                    RunOptions, Checkpoint, NGrams are for their arguments
    load                            any file or folder that this package reads
    cosine, corpus_path             similarity; the committed toy texts

The packages, by layer; a module imports only from layers below its own, or from its own package:

    7  cli/         the command line, one file a group of commands; tour
    5  why/         ablations: what each trick of a method is worth, measured
       testing/     property tests for your own functions: strategies, checkers (needs hypothesis)
       loading.py   what kind of file or folder is it, and who reads it;  train.py
    4  sentences/   encode(texts) -> (N, D): means of word vectors, transformers, SimCSE
    3  words/       word2vec, GloVe, FastText, its classifier; word vectors and their files
       transformer/ BERT, its pre-training, pooling; model folders of any family
    2  losses/      InfoNCE
       evaluate/    analogies and word pairs, ranking metrics, STS, probes, clusters, MTEB's tasks
       retrieve/    search by words (BM25) and by vectors, joining searches, reranking
    1  text/        a text as numbers: corpus, vocabulary, WordPiece, packed sequences
       space/       similarity, neighbours, analogies, geometry, smaller codes
       nn/          layers with their gradients, attention, AdamW, the check of gradients
       training/    batches, progress bar, checkpoint and resume, for everything that learns
       worlds/      the generators of the toy corpora, and where those are
    0  numerics/    the kernel decorator, functions, random numbers, errors, files, threads
"""
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:                                  # what _WHERE says, for editors and type checkers
    from scratch_embed.loading import load
    from scratch_embed.retrieve.bm25 import BM25
    from scratch_embed.retrieve.index import Index
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.sentences.static import StaticEncoder
    from scratch_embed.space.similarity import cosine
    from scratch_embed.train import train_fasttext, train_glove, train_word2vec
    from scratch_embed.training.checkpoint import Checkpoint
    from scratch_embed.training.session import RunOptions
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.subwords import NGrams
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.worlds.corpora import corpus_path

__version__ = "0.2.0"
__all__ = ["BM25", "Checkpoint", "FastTextVectors", "Index", "NGrams", "RunOptions",
           "SentenceEncoder", "StaticEncoder", "WordVectors", "corpus_path", "cosine", "load",
           "train_fasttext", "train_glove", "train_word2vec"]

_WHERE = {"BM25": "retrieve.bm25", "Checkpoint": "training.checkpoint",
          "FastTextVectors": "words.fasttext_vectors", "Index": "retrieve.index",
          "NGrams": "words.subwords", "RunOptions": "training.session",
          "SentenceEncoder": "sentences.encoder", "StaticEncoder": "sentences.static",
          "WordVectors": "words.vectors",
          "corpus_path": "worlds.corpora", "cosine": "space.similarity", "load": "loading",
          "train_fasttext": "train", "train_glove": "train", "train_word2vec": "train"}


def __getattr__(name: str) -> Any:
    """A public name, from the module that defines it; Python asks once, for it is kept."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its public names "
                             f"are {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
