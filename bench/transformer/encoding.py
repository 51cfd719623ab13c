"""Encoding sentences beside sentence-transformers, with a random model of MiniLM-L6's shape.

    python bench/transformer/encoding.py english.txt.gz [speed start memory] [--rounds 5]

The model (384 wide, 6 layers, 12 heads) is made once, in a folder that both sides read; the
sentences are lines of the text, drawn over its whole length, so that their lengths are mixed.
`speed` takes turns in one process, A B A B; `start` and `memory` are processes of their own, ours
with its kernels compiled before.  Both sides tokenise.  The largest difference between a vector of
theirs and of ours is printed: it is the same work.
"""
import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "words"))
from side_by_side import PeakMemory, median, ratios

SENTENCES, CALLS = 2000, 200
MINILM = dict(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
              intermediate_size=1536, max_position_embeddings=512)


def sample(text, n):
    """n lines, evenly spread over the text."""
    with open(text, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(text, "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip()]
    return lines[::len(lines) // n][:n]


def make_model(folder, lines):
    """A sentence-transformers folder: random weights, a vocabulary learned from the lines."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from scratch_embed.text.wordpiece_files import write_vocab
    from scratch_embed.text.wordpiece_training import learn_pieces
    torch.manual_seed(0)
    plain = os.path.join(folder, "bert")
    BertModel(BertConfig(**MINILM)).save_pretrained(plain)
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


# ---- the sections ------------------------------------------------------------------------------

def speed(folder, lines, rounds):
    encoders = {side: open_model(folder) for side, open_model in SIDES.items()}
    found = {side: encode(lines) for side, encode in encoders.items()}
    x, y = found.values()
    words = np.array([len(line.split()) for line in lines])
    print(f"{len(lines)} sentences of {words.min()} to {words.max()} words, {words.mean():.0f} in "
          f"the mean; largest difference {np.abs(x - y).max():.1e}")
    for size in (len(lines), CALLS, 1):
        calls = [lines[start:start + size] for start in range(0, min(len(lines), 200 * size), size)]
        taken = {side: [] for side in SIDES}
        for _ in range(rounds):
            for side, encode in encoders.items():
                start = time.perf_counter()
                for some in calls:
                    encode(some)
                taken[side].append((time.perf_counter() - start) / len(calls))
        print(f"  calls of {size}:")
        for side, seconds in taken.items():
            print(f"    {side:22} {median(seconds) * 1e3:9.1f} ms a call, "
                  f"{size / median(seconds):7.0f} sentences/s   "
                  f"{min(seconds) * 1e3:.1f}..{max(seconds) * 1e3:.1f}")
        print(f"    ratio {ratios(taken['sentence-transformers'], taken['ours'])}", flush=True)


def start(folder, lines, rounds):
    """From the start of Python to the first vector."""
    taken = {side: [] for side in SIDES}
    for counted in range(-1, rounds):                  # the first round warms files and kernels
        for side in SIDES:
            began = time.perf_counter()
            in_a_process(side, folder, lines[:1], "start")
            if counted >= 0:
                taken[side].append(time.perf_counter() - began)
    print("process start to the first vector, s")
    for side, seconds in taken.items():
        print(f"    {side:22} {median(seconds):.2f}   {min(seconds):.2f}..{max(seconds):.2f}")
    print(f"    ratio {ratios(taken['sentence-transformers'], taken['ours'])}", flush=True)


def memory(folder, lines, rounds):
    """Of a process that loads the model and encodes all sentences at once."""
    print(f"memory, MiB: growth by loading the model and encoding {len(lines)} sentences; the "
          "whole process at its peak")
    grown = {side: in_a_process(side, folder, lines, "memory") for side in SIDES}
    for side, (growth, peak) in grown.items():
        print(f"    {side:22} {growth:7.0f} {peak:7.0f}")
    both = zip(*(grown[side] for side in SIDES))
    print("    ours / theirs          " + " ".join(f"{a / b:7.2f}" for a, b in both), flush=True)


def in_a_process(side, folder, lines, what):
    done = subprocess.run([sys.executable, __file__, "--worker", json.dumps([side, folder, what])],
                          input=json.dumps(lines), capture_output=True, text=True,
                          env=os.environ | {"HF_HUB_OFFLINE": "1"})
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def peak_mib():
    """The most memory that this process ever had, its libraries' files among it."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def worker(side, folder, what):
    lines = json.load(sys.stdin)
    if what == "start":
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
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(worker(*json.loads(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", help="a sentence a line, plain or gzip")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not set(arguments.sections) <= set(SECTIONS):
        parser.error(f"sections are {', '.join(SECTIONS)}")
    lines = sample(arguments.text, SENTENCES)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(folder, lines)
        for section in arguments.sections or SECTIONS:
            SECTIONS[section](model, lines, arguments.rounds)


if __name__ == "__main__":
    main()
