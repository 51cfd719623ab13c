"""train: from a text to vectors, or to a classifier, by one of four methods."""
from scratch_embed.cli import classifier, fasttext, glove, word2vec
from scratch_embed.cli.parsing import add_command


def add_commands(commands):
    """Add `train` and the methods it knows, each from a file of its own."""
    train = add_command(commands, "train", "train vectors or a classifier on a text",
                        "scratch-embed train word2vec corpus.txt -o vectors.vec")
    methods = train.add_subparsers(metavar="METHOD", required=True)
    for method in (word2vec, glove, fasttext, classifier):
        method.add_training(methods)
