"""Read a sentence-transformers folder whose first module is StaticEmbedding: a mean of vectors.

Bytes     modules.json                       StaticEmbedding, and optionally Normalize
          tokenizer.json                     of any kind, see text/tokenizer_files.py
          model.safetensors                  embedding.weight (V, D); or, from model2vec, embeddings
                                             (n, D), and optionally mapping (V,), weights (V,)
          config_sentence_transformers.json  prompts
Equation  x = the mean of the vectors of a text's tokens, without special tokens; 0 without a token.
          From model2vec: the vector of token i is weights[i] · embeddings[mapping[i]]
          A text is truncated if tokenizer.json has a truncation, as in sentence-transformers
Cost      that of the tokenizer, and O(D) per token
Differs   from sentence-transformers: Dense modules, a default prompt, and a similarity other than
          cosine are refused
Read next sentences/static.py (the mean), sentences/folder.py (folders with a transformer)
"""
import json
import os
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import NULL, Fields, show
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.safetensors import read_header, read_safetensors
from scratch_embed.sentences.folder import has_modules, read_prompts
from scratch_embed.sentences.modules import check_normalize, read_modules
from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.text.tokenizer import Tokenizer
from scratch_embed.text.tokenizer_files import WHOLE, read_tokenizer
from scratch_embed.transformer.checkpoint import FLOATS, weights_file

KIND = "StaticEmbedding"
SETTINGS = "config_sentence_transformers.json"
WHOLES = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")


class TokenTable:
    """The vectors (V, D) of token ids: table[id] -> (D,), as StaticEncoder looks words up."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def __getitem__(self, number: int) -> np.ndarray:
        return self.vectors[number]

    def __len__(self) -> int:
        return len(self.vectors)


class TokenIds(NamedTuple):
    """A text -> its token ids, without special tokens; at most max_length, unless it is None."""

    tokenizer: Tokenizer
    max_length: int | None = None

    def __call__(self, text: str) -> list[int]:
        ids = self.tokenizer.token_ids(text)
        if self.max_length is None or len(ids) <= self.max_length:
            return ids
        right = self.tokenizer.truncation_side == "right"
        return ids[:self.max_length] if right else ids[len(ids) - self.max_length:]


def is_static_folder(folder: str | os.PathLike) -> bool:
    """Whether the first module of a folder's modules.json is a StaticEmbedding."""
    if not os.path.isdir(folder) or not has_modules(folder):
        return False
    modules = read_modules(folder)
    return bool(modules) and modules[0][0] == KIND


def read_static_folder(folder: str | os.PathLike) -> StaticEncoder:
    """Read the StaticEncoder of a folder.

    Raises FormatError that names the file and the field that is missing, damaged or unknown.
    """
    (_, base), *rest = read_modules(folder)
    if [kind for kind, _ in rest] not in ([], ["Normalize"]):
        raise FormatError(os.path.join(folder, "modules.json"), "its list", f"expected {KIND} and "
                          f"optionally Normalize, found {', '.join(kind for kind, _ in rest)} "
                          "after it")
    for _, path in rest:
        check_normalize(os.path.join(path, "config.json"))
    path = os.path.join(base, WHOLE)
    tokenizer, vectors = read_tokenizer(path), _vectors(base)
    if len(tokenizer) > len(vectors):
        raise FormatError(path, "its tokens", f"expected at most {len(vectors)}, the rows of the "
                          f"embeddings, found {len(tokenizer)}")
    return StaticEncoder(TokenTable(vectors), tokenize=TokenIds(tokenizer, _max_length(path)),
                         prompts=_prompts(folder), normalize=bool(rest))


def _max_length(path):
    """The truncation of a tokenizer.json: the most tokens, or None."""
    fields = Fields.read(path)
    if fields.of("truncation", dict, NULL, default=None) is None:
        return None
    return fields.inside("truncation").whole("max_length", 0)


def _vectors(base):
    """The vectors of all token ids (V, D) float32."""
    path = weights_file(base)
    entries, _ = read_header(path)
    expected = {"embedding.weight"} if "embedding.weight" in entries else {"embeddings"}
    optional = set() if "embedding.weight" in entries else {"mapping", "weights"}
    if not expected <= {*entries} or not {*entries} <= expected | optional:
        raise FormatError(path, "the header", "expected the tensor embedding.weight, or embeddings "
                          f"with or without mapping and weights, found {show([*entries])}")
    for name, entry in entries.items():
        kinds, axes = (WHOLES if name == "mapping" else FLOATS), (2 if name in expected else 1)
        if entry.dtype not in kinds or len(entry.shape) != axes or 0 in entry.shape:
            raise FormatError(path, f"tensor {name!r}", f"expected {' or '.join(kinds)} of {axes} "
                              f"axes, found {entry.dtype} of shape {entry.shape}")
    rows = {entries[name].shape[0] for name in ("mapping", "weights") if name in entries}
    if "mapping" not in entries:
        rows |= {entries[name].shape[0] for name in expected}
    if len(rows) > 1:
        raise FormatError(path, "its tensors", "expected as many weights as tokens, found "
                          f"{' and '.join(map(str, sorted(rows)))}")
    D = entries[min(expected)].shape[1]
    require_memory(4 * D * max(rows) + os.path.getsize(path), f"reading {path}")
    return _folded(path, read_safetensors(path)[0])


def _folded(path, tensors):
    """One vector for each token id: weights[i] · embeddings[mapping[i]]."""
    vectors = tensors.get("embedding.weight", tensors.get("embeddings"))
    vectors = vectors.astype(np.float32, copy=False)
    mapping, weights = tensors.get("mapping"), tensors.get("weights")
    if mapping is not None:
        if mapping.min() < 0 or mapping.max() >= len(vectors):
            raise FormatError(path, "tensor 'mapping'", f"expected row numbers in 0.."
                              f"{len(vectors) - 1}, found {mapping.min()}..{mapping.max()}")
        vectors = vectors[mapping]
    if weights is not None:
        vectors = vectors * weights[:, None].astype(np.float32)
    if not np.isfinite(vectors).all():
        raise FormatError(path, "its tensors", "expected finite numbers, found nan or inf")
    return vectors


def _prompts(folder):
    """The prompts of a folder, which may have no default prompt and no other similarity."""
    prompts, default, similarity = read_prompts(folder)
    for name, expected, found in (("default_prompt_name", None, default),
                                  ("similarity_fn_name", "cosine", similarity)):
        if found != expected:
            raise FormatError(os.path.join(folder, SETTINGS), f"field {name!r}", f"expected "
                              f"{json.dumps(expected)} for a {KIND}, found {show(found)}")
    return prompts
