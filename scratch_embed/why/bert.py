"""Ablations of BERT's masked LM: the effect of removing each part, one at a time.

Paper     Devlin et al. 2019, section 3.1 and appendix C.2 (80/10/10); Wettig et al. 2023, "Should
          You Mask 15% in Masked Language Modeling?"; Press & Wolf 2017, "Using the Output
          Embedding to Improve Language Models" (tied); Xiong et al. 2020, "On Layer Normalization
          in the Transformer Architecture" (warm-up).
Shapes    a score is two numbers: the accuracy, in %, of finding the sense of an ambiguous word
          from its last hidden state; the loss of masked tokens in held-out sentences, in nats
Cost      a training run takes about three seconds on one core.
Read next why/ablations.py (how effects are measured), why/contexts.py (the nearest-centroid
          classifier), worlds/senses.py (the world)

The world is made difficult, because otherwise all accuracies would be near 100%: a word is drawn
from a random topic with probability 0.3, and then 30% of all words are replaced by fillers.  Chance
is 50%; upper_bound() computes the highest expected accuracy exactly.

A sequence has 11 tokens: [CLS], nine words and [SEP].  All variants train for the same number of
steps, which favours variants that learn more per step.  The loss is measured on the same masked
tokens for all variants: 2 words of each held-out sentence, both replaced by [MASK].  The senses are
measured on sentences without masks.  Next sentence prediction is not trained, and the position of
layer norm is not varied.  The predictions follow from the papers; failed predictions are kept.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.text.packed import Packed
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config
from scratch_embed.transformer.masked_lm import Examples, mask_tokens, pretraining, train
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.contexts import (
    masking,
    packed,
    sense_accuracy,
    states_of_words,
    untrained,
    whole_words,
    with_optim,
)
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.worlds.senses import LENGTH, Senses, accuracy_upper_bound, senses

FILLERS, NOISE = 0.3, 0.3
BASE = dict(steps=700, batch_size=64, lr=3e-3, warmup_ratio=0.1, dropout=0.1, dim=32, ff=64,
            layers=2, heads=2, share=0.15, masked=0.8, random=0.1, tied=True)

ABLATIONS = [
    Ablation(
        "15% of the tokens are masked: 2 of 11",
        "With one masked token per sentence there is half as much to learn in a step.  With three "
        "there is more to learn from less context, and the two effects cancel; with six of nine "
        "words masked too little of the topic is left.",
        BASE, {"5%, at least one: 1": (dict(share=0.05), HELPS),
               "30%: 3": (dict(share=0.3), NOT_SIGNIFICANT),
               "50%: 6": (dict(share=0.5), HELPS)}),
    Ablation(
        "80% [MASK], 10% random, 10% unchanged",
        "If all chosen tokens were replaced by [MASK], the loss would never be computed at a "
        "visible word, so the model need not represent visible words; but senses are measured on "
        "them.  A few unchanged tokens are enough to make the model represent them.",
        BASE, {"all [MASK]": (dict(masked=1.0, random=0.0), HELPS),
               "80% [MASK], 20% kept": (dict(random=0.0), NOT_SIGNIFICANT)}),
    Ablation(
        "tied input and output embeddings",
        "A tied table gets gradients from input and output, and so learns faster from a small "
        "text.",
        BASE, {"untied": (dict(tied=False), HELPS)}),
    Ablation(
        "learning rate warm-up",
        "With post-norm the first gradients are large, and steps at the full learning rate do harm "
        "at the beginning; a third of that rate does no harm, but the model learns less.",
        BASE, {"none": (dict(warmup_ratio=0.0), HELPS),
               "none, lr / 3": (dict(warmup_ratio=0.0, lr=1e-3), HELPS)}),
    Ablation(
        "dropout 0.1",
        "A small model does not overfit in a short training run, so dropout only adds noise and "
        "hurts.",
        BASE, {"none": (dict(dropout=0.0), HURTS),
               "0.3": (dict(dropout=0.3), HELPS)}),
    Ablation(
        "two layers",
        "One attention layer can find the topic by counting the other words of each topic, but it "
        "sees only their embeddings, fillers included.  A third layer adds nothing.",
        BASE, {"one": (dict(layers=1), HELPS),
               "three": (dict(layers=3), NOT_SIGNIFICANT)}),
    Ablation(
        "two heads",
        "The other words are equally informative wherever they are, so one attention pattern is "
        "enough.",
        BASE, {"one": (dict(heads=1), NOT_SIGNIFICANT),
               "four": (dict(heads=4), NOT_SIGNIFICANT)}),
]
OTHERS = ("loss",)                 # measured besides the accuracy


class Text(NamedTuple):
    """A toy world, its tokenized sentences, and held-out sentences with masked tokens."""

    world: Senses
    tokenizer: WordPiece
    corpus: Packed
    held_out: Examples
    seed: int


def toy_text(seed: int, sentences: int = 8000) -> Text:
    """Draw the Text of a seed.  sentences: for training; a quarter as many more are held out"""
    world = senses(seed, sentences, FILLERS, NOISE)
    held_out_world = senses(seed + 10_000, max(1, sentences // 4), FILLERS, NOISE)
    tokenizer = whole_words([*world.sentences, *held_out_world.sentences])
    held_out = mask_tokens(packed(tokenizer, held_out_world.sentences),
                           masking(tokenizer, masked=1.0, random=0.0),
                           len(tokenizer), np.random.default_rng([seed, 3]))
    return Text(world, tokenizer, packed(tokenizer, world.sentences), held_out, seed)


def trained(settings: dict, text: Text) -> Bert:
    """Train BERT with settings such as BASE."""
    rest = dict(settings)
    sizes = {name: rest.pop(name) for name in ("dim", "layers", "heads", "ff")}
    masks = {name: rest.pop(name) for name in ("share", "masked", "random")}
    config = Config(len(text.tokenizer), positions=LENGTH + 2, types=1, **sizes)
    p = untrained(config, text.seed, rest.pop("tied")).p
    return train(text.corpus, config, masking(text.tokenizer, **masks), p=p,
                 options=RunOptions(seed=text.seed), **with_optim(rest)).model


def measures(text: Text, model: Bert) -> np.ndarray:
    """The accuracy of senses in %, and the loss of the held-out masked tokens in nats.  -> (2,)"""
    x = states_of_words(text.corpus, model)[-1]
    loss, _ = pretraining(text.held_out, model.p, model.config)
    return np.array([100 * sense_accuracy(text.world, x), float(loss)])


def upper_bound() -> float:
    """The highest expected accuracy of senses in this world, in %, exactly."""
    return 100 * accuracy_upper_bound(LENGTH - 1, FILLERS, NOISE)
