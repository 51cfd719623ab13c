"""Memory to read a folder: float32, float16 and bfloat16, at the peak.

    python bench/transformer/half_precision.py [--dim 512] [--vocab 60000]

Each folder is read in a process of its own, which prints the growth of its peak resident memory
(Linux only).  A folder in half precision should need no more than its twin in float32.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import peak_mib

from scratch_embed.nn.params import init_params
from scratch_embed.numerics.json_files import write_json
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.transformer.bert import Bert, Config, tensors

MIB = 2**20


def write_twins(root: str, vocab: int, dim: int) -> dict[str, str]:
    """Folders of the same model in three types -> {type: folder}."""
    config = Config(vocab=vocab, dim=dim, layers=4, heads=4, ff=4 * dim)
    folders = {kind: os.path.join(root, kind) for kind in ("F32", "F16", "BF16")}
    Bert(config, init_params(tensors(config), seed=1)).save(folders["F32"])
    arrays, _ = read_safetensors(os.path.join(folders["F32"], "model.safetensors"))
    for kind, folder in folders.items():
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folders["F32"], "config.json"), "rb") as file:
            write_json(os.path.join(folder, "config.json"), json.load(file))
        if kind != "F32":
            write_halves(os.path.join(folder, "model.safetensors"), arrays, kind)
    return folders


def write_halves(path: str, arrays: dict[str, np.ndarray], kind: str) -> None:
    """A safetensors file of F16 or BF16; the package itself does not write BF16."""
    header, at = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": kind, "shape": array.shape,
                        "data_offsets": (at, at + 2 * array.size)}
        at += 2 * array.size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(array.astype("<f2").tobytes() if kind == "F16" else
                       (array.view("<u4") >> 16).astype("<u2").tobytes())


def main() -> None:
    """Print a row for each type."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--vocab", type=int, default=60_000)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        before = peak_mib()
        model = Bert.load(arguments.read)
        print(model.p.flat.nbytes / MIB, peak_mib() - before)
        return
    with tempfile.TemporaryDirectory() as root:
        print(f"{'weights':8} {'file MiB':>8} {'model MiB':>9} {'peak MiB':>8}  peak / float32's")
        first = 0
        for kind, folder in write_twins(root, arguments.vocab, arguments.dim).items():
            out = subprocess.run([sys.executable, __file__, "--read", folder], check=True,
                                 capture_output=True, text=True).stdout
            model, grown = map(float, out.split())
            first = first or grown
            size = os.path.getsize(os.path.join(folder, "model.safetensors"))
            print(f"{kind:8} {size / MIB:8.0f} {model:9.0f} {grown:8.0f}  "
                  f"{grown / first:.2f}")


if __name__ == "__main__":
    main()
