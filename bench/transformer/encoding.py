"""Encode sentences with this package and its peers: speed, one text a call, families, memory.

    python bench/transformer/encoding.py english.txt.gz [speed one families start memory]
        [--rounds 3] [--model FOLDER]

The peers are sentence-transformers and, where they are installed, onnxruntime and OpenVINO.  All
load the same folder: a random model of MiniLM-L6's shape (384 dimensions, 6 layers, 12 heads), or
the folder of --model.  The sentences are lines evenly spread over the text, so their lengths are
mixed.  All sides tokenise, and may use two threads.

`speed` times the sides in turn, A B A B, in one process, and prints the largest difference between
their vectors.  `one` encodes one text per call, as a search does, each side in its own process:
alone, and beside a process that keeps one core busy.  `families` is `speed` and `memory` for a
RoBERTa and a Mistral of MiniLM's size.  `start` and `memory` run each side in its own process.
`start` has a warm-up round; run `memory` after another section, so that it does not measure the
compiler.

onnxruntime and OpenVINO run the graph that torch.onnx.export writes (TorchScript exporter, dynamic
batch and length, eager attention), behind the tokenizers library; texts are sorted by length and
padded in batches of 32, as in sentence-transformers; NumPy pools the mean.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec

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
    threads_of,
)

SENTENCES, TEXTS_PER_CALL, SINGLE_CALLS, BATCH = 1000, 200, 200, 32
MINILM = dict(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
              intermediate_size=1536, max_position_embeddings=512)


def sample(text, n):
    """n lines, evenly spread over the text."""
    lines = [line.strip() for line in read_bytes(text).decode().split("\n") if line.strip()]
    if len(lines) < n:
        raise SystemExit(f"{text}: expected at least {n} lines with text, found {len(lines)}")
    return lines[::len(lines) // n][:n]


def make_bert(folder, lines, **sizes):
    """A transformers folder: random weights, a vocabulary learned from the lines.

    sizes: fields of BertConfig, in place of MiniLM's.
    """
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from scratch_embed.text.wordpiece_files import write_vocab
    from scratch_embed.text.wordpiece_training import learn_pieces
    BertModel(BertConfig(**MINILM | sizes)).save_pretrained(folder)
    write_vocab(os.path.join(folder, "vocab.txt"), learn_pieces(lines, 8000))
    BertTokenizerFast(os.path.join(folder, "vocab.txt")).save_pretrained(folder)


def make_roberta(folder, lines):
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast
    sizes = MINILM | {"max_position_embeddings": 514, "type_vocab_size": 1}
    RobertaModel(RobertaConfig(**sizes)).save_pretrained(folder)
    save_bpe(folder, lines, RobertaTokenizerFast, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])


def make_mistral(folder, lines):
    """A third as many heads of keys as of queries; three matrices F = 1024 for two of 1536."""
    from transformers import GPT2TokenizerFast, MistralConfig, MistralModel
    sizes = MINILM | {"intermediate_size": 1024, "max_position_embeddings": 4096}
    MistralModel(MistralConfig(**sizes, num_key_value_heads=4)).save_pretrained(folder)
    save_bpe(folder, lines, GPT2TokenizerFast, ["<|endoftext|>"], pad_token="<|endoftext|>")


def save_bpe(folder, lines, tokenizer_class, special, **options):
    """A byte-level BPE of 8,000 tokens, learned from the lines."""
    from tokenizers import ByteLevelBPETokenizer
    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator(lines, 8000, special_tokens=special, show_progress=False)
    learned.save_model(folder)
    tokenizer_class(*(os.path.join(folder, name) for name in ("vocab.json", "merges.txt")),
                    **options).save_pretrained(folder)


def make_model(folder, lines, make=make_bert, **sizes):
    """A sentence-transformers folder with the transformer that make(folder, lines) writes."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    torch.manual_seed(0)
    plain = os.path.join(folder, make.__name__)
    os.mkdir(plain)
    make(plain, lines, **sizes)
    words = models.Transformer(plain, max_seq_length=256)
    pooling = models.Pooling(words.get_word_embedding_dimension())
    SentenceTransformer(modules=[words, pooling, models.Normalize()]).save(plain + ".sbert")
    return plain + ".sbert"


# ---- the sides ----------------------------------------------------------------------------------

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
    return lambda texts: model.encode(texts, show_progress_bar=False, batch_size=BATCH)


def onnxruntime(folder):
    import onnxruntime as runtime
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 2
    session = runtime.InferenceSession(to_onnx(folder), options, ["CPUExecutionProvider"])
    return encode_padded(folder, lambda inputs: session.run(None, inputs)[0])


def openvino(folder):
    import openvino as runtime
    model = runtime.Core().compile_model(to_onnx(folder), "CPU", {
        "INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32"})
    return encode_padded(folder, lambda inputs: model(inputs)[0])


INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def to_onnx(folder):
    """Write the transformer of a folder as an ONNX graph, once.  -> its path"""
    path = os.environ["ENCODING_ONNX"]
    if os.path.exists(path):
        return path
    import torch
    from transformers import AutoModel
    weights = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    class TokenVectors(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = weights

        def forward(self, ids, mask, types):
            return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types)[0]
    ids, both = torch.ones(2, 7, dtype=torch.long), {0: "texts", 1: "tokens"}
    torch.onnx.export(TokenVectors(), (ids, ids, 0 * ids), path, input_names=[*INPUTS],
                      output_names=["x"], dynamic_axes=dict.fromkeys((*INPUTS, "x"), both),
                      dynamo=False)
    return path


def encode_padded(folder, run):
    """encode(texts) with a graph: run({name: (N, t) int64}) -> token vectors (N, t, D)."""
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)

    def encode(texts):
        sequences = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda n: -len(sequences[n]))
        vectors = None
        for start in range(0, len(texts), BATCH):
            part = order[start:start + BATCH]
            ids = np.zeros((len(part), len(sequences[part[0]])), np.int64)
            mask = np.zeros_like(ids)
            for row, n in enumerate(part):
                ids[row, :len(sequences[n])], mask[row, :len(sequences[n])] = sequences[n], 1
            x = run(dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)))))
            mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            if vectors is None:
                vectors = np.empty((len(texts), mean.shape[1]), np.float32)
            vectors[part] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return vectors
    return encode


SIDES = {"ours": ours, "sentence-transformers": theirs}
GRAPHS = {name: side for name, side in {"onnxruntime": onnxruntime, "openvino": openvino}.items()
          if find_spec(name) and find_spec("onnx")}
WITHOUT_SCIPY, ONE_THREAD = "ours, without SciPy", "ours, one thread"


# ---- the measurements ---------------------------------------------------------------------------

def speed(folder, lines, rounds, sides=SIDES | GRAPHS):
    """Print the time of calls of all lines, and of TEXTS_PER_CALL."""
    encoders = {side: open_model(folder) for side, open_model in sides.items()}
    found = {side: encode(lines) for side, encode in encoders.items()}
    words = np.array([len(line.split()) for line in lines])
    differences = max(np.abs(found["ours"] - y).max() for y in found.values())
    print(f"{len(lines)} sentences of {words.min()} to {words.max()} words, {words.mean():.0f} in "
          f"the mean; largest difference {differences:.1e}")
    for size in (len(lines), TEXTS_PER_CALL):
        calls = [lines[start:start + size] for start in range(0, len(lines), size)]
        taken = take_turns({side: partial(encode_all, encode, calls)
                            for side, encode in encoders.items()}, rounds)
        print(f"  calls of {size}:")
        for side, seconds in taken.items():
            ms = [s / len(calls) * 1e3 for s in seconds]
            print(f"    {side:22} {median(ms):9.1f} ms a call, "
                  f"{size / median(ms) * 1e3:7.0f} sentences/s   {spread(ms)}   "
                  f"its time / ours {ratios(seconds, taken['ours'])}", flush=True)


def one(folder, lines, rounds):
    """Print the time of a call with one text, alone and beside a busy process."""
    sides = [(side, beside) for beside in (False, True) for side in SIDES | GRAPHS]
    sides.insert(0, (ONE_THREAD, False))
    taken = {}
    for _ in range(rounds):
        for side, beside in sides:
            with busy_process() if beside else contextlib.nullcontext():
                ms = run_worker(side, folder, lines[:SINGLE_CALLS], "one")
            taken.setdefault((side, beside), []).append(ms)
    print(f"one text a call, ms: the mean of {SINGLE_CALLS} calls, each side in its own process")
    for (side, beside), ms in taken.items():
        print(f"    {side:22}{' beside a busy process' * beside:23} {median(ms):7.2f}   "
              f"{spread(ms, 2)}   {1e3 / median(ms):5.0f} texts/s   "
              f"its time / ours {ratios(ms, taken['ours', beside])}", flush=True)
    print(f"    ours beside a busy process / ours in one thread "
          f"{ratios(taken['ours', True], taken[ONE_THREAD, False])}")


@contextlib.contextmanager
def busy_process():
    """Within the block, another process keeps one core busy."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def families(folder, lines, rounds):
    """Print speed and memory of a RoBERTa and a Mistral of MiniLM's size."""
    for make in (make_roberta, make_mistral):
        print(f"---- {make.__name__.removeprefix('make_')}")
        with tempfile.TemporaryDirectory() as scratch:
            model = make_model(scratch, lines, make)
            speed(model, lines, rounds, SIDES)
            memory(model, lines, rounds)


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
    environment = {"HF_HUB_OFFLINE": "1"} | (threads_of(1) if side == ONE_THREAD else {})
    return in_a_process([side, folder, section], environment, json.dumps(lines))


def worker(job):
    """Run one side; for "memory" -> MiB of growth, MiB of the process at its peak; "one" -> ms."""
    side, folder, section = job
    lines = json.load(sys.stdin)
    if side == WITHOUT_SCIPY:
        sys.modules["scipy"], side = None, "ours"      # importing it now raises ImportError
    side = "ours" if side == ONE_THREAD else side
    if section == "one":
        encode = (SIDES | GRAPHS)[side](folder)
        for texts in lines[:20]:
            encode([texts])
        start = time.perf_counter()
        for text in lines:
            encode([text])
        return (time.perf_counter() - start) / len(lines) * 1e3
    if section == "start":
        SIDES[side](folder)(lines)
        return None
    import_module("scratch_embed.sentences.encoder" if side == "ours" else "sentence_transformers")
    peak = PeakMemory()
    SIDES[side](folder)(lines)
    return peak.growth(), peak_mib()


SECTIONS = {"speed": speed, "one": one, "families": families, "start": start, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", help="one sentence per line, plain or gzip")
    parser.add_argument("--model", help="a folder of sentence-transformers (default: random)")
    arguments = choose(parser, SECTIONS, rounds=3)
    lines = sample(arguments.text, SENTENCES)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ENCODING_ONNX"] = os.path.join(folder, "model.onnx")
        model = arguments.model or make_model(folder, lines)
        for side in GRAPHS.values() if {"speed", "one"} & {*arguments.sections} else ():
            side(model)                                # export once, before anything is timed
        for section in arguments.sections:
            SECTIONS[section](model, lines, arguments.rounds)


if __name__ == "__main__":
    script(main, worker)
