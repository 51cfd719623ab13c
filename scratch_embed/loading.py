"""load(path): recognise the kind of a file or folder by its content, and read it.

Kinds     FILES and FOLDERS are tables of kinds: each kind has a name, a test and the function that
          reads it.  The first kind whose test holds is chosen.
Cost      recognition reads SAMPLE bytes, or the header of a safetensors file; of a first line that
          is longer, at most LONGEST_LINE bytes
Read next words/vectors.py, words/fasttext_vectors.py, sentences/encoder.py (what is returned)

Why the content and not the name?  word2vec's binary files and fastText's models both end in .bin.
The tables also have kinds that load() does not read, with a hint in place of the function: the
error message then states what the file is and what reads it.

A new model family adds one line to FAMILIES in transformer/families.py.
"""
import os
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.numerics.binary_kinds import ARRAYS, OFFICE, PDF, SIGNATURES, binary_kind
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import open_binary
from scratch_embed.numerics.json_files import read_json, show
from scratch_embed.numerics.safetensors import begins_like_safetensors, read_header
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.index_files import KIND as INDEX
from scratch_embed.retrieve.multi_vector import KIND as MULTI_INDEX
from scratch_embed.retrieve.multi_vector import MultiVectorIndex
from scratch_embed.retrieve.sparse import KIND as SPARSE_INDEX
from scratch_embed.retrieve.sparse import SparseIndex
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.bge_m3_index import KIND as M3_INDEX
from scratch_embed.sentences.bge_m3_index import M3Index, load_text_index
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.static_folder import is_static_folder, read_static_folder
from scratch_embed.text.corpus_folder import CARD, open_corpus
from scratch_embed.text.tokenizer_files import WHOLE as TOKENIZER
from scratch_embed.training.checkpoint import FORMAT as CHECKPOINT
from scratch_embed.transformer.checkpoint import TORCH_TO_SAFETENSORS
from scratch_embed.transformer.classification import has_classifier
from scratch_embed.transformer.families import FAMILIES
from scratch_embed.transformer.local_folder import missing_model
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.fasttext_header import begins_like_fasttext, is_supervised
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.vector_arrays import read_vectors_npy
from scratch_embed.words.vector_files import read_vectors
from scratch_embed.words.vector_tensors import (
    read_tokenizer,
    read_vectors_safetensors,
    vocabulary_beside,
)
from scratch_embed.words.vectors import WordVectors

SAMPLE = 1 << 16                   # bytes of a file that are inspected
LONGEST_LINE = 1 << 20             # bytes of a first line without an end in the sample
NUMPY = b"\x93NUMPY"               # how a .npy file begins
OLD_PYTORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"          # a pickle of torch's magic number
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
    return ", ".join(kind.name for kind in (*FILES, *FOLDERS) if callable(kind.read))


# ---- inspecting a path ------------------------------------------------------------------------

class Found(NamedTuple):
    """What the tests of the kinds may use: facts about a file or folder."""

    path: Path
    described: str                             # for the error message, if no kind fits
    start: bytes = b""                         # the first SAMPLE bytes of a file, decompressed
    line: bytes = b""                          # its first line
    names: tuple[str, ...] = ()                # entries of a folder, tensors of a safetensors file
    metadata: Mapping[str, str] | None = None  # of a safetensors file, else None
    model_type: str | None = None              # from the config.json of a folder, else None

    @property
    def fields(self) -> list[bytes]:
        """The first line, split at white space."""
        return self.line.removeprefix(BOM_UTF8).split()


def look_at(path: Path) -> Found:
    """Inspect a file."""
    with open_binary(path) as (file, _):
        start = file.read(SAMPLE)
        line, end, _ = start.partition(b"\n")
        if not end:                                # the first word of a table can be long
            line += file.readline(LONGEST_LINE)
    if begins_like_safetensors(start):
        entries, metadata = read_header(path)
        described = f"a safetensors file with the tensors {', '.join(entries)[:100] or 'none'}"
        return Found(path, described, start, line, tuple(entries), metadata)
    return Found(path, f"a file that begins with {start[:16]!r}" if start else "an empty file",
                 start, line)


def look_into(path: Path) -> Found:
    """Inspect a folder."""
    names = tuple(sorted(os.listdir(path)))
    described = f"a folder that contains {', '.join(names)[:100]}" if names else "an empty folder"
    if "config.json" not in names:
        return Found(path, described, names=names)
    model_type = None
    try:
        fields = read_json(os.path.join(path, "config.json"))
        model_type = fields.get("model_type", "bert")   # missing from the first BERTs' files
        described = f"a folder with a model of the type {show(model_type)}"
    except FormatError:
        described = "a folder whose config.json is not a JSON object"
    return Found(path, described, names=names, model_type=model_type)


# ---- files --------------------------------------------------------------------------------------

def starts_with(magic: bytes) -> Callable[[Found], bool]:
    """A test for files that begin with these bytes."""
    return lambda found: found.start.startswith(magic)


def is_fasttext(found: Found) -> bool:
    """Whether the file is a fastText model, of words or of labels."""
    return begins_like_fasttext(found.start)


def is_classifier(found: Found) -> bool:
    """Whether it is a fastText model that predicts labels."""
    return is_supervised(found.start)


def is_index(found: Found) -> bool:
    """Whether the file is an Index: vectors and their ids, with or without texts."""
    return has_kind(INDEX)(found)


def has_kind(kind: str) -> Callable[[Found], bool]:
    """A test for safetensors files whose metadata names this kind."""
    return lambda found: found.metadata is not None and found.metadata.get("kind") == kind


def is_text_index(found: Found) -> bool:
    """Whether the file is a TextIndex: vectors and the texts that they encode."""
    return is_index(found) and "made_by" in (found.metadata or ())


def is_m3_text_index(found: Found) -> bool:
    """Whether the file is a TextIndex with an M3Index: BGE-M3's vectors and their texts."""
    return has_kind(M3_INDEX)(found) and "made_by" in (found.metadata or ())


def is_checkpoint(found: Found) -> bool:
    """Whether the file is a training checkpoint."""
    return found.metadata is not None and found.metadata.get("format") == CHECKPOINT


def is_old_checkpoint(found: Found) -> bool:
    """Whether the file is a training checkpoint of version 0.1."""
    return found.metadata is not None and "settings" in found.metadata


def is_vector_tensor(found: Found) -> bool:
    """Whether the file has word vectors in safetensors, with their words in another file."""
    return found.metadata is not None and ("vocabulary_size" in found.metadata
                                           or os.path.exists(vocabulary_beside(found.path)))


def is_tensors(found: Found) -> bool:
    """Whether the file is in safetensors format."""
    return found.metadata is not None


def is_word2vec(found: Found) -> bool:
    """Whether the first line is "V D", the header of word2vec's formats."""
    return len(found.fields) == 2 and all(field.isdigit() for field in found.fields)


def is_word2vec_text(found: Found) -> bool:
    """Whether a number in text follows the first word after the header of word2vec."""
    return is_word2vec(found) and all(map(is_number, found.start.split()[3:4]))


def is_glove(found: Found) -> bool:
    """Whether the first line ends in at least two numbers after a word."""
    return len(found.fields) > 2 and all(map(is_number, found.fields[-2:]))


def is_vocabulary(found: Found) -> bool:
    """Whether the file is the NAME.vocab.txt of a NAME.safetensors or NAME.npy beside it."""
    stem = os.fspath(found.path).removesuffix(".vocab.txt")
    return stem != os.fspath(found.path) and any(os.path.exists(stem + end)
                                                 for end in (".safetensors", ".npy"))


def is_vector_array(found: Found) -> bool:
    """Whether the file is a NumPy array, with its words in another file."""
    return found.start.startswith(NUMPY) and os.path.exists(vocabulary_beside(found.path))


def is_pytorch(found: Found) -> bool:
    """Whether the file is what torch.save writes: a zip of pickles, or before 1.6 several pickles.

    NumPy's .npz is a zip too; the name of the first file in it decides.
    """
    zipped = found.start.startswith(b"PK\x03\x04") and b"/data.pkl" in found.start[:512]
    return zipped or found.start.startswith(OLD_PYTORCH)


def is_binary(name: str) -> Callable[[Found], bool]:
    """A test for files that binary_kind() calls `name`."""
    return lambda found: getattr(binary_kind(found.start), "name", None) == name


def is_run(found: Found) -> bool:
    """Whether the first line is "query Q0 document rank score name"."""
    return len(found.fields) == 6 and found.fields[1] == b"Q0" and is_number(found.fields[4])


def is_qrels(found: Found) -> bool:
    """Whether the first line is "query 0 document gain", or the header of BEIR's qrels."""
    fields = found.fields
    return fields == [b"query-id", b"corpus-id", b"score"] or (
        len(fields) == 4 and fields[1] in (b"0", b"Q0") and is_number(fields[3]))


def is_json(found: Found) -> bool:
    """Whether the file begins like a JSON object, a JSON list or JSON lines."""
    return re.match(rb'\s*[\[{]\s*["\[{\]}]', found.start) is not None


def is_text(found: Found) -> bool:
    """Whether the sample is UTF-8 without control characters; its last character may be cut."""
    try:
        found.start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(found.start) - 3:
            return False
    return bool(found.start) and not re.search(rb"[\0-\x08\x0e-\x1a]", found.start)


def is_columns(found: Found) -> bool:
    """Whether the file is a text whose first line has tabs, such as pairs of texts."""
    return b"\t" in found.line.strip() and is_text(found)


def is_number(field: bytes | str) -> bool:
    """Whether float() accepts the field."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def vectors_of_rows(path: Path) -> WordVectors:
    """Read word vectors from a file that contains the words."""
    return WordVectors(*read_vectors(path))


def vectors_of_array(path: Path) -> WordVectors:
    """Read word vectors from a NumPy array, and their words from the vocabulary file beside it."""
    return WordVectors(*read_vectors_npy(path))


def vectors_of_tensor(path: Path) -> WordVectors:
    """Read word vectors from safetensors, and their words from the vocabulary file beside it."""
    return WordVectors(*read_vectors_safetensors(path), read_tokenizer(path))


# ---- folders -----------------------------------------------------------------------------------

def has(name: str) -> Callable[[Found], bool]:
    """A test for folders with an entry of that name."""
    return lambda found: name in found.names


def of_type(model_type: str) -> Callable[[Found], bool]:
    """A test for folders whose config.json has this model_type."""
    return lambda found: found.model_type == model_type


def is_cross_encoder(found: Found) -> bool:
    """Whether the config.json of a folder says that its model has a classifier."""
    return found.model_type is not None and has_classifier(found.path)


def is_static(found: Found) -> bool:
    """Whether it is a folder of sentence-transformers without a transformer: static embeddings."""
    return "modules.json" in found.names and is_static_folder(found.path)


def is_adapter_alone(found: Found) -> bool:
    """Whether it is a folder with LoRA's matrices, but without the model to which they belong."""
    return "adapter_config.json" in found.names and "config.json" not in found.names


def lacks_config(found: Found) -> bool:
    """Whether it is a folder of sentence-transformers without the config.json of its transformer.
    """
    return {"modules.json", "sentence_bert_config.json"} <= {*found.names} and (
        "config.json" not in found.names)


# ---- the tables -------------------------------------------------------------------------------

class Kind(NamedTuple):
    """A kind of file or folder: its name, its test, and the function that reads it."""

    name: str
    fits: Callable[[Found], bool]
    read: Callable[[Path], Any] | str          # a str: load() cannot read it; says what can


MODELS = tuple(                                # folders with a config.json, by its model_type
    Kind(f"a {family.name} folder", of_type(model_type), SentenceEncoder.load)
    for model_type, family in FAMILIES.items())
FOLDERS = (
    Kind("a CLAP folder", of_type("clap"), Clap.load),
    Kind("a Whisper folder", of_type("whisper"), WhisperEncoder.load),
    Kind("a cross-encoder's folder", is_cross_encoder, CrossEncoder.load),
    Kind("a folder with an adapter without its model", is_adapter_alone, "copy its two files "
         "(adapter_config.json, adapter_model.safetensors) into the folder of the model that "
         "base_model_name_or_path names, and load that folder"),
    Kind("a model's folder without config.json", lacks_config, "this file says what the model is: "
         "copy it from where the folder came"),
    Kind("a sentence-transformers folder with static embeddings", is_static, read_static_folder),
    Kind("a sentence-transformers folder", has("modules.json"), SentenceEncoder.load),
    *MODELS,
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
         "evaluate/collection.py"),
    Kind("a labelled text", starts_with(b"__label__"), "`scratch-embed train classifier` reads it"),
    Kind("a text with tabs, such as pairs of texts", is_columns, "`scratch-embed train sbert`, "
         "`train cross-encoder` and `mine` read pairs of texts, with a score or a hard negative in "
         "`train`; `evaluate sts` reads two texts and a score"),
    Kind("a text", is_text, "`scratch-embed train`, `phrases` and `index` read it; in Python, "
         "train_word2vec, train_glove and train_fasttext"),
)
