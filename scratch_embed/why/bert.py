"""What is each trick of BERT's masked LM worth?  Remove one at a time, and measure.

Paper     Devlin et al. 2019, section 3.1 and appendix C.2 (80/10/10); Wettig et al. 2023, "Should
          You Mask 15% in Masked Language Modeling?"; Press & Wolf 2017, "Using the Output
          Embedding to Improve Language Models" (tied); Xiong et al. 2020, "On Layer Normalization
          in the Transformer Architecture" (warm-up).
Shapes    a score is two numbers: the % of ambiguous words whose sense is told from their last
          state, and the loss of gaps in sentences that were not learned from, in nats
Cost      a training takes some three seconds of one core.
Read next why/ablations.py (the measuring), why/contexts.py (the nearest mean), worlds/senses.py

A third of the text's words are of any topic and a third of the rest are fillers: otherwise all
would come near 100%.  The same number of steps for all, so what learns more from a step gains.
The held-out gaps are the same for all: 15% of the words, every one [MASK].  The senses are asked of
sentences as they stand.  Whether B follows A is not asked, and the norm's place is fixed.  The
predictions are what the papers lead one to expect, and those that failed stay.
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
        "15% of the tokens are gaps: 2 of 11",
        "With one gap a sentence there is half as much to learn in a step.  With three there is "
        "more to learn and less to learn it from, which cancels; with six of nine words gone "
        "the topic can no longer be seen.",
        BASE, {"5%, at least one: 1": (dict(share=0.05), HELPS),
               "30%: 3": (dict(share=0.3), NOT_SIGNIFICANT),
               "50%: 6": (dict(share=0.5), HELPS)}),
    Ablation(
        "80% [MASK], 10% any, 10% as it is",
        "Were all gaps [MASK], the model would need no vector for a word that it sees, and it is "
        "of words that it sees that the senses are asked.  That some stay as they are is enough "
        "for it.",
        BASE, {"all [MASK]": (dict(masked=1.0, random=0.0), HELPS),
               "80% [MASK], 20% as it is": (dict(random=0.0), NOT_SIGNIFICANT)}),
    Ablation(
        "one table for input and output",
        "A table twice as often taught learns faster in a small text.",
        BASE, {"a table of its own": (dict(tied=False), HELPS)}),
    Ablation(
        "a learning rate that warms up",
        "With the norm behind the sum the first gradients are large and the first full steps "
        "do harm; with a third of the rate they do not, but that learns less.",
        BASE, {"none": (dict(warmup_ratio=0.0), HELPS),
               "none, lr / 3": (dict(warmup_ratio=0.0, lr=1e-3), HELPS)}),
    Ablation(
        "dropout 0.1",
        "A short training of a small model learns nothing by heart: dropout is noise, and costs.",
        BASE, {"none": (dict(dropout=0.0), HURTS),
               "0.3": (dict(dropout=0.3), HELPS)}),
    Ablation(
        "two layers",
        "The topic is a count of the other words, and one layer can count; but it must then ask "
        "the words as they stand, fillers and all.  A third has nothing left to do.",
        BASE, {"one": (dict(layers=1), HELPS),
               "three": (dict(layers=3), NOT_SIGNIFICANT)}),
    Ablation(
        "two heads",
        "All other words matter alike, wherever they stand: one pattern of attention will do.",
        BASE, {"one": (dict(heads=1), NOT_SIGNIFICANT),
               "four": (dict(heads=4), NOT_SIGNIFICANT)}),
]
OTHERS = ("loss",)                 # measured beside the senses


class Text(NamedTuple):
    """A world, its sentences numbered, gaps in others to be filled, and the seed of it all."""

    world: Senses
    tokenizer: WordPiece
    corpus: Packed
    gaps: Examples
    seed: int


def toy_text(seed: int, sentences: int = 8000) -> Text:
    """The Text of a seed; a quarter as many sentences are held out."""
    world = senses(seed, sentences, FILLERS, NOISE)
    others = senses(seed + 10_000, max(1, sentences // 4), FILLERS, NOISE)
    tokenizer = whole_words([*world.sentences, *others.sentences])
    gaps = mask_tokens(packed(tokenizer, others.sentences),
                     masking(tokenizer, masked=1.0, random=0.0),
                     len(tokenizer), np.random.default_rng([seed, 3]))
    return Text(world, tokenizer, packed(tokenizer, world.sentences), gaps, seed)


def trained(settings: dict, text: Text) -> Bert:
    """BERT after a training with settings such as BASE."""
    rest = dict(settings)
    sizes = {name: rest.pop(name) for name in ("dim", "layers", "heads", "ff")}
    gaps = {name: rest.pop(name) for name in ("share", "masked", "random")}
    config = Config(len(text.tokenizer), positions=LENGTH + 2, types=1, **sizes)
    p = untrained(config, text.seed, rest.pop("tied")).p
    return train(text.corpus, config, masking(text.tokenizer, **gaps), p=p,
                 options=RunOptions(seed=text.seed), **with_optim(rest)).model


def measures(text: Text, model: Bert) -> np.ndarray:
    """(2,) the % of senses told apart by the last layer, and the loss of the held-out gaps."""
    x = states_of_words(text.corpus, model)[-1]
    loss, _ = pretraining(text.gaps, model.p, model.config)
    return np.array([100 * sense_accuracy(text.world, x), float(loss)])


def upper_bound() -> float:
    """The % of senses that can be told at best, exactly."""
    return 100 * accuracy_upper_bound(LENGTH - 1, FILLERS, NOISE)
