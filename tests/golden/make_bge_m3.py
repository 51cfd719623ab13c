"""How bge_m3.safetensors was made: by FlagEmbedding's own model of BGE-M3, on a tiny BERT.

    git clone https://github.com/FlagOpen/FlagEmbedding
    python tests/golden/make_bge_m3.py FlagEmbedding

Made with commit 7ed43d67ec03 (22 April 2026) and transformers 5.24.  FlagEmbedding's __init__ files
import all of its models, some of which need an older transformers; so only the two files of M3 are
run: abc/finetune/embedder/AbsModeling.py and finetune/embedder/encoder_only/m3/modeling.py.

The file has, in float64, of three queries and their texts, with the weights that numbers() draws:
the dense vectors, the sparse tables (N, V) and the token vectors; the scores; the loss with and
without self-distillation and the gradient of every tensor.  All texts of a side have the same
length, because FlagEmbedding's max-sim counts padding in training (losses/max_sim.py).
"""
import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

HERE = Path(__file__).parent
GOLDEN = HERE / "bge_m3.safetensors"
PAD, UNK, CLS, SEP = 0, 1, 2, 3
SIZES = dict(vocab=40, dim=12, layers=2, heads=3, ff=20, positions=16, types=1)
E, TAU = 8, 0.02                   # of token vectors; the temperature
# repeated tokens and [UNK] in both; query 1 has a token that occurs in its positive, twice
QUERIES = [[CLS, 7, 8, 9, 7, SEP], [CLS, 10, UNK, 11, 12, SEP], [CLS, 13, 14, 13, 15, SEP]]
TEXTS = [[CLS, 7, 20, 8, 21, 22, 7, SEP], [CLS, 30, UNK, 10, 31, 10, 9, SEP],
         [CLS, 13, 32, 33, 14, 34, 35, SEP], [CLS, 20, 8, UNK, 36, 37, 38, SEP],
         [CLS, 12, 11, 30, 31, 39, 6, SEP], [CLS, 15, 5, 4, 5, 33, 13, SEP]]
TARGETS = [0, 2, 4]                # FlagEmbedding's order: a query's positive, then its negative


def numbers(name, shape):
    """The values of a tensor: of order 1, so that a wrong one cannot hide; norms near 1."""
    x = np.random.default_rng([7, *name.encode()]).standard_normal(shape)
    if "norm" in name and name.endswith("weight"):
        return 1 + 0.2 * x
    return x * {2: 0.4, 1: 0.2}[len(shape)] if name != "sparse.weight" else x


def modeling(checkout):
    """The module of FlagEmbedding's M3 model, without the rest of the package."""
    root = Path(checkout).resolve()
    finetune = "FlagEmbedding.abc.finetune.embedder"
    m3 = "FlagEmbedding.finetune.embedder.encoder_only.m3"
    for name in (finetune, m3):
        parts = name.split(".")
        for n in range(1, len(parts) + 1):
            package = ModuleType(".".join(parts[:n]))
            package.__path__ = [str(root.joinpath(*parts[:n]))]
            sys.modules.setdefault(package.__name__, package)
    base = importlib.import_module(f"{finetune}.AbsModeling")
    for name in ("AbsEmbedderModel", "EmbedderOutput"):
        setattr(sys.modules[finetune], name, getattr(base, name))
    return importlib.import_module(f"{m3}.modeling")


def originals(checkout):
    """{name: array}: vectors, scores, losses, and "gradient 1/name of our tensor"."""
    import torch
    from transformers import BertConfig, BertModel

    from scratch_embed.transformer.bert import NAMES, Config, tensors
    sizes = Config(**SIZES)
    bert = BertModel(BertConfig(
        vocab_size=sizes.vocab, hidden_size=sizes.dim, num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads, intermediate_size=sizes.ff,
        max_position_embeddings=sizes.positions, type_vocab_size=sizes.types,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0), add_pooling_layer=False)
    model = modeling(checkout).EncoderOnlyEmbedderM3Model(
        {"model": bert, "colbert_linear": torch.nn.Linear(sizes.dim, E),
         "sparse_linear": torch.nn.Linear(sizes.dim, 1)},
        SimpleNamespace(cls_token_id=CLS, eos_token_id=SEP, pad_token_id=PAD, unk_token_id=UNK,
                        padding_side="right"),
        temperature=TAU, normalize_embeddings=True).double()
    theirs = {name: f"model.{NAMES.original(name)}" for name in tensors(sizes)}
    theirs |= {f"{ours}.{part}": f"{name}.{part}" for part in ("weight", "bias")
               for ours, name in (("sparse", "sparse_linear"), ("multi", "colbert_linear"))}
    weights = dict(model.named_parameters())
    for ours, name in theirs.items():
        weights[name].data = torch.tensor(numbers(ours, tuple(weights[name].shape)))

    def features(ids):
        ids = torch.tensor(ids)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    results = {}
    for distil in (0, 1):
        model.train()
        model.zero_grad()
        model.use_self_distill = bool(distil)
        loss = model(features(QUERIES), features(TEXTS)).loss
        loss.backward()
        results[f"loss {distil}"] = loss.detach()
        results |= {f"gradient {distil}/{ours}": weights[name].grad
                    for ours, name in theirs.items()}
    with torch.no_grad():
        q, p = model.encode(features(QUERIES)), model.encode(features(TEXTS))
        results |= dict(zip(("dense", "sparse", "multi"), p))
        mask = features(QUERIES)["attention_mask"]
        results |= {"scores dense": model.compute_dense_score(q[0], p[0]),
                    "scores sparse": model.compute_sparse_score(q[1], p[1]),
                    "scores multi": model.compute_colbert_score(q[2], p[2], mask)}
    return {name: x.detach().numpy().astype(np.float64) for name, x in results.items()}


def main():
    from safetensors.numpy import save_file
    save_file({name: np.ascontiguousarray(x) for name, x in originals(sys.argv[1]).items()}, GOLDEN)


if __name__ == "__main__":
    main()
