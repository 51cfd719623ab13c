"""train: train word vectors, a tokenizer, a classifier or a transformer on a text."""
from scratch_embed.cli import (
    bert,
    bpe,
    clap,
    classifier,
    clip,
    cross_encoder,
    e5_mistral,
    fasttext,
    glove,
    gpt2,
    imagebind,
    m3,
    sbert,
    simcse,
    whisper,
    word2vec,
)
from scratch_embed.cli.parsing import add_command


def add_commands(commands):
    """Add `train` and its methods; each is in a file of its own."""
    train = add_command(commands, "train", "train vectors, a classifier or a transformer on a text",
                        "scratch-embed train word2vec corpus.txt -o vectors.vec")
    methods = train.add_subparsers(metavar="METHOD", required=True)
    for method in (word2vec, glove, fasttext, classifier, bpe, bert, gpt2, simcse, sbert, m3,
                   e5_mistral, cross_encoder, clip, imagebind, clap,
                   whisper):
        method.add_training(methods)
