"""CLIP on the world of scenes: a recipe, and what it has learned, beside chance and upper bounds.

Paper     Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
          Supervision", section 3.1 (zero-shot); Liang et al. 2022, "Mind the Gap: Understanding
          the Modality Gap in Multi-modal Contrastive Representation Learning", section 2.
Equation  gap = ‖mean u − mean v‖,  u and v the unit vectors of images and of their captions
          recall@10 = the share of queries whose own partner is among the 10 most similar of 1,000
Shapes    TEST scenes: images (TEST, 16, 16, 3), captions, labels
Cost      training: RECIPE on two cores, see multimodal/README.md; measuring: a few seconds
Read next worlds/scenes.py (the world), multimodal/clip.py (training)

What is measured?  Zero-shot accuracy: the class whose prompts are nearest to the image, for each
attribute that captions name.  Prompts name one attribute alone, which few training captions do.
Recall in both directions, with captions that name everything: seen pairs have 240 different
descriptions, so each fits some 4 of 1,000 scenes, of which only one counts; the upper bound is
scene_bounds.best_recall_of.

Unseen pairs.  Training scenes have 30 of the 36 pairs of shape and colour (scenes.SEEN).  The test
asks for the pair of an image among all 36, for the 6 pairs that were never seen.  Where CLIP fails,
does its image vector lack the answer, or do the texts not find it?  Linear probes tell:
classifiers of shape and of colour on the same image vectors.  One pair of probes is fitted to seen
pairs alone, as CLIP was, and can therefore learn that a green thing is never a circle; another is
fitted to all pairs, and shows what a vector contains.

Why is there a gap?  At the start the two towers are two random functions: the vectors of each lie
in a narrow cone of its own.  The loss compares images with texts only, and is lowered by the
differences between them, not by moving the cones together, so a part of the gap remains.
"""
from collections.abc import Callable
from itertools import starmap
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.probe import linear_probe
from scratch_embed.multimodal import vit
from scratch_embed.multimodal.clip import (
    Config,
    TextConfig,
    Trained,
    clip_loss,
    siglip_loss,
    siglip_tensors,
    tensors,
    train,
)
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.image_processor import ImageProcessor
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.nn.pre_norm import Trunk
from scratch_embed.text.bpe_training import train_clip_bpe
from scratch_embed.training.session import RunOptions
from scratch_embed.worlds.scene_bounds import best_recall_of, chance_recall
from scratch_embed.worlds.scene_senses import SIDE, image
from scratch_embed.worlds.scenes import (
    ATTRIBUTES,
    HELD_OUT,
    KNOWN,
    PAIRS,
    SEEN,
    Scenes,
    caption,
    draw_scenes,
    prompts,
)

TEST, K = 1000, 10
TEST_SEED = 10_000                 # added to the seed of training
PROCESSOR = ImageProcessor(size=None, crop=None, mean=(0.5,) * 3, std=(0.25,) * 3)


class Recipe(NamedTuple):
    """The sizes and settings of a training run on scenes."""

    scenes: int = 16_000           # pairs of an image and a caption
    dropout: float = 0.2           # the probability that a caption omits an attribute
    vocab: int = 1000              # tokens at most
    dim: int = 64                  # of both towers and of the common space
    layers: tuple[int, int] = (2, 1)       # of the image tower and of the text tower
    patch: int = 4                 # pixels
    steps: int = 1200
    batch_size: int = 128
    optim: Optim = Optim(lr=3e-3, warmup_ratio=0.1, weight_decay=0.1)
    loss: Callable = clip_loss     # or siglip_loss


RECIPE = Recipe()


class Pairs(NamedTuple):
    """Scenes with an image and a caption each."""

    scenes: Scenes
    images: np.ndarray             # (n, 16, 16, 3) uint8
    captions: list[str]


def draw_pairs(n: int, seed: int, dropout: float, pairs: tuple = SEEN) -> Pairs:
    """Draw n scenes with these pairs of shape and colour, their images and captions."""
    scenes = draw_scenes(n, seed, pairs)
    return Pairs(scenes, image(scenes, seed), caption(scenes, seed, dropout))


# ---- training ------------------------------------------------------------------------------------

def untrained(captions: list[str], seed: int, recipe: Recipe = RECIPE,
              processor: ImageProcessor = PROCESSOR) -> Clip:
    """A CLIP with a tokenizer learned from these captions, and random parameters.

    processor: by default for images of the size of scenes
    """
    tokenizer = train_clip_bpe(captions, recipe.vocab)
    trunks = [Trunk(recipe.dim, layers, heads=4, ff=4 * recipe.dim) for layers in recipe.layers]
    longest = int(np.diff(tokenizer.encode_batch(captions).offsets).max())
    side = SIDE if processor.crop is None else processor.crop.height
    config = Config(vit.Config(side, recipe.patch, 3, trunks[0]),
                    TextConfig(len(tokenizer), longest + 8, len(tokenizer) - 1,
                               trunks[1]._replace(causal=True)), recipe.dim)
    declared = siglip_tensors if recipe.loss is siglip_loss else tensors
    return Clip(config, init_params(declared(config), seed), tokenizer, processor)


def fit(start: Clip, data: Pairs, recipe: Recipe = RECIPE, options: RunOptions = RunOptions()
        ) -> Trained:
    """Train a Clip, which is not changed, on these pairs."""
    texts = start.tokenizer.encode_batch(data.captions)
    return train(start.processor(data.images), texts, start.p, start.config, recipe.steps,
                 recipe.batch_size, recipe.optim, recipe.loss, options)


def train_on_scenes(recipe: Recipe = RECIPE, options: RunOptions = RunOptions()
                    ) -> tuple[Clip, Clip, Trained]:
    """Draw scenes with the run's seed and train on them.  -> the Clip before, after, the run"""
    data = draw_pairs(recipe.scenes, options.seed, recipe.dropout)
    start = untrained(data.captions, options.seed, recipe)
    run = fit(start, data, recipe, options)
    return start, Clip(start.config, run.p, start.tokenizer, start.processor), run


# ---- measuring -----------------------------------------------------------------------------------

class Zero(NamedTuple):
    """Zero-shot accuracy of each attribute, and of the pair of shape and colour."""

    shape: float
    colour: float
    size: float
    position: float
    seen_pairs: float              # among all 36 pairs
    unseen_pairs: float
    unseen_shape: float            # of the images of unseen pairs
    unseen_colour: float


class Probes(NamedTuple):
    """Accuracy of the pair of shape and colour by linear classifiers of image vectors."""

    seen: float                    # on seen pairs, fitted to seen pairs
    unseen: float                  # on unseen pairs, fitted to seen pairs
    unseen_if_fitted: float        # on unseen pairs, fitted to all pairs


class Report(NamedTuple):
    """What a Clip knows about scenes that it has not seen."""

    zero_shot: Zero
    text_to_image: float           # recall@10 of 1,000
    image_to_text: float
    probes: Probes
    gap: float                     # 0 to 2
    pair_cosine: float             # mean cosine of an image and its caption
    other_cosine: float            # and another's caption


CHANCE = Zero(1 / 6, 1 / 6, 1 / 2, 1 / 4, 1 / 36, 1 / 36, 1 / 6, 1 / 6)


def report(clip: Clip, seed: int, n: int = TEST) -> Report:
    """All measures, on n scenes of each kind.  seed: that of the training run."""
    seen, unseen = (draw_pairs(n, seed + TEST_SEED, 0.0, pairs) for pairs in (SEEN, HELD_OUT))
    u, v = clip.encode_images(seen.images, normalize=True), clip.encode_texts(
        seen.captions, normalize=True)
    w = clip.encode_images(unseen.images, normalize=True)
    cosines = u @ v.T                                                          # (n, n)
    pair = float(cosines.diagonal().mean())
    return Report(zero_shot(clip, u, seen.scenes, w, unseen.scenes), recall(cosines.T),
                  recall(cosines), probes(clip, seed, u, seen.scenes, w, unseen.scenes),
                  modality_gap(u, v), pair, float((cosines.sum() - n * pair) / (n * (n - 1))))


def zero_shot(clip: Clip, u: np.ndarray, seen: Scenes, w: np.ndarray, unseen: Scenes) -> Zero:
    """Zero-shot accuracies.  u, w: unit vectors of the images of seen and of unseen pairs."""
    def accuracy(attribute, vectors, scenes):
        classes = clip.class_vectors({value: prompts(attribute, number, synonyms=3)
                                      for number, value in enumerate(ATTRIBUTES[attribute])})
        return float(((vectors @ classes.T).argmax(1) == scenes.of(attribute)).mean())

    names = clip.class_vectors({text: [text] for text in starmap(pair_prompt, PAIRS)})

    def pair_accuracy(vectors, scenes):
        return float(((vectors @ names.T).argmax(1) == pair_of(scenes)).mean())
    shape, colour, size, position = (accuracy(attribute, u, seen) for attribute in KNOWN["text"])
    return Zero(shape, colour, size, position, pair_accuracy(u, seen), pair_accuracy(w, unseen),
                accuracy("shape", w, unseen), accuracy("colour", w, unseen))


def pair_prompt(shape: int, colour: int) -> str:
    """"a red circle"."""
    return f"a {ATTRIBUTES['colour'][colour]} {ATTRIBUTES['shape'][shape]}"


def pair_of(scenes: Scenes) -> np.ndarray:
    """The index in PAIRS of each scene's shape and colour.  -> (n,)"""
    return scenes.of("shape") * len(ATTRIBUTES["colour"]) + scenes.of("colour")


def recall(similarity: np.ndarray, k: int = K) -> float:
    """The share of rows whose own column is among the k largest; ties count against it.  (N, N)"""
    own = similarity.diagonal()[:, None]
    return float(((similarity >= own).sum(1) <= k).mean())


def recall_bounds(seed: int, n: int = TEST) -> tuple[float, float]:
    """Chance, and the highest expected recall@10 on the n test scenes of this seed."""
    scenes = draw_scenes(n, seed + TEST_SEED, SEEN)
    return chance_recall(n, K), best_recall_of(scenes, KNOWN["text"], K)


def probes(clip: Clip, seed: int, u: np.ndarray, seen: Scenes, w: np.ndarray, unseen: Scenes
           ) -> Probes:
    """Fit classifiers of shape and of colour to further scenes, twice as many as are tested."""
    def accuracy(pairs, x, scenes):
        data = draw_pairs(2 * len(scenes), seed + 2 * TEST_SEED, 0.0, pairs)
        X = clip.encode_images(data.images, normalize=True)
        return float(np.logical_and(*(
            linear_probe(X, data.scenes.of(attribute), x) == scenes.of(attribute)
            for attribute in ("shape", "colour"))).mean())
    return Probes(accuracy(SEEN, u, seen), accuracy(SEEN, w, unseen), accuracy(PAIRS, w, unseen))


def modality_gap(u: np.ndarray, v: np.ndarray) -> float:
    """‖mean u − mean v‖ of the unit vectors of images and of texts.  (N, E), (M, E) -> 0 to 2

    >>> modality_gap(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]]))
    2.0
    """
    return float(np.linalg.norm(u.mean(0) - v.mean(0)))
