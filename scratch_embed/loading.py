"""load(path): recognise the kind of a file or folder by its content, and read it.

Kinds     FILES and FOLDERS are tables of kinds: each kind has a name, a test and the function that
          reads it.  The first kind whose test holds is chosen.
Cost      recognition reads the beginning of a file, see recognition.py
Read next recognition.py (the tests), words/vectors.py, words/fasttext_vectors.py,
          sentences/encoder.py (what is returned)

Why the content and not the name?  word2vec's binary files and fastText's models both end in .bin.
The tables also have kinds that load() does not read, with a hint in place of the function: the
error message then states what the file is and what reads it.

A new model family adds one line to FAMILIES in transformer/families.py.
"""
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.imagebind_encoder import SETTINGS as IMAGEBIND
from scratch_embed.multimodal.imagebind_encoder import ImageBind
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.numerics.binary_kinds import ARRAYS, OFFICE, PDF, SIGNATURES
from scratch_embed.numerics.errors import FormatError
from scratch_embed.recognition import (
    NUMPY,
    Found,
    has,
    has_kind,
    is_adapter_alone,
    is_binary,
    is_checkpoint,
    is_classifier,
    is_columns,
    is_cross_encoder,
    is_fasttext,
    is_glove,
    is_index,
    is_json,
    is_m3,
    is_m3_text_index,
    is_model,
    is_old_checkpoint,
    is_pytorch,
    is_qrels,
    is_run,
    is_static,
    is_tensors,
    is_text,
    is_text_index,
    is_vector_array,
    is_vector_tensor,
    is_vocabulary,
    is_word2vec,
    is_word2vec_text,
    lacks_config,
    look_at,
    look_into,
    of_type,
    starts_with,
)
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.multi_vector import KIND as MULTI_INDEX
from scratch_embed.retrieve.multi_vector import MultiVectorIndex
from scratch_embed.retrieve.sparse import KIND as SPARSE_INDEX
from scratch_embed.retrieve.sparse import SparseIndex
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.bge_m3_index import KIND as M3_INDEX
from scratch_embed.sentences.bge_m3_index import M3Index, load_text_index
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.static_folder import read_static_folder
from scratch_embed.text.corpus_folder import CARD, open_corpus
from scratch_embed.text.tokenizer_files import WHOLE as TOKENIZER
from scratch_embed.transformer.checkpoint import TORCH_TO_SAFETENSORS
from scratch_embed.transformer.families import FAMILIES
from scratch_embed.transformer.local_folder import missing_model
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.vector_arrays import read_vectors_npy
from scratch_embed.words.vector_files import read_vectors
from scratch_embed.words.vector_tensors import (
    read_tokenizer,
    read_vectors_safetensors,
)
from scratch_embed.words.vectors import WordVectors

Path = str | os.PathLike


def load(path: Path) -> Any:
    """Read a file or folder of any supported kind, recognised by its content and not its name.

    word vectors                    -> WordVectors; word2vec, GloVe or fastText's .vec, plain or
                                       gzip, or safetensors or .npy with their vocabulary
    a fastText model of words       -> FastTextVectors
    a fastText classifier           -> Classifier
    a search index                  -> Index, or TextIndex if it contains its texts; SparseIndex,
                                       MultiVectorIndex, M3Index
    a cross-encoder's folder        -> CrossEncoder
    a sentence-transformers folder  -> SentenceEncoder; StaticEncoder for a StaticEmbedding; of
                                       bge-m3 the dense part alone: BgeM3.load reads all three
    a transformers folder           -> SentenceEncoder, mean pooling of the tokens' vectors; which
                                       models: transformer/README.md, "What loads"
    a CLAP folder                   -> Clap, of texts and sounds
    a CLIP folder                   -> Clip, of texts and images
    an ImageBind folder             -> ImageBind, of texts, images, sounds and other senses
    a Whisper folder                -> WhisperEncoder, of sounds
    a corpus folder                 -> (Vocab, Corpus)

    Raises FileNotFoundError if `path` does not exist, and FormatError for any other kind; the
    message states what was found and, if known, which function or command reads it.

    >>> import os, tempfile
    >>> from scratch_embed.words.vectors import WordVectors
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "two.bin")
    ...     WordVectors(["king", "queen"], [[1, 0], [0, 1]]).save(path)
    ...     load(path)
    WordVectors(2 words x 2 dimensions)
    """
    if not os.path.exists(path):
        raise FileNotFoundError(missing_model(path))
    kind, found = kind_of(path)
    if kind is None:
        raise FormatError(path, "its kind", f"{found.described}; load() reads {readable()}")
    if isinstance(kind.read, str):
        raise FormatError(path, "its kind", f"this is {kind.name}; {hint(kind, path)}")
    return kind.read(path)


def kind_of(path: Path) -> tuple["Kind | None", "Found"]:
    """The first kind of the tables that fits a file or folder, or None; and what was found in it.

    Raises FileNotFoundError if `path` does not exist.
    """
    kinds, found = (FOLDERS, look_into(path)) if os.path.isdir(path) else (FILES, look_at(path))
    return next((kind for kind in kinds if kind.fits(found)), None), found


def hint(kind: "Kind", path: Path) -> str:
    """What reads a kind that load() cannot read; empty for a kind that it reads."""
    return kind.read.replace("FILE", os.fspath(path)) if isinstance(kind.read, str) else ""


def readable() -> str:
    """The names of the kinds that load() reads, for messages and help."""
    return ", ".join(kind.name for kind in (*FILES, *FOLDERS)
                     if callable(kind.read) and kind is not OTHER_MODEL)


# ---- readers ----------------------------------------------------------------------------------

def vectors_of_rows(path: Path) -> WordVectors:
    """Read word vectors from a file that contains the words."""
    return WordVectors(*read_vectors(path))


def vectors_of_array(path: Path) -> WordVectors:
    """Read word vectors from a NumPy array, and their words from the vocabulary file beside it."""
    return WordVectors(*read_vectors_npy(path))


def vectors_of_tensor(path: Path) -> WordVectors:
    """Read word vectors from safetensors, and their words from the vocabulary file beside it."""
    return WordVectors(*read_vectors_safetensors(path), read_tokenizer(path))


# ---- the tables -------------------------------------------------------------------------------

class Kind(NamedTuple):
    """A kind of file or folder: its name, its test, and the function that reads it."""

    name: str
    fits: Callable[[Found], bool]
    read: Callable[[Path], Any] | str          # a str: load() cannot read it; says what can


SPELT = ("MPNet", "XLM-R")                     # read "em-pee-net", "ex-el-em-ar": with "an"
MODELS = tuple(                                # folders with a config.json, by its model_type
    Kind(f"a{'n' * (family.name in SPELT)} {family.name} folder", of_type(model_type),
         SentenceEncoder.load)
    for model_type, family in FAMILIES.items())
# refused by SentenceEncoder.load, with the field of config.json and the reason
OTHER_MODEL = Kind("a folder with a model of another type", is_model, SentenceEncoder.load)
FOLDERS = (
    Kind("a CLAP folder", of_type("clap"), Clap.load),
    Kind("an ImageBind folder", has(IMAGEBIND), ImageBind.load),
    Kind("a CLIP folder", of_type("clip"), Clip.load),
    Kind("a Whisper folder", of_type("whisper"), WhisperEncoder.load),
    Kind("a folder of one tower of CLIP", lambda found: found.model_type in (
        "clip_text_model", "clip_vision_model"), "load() reads both towers, from a folder of "
         "transformers' CLIPModel"),
    Kind("a SigLIP folder", lambda found: found.model_type in ("siglip", "siglip2"), "its image "
         "tower pools by attention, which is not here; losses/sigmoid.py has its loss, to train "
         "a CLIP with"),
    Kind("a cross-encoder's folder", is_cross_encoder, CrossEncoder.load),
    Kind("a folder with an adapter without its model", is_adapter_alone, "copy its two files "
         "(adapter_config.json, adapter_model.safetensors) into the folder of the model that "
         "base_model_name_or_path names, and load that folder"),
    Kind("a model's folder without config.json", lacks_config, "this file says what the model is: "
         "copy it from where the folder came"),
    Kind("a sentence-transformers folder with static embeddings", is_static, read_static_folder),
    Kind("a sentence-transformers folder with BGE-M3's heads, which BgeM3.load reads", is_m3,
         SentenceEncoder.load),
    Kind("a sentence-transformers folder", has("modules.json"), SentenceEncoder.load),
    *MODELS,
    OTHER_MODEL,
    Kind("a corpus folder", has(CARD), open_corpus),
    Kind("a tokenizer's folder, without a model", has(TOKENIZER), "`scratch-embed train` reads it "
         "with --tokenizer-folder; in Python, load of text/tokenizer_files.py"),
)
FILES = (                # safetensors before pickles: a safetensors file may begin with any byte
    Kind("a fastText classifier", is_classifier, Classifier.load),
    Kind("a fastText model of words, without labels", is_fasttext, FastTextVectors.load),
    Kind("a search index with its texts", is_text_index, TextIndex.load),
    Kind("a search index", is_index, Index.load),
    Kind("a search index with its texts and BGE-M3's vectors", is_m3_text_index, load_text_index),
    Kind("an index of BGE-M3's vectors", has_kind(M3_INDEX), M3Index.load),
    Kind("an index of sparse vectors", has_kind(SPARSE_INDEX), SparseIndex.load),
    Kind("an index of token vectors", has_kind(MULTI_INDEX), MultiVectorIndex.load),
    Kind("a training checkpoint", is_checkpoint, "it resumes a training run and is not a model: "
         "train with the same text and settings and --checkpoint FILE --resume"),
    Kind("a training checkpoint of version 0.1", is_old_checkpoint, "only that version can resume "
         "the training"),
    Kind("word vectors in safetensors with their vocabulary", is_vector_tensor,
         vectors_of_tensor),
    Kind("a file of tensors", is_tensors, "if they are a model's, load the folder that contains "
         "config.json; if they are word vectors, put their words beside it, in NAME.vocab.txt"),
    Kind("a PyTorch file", is_pytorch, "its pickles can run any code and are never read; if you "
         "trust it, convert it where torch and safetensors are installed: "
         + TORCH_TO_SAFETENSORS.replace("FROM", "FILE").replace("TO", "FILE.safetensors")),
    Kind("a pickle", starts_with(b"\x80"), "it can run any code and is never read; if you trust it "
         "and gensim saved it, convert it where gensim is installed: "
         "python -c \"from gensim.utils import SaveLoad; m = SaveLoad.load('FILE'); "
         "getattr(m, 'wv', m).save_word2vec_format('FILE.vec')\""),
    Kind("word vectors in a NumPy array with their vocabulary", is_vector_array, vectors_of_array),
    Kind("a NumPy array", starts_with(NUMPY), "numpy.load reads it; if its rows are word vectors, "
         "put their words beside it, one per line, in NAME.vocab.txt"),
    *(Kind(name, is_binary(name), advice or "nothing reads it") for name, advice in
      dict.fromkeys((*(kind for *_, kind in SIGNATURES), PDF, OFFICE, ARRAYS))),
    Kind("the words of word vectors in another file", is_vocabulary, "they belong to the "
         ".safetensors or .npy of the same name beside it: give that file"),
    Kind("a run in TREC's format", is_run, "`scratch-embed evaluate run` reads it; in Python, "
         "read_run of evaluate/trec.py"),
    Kind("relevance judgements (qrels)", is_qrels, "`scratch-embed evaluate run` and `evaluate "
         "retrieval` read them; in Python, read_judgements of evaluate/collection.py"),
    Kind("word vectors in text, with a header as of word2vec and fastText's .vec", is_word2vec_text,
         vectors_of_rows),
    Kind("word vectors in word2vec's binary format", is_word2vec, vectors_of_rows),
    Kind("word vectors in text without a header, as of GloVe", is_glove, vectors_of_rows),
    Kind("JSON", is_json, "if it belongs to a model, load the folder; a collection's texts are "
         "read by `scratch-embed evaluate retrieval`, in Python by read_texts of "
         "evaluate/collection.py; lists of sounds and scenes by `train whisper` and `train "
         "imagebind`"),
    Kind("a labelled text", starts_with(b"__label__"), "`scratch-embed train classifier` reads it"),
    Kind("a text with tabs, such as pairs of texts", is_columns, "`scratch-embed train sbert`, "
         "`train cross-encoder` and `mine` read pairs of texts, with a score or a hard negative in "
         "`train`; `evaluate sts` reads two texts and a score; `train clip`, `train clap` and "
         "`train whisper` read names of files with captions or labels"),
    Kind("a text", is_text, "`scratch-embed train`, `phrases` and `index` read it; in Python, "
         "train_word2vec, train_glove and train_fasttext"),
)
