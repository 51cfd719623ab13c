"""Fine-tune sentence encoders on STS-B's scored pairs, from several starts.

    python bench/sentences/finetuning.py own english.txt.gz stsb-en-train.csv stsb-en-dev.csv
    python bench/sentences/finetuning.py pretrained FOLDER stsb-en-train.csv stsb-en-dev.csv

`own` trains this package's encoders, from four starts: new weights; new weights with the token
table of word2vec; a masked LM; the masked LM with SimCSE's unsupervised training.  word2vec and the
masked LM learn from the text, which has one sentence per line, words separated by spaces (.gz or
not).  Beside them: word2vec's mean with SIF's weights, which is not fine-tuned.

`pretrained` fine-tunes a folder of sentence-transformers (all-MiniLM-L6-v2, for example) with this
package and with sentence-transformers: the same pairs, loss, batch size, learning rate and number
of steps, but other dropout masks and another order of the pairs.

The pairs are CSV rows of sentence, sentence, score 0 to 5.  The tables have Spearman's rho x 100 of
the cosines with the scores of the second file, which is not trained on.
"""
import argparse
import csv
import time

import numpy as np
from stsb import read_pairs, read_text, train_masked_lm, train_words

from scratch_embed.evaluate.correlation import spearman
from scratch_embed.losses.cosent import cosent
from scratch_embed.losses.cosine_mse import cosine_mse
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.sentences import sbert, simcse
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import objective
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.sentences.static import StaticEncoder, sif_weights
from scratch_embed.sentences.warm_start import with_word_vectors
from scratch_embed.space.similarity import cosine
from scratch_embed.text.packed import Packed
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_training import learn_pieces
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, tensors
from scratch_embed.transformer.pooling import mean

TEXT = dict(dim=128, layers=2, max_length=48, batch_size=64, lr=1e-3, epochs=3, seed=1)
PIECES = 8000                      # TEXT: the settings of word2vec and of the masked LM
LOSSES = {"CoSENT": objective(cosent), "cosine MSE": objective(cosine_mse)}


def rho(encoder, pairs):
    """Spearman's rho x 100 of an encoder's cosines with the scores of pairs."""
    first, second, scores = pairs
    return 100 * spearman(cosine(encoder.encode(first), encoder.encode(second)), scores)


def fine_tune(encoder, pairs, loss, seed, arguments):
    """Train an encoder on scored pairs.  -> the trained encoder"""
    first, second, scores = pairs
    views = [sbert.tokenize(encoder, side) for side in (first, second)]
    steps = arguments.passes * (len(scores) // arguments.batch_size)
    return sbert.train(views, encoder, loss, scores / 5, steps, arguments.batch_size,
                       Optim(arguments.lr, weight_decay=0.0), arguments.dropout,
                       options=RunOptions(arguments.workers, seed)).encoder


# ---- own: from this package's starts -------------------------------------------------------------

def own(arguments):
    """Print a row per start: its score, and after training with each loss."""
    start = time.perf_counter()
    lines = read_text(arguments.source)
    train, dev = read_pairs(arguments.train), read_pairs(arguments.dev)
    settings = argparse.Namespace(**TEXT, steps=arguments.steps, workers=arguments.workers)
    words, frequencies = train_words(lines, settings)
    tokenizer = WordPiece(learn_pieces(lines, PIECES))
    texts = Packed(*tokenizer.encode_batch(lines, max_length=TEXT["max_length"]))
    _, masked_lm, _ = train_masked_lm(texts, tokenizer, settings)
    contrasted = simcse.remove_head(simcse.train(
        [texts], masked_lm, mean, steps=arguments.simcse_steps, batch_size=TEXT["batch_size"],
        options=RunOptions(arguments.workers)).model)
    print(f"word2vec, masked LM and SimCSE: {time.perf_counter() - start:.0f} s")
    weighted = StaticEncoder(words, sif_weights(frequencies)).without_common(lines[:10_000])
    print(f"word2vec, SIF: {rho(weighted, dev):.1f}")

    def new(seed):
        config = masked_lm.config
        return Bert(config, init_params(tensors(config), seed))
    starts = {"new weights": new,
              "word2vec's table": lambda seed: with_word_vectors(
                  new(seed), tokenizer, words)[0],
              "masked LM": lambda seed: masked_lm, "masked LM, SimCSE": lambda seed: contrasted}
    print(f"\n{'':20}{'start':>14}" + "".join(f"{name:>16}" for name in LOSSES))
    for name, model_of in starts.items():
        cells = np.array([scores_of(model_of(seed), tokenizer, train, dev, seed, arguments)
                          for seed in range(1, arguments.seeds + 1)])
        print(f"{name:20}" + "".join(f"{column.mean():10.1f} ±{column.std(ddof=1):4.1f}"
                                     for column in cells.T), flush=True)
    print(f"(mean of {arguments.seeds} seeds of the fine-tuning, ± their standard deviation)")


def scores_of(model, tokenizer, train, dev, seed, arguments):
    """[rho of the start, after each of LOSSES]"""
    encoder = SentenceEncoder(tokenizer, model.without_heads(),
                              Recipe(max_seq_length=TEXT["max_length"]))
    return [rho(encoder, dev), *(rho(fine_tune(encoder, train, loss, seed, arguments), dev)
                                 for loss in LOSSES.values())]


# ---- pretrained: beside sentence-transformers ----------------------------------------------------

def read_raw(path):
    """first sentences, second sentences, scores (N,) of the pairs, as they are written."""
    with open(path, encoding="utf-8", newline="") as file:
        first, second, scores = zip(*csv.reader(file))
    return list(first), list(second), np.array(scores, float)


def pretrained(arguments):
    """Print the score of a folder before and after fine-tuning, of both packages."""
    import sentence_transformers
    train, dev = read_raw(arguments.train), read_raw(arguments.dev)
    folder = arguments.source
    ours, theirs = SentenceEncoder.load(folder), sentence_transformers.SentenceTransformer(
        folder, device="cpu")
    print(f"{'':24}{'before':>8}{'after':>8}{'seconds':>9}")
    before = rho(ours, dev), rho(theirs, dev)
    start = time.perf_counter()
    after = rho(fine_tune(ours, train, LOSSES["CoSENT"], 1, arguments), dev)
    print(f"{'scratch_embed':24}{before[0]:8.2f}{after:8.2f}{time.perf_counter() - start:9.0f}",
          flush=True)
    start = time.perf_counter()
    their_fine_tuning(theirs, train, arguments)
    print(f"{'sentence-transformers':24}{before[1]:8.2f}{rho(theirs, dev):8.2f}"
          f"{time.perf_counter() - start:9.0f}")


def their_fine_tuning(model, pairs, arguments):
    """Train a SentenceTransformer in place, with CoSENT."""
    import tempfile

    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        losses,
    )
    torch.set_num_threads(arguments.workers)
    first, second, scores = pairs
    data = Dataset.from_dict({"sentence1": first, "sentence2": second, "score": scores / 5})
    with tempfile.TemporaryDirectory() as folder:
        settings = SentenceTransformerTrainingArguments(
            folder, num_train_epochs=arguments.passes, learning_rate=arguments.lr,
            per_device_train_batch_size=arguments.batch_size, warmup_ratio=0.1, seed=1,
            dataloader_drop_last=True, save_strategy="no", report_to=[], use_cpu=True,
            disable_tqdm=True)
        SentenceTransformerTrainer(model, settings, data, loss=losses.CoSENTLoss(model)).train()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", choices=["own", "pretrained"])
    parser.add_argument("source", help="own: the text to train on; pretrained: the folder")
    parser.add_argument("train", help="CSV file of sentence,sentence,score to train on")
    parser.add_argument("dev", help="CSV file of other pairs, to measure on")
    parser.add_argument("--passes", type=int, help="over the pairs (default: 4; pretrained: 1)")
    parser.add_argument("--lr", type=float, help="of fine-tuning (default: 5e-4; pretrained: 2e-5)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000, help="training steps of masked LM")
    parser.add_argument("--simcse-steps", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    run, passes, lr = {"own": (own, 4, 5e-4), "pretrained": (pretrained, 1, 2e-5)}[
        arguments.section]
    arguments.passes, arguments.lr = arguments.passes or passes, arguments.lr or lr
    run(arguments)


if __name__ == "__main__":
    main()
