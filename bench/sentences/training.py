"""Training steps of a bi-encoder with this package and the trainer of sentence-transformers.

    python bench/sentences/training.py stsb-en-train.csv [sentences equal] [--rounds 5] [--steps 20]

The file has rows of sentence,sentence, and perhaps further columns, which are not read.  Both sides
train a random model of MiniLM-L6's shape (384 dimensions, 6 layers, 12 heads) on batches of 64
pairs, with multiple negatives ranking, dropout, clipping and AdamW (fused in PyTorch).  Both
tokenise the texts in the time that is measured.  The sides take turns, A B A B, in one process;
printed are the medians of the rounds, and the ratios round by round.

sentence-transformers pads the texts of a batch to the longest; here texts are packed.  `sentences`
trains on the sentences as they are, `equal` on texts of random words that all have LENGTH tokens,
where padding costs nothing.
"""
import argparse
import csv
import logging
import os
import sys
import tempfile

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(1, os.path.join(os.path.dirname(__file__), "..", "transformer"))
from encoding import make_model
from side_by_side import add_sizes, choose, median, ratios, script, spread, take_turns

from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import ranking
from scratch_embed.training.session import RunOptions

THREADS, BATCH, LR, WEIGHT_DECAY = 2, 64, 2e-5, 0.01
LENGTH = 32                        # tokens of a text in `equal`, [CLS] and [SEP] included
SIZES = {"steps": 20, "layers": 6}


def read_pairs(path):
    """The first and the second sentences of the rows, (N,) each, without repeated sentences."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = {row[0]: row[1] for row in csv.reader(file)}
    return [*rows], [*rows.values()]


def equal_pairs(folder, N):
    """N pairs of texts of random words that are one token each, LENGTH tokens in all."""
    tokenizer = SentenceEncoder.load(folder).tokenizer
    words = [word for word in tokenizer.index if word.isalpha() and word.isascii()]
    rng = np.random.default_rng(0)
    return [[" ".join(row) for row in rng.choice(words, (N, LENGTH - 2))] for _ in range(2)]


def ours(folder, pairs, steps, workers):
    """A function that tokenises and takes the steps with sentences/sbert.py.  -> the losses"""
    encoder = SentenceEncoder.load(folder)

    def run():
        views = [sbert.tokenize(encoder, side) for side in pairs]
        return sbert.train(views, encoder, ranking(0.05), steps=steps, batch_size=BATCH,
                           optim=Optim(LR, weight_decay=WEIGHT_DECAY),
                           options=RunOptions(workers)).losses
    return run


def theirs(folder, pairs, steps):
    """A function that tokenises and takes the steps with SentenceTransformerTrainer."""
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses
    torch.set_num_threads(THREADS)
    model = SentenceTransformer(folder, device="cpu")
    loss, values = losses.MultipleNegativesRankingLoss(model), []
    loss.register_forward_hook(lambda module, inputs, value: values.append(value.item()))
    data = Dataset.from_dict(dict(zip("ab", pairs)))

    def run():
        values.clear()
        with tempfile.TemporaryDirectory() as output:
            SentenceTransformerTrainer(
                model=model, loss=loss, train_dataset=data,
                args=SentenceTransformerTrainingArguments(
                    output, per_device_train_batch_size=BATCH, max_steps=steps, learning_rate=LR,
                    weight_decay=WEIGHT_DECAY, warmup_steps=steps // 10, use_cpu=True,
                    report_to="none", save_strategy="no", logging_strategy="no",
                    disable_tqdm=True)).train()
        return values
    return run


def compare(folder, pairs, steps, rounds):
    """Print the tokens of a step, the milliseconds of a step on each side, and the ratio."""
    encoder = SentenceEncoder.load(folder)
    lengths = [np.diff(sbert.tokenize(encoder, side).texts.offsets) for side in pairs]
    batches = [side[:len(side) // BATCH * BATCH].reshape(-1, BATCH) for side in lengths]
    print(f"    {sum(side.mean() for side in lengths) * BATCH:,.0f} tokens a step, padded "
          f"{sum(side.max(1).mean() for side in batches) * BATCH:,.0f}")
    sides = {"ours, 1 worker": ours(folder, pairs, steps, 1),
             f"ours, {THREADS} workers": ours(folder, pairs, steps, THREADS),
             f"sentence-transformers, {THREADS} threads": theirs(folder, pairs, steps)}
    for side, run in sides.items():
        print(f"    {side:36} losses {', '.join(f'{loss:.3f}' for loss in run()[:5])} ...")
    taken = take_turns(sides, rounds)                      # the losses were the warm-up round
    for side, seconds in taken.items():
        ms = [s / steps * 1e3 for s in seconds]
        print(f"    {side:36} {median(ms):8.1f} ms a step   {spread(ms)}")
    _, two, peer = taken
    print(f"    {peer} / {two}: {ratios(taken[peer], taken[two])}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", help="CSV file of sentence,sentence")
    add_sizes(parser, SIZES)
    arguments = choose(parser, ("sentences", "equal"))
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    pairs = read_pairs(arguments.pairs)
    print(f"{len(pairs[0]):,} pairs; {arguments.layers} layers, {arguments.steps} steps of {BATCH}")
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(folder, [text for side in pairs for text in side],
                           num_hidden_layers=arguments.layers)
        for section in arguments.sections:
            print(f"  {section}")
            texts = pairs if section == "sentences" else equal_pairs(model, len(pairs[0]))
            compare(model, texts, arguments.steps, arguments.rounds)


if __name__ == "__main__":
    script(main, None)
