"""Read and write the folder of BGE-M3: a sentence-transformers folder and the weights of two heads.

Bytes     sparse_linear.safetensors                 weight (1, D) and bias (1,)
          colbert_linear.safetensors                weight (E, D) and bias (E,)
          all other files                           see sentences/folder.py
Differs   bge-m3's heads are sparse_linear.pt and colbert_linear.pt.  These are pickles, which can
          run code when they are read; so they are not read, and the error message has a command
          that converts each to safetensors.  A folder that FlagEmbedding's training has written may
          have no modules.json; its vector is that of [CLS], normalised.  If FlagEmbedding does not
          find a head, it draws a random one; here a missing file is an error.
Read next sentences/bge_m3.py
"""
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import show
from scratch_embed.numerics.safetensors import read_header, write_safetensors
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.folder import M3_HEADS, has_modules, write_sentence_folder
from scratch_embed.sentences.modules import read_floats
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.transformer.checkpoint import TORCH_TO_SAFETENSORS
from scratch_embed.transformer.families import save_tokenizer
from scratch_embed.transformer.pooling import cls

FILES = M3_HEADS                   # {our prefix: a file's name}


def read_m3_folder(folder: str | os.PathLike, head_tensors: Callable, dtype: type = np.float32
                   ) -> tuple[SentenceEncoder, Params]:
    """Read the encoder and the parameters of the two heads.

    head_tensors: (D, E) -> the declarations of their tensors
    Raises FormatError that names the file and the field that is missing, damaged or unknown.
    """
    encoder = SentenceEncoder.load(folder, dtype)
    if has_modules(folder) and not is_normalised_cls(encoder.recipe):
        raise FormatError(os.path.join(folder, "modules.json"), "its modules", "expected the vector"
                          " of [CLS], normalised, as in bge-m3; found another pooling")
    paths = {prefix: _path(folder, name) for prefix, name in FILES.items()}
    E = _rows(paths["multi"])
    p = Params(head_tensors(encoder.model.dim, E), dtype)
    for prefix, path in paths.items():
        shapes = {part: p[f"{prefix}.{part}"].shape for part in ("weight", "bias")}
        for part, tensor in read_floats(path, shapes, dtype).items():
            p[f"{prefix}.{part}"][...] = tensor
    return encoder, p


def is_normalised_cls(recipe: Recipe) -> bool:
    """Whether a sentence's vector is that of [CLS], normalised, as in BGE-M3."""
    return (recipe.poolings == (cls,) and not recipe.dense and recipe.normalize
            and recipe.include_prompt)


def _path(folder, name):
    """The path of a head's safetensors file.  Raises FormatError if there is none, or a pickle."""
    path = os.path.join(folder, f"{name}.safetensors")
    if os.path.isfile(path):
        return path
    found = "no such file"
    if os.path.exists(os.path.join(folder, f"{name}.pt")):
        command = TORCH_TO_SAFETENSORS.replace("FROM", f"{name}.pt").replace(
            "TO", f"{name}.safetensors")
        found = (f"{name}.pt, a pickle: reading it can run code, so it is not read; if you trust "
                 f"it, convert it with torch and safetensors, in that folder: {command}")
    raise FormatError(path, "the file", f"expected the weights of a head of BGE-M3, found {found}")


def _rows(path):
    """E, the number of rows of the multi-vector head."""
    entry = read_header(path)[0].get("weight")
    if entry is None or len(entry.shape) != 2 or entry.shape[0] == 0:
        raise FormatError(path, "tensor 'weight'", "expected a matrix (E, D), found "
                          f"{'none' if entry is None else show(entry.shape)}")
    return entry.shape[0]


def write_m3_folder(folder: str | os.PathLike, encoder: SentenceEncoder, heads: Params) -> None:
    """Write the folder.  Files of an older model are replaced when all new files are written."""
    with tempfile.TemporaryDirectory() as temporary:
        save_tokenizer(temporary, encoder.model, encoder.tokenizer, encoder.recipe.max_seq_length)
        for prefix, name in FILES.items():
            write_safetensors(os.path.join(temporary, f"{name}.safetensors"), {
                part: heads[f"{prefix}.{part}"] for part in ("weight", "bias")}, {"format": "pt"})
        files = {path.name: path.read_bytes() for path in Path(temporary).iterdir()}
    write_sentence_folder(folder, encoder.model, encoder.recipe, files)
