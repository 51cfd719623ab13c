"""Encode sentences with this package and sentence-transformers: speed, start and memory.

    python bench/transformer/encoding.py english.txt.gz [speed start memory] [--rounds 5]

Both sides load the same folder, a random model of MiniLM-L6's shape (384 dimensions, 6 layers, 12
heads).  The sentences are lines evenly spread over the text, so their lengths are mixed.  Both
sides tokenise.  `speed` times the sides in turn, A B A B, in one process, and prints the largest
difference between their vectors.  `start` and `memory` run each side in its own process.  `start`
has a warm-up round; run `memory` after another section, so that it does not measure the compiler.
"""
import argparse
import json
import os
import sys
import tempfile
from functools import partial

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import (
    PeakMemory,
    choose,
    in_a_process,
    median,
    peak_mib,
    ratios,
    read_bytes,
    script,
    spread,
    take_turns,
)

SENTENCES, TEXTS_PER_CALL, MOST_CALLS = 2000, 200, 200
MINILM = dict(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
              intermediate_size=1536, max_position_embeddings=512)


def sample(text, n):
    """n lines, evenly spread over the text."""
    lines = [line.strip() for line in read_bytes(text).decode().split("\n") if line.strip()]
    if len(lines) < n:
        raise SystemExit(f"{text}: expected at least {n} lines with text, found {len(lines)}")
    return lines[::len(lines) // n][:n]


def make_model(folder, lines, **sizes):
    """A sentence-transformers folder: random weights, a vocabulary learned from the lines.

    sizes: fields of BertConfig, in place of MiniLM's.
    """
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from scratch_embed.text.wordpiece_files import write_vocab
    from scratch_embed.text.wordpiece_training import learn_pieces
    torch.manual_seed(0)
    plain = os.path.join(folder, "bert")
    BertModel(BertConfig(**MINILM | sizes)).save_pretrained(plain)
    write_vocab(os.path.join(plain, "vocab.txt"), learn_pieces(lines, 8000))
    BertTokenizerFast(os.path.join(plain, "vocab.txt")).save_pretrained(plain)
    words = models.Transformer(plain, max_seq_length=256)
    SentenceTransformer(modules=[words, models.Pooling(384), models.Normalize()]).save(
        os.path.join(folder, "model"))
    return os.path.join(folder, "model")


def ours(folder):
    """encode() of this package."""
    from scratch_embed.sentences.encoder import SentenceEncoder
    return SentenceEncoder.load(folder).encode


def theirs(folder):
    """encode() of sentence-transformers."""
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(2)
    model = SentenceTransformer(folder, device="cpu")
    return lambda texts: model.encode(texts, show_progress_bar=False)


SIDES = {"ours": ours, "sentence-transformers": theirs}
WITHOUT_SCIPY = "ours, without SciPy"


# ---- the measurements ---------------------------------------------------------------------------

def speed(folder, lines, rounds):
    """Print the time of calls of all lines, of TEXTS_PER_CALL, and of one."""
    encoders = {side: open_model(folder) for side, open_model in SIDES.items()}
    found = {side: encode(lines) for side, encode in encoders.items()}
    x, y = found.values()
    words = np.array([len(line.split()) for line in lines])
    print(f"{len(lines)} sentences of {words.min()} to {words.max()} words, {words.mean():.0f} in "
          f"the mean; largest difference {np.abs(x - y).max():.1e}")
    for size in (len(lines), TEXTS_PER_CALL, 1):
        calls = [lines[start:start + size]
                 for start in range(0, min(len(lines), MOST_CALLS * size), size)]
        taken = take_turns({side: partial(encode_all, encode, calls)
                            for side, encode in encoders.items()}, rounds)
        print(f"  calls of {size}:")
        for side, seconds in taken.items():
            ms = [s / len(calls) * 1e3 for s in seconds]
            print(f"    {side:22} {median(ms):9.1f} ms a call, "
                  f"{size / median(ms) * 1e3:7.0f} sentences/s   {spread(ms)}")
        print(f"    ratio {ratios(taken['sentence-transformers'], taken['ours'])}", flush=True)


def encode_all(encode, calls):
    for texts in calls:
        encode(texts)


def start(folder, lines, rounds):
    """Print the time from the start of Python to the first vector.

    Numba imports SciPy if it is installed.  sentence-transformers requires SciPy; this package does
    not, so it is timed with SciPy and without.
    """
    sides = [*SIDES, WITHOUT_SCIPY]
    taken = take_turns({side: partial(run_worker, side, folder, lines[:1], "start")
                        for side in sides}, rounds, warmup_rounds=1)     # caches files and kernels
    print("process start to the first vector, s")
    for side, seconds in taken.items():
        print(f"    {side:22} {median(seconds):.2f}   {spread(seconds, 2)}   "
              f"ratio {ratios(taken['sentence-transformers'], seconds)}", flush=True)


def memory(folder, lines, rounds):
    """Print the memory of a process that loads the model and encodes all sentences at once."""
    print(f"memory, MiB: growth by loading the model and encoding {len(lines)} sentences; the "
          "whole process at its peak")
    grown = {side: run_worker(side, folder, lines, "memory") for side in SIDES}
    for side, (growth, peak) in grown.items():
        print(f"    {side:22} {growth:7.0f} {peak:7.0f}")
    both = zip(*(grown[side] for side in SIDES))
    print("    ours / theirs          " + " ".join(f"{a / b:7.2f}" for a, b in both), flush=True)


def run_worker(side, folder, lines, section):
    """The result of worker() in a new process."""
    return in_a_process([side, folder, section], {"HF_HUB_OFFLINE": "1"}, json.dumps(lines))


def worker(job):
    """Run one side; for "memory" -> MiB of growth, MiB of the process at its peak."""
    side, folder, section = job
    lines = json.load(sys.stdin)
    if side == WITHOUT_SCIPY:
        sys.modules["scipy"], side = None, "ours"      # importing it now raises ImportError
    if section == "start":
        SIDES[side](folder)(lines)
        return None
    if side == "ours":
        import scratch_embed.sentences.encoder as imported
    else:
        import sentence_transformers as imported
    assert imported
    peak = PeakMemory()
    SIDES[side](folder)(lines)
    return peak.growth(), peak_mib()


SECTIONS = {"speed": speed, "start": start, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", help="one sentence per line, plain or gzip")
    arguments = choose(parser, SECTIONS)
    lines = sample(arguments.text, SENTENCES)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(folder, lines)
        for section in arguments.sections:
            SECTIONS[section](model, lines, arguments.rounds)


if __name__ == "__main__":
    script(main, worker)
