"""Recognise the kind of a file or folder by its content: the tests of the tables in loading.py.

Equation  test: Found -> bool;  Found: the first bytes of a file, the names in a folder ...
Cost      SAMPLE bytes are read, or the header of a safetensors file; of a first line that is
          longer, at most LONGEST_LINE bytes
Read next loading.py (the tables, and what reads each kind)
"""
import os
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from typing import NamedTuple

from scratch_embed.numerics.binary_kinds import binary_kind
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import open_binary
from scratch_embed.numerics.json_files import read_json, show
from scratch_embed.numerics.safetensors import begins_like_safetensors, read_header
from scratch_embed.retrieve.index_files import KIND as INDEX
from scratch_embed.sentences.bge_m3_index import KIND as M3_INDEX
from scratch_embed.sentences.folder import M3_HEADS
from scratch_embed.sentences.static_folder import is_static_folder
from scratch_embed.training.checkpoint import FORMAT as CHECKPOINT
from scratch_embed.transformer.classification import has_classifier
from scratch_embed.words.fasttext_header import begins_like_fasttext, is_supervised
from scratch_embed.words.vector_tensors import vocabulary_beside

SAMPLE = 1 << 16                   # bytes of a file that are inspected
LONGEST_LINE = 1 << 20             # bytes of a first line without an end in the sample
NUMPY = b"\x93NUMPY"               # how a .npy file begins
OLD_PYTORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"          # a pickle of torch's magic number
Path = str | os.PathLike


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
        described = "a folder with a damaged config.json, which is not a JSON object"
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


# ---- folders -----------------------------------------------------------------------------------

def has(name: str) -> Callable[[Found], bool]:
    """A test for folders with an entry of that name."""
    return lambda found: name in found.names


def of_type(model_type: str) -> Callable[[Found], bool]:
    """A test for folders whose config.json has this model_type."""
    return lambda found: found.model_type == model_type


def is_model(found: Found) -> bool:
    """Whether it is a folder with a config.json and weights, whatever the model_type."""
    return "config.json" in found.names and any(
        name.endswith((".safetensors", ".bin", ".safetensors.index.json")) for name in found.names)


def is_m3(found: Found) -> bool:
    """Whether it is a folder of sentence-transformers with the two heads of BGE-M3."""
    return {"modules.json", *(f"{name}.safetensors" for name in M3_HEADS.values())} <= {
        *found.names}


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
