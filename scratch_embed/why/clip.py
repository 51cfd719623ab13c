"""Ablations of CLIP on scenes: the effect of each part of the loss, the data and the prompts.

Papers    Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
          Supervision", sections 2.3 to 2.5 and 3.1.4; Zhai et al. 2023, "Sigmoid Loss for Language
          Image Pre-Training"; Zhai et al. 2022, "LiT: Zero-Shot Transfer with Locked-image text
          Tuning"; Liang et al. 2022, "Mind the Gap", section 4 (the gap and the temperature).
Equation  score = recall@10 of the image of a caption among 1,000 images, in %
Shapes    a score is four numbers: recall@10 of images for texts and of texts for images, in %, the
          mean zero-shot accuracy of the attributes, in %, and the gap between the senses, 0 to 2
Cost      a training run takes three to six seconds on one core
Read next multimodal/clip.py, multimodal/clip_verdict.py (the measures), why/ablations.py (how
          effects are measured), answers/clip.py

The model is smaller than that of multimodal/clip_verdict.py: D = 32, one layer in each tower, and
patches of 8 pixels, so that an image has four of them.  It is not trained until it is nearly
perfect, because then no part would show a difference.

A frozen tower here has random weights: it shows what a tower can do that only the other one adapts
to.  LiT freezes an image tower that was trained before, and is another experiment.

Trials on seed 1 came before the predictions: they chose the size, the steps and the learning rate,
of the whole method only.  The predictions follow from the papers; failed ones are kept.
"""
import math
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.infonce import infonce
from scratch_embed.multimodal.clip import (
    clip_loss,
    siglip_loss,
    siglip_tensors,
    tensors,
    train,
)
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.clip_verdict import (
    CHANCE,
    RECIPE,
    TEST,
    TEST_SEED,
    draw_pairs,
    recall_bounds,
    report,
    untrained,
)
from scratch_embed.nn.contract import ParamBackwardEach
from scratch_embed.nn.norms import add_to
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import Params, init_params
from scratch_embed.numerics.settings import saved_as
from scratch_embed.training.session import RunOptions
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.worlds.scenes import ATTRIBUTES, KNOWN, PHRASES, Scenes, caption, prompts

SMALL = RECIPE._replace(dim=32, layers=(1, 1), patch=8)
STEPS = 800


# ---- other losses --------------------------------------------------------------------------------

@saved_as("clip_images_choose")
def images_choose(x: np.ndarray, y: np.ndarray, p: Params) -> tuple[float, ParamBackwardEach]:
    """One half of CLIP's loss: each image chooses its text.  x, y: (N, E) of images and texts."""
    tau = math.exp(-p["log_scale"])
    loss, back = infonce(x, y, tau)

    def backward(dloss, g):
        dx, dy, dtau = back(dloss)
        add_to(g, "log_scale", -tau * dtau)
        return dx, dy
    return loss, backward


@saved_as("clip_texts_choose")
def texts_choose(x: np.ndarray, y: np.ndarray, p: Params) -> tuple[float, ParamBackwardEach]:
    """The other half: each text chooses its image."""
    loss, back = images_choose(y, x, p)

    def backward(dloss, g):
        dy, dx = back(dloss, g)
        return dx, dy
    return loss, backward


# ---- the ablations -------------------------------------------------------------------------------

BASE = dict(steps=STEPS, batch_size=64, lr=5e-3, loss=clip_loss, tau=0.07, learned=True, frozen=(),
            dropout=0.2)
OFTEN = dict(BASE, batch_size=16, steps=4 * STEPS)
SIGLIP = dict(loss=siglip_loss, tau=0.1)                 # its scale starts at 10

ABLATIONS = [
    Ablation(
        "a learned temperature, from 0.07",
        "At 1 the softmax over 64 captions is almost uniform, and the loss stays near log 64.  "
        "0.07 is where the learned one starts, and in so few steps it does not go far.  At 0.01 "
        "the hardest negatives have the whole push, and as captions omit attributes, many of them "
        "fit the image too.  A start at 1 costs the steps in which it falls.",
        BASE, {"fixed at 1": (dict(learned=False, tau=1.0), HELPS),
               "fixed at 0.07": (dict(learned=False), NOT_SIGNIFICANT),
               "fixed at 0.01": (dict(learned=False, tau=0.01), HELPS),
               "learned from 1": (dict(tau=1.0), HELPS)}),
    Ablation(
        "symmetric: both choose",
        "Both halves have the same pairs and the same cosines.  If each image chooses its text, a "
        "text that is near many images is not pushed away from them, and the search for images "
        "suffers; the other half trains just this search.",
        BASE, {"images choose texts": (dict(loss=images_choose), HELPS),
               "texts choose images": (dict(loss=texts_choose), NOT_SIGNIFICANT)}),
    Ablation(
        "64 pairs in a batch",
        "A batch of 16 has 15 negatives and sees a quarter of the pairs; with as many pairs it "
        "also has four times the steps, which makes up for the negatives.  256, as many pairs, has "
        "too few steps.",
        BASE, {"16": (dict(batch_size=16), HELPS),
               "16, as many pairs": (dict(OFTEN), NOT_SIGNIFICANT),
               "256, as many pairs": (dict(batch_size=256, steps=STEPS // 4), HELPS)}),
    Ablation(
        "InfoNCE: a softmax over the batch",
        "In the paper SigLIP is better below 16,000 pairs in a batch; but at the start its "
        f"gradient comes from the positives alone, and {STEPS} steps are few.",
        BASE, {"SigLIP": (SIGLIP, NOT_SIGNIFICANT)}),
    Ablation(
        "InfoNCE in batches of 16, as many pairs",
        "The smaller the batch, the better is SigLIP beside InfoNCE in the paper.",
        OFTEN, {"SigLIP": (SIGLIP, NOT_SIGNIFICANT)}),
    Ablation(
        "both towers learn",
        "A random image tower mixes shape and place, and a linear projection cannot sort them "
        "out.  A random text tower still gives every word its own direction, and captions have few "
        "words, but synonyms must become equal in one projection.",
        BASE, {"image tower random": (dict(frozen=("image.",)), HELPS),
               "text tower random": (dict(frozen=("text.",)), HELPS)}),
    Ablation(
        "captions omit 20 % of the attributes",
        "Captions that name everything have fewer false negatives in a batch, and the test's name "
        "everything, so 0 is better for the search; prompts name one attribute, so it is worse for "
        "zero-shot.  At 50 % and 80 % a caption says little.",
        BASE, {"none": (dict(dropout=0.0), HURTS),
               "50 %": (dict(dropout=0.5), HELPS),
               "80 %": (dict(dropout=0.8), HELPS)}),
]
OTHERS = ("to text", "zero-shot", "gap")                 # measured besides recall of images
PROBED = ("seen pairs", "unseen pairs", "unseen, fitted to all")


class Task(NamedTuple):
    """The scenes, images and captions of a seed, and a Clip that is not trained."""

    start: Clip
    scenes: Scenes
    pixels: np.ndarray             # (n, 3, 16, 16) float32, of the scenes' images
    seed: int


def draw_task(seed: int, scenes: int = RECIPE.scenes) -> Task:
    """Draw the Task of a seed.  The tokenizer is learned from the captions of BASE."""
    data = draw_pairs(scenes, seed, BASE["dropout"])
    start = untrained(data.captions, seed, SMALL)
    return Task(start, data.scenes, start.processor(data.images), seed)


def initial(settings: dict, task: Task) -> Params:
    """The initial parameters; what does not learn is frozen.  settings: such as BASE"""
    declare = siglip_tensors if settings["loss"] is siglip_loss else tensors
    p = init_params(declare(task.start.config), task.seed)
    p["log_scale"][...] = -math.log(settings["tau"])
    towers = [name for name in p if name.startswith(settings["frozen"])
              and "projection" not in name]
    return p.freeze([*towers, *([] if settings["learned"] else ["log_scale"])])


def trained(settings: dict, task: Task) -> Clip:
    """Train with settings such as BASE."""
    start, captions = task.start, caption(task.scenes, task.seed, settings["dropout"])
    run = train(task.pixels, start.tokenizer.encode_batch(captions), initial(settings, task),
                start.config, settings["steps"], settings["batch_size"],
                Optim(settings["lr"], weight_decay=SMALL.optim.weight_decay), settings["loss"],
                RunOptions(seed=task.seed))
    return Clip(start.config, run.p, start.tokenizer, start.processor)


def measures(task: Task, clip: Clip) -> np.ndarray:
    """Recall@10 of images and of texts, zero-shot accuracy, in %, and the gap.  -> (4,)"""
    found = report(clip, task.seed)
    return np.array([100 * found.text_to_image, 100 * found.image_to_text,
                     100 * np.mean(found.zero_shot[:len(KNOWN["text"])]), found.gap])


# ---- the whole method beside its baselines -------------------------------------------------------

def beside_baselines(before: Clip, after: Clip, seed: int, n: int = TEST
                     ) -> dict[str, list[float]]:
    """{measure: before and after training, chance, upper bound}, in %, on n scenes of each kind."""
    old, new = report(before, seed, n), report(after, seed, n)
    chance, best = recall_bounds(seed, n)
    rows = {
        "recall@10, text to image": (old.text_to_image, new.text_to_image, chance, best),
        "recall@10, image to text": (old.image_to_text, new.image_to_text, chance, best),
        **{f"zero-shot {name.replace('_', ' ')}": (getattr(old.zero_shot, name),
                                                   getattr(new.zero_shot, name),
                                                   getattr(CHANCE, name), 1.0)
           for name in CHANCE._fields},
        **{f"probe, {name}": (x, y, CHANCE.seen_pairs, 1.0)
           for name, x, y in zip(PROBED, old.probes, new.probes)}}
    return {name: [100 * x for x in row] for name, row in rows.items()}


# ---- prompts -------------------------------------------------------------------------------------

def ensemble(attribute: str, value: int) -> list[str]:
    """Three words for the value in three templates."""
    return prompts(attribute, value, synonyms=3)


def one_prompt(attribute: str, value: int) -> list[str]:
    """One word in one template, "a red thing"."""
    return prompts(attribute, value)[:1]


def templates(attribute: str, value: int) -> list[str]:
    """One word in three templates."""
    return prompts(attribute, value)


def words(attribute: str, value: int) -> list[str]:
    """Three words in one template."""
    return ensemble(attribute, value)[::len(templates(attribute, value))]


def bare_word(attribute: str, value: int) -> list[str]:
    """The first word alone, "red"."""
    return [PHRASES[attribute][value][0]]


PROMPTS = [
    Ablation(
        "an ensemble of nine prompts",
        "Training captions use three words for each value, and all were brought near the same "
        "images, but not exactly; the mean of three is nearer to what they share.  Templates say "
        "nothing, so one is enough.  A bare word is not like a caption.",
        dict(prompts=ensemble),
        {"one prompt": (dict(prompts=one_prompt), HELPS),
         "one word, 3 templates": (dict(prompts=templates), HELPS),
         "3 words, one template": (dict(prompts=words), NOT_SIGNIFICANT),
         "a bare word": (dict(prompts=bare_word), HELPS)}),
]


class Learned(NamedTuple):
    """A task, and the Clip that BASE trains on it."""

    task: Task
    clip: Clip


def prompted(settings: dict, learned: Learned) -> float:
    """The mean zero-shot accuracy of the attributes with these prompts, in %."""
    clip, seen = learned.clip, draw_pairs(TEST, learned.task.seed + TEST_SEED, 0.0)
    u = clip.encode_images(seen.images, normalize=True)
    right = []
    for attribute in KNOWN["text"]:
        classes = clip.class_vectors({value: settings["prompts"](attribute, number)
                                      for number, value in enumerate(ATTRIBUTES[attribute])})
        right.append((u @ classes.T).argmax(1) == seen.scenes.of(attribute))
    return 100 * float(np.mean(right))
