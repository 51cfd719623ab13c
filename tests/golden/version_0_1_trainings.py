"""Small trainings of version 0.1, which every later version repeats to compare the results.

    TRAININGS   {name: train(state=None) -> {key: array}}
    STOPPED     {name: number of saves}, the trainings with a checkpoint of an interrupted run

Only this file and version_0_1_files.py call the package.  If a signature changes, these calls
change; the settings, texts and recorded results do not.
Read next version_0_1_files.py, make_version_0_1.py, ../test_version_0_1.py
"""
import functools
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.sentences import simcse
from scratch_embed.text.reader import read_corpus
from scratch_embed.text.sequences import encode_lines, line_sequences, next_sentence_pairs
from scratch_embed.text.vocab import Corpus, Vocab
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_training import learn_pieces
from scratch_embed.training import checkpoint as session_checkpoint
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import masked_lm
from scratch_embed.transformer.bert import Bert, Config, head_tensors, tensors
from scratch_embed.transformer.pooling import mean
from scratch_embed.words import fasttext, glove, supervised, word2vec
from scratch_embed.words.cbow import cbow_chunk, corrected_cbow_chunk
from scratch_embed.words.cooccurrence import count_cells, flat, harmonic, linear
from scratch_embed.words.plan import Details
from scratch_embed.words.shared_negatives import shared_chunk
from scratch_embed.words.subwords import NGrams

VERSION_0_1 = Path(__file__).with_name("version_0_1")
TEXT, LABELLED = VERSION_0_1 / "text.txt", VERSION_0_1 / "labelled.txt"


class State(NamedTuple):
    """The path of a checkpoint, whether to resume from it, and seconds between saves."""

    path: str | os.PathLike
    resume: bool = True
    every: float = 60.0


# ---- the texts -----------------------------------------------------------------------------------

def lines():
    """The lines of the text; a blank one ends a document."""
    return TEXT.read_text().splitlines()


@functools.cache
def words():
    """(Vocab, Corpus) of the words that occur at least three times."""
    return read_corpus(TEXT, min_count=3)


@functools.cache
def pairs_of_words():
    """(Vocab, Corpus) of 70,000 sentences of two words: enough for several blocks and chunks."""
    ids = np.random.default_rng(7).integers(0, 10, 140_000).astype(np.int32)
    vocab = Vocab(list("abcdefghij"), np.bincount(ids, minlength=10))
    return vocab, Corpus(ids, np.arange(0, len(ids) + 1, 2))


@functools.cache
def tokenizer():
    """A WordPiece tokenizer trained on the text."""
    return WordPiece(learn_pieces(lines(), 100))


def config():
    """The Config of all BERT models here."""
    return Config(len(tokenizer()), dim=8, layers=2, heads=2, ff=12, positions=16)


def first_params(seed, heads=True, std=0.4):
    """Initial parameters, large enough for every tensor to affect the loss."""
    heads = head_tensors(config(), std=std) if heads else {}
    return init_params(tensors(config(), std) | heads, seed)


def weights(p):
    """The parameters concatenated in the order of their original names; key biases separately.

    A key bias adds the same to all scores of a query, so softmax does not depend on it and its
    gradient is 0 but for rounding.  Adam turns these roundings into steps of normal size.
    """
    theirs = {p.tensors[name].stream: view for name, view in p.items()}
    keys = [name for name in sorted(theirs) if name.endswith("key.bias")]
    rest = [name for name in sorted(theirs) if name not in keys]
    return {"weights": np.concatenate([theirs[name].ravel() for name in rest]),
            "key biases": np.concatenate([theirs[name].ravel() for name in keys])}


# ---- trainings -----------------------------------------------------------------------------------

def options(state, workers=1):
    """RunOptions with seed 1 and the checkpoint of `state`."""
    return RunOptions(workers, checkpoint=state and session_checkpoint.Checkpoint(*state))


def split(settings, kind):
    """Split settings into a NamedTuple of type `kind`, of its own fields, and the others."""
    own = {name: settings[name] for name in settings if name in kind._fields}
    return kind(**own), {name: settings[name] for name in settings if name not in own}


def word2vec_model(state=None, text=words, **settings):
    vocab, corpus = text()
    details, settings = split(settings, Details)
    return word2vec.train(corpus, vocab, details=details, options=options(state), **settings)


def train_word2vec(state=None, **settings):
    trained = word2vec_model(state, **settings)
    return {"W": trained.W, "U": trained.U, "losses": np.array(trained.losses)}


def train_glove(state=None, window=5, weights=harmonic, symmetric=True, columns=None, **settings):
    """columns: the number of columns of W and U that are recorded; None: all."""
    vocab, corpus = words()
    cells = count_cells(corpus, len(vocab), window, weights, symmetric)
    trained = glove.train(cells, len(vocab), options=options(state), **settings)
    return {"cells": cells.counts[:50], "sum of cells": cells.counts.sum(keepdims=True),
            "W": trained.W[:, :columns], "U": trained.U[:, :columns], "b": trained.b,
            "c": trained.c, "losses": np.array(trained.losses)}


def fasttext_model(state=None, power=0.5, **settings):
    vocab, corpus = words()
    ngrams, settings = split(settings, NGrams)
    return fasttext.train(corpus, vocab, ngrams=ngrams, options=options(state),
                          details=fasttext.DETAILS._replace(power=power), **settings)


def train_fasttext(state=None, **settings):
    trained = fasttext_model(state, **settings)
    return {"W": trained.W, "U": trained.U, "losses": np.array(trained.losses)}


def classifier_model(state=None, min_n=0, max_n=0, buckets=2_000_000, **settings):
    return supervised.train(LABELLED, ngrams=NGrams(min_n, max_n, buckets),
                            options=options(state), **settings)


def train_classifier(state=None, **settings):
    trained = classifier_model(state, **settings)
    model = trained.classifier.model
    return {"W": model.input, "U": model.output, "losses": np.array(trained.losses)}


def bert_model(state=None, follows=True, start=None, workers=1, batch=32, **settings):
    """Pre-train a BERT.  start: the seed of first_params() to start from; None: the default."""
    pieces = tokenizer()
    text = encode_lines(lines(), pieces.token_ids)
    corpus, labels = (next_sentence_pairs(text, pieces.template, 16, seed=5) if follows else
                      (line_sequences(text, pieces.template, 16), None))
    special = tuple(pieces.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    masking = masked_lm.Masking(pieces.token_to_id("[MASK]"), special, 0.3)
    optim, settings = split(settings, Optim)
    return masked_lm.train(corpus, config(), masking, labels, batch_size=batch, optim=optim,
                           options=options(state, workers),
                           p=None if start is None else first_params(start), **settings)


def train_bert(state=None, **settings):
    trained = bert_model(state, **settings)
    return {**weights(trained.model.p), "losses": np.array(trained.losses)}


def simcse_model(state=None, views=1, held_out=False, every=50, workers=1, batch=64, **settings):
    """views: 1, a text is its own positive; 3, the next text is the positive, the one after it a
    hard negative.
    """
    text = [line for line in lines() if line]
    packed = [tokenizer().encode_batch(text[n:] + text[:n], max_length=16) for n in range(views)]
    judged = [tokenizer().encode_batch(text[n:20:2], max_length=16) for n in range(2)]
    optim, settings = split({"weight_decay": 0.0, **settings}, Optim)
    return simcse.train(packed, Bert(config(), first_params(3)), batch_size=batch, optim=optim,
                        held_out=simcse.HeldOut(*judged, every) if held_out else None,
                        options=options(state, workers), **settings)


def train_simcse(state=None, **settings):
    trained = simcse_model(state, **settings)
    return {**weights(trained.model.p), "losses": np.array(trained.losses),
            "curve": np.array(trained.curve, np.float64).reshape(-1, 3)}


def training(train, **settings):
    """A function train(state=None) with these settings, which are its .keywords."""
    return functools.partial(train, **settings)


# A larger window makes chunks shorter.  With 3,000 words the text of 600 words has several chunks,
# so a run can be interrupted within an epoch.  No sentence is as long as this window.
WINDOW = 3000
BERT = dict(steps=12, batch=8, lr=2e-3, warmup_ratio=0.25, weight_decay=0.1, max_grad_norm=0.05)
SIMCSE = dict(steps=12, batch=8, lr=2e-3, warmup_ratio=0.25, max_grad_norm=0.1, held_out=True,
              every=5)
TRAININGS = {
    "skip-gram": training(train_word2vec, dim=8, window=WINDOW, sample=0.01, lr=0.1, epochs=3),
    "skip-gram, fixed window": training(
        train_word2vec, dim=8, window=2, fixed_window=True, shuffle=False, sample=0, power=1.0,
        min_lr_ratio=0.6, negatives=3, epochs=2),
    "skip-gram, two blocks": training(
        train_word2vec, text=pairs_of_words, dim=50, epochs=1),
    "shared negatives": training(
        train_word2vec, method=shared_chunk, dim=8, window=WINDOW, sample=0.01, lr=0.1,
        epochs=3),
    "CBOW": training(train_word2vec, method=cbow_chunk, dim=8, window=WINDOW, sample=0.01, lr=0.2,
                     epochs=3),
    "CBOW, corrected": training(
        train_word2vec, method=corrected_cbow_chunk, dim=8, window=3, sample=0.01, lr=0.2,
        epochs=2),
    "hierarchical softmax": training(
        train_word2vec, dim=8, window=WINDOW, negatives=0, sample=0.01, lr=0.1,
        epochs=3),
    "hierarchical softmax, CBOW": training(
        train_word2vec, method=cbow_chunk, dim=8, window=3, negatives=0, lr=0.2, epochs=2),
    "GloVe": training(train_glove, dim=8, x_max=10, epochs=4),
    "GloVe, the paper's AdaGrad": training(
        train_glove, weights=flat, symmetric=False, adagrad=glove.paper_adagrad, dim=8, alpha=0,
        epochs=3),
    "GloVe, mirrored": training(train_glove, weights=linear, order=glove.mirrored, dim=8, epochs=3),
    "GloVe, several pieces": training(train_glove, columns=4, dim=8000, x_max=10, epochs=2),
    "FastText": training(train_fasttext, dim=6, window=WINDOW, sample=0.01, buckets=80, epochs=3),
    "FastText, words alone": training(
        train_fasttext, method=fasttext.corrected_skipgram_chunk, dim=6, max_n=0, window=3,
        sample=0, power=0.75, epochs=2),
    "FastText, CBOW": training(
        train_fasttext, method=fasttext.cbow_chunk, dim=6, window=3, min_n=2, max_n=3, buckets=50,
        sample=0.01, epochs=2),
    "FastText, CBOW corrected": training(
        train_fasttext, method=fasttext.corrected_cbow_chunk, dim=6, window=3, min_n=4, max_n=4,
        buckets=50, negatives=2, sample=0.01, epochs=2),
    "classifier": training(train_classifier, dim=6, lr=1.0, epochs=3, word_ngrams=20_000,
                           buckets=60),
    "classifier, one-vs-all": training(
        train_classifier, method=supervised.one_vs_all_chunk, dim=6, lr=1.0, epochs=2, min_n=2,
        max_n=3, buckets=60, shuffle=False),
    "classifier, hierarchical softmax": training(
        train_classifier, method=supervised.hierarchical_softmax_chunk, dim=6, lr=1.0, epochs=2,
        min_count=2),
    "classifier, negative sampling": training(
        train_classifier, method=supervised.negative_sampling_chunk, dim=6, lr=1.0, epochs=2,
        negatives=3, word_ngrams=2, buckets=60),
    "BERT": training(train_bert, workers=1, **BERT),
    "BERT, two workers": training(train_bert, workers=2, **BERT),
    "BERT, one loss, from parameters": training(
        train_bert, follows=False, start=2, steps=8, batch=100, lr=2e-3, warmup_ratio=0.0,
        max_grad_norm=1e9, dropout=0.0, workers=1),
    "SimCSE": training(train_simcse, workers=1, **SIMCSE),
    "SimCSE, two workers": training(train_simcse, workers=2, **SIMCSE),
    "SimCSE, hard negatives, no head": training(
        train_simcse, views=3, with_head=False, pool=mean, tau=0.1, steps=8, batch=10, lr=2e-3,
        weight_decay=0.1, dropout=0.0, workers=1),
}

# {training: number of saves after which its run was interrupted}; a save follows each chunk or step
STOPPED = {"skip-gram": 4, "shared negatives": 4, "CBOW": 4, "hierarchical softmax": 4, "GloVe": 2,
           "FastText": 3, "classifier": 6, "BERT": 7, "SimCSE": 7}


# Trainings whose checkpoint of version 0.1 is refused; other checkpoints are resumed.
REFUSED = {"skip-gram", "shared negatives", "CBOW", "hierarchical softmax", "GloVe", "FastText",
           "classifier", "BERT", "SimCSE"}
STATES = (session_checkpoint,)                             # modules that write checkpoints


def checkpoint_name(name):
    """The file name of a training's checkpoint."""
    return f"{name.replace(' ', '-')}.state"
