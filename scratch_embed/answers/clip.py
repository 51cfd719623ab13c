"""How does CLIP create a shared image-text embedding space?  Two towers, before and after training.

Papers    Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
          Supervision"; Liang et al. 2022, "Mind the Gap: Understanding the Modality Gap in
          Multi-modal Contrastive Representation Learning".
Equation  L(B) = ½ (InfoNCE(x, y) + InfoNCE(y, x)) of B pairs: 0 if B = 1, and log B if all cosines
          are equal;  gap = ‖mean u − mean v‖, u and v the unit vectors of images and captions
Shapes    an Answer (answers/answer.py); numbers are per seed
Cost      for each seed one training of two small towers, half a minute on one core
Read next multimodal/clip.py (the model), multimodal/clip_verdict.py (the recipe and the measures),
          why/clip.py (ablations), worlds/scenes.py (the world)

The world is that of scenes: images of one thing, and captions that name some of its attributes.
None of the scenes that are measured is in the training data, and six of the 36 pairs of shape and
colour are in no training scene at all.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.answers.answer import Answer, Claim, Paragraph, Table
from scratch_embed.answers.questions import CLIP as QUESTION
from scratch_embed.losses.infonce import symmetric_infonce
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.clip_verdict import (
    RECIPE,
    TEST_SEED,
    draw_pairs,
    modality_gap,
    train_on_scenes,
)
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.geometry import pca, project
from scratch_embed.training.session import RunOptions
from scratch_embed.why.clip import beside_baselines
from scratch_embed.why.seeds import for_seeds, stack

BATCHES = (1, 2, 16, RECIPE.batch_size)
BEFORE, AFTER, CHANCE, BEST = range(4)
COLUMNS = ("untrained", "trained", "chance", "upper bound")
UNTRAINED, TRAINED, CENTRED = "untrained", "trained", "trained, senses centred"
GAP, OWN, OTHER, SAME = range(4)
DISTANCES = ("gap", "own caption", "another's", "same sense, %")
LOG, FLAT, START, END = range(4)
LOSSES = ("log B", "start, tau 1", "start, 0.07", "trained")
POINTS = 150                       # images and captions in the figure


class Space(NamedTuple):
    """Images and their captions in two dimensions, and the cosines of pairs."""

    images: np.ndarray             # (n, 2): along the gap, and where the rest varies most
    texts: np.ndarray              # (n, 2), in this order
    own: np.ndarray                # cosines of an image and its own caption
    others: np.ndarray             # and of an image and another's caption


class Found(NamedTuple):
    """What is measured for a seed."""

    scores: dict[str, list[float]]             # {measure: COLUMNS}
    distances: dict[str, list[float]]          # {space: DISTANCES}
    losses: dict[str, list[float]]             # {batch: LOSSES}
    scale: float                               # 1/τ after the training
    spaces: tuple[Space, Space]                # before and after


# ---- the answer ----------------------------------------------------------------------------------

def answer(seeds: Sequence[int], documents: int = QUESTION.documents, steps: int = QUESTION.steps,
           progress: bool = False) -> Answer:
    """Train CLIP on scenes and measure it before and after.  documents: images to search."""
    found = for_seeds(lambda seed: measure(seed, documents, steps), seeds, progress)
    scores = stack([one.scores for one in found])
    distances = stack([one.distances for one in found])
    losses = stack([one.losses for one in found])
    return Answer(QUESTION.text, seeds, [
        Table(f"In %, on {documents:,} scenes that were not in training.  Recall@10: the right one "
              "is among the first 10.  Zero-shot: the class whose prompts are nearest to the "
              "image; seen and unseen pairs are shape and colour together, one of 36.  Probe: two "
              "linear classifiers, of shape and of colour, on image vectors; fitted to seen pairs "
              "unless the name says otherwise.", COLUMNS, scores, (1,) * 4),
        Table("The gap between the mean of the images and the mean of the captions, all of norm 1; "
              "the mean cosine of an image with its own caption and with another's; how often the "
              "vector nearest to an image is another image, not a caption.", DISTANCES, distances,
              (2, 2, 2, 1)),
        Table("The loss of B pairs of the test, in nats: of the untrained towers at temperatures 1 "
              "and 0.07, where CLIP starts, and of the trained ones at the learned temperature.",
              LOSSES, losses, (2,) * 4)],
        paragraphs(scores, distances, losses, np.mean([one.scale for one in found])),
        found[0].spaces)


def paragraphs(scores: dict[str, np.ndarray], distances: dict[str, np.ndarray],
               losses: dict[str, np.ndarray], scale: float) -> list[Paragraph]:
    """The answer in words.  scores, distances, losses: {row: (seeds, 4)}; scale: 1/τ"""
    def rises(clause, row):
        return Claim(clause, scores[row][:, AFTER], scores[row][:, BEFORE])

    B, table = list(losses)[-1], losses[list(losses)[-1]]
    before, after = distances[UNTRAINED], distances[TRAINED]
    find = "recall@10, text to image"
    return [
        Paragraph(
            "CLIP has two towers, a transformer for images and one for texts, and each ends with a "
            "projection to the same number of dimensions.  Nothing else connects them: a shared "
            "space is what the training makes.  In a batch of B pairs, each image must choose its "
            "own caption among B, and each caption its own image; the scores are cosines divided "
            "by a temperature.  An image is pulled towards its caption and pushed away from the "
            "others.",
            (rises("after training a caption finds its image more often", find),
             rises("an image finds its caption more often", "recall@10, image to text"))),
        Paragraph(
            "Everything comes from the comparison within a batch.  At B = 1 there is nothing to "
            "choose: the loss is 0, and so is its gradient, whatever the towers compute.  Two "
            "untrained towers give almost the same cosine to every pair, so at temperature 1 the "
            f"loss starts near log B, {table[:, LOG].mean():.2f} for {B}.  At 0.07 the small "
            "differences count 14 times.  The temperature is learned with the towers: 1/tau went "
            f"from 14.3 to {scale:.1f}.  If your loss stays at log B, the towers do not learn; if "
            "it is 0 from the beginning, look at the batch.",
            (Claim(f"for {B} the untrained loss at 0.07 is above log B", table[:, START],
                   table[:, LOG], 2),
             Claim("training lowers the loss below log B", table[:, LOG], table[:, END], 2))),
        Paragraph(
            "A shared space does not mean that images and captions lie together.  Each tower "
            "starts in a narrow cone of its own, and the loss compares images with captions only, "
            "never images with images: a shift that all captions share changes all scores of an "
            "image alike.",
            (Claim("training makes the gap between the senses smaller", before[:, GAP],
                   after[:, GAP], 2),
             Claim("an image is nearer to its own caption than to another's", after[:, OWN],
                   after[:, OTHER], 2),
             Claim("the vector nearest to an image is another image in more than 50 % of cases",
                   after[:, SAME], np.full(len(after), 50.0)),
             Claim("it is so less often if each sense's mean is subtracted", after[:, SAME],
                   distances[CENTRED][:, SAME])),
            "So do not rank images and texts in one list by their cosines with a query; search "
            "each sense alone."),
        *on_classes(scores)]


def on_classes(scores: dict[str, np.ndarray]) -> list[Paragraph]:
    """The answer in words: classes that are described by texts, and unseen combinations."""
    def above_chance(clause, row):
        return Claim(clause, scores[row][:, AFTER], scores[row][:, CHANCE])

    def beats(clause, greater, less):
        return Claim(clause, scores[greater][:, AFTER], scores[less][:, AFTER])

    name = "zero-shot {}".format
    return [
        Paragraph(
            "Because captions are in the space, a classifier needs no labels: each class is "
            "described by a few texts, and the nearest description wins (zero-shot).  Training "
            "captions omit attributes at random; prompts name only one.",
            (above_chance("colours are found more often than by chance", name("colour")),
             above_chance("shapes are found more often than by chance", name("shape")),
             above_chance("positions are found more often than by chance", name("position")))),
        Paragraph(
            "Does it understand combinations that it has not seen?  In part.  Where it fails, "
            "linear classifiers of the same image vectors tell whether the image tower knows the "
            "answer.",
            (above_chance("unseen pairs of shape and colour are named more often than by chance",
                          name("unseen pairs")),
             beats("seen pairs are named more often than unseen ones", name("seen pairs"),
                   name("unseen pairs")),
             beats("texts name unseen pairs more often than linear classifiers that were fitted "
                   "to the same seen pairs", name("unseen pairs"), "probe, unseen pairs"),
             beats("classifiers fitted to all pairs read unseen ones from vectors of the same "
                   "tower more often", "probe, unseen, fitted to all", "probe, unseen pairs"))),
        Paragraph(
            "Which parts matter, such as the temperature, the batch and the prompts, is measured "
            "by `scratch-embed why clip`."),
    ]


# ---- measure -------------------------------------------------------------------------------------

def measure(seed: int, documents: int, steps: int) -> Found:
    """Train a CLIP and measure it before and after."""
    scenes = min(RECIPE.scenes, steps * RECIPE.batch_size)         # a run does not see more
    before, after, _ = train_on_scenes(RECIPE._replace(scenes=scenes, steps=steps),
                                       RunOptions(seed=seed))
    (u0, v0), (u, v) = (vectors(clip, seed, documents) for clip in (before, after))
    return Found(
        beside_baselines(before, after, seed, documents),
        {UNTRAINED: distances(u0, v0), TRAINED: distances(u, v),
         CENTRED: distances(*(l2_normalize(x - x.mean(axis=0))[0] for x in (u, v)))},
        {f"{B} pair{'s' * (B > 1)}": [np.log(B), batch_loss(u0, v0, B, 1.0),
                                      batch_loss(u0, v0, B, 1 / before.scale),
                                      batch_loss(u, v, B, 1 / after.scale)]
         for B in BATCHES if B <= documents},
        after.scale, (space(u0, v0), space(u, v)))


def vectors(clip: Clip, seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The unit vectors of n test images and of their captions.  -> u, v (n, E)"""
    data = draw_pairs(n, seed + TEST_SEED, 0.0)
    return (clip.encode_images(data.images, normalize=True),
            clip.encode_texts(data.captions, normalize=True))


def distances(u: np.ndarray, v: np.ndarray) -> list[float]:
    """The numbers of DISTANCES.  u, v: (n, E) unit vectors of images and of their captions"""
    n, to_texts, to_images = len(u), u @ v.T, u @ u.T
    own = to_texts.diagonal().mean()
    np.fill_diagonal(to_images, -np.inf)                 # not with itself
    return [modality_gap(u, v), float(own), float((to_texts.sum() - n * own) / (n * (n - 1))),
            100 * float((to_images.max(axis=1) > to_texts.max(axis=1)).mean())]


def batch_loss(u: np.ndarray, v: np.ndarray, B: int, tau: float) -> float:
    """The mean loss of batches of B pairs, in nats; the last pairs that fill no batch are left out.

    >>> loss = batch_loss(np.eye(4), np.ones((4, 4)), 2, tau=1.0)         # all cosines are equal
    >>> round(loss, 6), round(float(np.log(2)), 6)
    (0.693147, 0.693147)
    """
    return float(np.mean([symmetric_infonce(u[at:at + B], v[at:at + B], tau)[0]
                          for at in range(0, len(u) - B + 1, B)]))


def space(u: np.ndarray, v: np.ndarray) -> Space:
    """The Space of some images and captions: along the gap, and where the rest varies most."""
    both, cosines = np.concatenate([u, v]), u @ v.T
    gap, _ = l2_normalize((u.mean(axis=0) - v.mean(axis=0))[None])             # (1, E)
    along = both @ gap.T                                                       # (2n, 1)
    rest = both - along * gap
    points = np.column_stack([along, project(rest, pca(rest, 1))])
    images, texts = (part[:POINTS] for part in np.split(points, 2))
    return Space(images, texts, cosines.diagonal(), cosines[~np.eye(len(u), dtype=bool)])
