"""CLIP, ImageBind, CLAP and a Whisper encoder for the tour, each beside what could explain it.

Papers    those of multimodal/clip.py, imagebind.py, clap.py and whisper.py
Shapes    a score is a row of numbers in %; {name: row} of a seed
Cost      a seed takes about a minute of one core
Read next multimodal/clip_verdict.py, imagebind_verdict.py, clap_verdict.py (the measures, and what
          is asked), why/speech.py (the layers of a Whisper encoder)

The recipes are those of these files, with half their steps and scenes, or fewer; speech has all of
its steps, because after 200 the last layer still knows less than the spectrogram (seed 1: 84 and
88 %).  multimodal/README.md has the results of the whole recipes.
"""
from typing import NamedTuple

from scratch_embed.multimodal import clap_verdict, clip_verdict, imagebind_verdict
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.clip_verdict import TEST_SEED, modality_gap, recall, recall_bounds
from scratch_embed.multimodal.imagebind_encoder import ImageBind
from scratch_embed.training.session import RunOptions
from scratch_embed.why import speech
from scratch_embed.worlds.scene_bounds import best_accuracy, chance_accuracy
from scratch_embed.worlds.scenes import HELD_OUT, KNOWN, SEEN, draw_scenes

CLIP = clip_verdict.RECIPE._replace(scenes=8000, steps=600)
SENSES = imagebind_verdict.RECIPE._replace(scenes=4000, steps=300)
SOUNDS = clap_verdict.RECIPE._replace(scenes=2000, steps=500, test=500)
SPEECH_STEPS = 400
ONE_WORKER = 1                     # seeds run at the same time instead

UNTRAINED, CHANCE, BOUND = "untrained", "chance", "upper bound"
CLIP_COLUMNS = ("colour", "shape", "seen", "unseen", "text-image", "image-text")
CLAP_COLUMNS = ("exact@1", "recall@10")
SPEECH_COLUMNS = ("syllable", "speaker")


class Learned(NamedTuple):
    """The models of one seed."""

    seed: int
    untrained: Clip
    clip: Clip
    random: ImageBind              # the trained CLIP, and random towers of the other senses
    bound: ImageBind


def learn(seed: int, clip: clip_verdict.Recipe = CLIP, senses: imagebind_verdict.Recipe = SENSES
          ) -> Learned:
    """Train CLIP on pairs of an image and a caption, then four senses on pairs with images."""
    options = RunOptions(ONE_WORKER, seed)
    start, trained, _ = clip_verdict.train_on_scenes(clip, options)
    return Learned(seed, start, trained, imagebind_verdict.untrained(trained, seed, senses),
                   imagebind_verdict.bind(trained, senses, options))


def clip_scores(learned: Learned, n: int = clip_verdict.TEST
                ) -> tuple[dict[str, list[float]], dict[str, float]]:
    """({name: CLIP_COLUMNS in %}, {name: the gap between images and captions}) of n new scenes."""
    seed = learned.seed + TEST_SEED
    seen, unseen = (clip_verdict.draw_pairs(n, seed, 0.0, pairs) for pairs in (SEEN, HELD_OUT))
    rows, gaps = {}, {}
    for name, model in ("CLIP", learned.clip), (UNTRAINED, learned.untrained):
        u, v, w = (encode(x, normalize=True) for encode, x in (
            (model.encode_images, seen.images), (model.encode_texts, seen.captions),
            (model.encode_images, unseen.images)))
        zero = clip_verdict.zero_shot(model, u, seen.scenes, w, unseen.scenes)
        rows[name] = percent(zero.colour, zero.shape, zero.seen_pairs, zero.unseen_pairs,
                             recall(v @ u.T), recall(u @ v.T))
        gaps[name] = modality_gap(u, v)
    chance, best = recall_bounds(learned.seed)
    guess = clip_verdict.CHANCE
    rows[CHANCE] = percent(guess.colour, guess.shape, guess.seen_pairs, guess.unseen_pairs, chance,
                           chance)
    rows[BOUND] = percent(1, 1, 1, 1, best, best)
    return rows, gaps


class Bound(NamedTuple):
    """What the senses of an ImageBind have in common."""

    matrix: dict                   # {(from, to): imagebind_verdict.Cell}
    shares: dict[str, list[float]]     # {name: share of the bound, of pairs that met, never met}
    shapes: dict[str, list[float]]     # {sense: zero-shot shape, colour}
    sums: dict[str, list[float]]       # {query: nearest image has the colour, shape, both + size}


def bound_scores(learned: Learned, n: int = clip_verdict.TEST) -> Bound:
    """Measure the ImageBind of a seed on n new scenes; shares, shapes and sums in %."""
    seed = learned.seed + TEST_SEED
    scenes = draw_scenes(n, seed, SEEN)
    of, random = (imagebind_verdict.vectors(model, scenes, seed)
                  for model in (learned.bound, learned.random))
    matrices = {"ImageBind": imagebind_verdict.matrix(of, scenes),
                "random towers": imagebind_verdict.matrix(random, scenes)}
    shares = {name: percent(*(imagebind_verdict.share_of_bound(without_clip(cells), paired)
                              for paired in (True, False))) for name, cells in matrices.items()}
    found = imagebind_verdict.zero_shot(learned.bound, of, scenes)
    shapes = {sense: percent(*(found[sense, name][0] for name in ("shape", "colour")))
              for sense in KNOWN if sense != "text"}
    shapes["audio, random tower"] = percent(*(imagebind_verdict.zero_shot(
        learned.random, {"audio": random["audio"]}, scenes)["audio", name][0]
        for name in ("shape", "colour")))
    shapes[CHANCE] = percent(*(chance_accuracy(name) for name in ("shape", "colour")))
    shapes["audio, " + BOUND] = percent(*(best_accuracy(KNOWN["audio"], name, SEEN)
                                          for name in ("shape", "colour")))
    sums = {name: percent(found.colour, found.shape, found.all) for name, found in
            imagebind_verdict.sums(learned.bound, of, scenes, seed).items()}
    return Bound(matrices["ImageBind"], shares, shapes, sums)


def without_clip(cells: dict) -> dict:
    """The cells of a matrix without image-text, which CLIP has learned."""
    return {pair: cell for pair, cell in cells.items() if {*pair} != {"image", "text"}}


def clap_scores(seed: int, recipe: clap_verdict.Recipe = SOUNDS) -> dict[str, list[float]]:
    """{name: CLAP_COLUMNS in %}: the caption of a sound, by CLAP and by what could explain it."""
    start, trained, _ = clap_verdict.train_on_scenes(recipe, RunOptions(ONE_WORKER, seed))
    chance, best = clap_verdict.bounds(seed, recipe)
    found = clap_verdict.report(start, trained, seed, recipe) | {CHANCE: chance, BOUND: best}
    return {name: percent(row.exact_text, row.recall_text) for name, row in found.items()}


def speech_scores(seed: int, steps: int = SPEECH_STEPS) -> dict[str, list[float]]:
    """{name: SPEECH_COLUMNS in %}: probes of the spectrogram, of first and last layers."""
    found = speech.measure(seed, steps)
    rows = {speech.SPECTROGRAM: [*found[speech.SPECTROGRAM][0]]}
    for name, layers in (("random", found[speech.RANDOM]), ("trained", found[speech.TRAINED])):
        for layer in 0, len(layers) - 1:
            rows[f"{name}, layer {layer}"] = [*layers[layer]]
    rows[CHANCE] = [*speech.chance(speech.draw(speech.PROBING + speech.TEST, seed + TEST_SEED))]
    return rows


def percent(*shares: float) -> list[float]:
    """100 times each."""
    return [100 * share for share in shares]
