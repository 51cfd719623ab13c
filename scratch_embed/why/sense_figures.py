"""The numbers behind two figures of ImageBind: images found by queries, and pairs of senses.

Shapes    a NamedTuple for each figure; its fields say what they hold
Cost      a minute of one core, to train CLIP and the towers of four senses
Read next cli/sense_figures.py (draws them), multimodal/imagebind_verdict.py (the measures)

Nothing here needs matplotlib.  Both figures have their baseline: the share of right images if they
are drawn at random, and random towers.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal import clip_verdict, imagebind_verdict
from scratch_embed.multimodal.clip_verdict import TEST_SEED
from scratch_embed.multimodal.imagebind import add_vectors
from scratch_embed.multimodal.imagebind_encoder import ImageBind
from scratch_embed.multimodal.imagebind_verdict import Cell
from scratch_embed.why.scene_tour import Learned, learn
from scratch_embed.worlds.scenes import ATTRIBUTES, KNOWN, SEEN, Scenes, draw_scenes, prompts

SHOWN = 8                          # images in a row


class Row(NamedTuple):
    """A query, and the images nearest to it."""

    title: str
    wave: np.ndarray | None        # (samples,), if it has a sound
    images: np.ndarray             # (SHOWN, 16, 16, 3) uint8, the nearest first
    right: np.ndarray              # (SHOWN,) bool: it has all that the query shows
    chance: float                  # the share of right images among all


def train_senses(seed: int, steps: int) -> Learned:
    """CLIP after so many steps, and the senses after half as many, on no more scenes than needed.
    """
    clip, senses = clip_verdict.RECIPE, imagebind_verdict.RECIPE
    halved = max(1, steps // 2)
    return learn(seed, clip._replace(steps=steps, scenes=min(clip.scenes, steps * clip.batch_size)),
                 senses._replace(steps=halved,
                                 scenes=min(senses.scenes, halved * senses.batch_size)))


def images_of_queries(learned: Learned) -> list[Row]:
    """The nearest of 1,000 new images to a text, to a sound, and to the sound plus a colour."""
    model, seed = learned.bound, learned.seed + TEST_SEED
    scenes = draw_scenes(clip_verdict.TEST, seed, SEEN)
    images = imagebind_verdict.perceive("image", scenes, seed)
    gallery = model.encode("image", images)

    text = {"shape": "circle", "colour": "red"}
    heard = first_of(scenes, {"shape": "ring", "size": "large", "motion": "still"})
    wave, rate = imagebind_verdict.perceive("audio", scenes.take([heard]), seed)[0]
    sound, by_ear = model.encode("audio", [(wave, rate)])[0], {"shape": "ring", "size": "large"}
    word = colour_vector(model, "yellow")
    return [found("text: “a red circle”", None, model.encode("text", ["a red circle"])[0],
                  gallery, images, scenes, text),
            found("sound of a large ring", wave, sound, gallery, images, scenes, by_ear),
            found("the sound\n+ “a yellow thing”", wave, add_vectors(sound, word), gallery, images,
                  scenes, by_ear | {"colour": "yellow"})]


def found(title: str, wave: np.ndarray | None, query: np.ndarray, gallery: np.ndarray,
          images: np.ndarray, scenes: Scenes, wanted: dict[str, str]) -> Row:
    """The images nearest to a query (E,), and whether they have the wanted values."""
    nearest = np.argsort(-(gallery @ query), kind="stable")[:SHOWN]
    right = has(scenes, wanted)
    return Row(title, wave, np.asarray(images)[nearest], right[nearest], float(right.mean()))


def has(scenes: Scenes, wanted: dict[str, str]) -> np.ndarray:
    """Which scenes have these values.  wanted: {attribute: value} -> (n,) bool"""
    return np.all([scenes.of(name) == ATTRIBUTES[name].index(value)
                   for name, value in wanted.items()], axis=0)


def first_of(scenes: Scenes, wanted: dict[str, str]) -> int:
    """The index of the first scene that has these values."""
    return int(has(scenes, wanted).argmax())


def colour_vector(model: ImageBind, colour: str) -> np.ndarray:
    """The class vector of a colour, the mean of its prompts.  -> (E,)"""
    number = ATTRIBUTES["colour"].index(colour)
    return model.clip.class_vectors({colour: prompts("colour", number, synonyms=3)})[0]


# ---- every pair of senses ------------------------------------------------------------------------

class Matrices(NamedTuple):
    """{(from, to): Cell} of one seed, trained and with random towers of four senses."""

    senses: Sequence[str]
    trained: dict[tuple[str, str], Cell]
    random: dict[tuple[str, str], Cell]


def every_pair(learned: Learned) -> Matrices:
    """Recall@10 of every pair of senses among 1,000 new scenes, beside its bounds."""
    seed = learned.seed + TEST_SEED
    scenes = draw_scenes(clip_verdict.TEST, seed, SEEN)
    return Matrices(tuple(KNOWN), *(
        imagebind_verdict.matrix(imagebind_verdict.vectors(model, scenes, seed), scenes)
        for model in (learned.bound, learned.random)))


def train_once(steps: int, seed: int = 1):
    """Return a function that trains at its first call, and returns the same Learned at each."""
    kept: list[Learned] = []

    def models() -> Learned:
        if not kept:
            kept.append(train_senses(seed, steps))
        return kept[0]
    return models
