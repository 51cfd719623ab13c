"""Read and write a model's weights, under the tensor names of the original implementation.

Bytes     model.safetensors             all tensors; or, for a large model,
          model.safetensors.index.json  {"weight_map": {tensor: file}}, and the files that it names
Shapes    our matrices are (out, in).  A family's Renames says which original matrices are (in, out)
          and which original tensors are several of ours, concatenated along axis 0.
Cost      each tensor is read once and copied once into Params; memory: memory_to_read()
Differs   from transformers, which initialises a missing tensor at random and ignores an unknown
          one, with a warning: here both are errors.  pytorch_model.bin is not read: unpickling a
          file can run code.
Read next numerics/safetensors.py (the file format), transformer/bert.py (a family and its Renames)

Names in the code are short and the same for all families (layers.0.attn.q.weight), so that the
equations are readable.  Renames maps them to the original's names.  A family declares its tensors
by our names.  `streams` adds the original names, from which the random initial values are derived.
"""
import math
import os
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.params import Params, Tensor, Tensors
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.json_files import REQUIRED, Fields, is_text, show, write_json
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.safetensors import (
    Entry,
    each_tensor,
    read_header,
    write_safetensors,
)

WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
NUMBER = re.compile(r"(?<![^.])\d+(?=\.)")          # a number between two dots, or before the first
FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 4}   # {type: bytes of a number while it is read}
TORCH_TO_SAFETENSORS = (            # a command; FROM and TO are replaced by names of files
    'python -c "import torch, safetensors.torch as s; s.save_file({k: v.clone().contiguous() '
    "for k, v in torch.load('FROM', weights_only=True).items()}, 'TO', {'format': 'pt'})\"")
CONVERT = ("reading it can run code, so it is not read; if you trust it, convert it with torch and "
           "safetensors, in that folder: " + TORCH_TO_SAFETENSORS.replace(
               "FROM", "pytorch_model.bin").replace("TO", "model.safetensors"))


# ---- names ---------------------------------------------------------------------------------------

class Renames(NamedTuple):
    """The names of a family's tensors in its original, and how its files differ from ours.

    `*` in a name means any number, such as a layer's.  The name of a layer (layers.*.attn.q)
    applies to its tensors (.weight, .bias), unless these are listed themselves.
    """

    names: Mapping[str, str]               # {ours: the original's}; if several have one original
    #                                        name, they are its parts, in this order along axis 0
    prefix: str = ""                       # optional prefix of the names: "bert."
    bare: tuple[str, ...] = ()             # names that begin with one of these have no prefix
    transposed: tuple[str, ...] = ()       # the original's matrices that are (in, out)
    older: Mapping[str, str] = {}          # {end of a name in older files: its end today}
    tied: Mapping[str, str] = {}           # {the original's second name: ours}, of the same tensor
    optional: tuple[str, ...] = ()         # prefixes of the original names of heads: a file has all
    #                                        tensors of a head, or none
    ignored: tuple[str, ...] = ()          # the original's buffers that are not learned

    def original(self, name: str) -> str:
        """The original's name of one of our tensors, without the prefix.

        Raises KeyError for a name that is not in the table.
        """
        pattern, numbers = _numbered(name)
        layer, _, kind = pattern.rpartition(".")
        theirs = self.names.get(pattern) or f"{self.names[layer]}.{kind}"
        return theirs.replace("*", "{}").format(*numbers)

    def canonical(self, name: str) -> str:
        """A tensor's name in a file, in today's spelling and without the prefix."""
        name = name.removeprefix(self.prefix)
        for end, now in self.older.items():
            if name.endswith(end):
                return name.removesuffix(end) + now
        return name

    def is_transposed(self, theirs: str, shape: tuple[int, ...]) -> bool:
        """Whether this tensor of the original is a matrix (in, out)."""
        pattern, _ = _numbered(theirs)
        return len(shape) == 2 and (pattern in self.transposed
                                    or pattern.rpartition(".")[0] in self.transposed)

    def is_ignored(self, theirs: str) -> bool:
        """Whether this tensor of the original is a buffer that is not learned."""
        return _numbered(theirs)[0] in self.ignored


def streams(tensors: Tensors, renames: Renames) -> dict[str, Tensor]:
    """The same declarations; each tensor's random stream gets its original name.

    Parts of one original tensor are numbered: "c_attn.weight", "c_attn.weight 1".
    """
    declared, last_part = {}, {}
    for name, tensor in tensors.items():
        theirs = renames.original(name)
        part = last_part[theirs] = last_part.get(theirs, -1) + 1
        declared[name] = tensor._replace(stream=f"{theirs} {part}" if part else theirs)
    return declared


def _numbered(name):
    """layers.3.attn.q -> layers.*.attn.q, ["3"]"""
    return NUMBER.sub("*", name), NUMBER.findall(name)


class Group(NamedTuple):
    """Our tensors that one original tensor contains, and the shape of the original tensor."""

    ours: tuple[str, ...]
    shape: tuple[int, ...]


def groups(tensors: Tensors, renames: Renames) -> dict[str, Group]:
    """{the original's name: Group} of all tensors, in our order."""
    parts: dict[str, list[str]] = {}
    for name in tensors:
        parts.setdefault(renames.original(name), []).append(name)
    by_original = {}
    for theirs, ours in parts.items():
        shape = tensors[ours[0]].shape
        if len(ours) > 1:
            shape = (sum(tensors[name].shape[0] for name in ours), *shape[1:])
        stored = shape[::-1] if renames.is_transposed(theirs, shape) else shape
        by_original[theirs] = Group(tuple(ours), stored)
    return by_original


# ---- reading -------------------------------------------------------------------------------------

class Weights(NamedTuple):
    """The headers of a model's files."""

    path: str                              # of model.safetensors, or its index
    entries: dict[str, Entry]              # {tensor's name in the file: Entry}
    files: dict[str, str]                  # {tensor's name in the file: path of its file}


def open_weights(folder: str | os.PathLike, layers: int = 0) -> Weights:
    """Read the headers of model.safetensors, or of all files that its index names.

    layers: the minimum number of tensors in the files; a config.json with a billion layers fails
    here, before its tensors are declared.
    Raises FormatError for a file that is missing, damaged, or disagrees with the index.
    """
    index = os.path.join(folder, WEIGHTS_INDEX)
    path = os.path.join(folder, WEIGHTS)
    if os.path.exists(path) or not os.path.exists(index):
        path = weights_file(folder)
        entries, _ = read_header(path)
        weights = Weights(path, entries, dict.fromkeys(entries, path))
    else:
        weights = _shards(folder, index)
    if layers > len(weights.entries):
        raise FormatError(weights.path, "the header", f"expected the tensors of {layers} layers, "
                          f"found {len(weights.entries)} tensors in all")
    return weights


def weights_file(folder: str | os.PathLike) -> str:
    """The path of model.safetensors.

    Raises FormatError if there is none, or only a pickle, or if it is not a regular file.
    """
    path = os.path.join(folder, WEIGHTS)
    if os.path.isfile(path):
        return path
    found = "a folder, a pipe or a device" if os.path.exists(path) else "no such file"
    if os.path.exists(os.path.join(folder, "pytorch_model.bin")):
        found = f"pytorch_model.bin, a pickle: {CONVERT}"
    raise FormatError(path, "the file", f"expected the weights, found {found}")


def _shards(folder, index):
    """Read the headers of all files that an index names."""
    fields = Fields.read(index)
    where = fields.get("weight_map", REQUIRED, "an object {tensor: file in this folder}",
                       lambda v: isinstance(v, dict) and len(v) > 0
                       and all(map(_is_file_name, v.values())))
    entries, files = {}, {}
    for file in dict.fromkeys(where.values()):
        path = os.path.join(folder, file)
        if not os.path.isfile(path):
            raise FormatError(path, "the file", f"expected tensors, as {os.path.basename(index)} "
                              "says, found no such file")
        for name, entry in read_header(path)[0].items():
            if where.get(name) != file:
                raise FormatError(path, f"tensor {show(name)}", "expected it where "
                                  f"{os.path.basename(index)} says, {show(where.get(name))}, "
                                  "found it here")
            entries[name], files[name] = entry, path
    for name, file in where.items():
        if name not in entries:
            raise FormatError(os.path.join(folder, file), "the header", f"expected tensor "
                              f"{show(name)}, as {os.path.basename(index)} says, found none")
    return Weights(index, entries, files)


def _is_file_name(value):
    """Whether value is the name of a file in the index's own folder, without a path."""
    return is_text(value) and value != "" and os.path.basename(value) == value and "\\" not in value


def read_tensors(weights: Weights, tensors: Tensors, renames: Renames, what: str,
                 dtype: type = np.float32) -> Params:
    """Read the parameters that a family declares from the files of a folder.

    tensors   {our name: Tensor}; tensors of renames.optional may be missing in the files, and are
              then missing in the result
    what      the model, for messages: "BertModel of 12 layers"
    Raises    FormatError for a tensor that is missing, unknown, of another shape, not of floats or
              not finite, or for a tied tensor that is stored twice with different numbers
    """
    expected = groups(tensors, renames)
    tied = {copy: ours for copy, ours in renames.tied.items()
            if ours in tensors and copy not in expected}
    originals = _match_names(weights, expected, tied, renames, what)
    present = {name: tensor for name, tensor in tensors.items()
               if renames.original(name) in originals.values()}
    copied = [name for name, theirs in originals.items() if theirs in tied]
    require_memory(memory_to_read(weights, present, copied, dtype), f"reading {weights.path}")
    p, copies = Params(present, dtype), {}
    for path in dict.fromkeys(weights.files.values()):
        for name, tensor in each_tensor(path, [n for n in originals if weights.files[n] == path]):
            theirs = originals[name]
            if theirs in tied:
                copies[name] = tensor.astype(dtype, copy=False)
                del tensor
                continue
            ours = expected[theirs].ours
            _fill(p, ours, tensor.T if renames.is_transposed(theirs, tensor.shape) else tensor)
            del tensor                             # freed before the next one is read
            if not all(np.isfinite(p[name]).all() for name in ours):
                raise FormatError(path, f"tensor {show(name)}", "expected finite numbers, found "
                                  f"nan, inf or one beyond {np.dtype(dtype)}")
    for name, tensor in copies.items():
        ours = tied[originals[name]]
        if not np.array_equal(tensor, p[ours]):
            raise FormatError(weights.files[name], f"tensor {show(name)}", "expected the numbers "
                              f"of {renames.original(ours)}, to which it is tied here, found "
                              "others")
    return p


def memory_to_read(weights: Weights, tensors: Tensors, copies: Collection[str], dtype: type) -> int:
    """The bytes that read_tensors() takes at its peak, for parameters of these tensors.

    copies: the names, in the files, of tied tensors, which are kept until they are compared
    """
    shapes = [*(t.shape for t in tensors.values()), *(weights.entries[n].shape for n in copies)]
    reads = [math.prod(entry.shape) * (FLOATS.get(entry.dtype, 0) + 1)     # 1: whether it is finite
             for entry in weights.entries.values()]
    return sum(map(math.prod, shapes)) * np.dtype(dtype).itemsize + max(reads, default=0)


def _fill(p, names, tensor):
    """Copy an original tensor into ours; several of ours are parts of it along axis 0."""
    start = 0
    with np.errstate(over="ignore"):
        for name in names:
            rows = len(p[name]) if len(names) > 1 else None
            p[name][...] = tensor if rows is None else tensor[start:start + rows]
            start += rows or 0


def _match_names(weights, expected, tied, renames, what):
    """Return {name in the file: original name}; raise FormatError for a missing or unknown one."""
    shapes = {theirs: group.shape for theirs, group in expected.items()}
    shapes |= {copy: shapes[renames.original(ours)] for copy, ours in tied.items()}
    found = {}                                     # {the original's name: name in the file}
    for name, entry in weights.entries.items():
        path, place, theirs = weights.files[name], f"tensor {show(name)}", renames.canonical(name)
        if renames.is_ignored(theirs):
            continue
        if theirs not in shapes:
            raise FormatError(path, place, f"expected a tensor of {what}, found an unknown one")
        if theirs in found:
            raise FormatError(path, place, f"expected one tensor for {theirs}, found "
                                           f"{show(found[theirs])} too")
        if entry.shape != shapes[theirs] or entry.dtype not in FLOATS:
            raise FormatError(path, place, f"expected floats of shape {shapes[theirs]}, as "
                              f"config.json says, found {entry.dtype} of shape {entry.shape}")
        found[theirs] = name
    for copy, ours in tied.items():                # a file may have either of two tied names
        if copy in found and renames.original(ours) not in found:
            found[renames.original(ours)] = found.pop(copy)
    absent = tuple(head for head in renames.optional
                   if not any(theirs.startswith(head) for theirs in found))
    missing = [theirs for theirs in expected
               if theirs not in found and not theirs.startswith(absent)]
    if missing:
        raise FormatError(weights.path, "the header", f"expected {len(missing)} more of the "
                          f"tensors that config.json requires, found no {', '.join(missing[:4])}"
                          + (" ..." if len(missing) > 4 else ""))
    return {name: theirs for theirs, name in found.items()}


# ---- writing -------------------------------------------------------------------------------------

def write_tensors(folder: str | os.PathLike, p: Params, renames: Renames,
                  prefixed: bool = False) -> None:
    """Write model.safetensors, under the original's names and in its shapes, in the type of p.

    prefixed: write renames.prefix before the names, except names that begin as in renames.bare.
    Raises ValueError for weights that are nan or inf.
    """
    if not all(np.isfinite(view).all() for view in p.values()):
        raise ValueError(f"cannot write {folder}: the weights hold nan or inf")
    arrays = {}
    for theirs, (ours, _) in groups(p.tensors, renames).items():
        array = p[ours[0]] if len(ours) == 1 else np.concatenate([p[name] for name in ours])
        prefix = "" if not prefixed or theirs.startswith(renames.bare) else renames.prefix
        arrays[prefix + theirs] = (array.T if renames.is_transposed(theirs, array.shape)
                                   else array)
    write_safetensors(os.path.join(folder, WEIGHTS), arrays, {"format": "pt"})


def write_model(folder: str | os.PathLike, p: Params, tensors: Tensors, renames: Renames,
                fields: Mapping, prefixed: bool = False) -> None:
    """Write config.json and model.safetensors.  prefixed: as in write_tensors.

    tensors   the tensors that the config requires
    fields    the fields of config.json; p's type is added as "dtype"
    Raises    ValueError if p has other tensors or shapes, or weights that are nan or inf

    config.json is removed first and written last (numerics/folders.py), so that no interruption
    leaves the weights of one model with the config of another.
    """
    require_declared(folder, p, tensors)
    with replaced_together(folder, "config.json") as temporary:
        write_tensors(temporary, p, renames, prefixed)
        write_json(os.path.join(temporary, "config.json"), {**fields, "dtype": str(p.flat.dtype)})


def require_declared(folder: str | os.PathLike, p: Params, tensors: Tensors) -> None:
    """Raise ValueError unless p has the tensors and shapes that a config requires."""
    need = {name: tensor.shape for name, tensor in tensors.items()}
    if need != p.shapes:
        differing = sorted(set(need.items()) ^ set(p.shapes.items()))
        raise ValueError(f"cannot write {folder}: the parameters are not those of this config; "
                         f"these differ: {show(differing)}")
