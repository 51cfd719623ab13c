"""scratch_embed: embeddings from scratch in NumPy and Numba, written to be read.

    >>> import scratch_embed as se
    >>> words = se.train_word2vec(se.corpus_path("words-easy.txt"), dim=50, sample=0)
    >>> words
    WordVectors(233 words x 50 dimensions)
    >>> words.most_similar(positive=["king", "woman"], negative=["man"], topn=1)[0][0]
    'queen'

Each public name is imported when it is first used, so importing the package is fast:

    WordVectors, FastTextVectors    words and their vectors
    StaticEncoder, SentenceEncoder  encode(texts) -> (N, D), from word vectors or from a transformer
    BgeM3                           encode(texts) -> dense, sparse and multi-vector encodings
    Clap                            encode_texts, encode_sounds -> (N, D), in one space
    Clip                            encode_texts, encode_images -> (N, D), in one space; zero_shot
    WhisperEncoder                  encode(sounds) -> (N, D), from WAV files or samples
    CrossEncoder                    predict(pairs) -> (N,), scores of pairs of texts
    Index, BM25                     search by vectors, search by words
    train_word2vec, train_glove, train_fasttext   train on the path of a text or on sentences
    WordTokenizer, RunOptions, Checkpoint, NGrams  arguments of the three training functions
    load                            read any file or folder of a supported kind
    plot                            a map of words (needs matplotlib)
    cosine, corpus_path             cosine similarity; the path of a toy corpus

The packages, by layer; a module imports only from lower layers or from its own package (no package
has number 6):

    7  cli/         the command line: a file for each group of commands, and the tour
    5  why/         ablations: the measured effect of each part of a method
       testing/     strategies and checkers for tests of your own functions (needs hypothesis)
       loading.py   load(): recognise a file or folder and read it
       plotting.py  plot(): a map of words
       train.py     train_word2vec, train_glove, train_fasttext
    4  sentences/   encode(texts) -> (N, D): means of word vectors, transformers; SimCSE
    3  words/       word2vec, GloVe, FastText and its classifier; word vectors and their files
       transformer/ BERT, GPT-2, Mistral; pre-training, pooling, model folders
    2  losses/      InfoNCE, triplet: a file for each loss
       evaluate/    analogies, word pairs, ranking measures, STS, probes, clustering, MTEB's tasks
       retrieve/    BM25, exact dense search, hybrid search, reranking
    1  text/        corpora, vocabularies, WordPiece, packed sequences
       space/       similarity, nearest neighbours, analogies, geometry, quantisation
       nn/          layers with their gradients, attention, AdamW, gradient checks
       training/    batches, progress bar, checkpoint and resume, for every training loop
       worlds/      generators of toy corpora with known truth, and the paths of these corpora
    0  numerics/    the kernel decorator, functions, random numbers, errors, files, threads
"""
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:                                  # for type checkers; at run time _WHERE is used
    from scratch_embed.loading import load
    from scratch_embed.multimodal.clap_encoder import Clap
    from scratch_embed.multimodal.clip_encoder import Clip
    from scratch_embed.multimodal.imagebind_encoder import ImageBind
    from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
    from scratch_embed.plotting import plot
    from scratch_embed.retrieve.bm25 import BM25
    from scratch_embed.retrieve.index import Index
    from scratch_embed.sentences.bge_m3 import BgeM3
    from scratch_embed.sentences.cross_encoder import CrossEncoder
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.sentences.static import StaticEncoder
    from scratch_embed.space.similarity import cosine
    from scratch_embed.text.word_tokenizer import WordTokenizer
    from scratch_embed.train import train_fasttext, train_glove, train_word2vec
    from scratch_embed.training.checkpoint import Checkpoint
    from scratch_embed.training.session import RunOptions
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.subwords import NGrams
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.worlds.corpora import corpus_path

__version__ = "0.2.0"
__all__ = ["BM25", "BgeM3", "Checkpoint", "Clap", "Clip", "CrossEncoder", "FastTextVectors",
           "ImageBind", "Index", "NGrams", "RunOptions", "SentenceEncoder", "StaticEncoder",
           "WhisperEncoder", "WordTokenizer", "WordVectors", "corpus_path", "cosine", "load",
           "plot", "train_fasttext", "train_glove", "train_word2vec"]

_WHERE = {"BM25": "retrieve.bm25", "BgeM3": "sentences.bge_m3", "Checkpoint": "training.checkpoint",
          "Clap": "multimodal.clap_encoder", "Clip": "multimodal.clip_encoder",
          "CrossEncoder": "sentences.cross_encoder",
          "FastTextVectors": "words.fasttext_vectors",
          "ImageBind": "multimodal.imagebind_encoder", "Index": "retrieve.index",
          "NGrams": "words.subwords", "RunOptions": "training.session",
          "SentenceEncoder": "sentences.encoder", "StaticEncoder": "sentences.static",
          "WhisperEncoder": "multimodal.whisper_encoder",
          "WordTokenizer": "text.word_tokenizer", "WordVectors": "words.vectors",
          "corpus_path": "worlds.corpora", "cosine": "space.similarity", "load": "loading",
          "plot": "plotting",
          "train_fasttext": "train", "train_glove": "train", "train_word2vec": "train"}


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use, and keep it in this module."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its public names "
                             f"are {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
