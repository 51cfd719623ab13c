"""Score pairs of texts with this package and sentence-transformers' CrossEncoder.

    python bench/sentences/cross_encoder.py english.txt.gz [--rounds 5]

Both sides load the same folder, a random model of MiniLM-L6's shape (384 dimensions, 6 layers, 12
heads) with one label, as of the cross-encoders that rerank web pages.  A pair is a query of 3 to 10
words and a passage of three lines; 1,000 pairs are scored in one call, and as 20 queries of 50
candidates each, in a call for each query.  Both sides tokenise.  The sides are timed in turn, A B A
B, in one process; the largest difference between their scores is printed.
"""
import argparse
import os
import sys
import tempfile
from functools import partial

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, median, ratios, read_bytes, script, spread, take_turns

PAIRS, CANDIDATES, MOST_TOKENS = 1000, 50, 256
MINILM = dict(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
              intermediate_size=1536, max_position_embeddings=512, num_labels=1)


def sample(text, n):
    """n pairs: the first words of a line, and the three lines after it, evenly spread."""
    lines = [line.strip() for line in read_bytes(text).decode().split("\n") if line.strip()]
    step = len(lines) // n
    if step < 4:
        raise SystemExit(f"{text}: expected at least {4 * n} lines with text, found {len(lines)}")
    words = np.random.default_rng(0).integers(3, 11, n)
    return [(" ".join(lines[at].split()[:w]), " ".join(lines[at + 1:at + 4]))
            for at, w in zip(range(0, n * step, step), words.tolist())]


def make_model(folder, pairs):
    """A folder of BertForSequenceClassification: random weights, a vocabulary of the pairs."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    from scratch_embed.text.wordpiece_files import write_vocab
    from scratch_embed.text.wordpiece_training import learn_pieces
    torch.manual_seed(0)
    BertForSequenceClassification(BertConfig(**MINILM)).save_pretrained(folder)
    path = os.path.join(folder, "vocab.txt")
    write_vocab(path, learn_pieces([text for pair in pairs for text in pair], 8000))
    BertTokenizerFast(path, model_max_length=MOST_TOKENS).save_pretrained(folder)


def ours(folder):
    """predict() of this package."""
    from scratch_embed.sentences.cross_encoder import CrossEncoder
    return CrossEncoder.load(folder).predict


def theirs(folder):
    """predict() of sentence-transformers."""
    import torch
    from sentence_transformers import CrossEncoder
    torch.set_num_threads(2)
    model = CrossEncoder(folder, device="cpu")
    return lambda pairs: model.predict(pairs, show_progress_bar=False)


SIDES = {"ours": ours, "sentence-transformers": theirs}


def score_all(predict, calls):
    for pairs in calls:
        predict(pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", help="one sentence per line, plain or gzip")
    sizes = {"all": PAIRS, "query": CANDIDATES}
    arguments = choose(parser, sizes)
    pairs = sample(arguments.text, PAIRS)
    with tempfile.TemporaryDirectory() as folder:
        make_model(folder, pairs)
        predictors = {side: load(folder) for side, load in SIDES.items()}
        from transformers import AutoTokenizer
        lengths = [len(ids) for ids in AutoTokenizer.from_pretrained(folder)(
            *map(list, zip(*pairs)), truncation=True)["input_ids"]]
    x, y = (predict(pairs) for predict in predictors.values())
    print(f"{PAIRS} pairs of {min(lengths)} to {max(lengths)} tokens, {np.mean(lengths):.0f} in "
          f"the mean; largest difference {np.abs(x - y).max():.1e}")
    for section in arguments.sections:
        size = sizes[section]
        calls = [pairs[start:start + size] for start in range(0, PAIRS, size)]
        taken = take_turns({side: partial(score_all, predict, calls)
                            for side, predict in predictors.items()}, arguments.rounds)
        print(f"  calls of {size}:")
        for side, seconds in taken.items():
            ms = [s / len(calls) * 1e3 for s in seconds]
            print(f"    {side:22} {median(ms):9.1f} ms a call, "
                  f"{size / median(ms) * 1e3:7.0f} pairs/s   {spread(ms)}")
        print(f"    ratio {ratios(taken['sentence-transformers'], taken['ours'])}", flush=True)


if __name__ == "__main__":
    script(main, None)
