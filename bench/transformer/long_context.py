"""One long text: memory and time by its length, beside PyTorch's scaled_dot_product_attention.

    python bench/transformer/long_context.py [xlm-roberta mistral] [--lengths 1024 4096 8192]
        [--dim 384] [--layers 2]

Each length is encoded by this package and by transformers (attn_implementation="sdpa"), both from
one folder with random weights: XLM-R's architecture, as BGE-M3 has it (up to 8,192 tokens; here up
to 32,768), and Mistral's with a window of 4,096.  Heads have 32 dimensions; Mistral has a third as
many heads of keys as of queries.  Each run has a process of its own; both sides may use two
threads.  Memory is the growth while the text is encoded, without the weights.  Each row ends with
the largest difference between the sides' vectors, of about 64 tokens.  bench/nn/attention.py
compares attention in blocks with all scores at once.
"""
import argparse
import ctypes
import os
import sys
import tempfile
import time

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import add_sizes, choose, in_a_process, peak_mib, script

VOCAB, HEAD, WINDOW, LONGEST = 1000, 32, 4096, 32768
WARM_UP = 300                      # tokens, enough for attention in blocks
LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)


def make_model(folder, family, dim, layers):
    """A transformers folder with random weights."""
    import torch
    from transformers import MistralConfig, MistralModel, XLMRobertaConfig, XLMRobertaModel
    torch.manual_seed(0)
    sizes = dict(vocab_size=VOCAB, hidden_size=dim, num_hidden_layers=layers,
                 num_attention_heads=dim // HEAD)
    if family == "xlm-roberta":
        model = XLMRobertaModel(XLMRobertaConfig(
            **sizes, intermediate_size=4 * dim, max_position_embeddings=LONGEST + 2,
            type_vocab_size=1))
    else:
        model = MistralModel(MistralConfig(
            **sizes, intermediate_size=8 * dim // 3, max_position_embeddings=LONGEST,
            num_key_value_heads=max(1, dim // HEAD // 3), sliding_window=WINDOW))
    model.save_pretrained(folder)


def tokens(length):
    """The ids of a text; none of them is a padding id."""
    return np.random.default_rng(0).integers(10, VOCAB, length)


def ours(folder, family):
    """A function: ids -> token vectors (t, D)."""
    from scratch_embed.text.packed import pack
    from scratch_embed.transformer.families import family_of
    model = family_of(folder).model.load(folder)
    return lambda ids: model.infer(pack([ids]))


def theirs(folder, family):
    import torch
    from transformers import AutoModel
    torch.set_num_threads(2)
    model = AutoModel.from_pretrained(folder, attn_implementation="sdpa").eval()

    def encode(ids):
        options = {"use_cache": False} if family == "mistral" else {}
        with torch.inference_mode():
            return model(torch.tensor(ids)[None], **options).last_hidden_state[0].numpy()
    return encode


SIDES = {"ours": ours, "PyTorch": theirs}


def worker(job):
    """-> MiB of growth, seconds, and the token vectors of a few tokens."""
    side, folder, family, length = job
    encode = SIDES[side](folder, family)
    encode(tokens(WARM_UP))                            # loads libraries and compiled kernels
    ctypes.CDLL(None).malloc_trim(0)                   # returns its freed memory
    before = resident_mib_and_reset_peak()
    start = time.perf_counter()
    x = encode(tokens(length))
    seconds = time.perf_counter() - start
    return peak_mib() - before, seconds, x[::max(1, length // 64)].tolist()


def resident_mib_and_reset_peak():
    """The resident memory at present; from now on peak_mib() is the peak after this call."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return peak_mib()


def compare(family, arguments):
    """Print a row per length."""
    print(f"{family}, {arguments.dim} dimensions, {arguments.layers} layers")
    print(f"{'tokens':>8}" + "".join(f"{side + ', MiB':>20}{'s':>8}"
                                     for side in SIDES)
          + "   ours / PyTorch: memory, time")
    with tempfile.TemporaryDirectory() as folder:
        make_model(folder, family, arguments.dim, arguments.layers)
        in_a_process(["ours", folder, family, LENGTHS[1]])         # compiles the kernels
        for length in arguments.lengths:
            found = {side: in_a_process([side, folder, family, length]) for side in SIDES}
            row = "".join(f"{mib:20.0f}{s:8.2f}" for mib, s, _ in found.values())
            (mib, s, x), (their_mib, their_s, y) = found["ours"], found["PyTorch"]
            print(f"{length:8}{row}   {mib / their_mib:.2f} {s / their_s:.2f}"
                  f"   largest difference {np.abs(np.subtract(x, y)).max():.1e}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    add_sizes(parser, {"dim": 384, "layers": 2})
    arguments = choose(parser, ("xlm-roberta", "mistral"), rounds=1)
    for family in arguments.sections:
        compare(family, arguments)


if __name__ == "__main__":
    script(main, worker)
