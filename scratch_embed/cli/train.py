"""train: from a text to vectors, to a classifier or to a transformer, by one of six methods."""
from scratch_embed.cli import bert, classifier, fasttext, glove, simcse, word2vec
from scratch_embed.cli.parsing import add_command


def add_commands(commands):
    """Add `train` and the methods it knows, each from a file of its own."""
    train = add_command(commands, "train", "train vectors, a classifier or a transformer on a text",
                        "scratch-embed train word2vec corpus.txt -o vectors.vec")
    methods = train.add_subparsers(metavar="METHOD", required=True)
    for method in (word2vec, glove, fasttext, classifier, bert, simcse):
        method.add_training(methods)
