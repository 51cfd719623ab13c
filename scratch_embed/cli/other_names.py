"""The names that options have in other programs, and their names here.

gensim, word2vec.c, GloVe's C code, fastText, transformers and sentence-transformers call the same
settings by different names.  A command that is given such a name says its own.
"""
import re

# name elsewhere: name here, with its value if the other name stands for one
NAMES = {
    "--alpha": "--lr",
    "--bucket": "--buckets",
    "--cbow": "--mode cbow",
    "--eta": "--lr",
    "--hidden-size": "--dim",
    "--hs": "--loss hs",
    "--intermediate-size": "--ff",
    "--iter": "--epochs",
    "--learning-rate": "--lr",
    "--max-final-vocab": "--max-vocab-size",
    "--max-seq-length": "--max-length",
    "--max-steps": "--steps",
    "--maxn": "--max-n",
    "--minn": "--min-n",
    "--model-name-or-path": "--model",
    "--neg": "--negatives",
    "--negative": "--negatives",
    "--normalize-embeddings": "--normalize",
    "--num-attention-heads": "--heads",
    "--num-hidden-layers": "--layers",
    "--num-train-epochs": "--epochs",
    "--output-dir": "--output",
    "--per-device-train-batch-size": "--batch-size",
    "--sg": "--mode skipgram",
    "--size": "--dim",
    "--temperature": "--tau",
    "--thread": "--workers",
    "--threads": "--workers",
    "--top-k": "--top",
    "--topn": "--top",
    "--vector-size": "--dim",
    "--window-size": "--window",
    "--ws": "--window",
}
# the losses of sentence-transformers, and their usual short names
LOSSES = {
    "BinaryCrossEntropyLoss": "bce",
    "CachedMultipleNegativesRankingLoss": "infonce (with --cache-batch)",
    "ContrastiveLoss": "contrastive",
    "CoSENTLoss": "cosent",
    "CosineSimilarityLoss": "cosine-mse",
    "CrossEntropyLoss": "cross-entropy",
    "MNRL": "infonce",
    "MSELoss": "mse",
    "MultipleNegativesRankingLoss": "infonce",
    "NT-Xent": "infonce",
    "OnlineContrastiveLoss": "online-contrastive",
    "SoftmaxLoss": "softmax",
    "TripletLoss": "triplet",
}


def plain(name):
    """A name without what programs write differently: -minCount and --min_count are mincount."""
    return re.sub("[-_]", "", name).lower()


PLAIN = {plain(name): here for name, here in NAMES.items()}
PLAIN_LOSSES = {plain(name).removesuffix("loss"): here for name, here in LOSSES.items()}


def name_here(name, known):
    """The option that another program's `name` stands for; None if there is none.

    known: the options of the command, of which one may differ from `name` in hyphens only.
    """
    return {plain(option): option for option in known}.get(plain(name), PLAIN.get(plain(name)))


def loss_here(name):
    """The value of --loss that another program's name of a loss stands for; None without one.

    >>> loss_here("MultipleNegativesRankingLoss"), loss_here("cosent_loss")
    ('infonce', 'cosent')
    """
    return PLAIN_LOSSES.get(plain(name).removesuffix("loss"))
