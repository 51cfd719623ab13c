"""How sbert_training.safetensors was made: by the trainer of sentence-transformers 6.2.0.

    python tests/golden/make_sbert_training.py

The file contains the losses of 20 steps from the folder sentence_new/, in float64 and without
dropout, for three losses, and the texts' vectors afterwards.  The trainer takes the batches and the
learning rates of sentences/sbert.py: its own schedule takes its first step with lr 0 if it has a
warmup.  Gradients are not clipped: torch divides by ‖g‖ + 1e-6, which would differ in the 6th
digit.
"""
import os
import tempfile
from pathlib import Path

import numpy as np

from scratch_embed.losses.softmax_pairs import softmax_pairs_tensors
from scratch_embed.nn.optim import linear_warmup_decay
from scratch_embed.nn.params import init_params
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.training.batches import batches

HERE = Path(__file__).parent
FOLDER = HERE / "sentence_new"
QUERIES = ["where is the cat", "a dog ran", "the mat", "cats sat", "query : dogs", "is a mat on",
           "the dog sat on a cat", "where", "a cat, a dog", "ran ran", "on the mat sat", "dog ."]
ANSWERS = ["the cat sat on the mat", "the dog ran", "a mat .", "the cats", "where is a dog",
           "the mat is on the mat", "a cat", "on", "dog, cat", "the dogs ran on", "a mat", "a dog"]
SCORES = [0.75, 1, 0.5, 0.25, 0.5, 0, 0.25, 0.75, 1, 0.5, 0, 0.25]
CLASSES = [0, 1, 2, 0, 1, 2, 2, 1, 0, 0, 1, 2]
TARGETS = {"ranking": None, "cosent": SCORES, "softmax": CLASSES}
STEPS, BATCH, SEED, LR, WARMUP, DECAY = 20, 4, 1, 1e-3, 0.1, 0.01


def originals():
    """{loss/losses: (20,), loss/vectors: (12, 5), loss/name of a weight: its values afterwards}.

    The weights have the names of this package: their folder is saved there and read here.
    """
    results = {}
    for name, targets in TARGETS.items():
        model, losses, classifier = trained(name, targets)
        with tempfile.TemporaryDirectory() as folder:
            model.save(folder, create_model_card=False)
            encoder = SentenceEncoder.load(folder, dtype=np.float64)
        weights = {**encoder.model.p,
                   **{f"dense.0.{n}": w for n, w in encoder.recipe.dense[0].p.items()},
                   **{f"classifier.{n}": w.detach().numpy() for n, w in classifier.items()}}
        vectors = model.encode(QUERIES, prompt="", show_progress_bar=False)
        results |= {f"{name}/losses": np.array(losses), f"{name}/vectors": vectors,
                    **{f"{name}/{n}": w for n, w in weights.items()}}
    return results


def trained(name, targets):
    """Train the folder with one loss.  -> model, losses, the softmax loss's classifier"""
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from sentence_transformers.sentence_transformer import losses
    torch.set_num_threads(1)
    model = SentenceTransformer(str(FOLDER), device="cpu", config_kwargs={
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}).double()
    loss = {"ranking": lambda: losses.MultipleNegativesRankingLoss(model),
            "cosent": lambda: losses.CoSENTLoss(model),
            "softmax": lambda: losses.SoftmaxLoss(model, 5, 3)}[name]().double()
    classifier = {}
    if name == "softmax":
        start = init_params(softmax_pairs_tensors(5, 3), SEED, np.float64)
        classifier = dict(loss.classifier.named_parameters())
        for n, w in classifier.items():
            w.data = torch.tensor(start[f"classifier.{n}"])
    model.model_card_data.generate_widget_examples = False
    values = []
    loss.register_forward_hook(lambda module, inputs, value: values.append(value.item()))
    rows = np.concatenate([r for _, r in batches(len(QUERIES), BATCH, STEPS, SEED)])
    columns = {"query": [QUERIES[r] for r in rows], "answer": [ANSWERS[r] for r in rows]}
    if targets:
        columns["label"] = [targets[r] for r in rows]

    def in_order(dataset, batch_size, drop_last, valid_label_columns=None, generator=None, seed=0):
        return DefaultBatchSampler(torch.utils.data.SequentialSampler(dataset), batch_size,
                                   drop_last, valid_label_columns, generator, seed)
    with tempfile.TemporaryDirectory() as output:
        trainer = SentenceTransformerTrainer(
            model=model, loss=loss, train_dataset=Dataset.from_dict(columns),
            args=SentenceTransformerTrainingArguments(
                output, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=LR,
                weight_decay=DECAY, max_grad_norm=0.0, batch_sampler=in_order, use_cpu=True,
                report_to="none", save_strategy="no", disable_tqdm=True))
        trainer.create_optimizer()
        trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            trainer.optimizer, lambda done: linear_warmup_decay(done + 1, STEPS, 1.0, WARMUP))
        trainer.train()
    return model, values, classifier


def main():
    from safetensors.numpy import save_file
    os.environ["HF_HUB_OFFLINE"] = "1"
    save_file({name: x for name, x in originals().items()
               if name.split("/")[1] in ("losses", "vectors")},
              HERE / "sbert_training.safetensors")


if __name__ == "__main__":
    main()
