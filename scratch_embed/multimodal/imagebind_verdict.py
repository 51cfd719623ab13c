"""ImageBind on the world of scenes: do senses agree that never met in training?

Equation  recall@10 = the share of queries of one sense whose own scene is among the 10 most similar
          of 1,000 of another sense; its upper bounds: worlds/scene_bounds.py
Shapes    6 senses: 30 ordered pairs, of which 10 were trained (those with images)
Cost      a seed: CLIP (multimodal/clip_verdict.py) and some 20 seconds for the four senses
Read next worlds/scene_bounds.py (the bounds), multimodal/imagebind.py (the towers)

    trained      image - text (CLIP);  then, with both frozen, audio, depth, thermal, imu - image
    never met    audio - text, audio - depth, depth - text ...: 20 ordered pairs

Each recall stands beside three numbers.  Chance is 10 of 1,000.  `bound` is the best that can be
learned through images: from the attributes that both senses and images show.  `direct` is the best
that pairs of these two senses could have taught: for sound and motion it is higher, because both
show how a thing moves and an image does not.  A recall near `bound` means that all that could pass
through images did.

Zero-shot, across senses: the shape of a thing that is heard, by prompts such as "a circle".  The
sounds' tower never saw a text.

Arithmetic: the sum of the vectors of a sound and of "a red thing" should be near images of red
things that sound so.  Beside it, the sound alone, which cannot know the colour, and the words
alone, which cannot know the shape.

Moving images: the sound's tower trained again, together with the image tower.  The images' vectors
leave the place where captions and the other senses expect them.
"""
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.multimodal import clip
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.clip_verdict import TEST, TEST_SEED, K, recall
from scratch_embed.multimodal.imagebind import (
    SCALE,
    Sense,
    add_vectors,
    frozen,
    sense_tensors,
    tensors,
    train,
    trunk,
)
from scratch_embed.multimodal.imagebind_encoder import ImageBind, Spectrogram
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params, join
from scratch_embed.training.session import RunOptions
from scratch_embed.worlds import scene_senses
from scratch_embed.worlds.scene_bounds import (
    best_accuracy,
    best_recall_of,
    chance_recall,
    shared,
)
from scratch_embed.worlds.scenes import (
    ATTRIBUTES,
    KNOWN,
    SEEN,
    Scenes,
    caption,
    draw_scenes,
    generator,
    prompts,
)

SENSE_SEED = 1000                  # added to a seed: scenes that CLIP has not seen
# how the inputs are cut; mean and deviation of their numbers
CUTS = {"audio": ((1, 32, 32), 8, 6, -2.24, 1.18), "depth": ((1, 16, 16), 4, 4, 0.13, 0.17),
        "thermal": ((1, 16, 16), 4, 4, 0.5, 0.13), "imu": ((6, 64), 8, 8, 0.19, 0.57)}


class Recipe(NamedTuple):
    """The sizes and settings of the training of the four senses."""

    scenes: int = 8000             # pairs of an input and an image
    dim: int = 48
    layers: int = 2
    heads: int = 4
    steps: int = 600
    batch_size: int = 128
    optim: Optim = Optim(lr=4e-3, warmup_ratio=0.2, weight_decay=0.1)


RECIPE = Recipe()


class Cell(NamedTuple):
    """The recall@10 of one sense's queries among another's, beside what could explain it."""

    recall: float
    bound: float                   # what can be learned through images
    direct: float                  # what pairs of these two senses could teach
    chance: float


class Sum(NamedTuple):
    """The shares of queries whose nearest image has the right ..."""

    colour: float
    shape: float
    size: float
    all: float


class Report(NamedTuple):
    """What an ImageBind knows about scenes that it has not seen."""

    matrix: dict[tuple[str, str], Cell]            # {(from, to): Cell}
    untrained: dict[tuple[str, str], Cell]         # with random towers of the four senses
    zero_shot: dict[tuple[str, str], tuple[float, float]]  # {(sense, attribute): accuracy, best}
    sums: dict[str, Sum]                           # of "sound + word", "sound", "word"
    moved: dict[tuple[str, str], Cell]             # the matrix after training with moving images


# ---- the senses of the world ---------------------------------------------------------------------

def senses(recipe: Recipe = RECIPE) -> dict[str, Sense]:
    """The towers of the four senses."""
    return {name: Sense(shape, patch, stride, trunk(recipe.dim, recipe.layers, recipe.heads),
                        SCALE[name], mean, std)
            for name, (shape, patch, stride, mean, std) in CUTS.items()}


def perceive(sense: str, scenes: Scenes, seed: int) -> Sequence[Any]:
    """What a sense perceives of scenes, as ImageBind.encode takes it; captions name all they may.
    """
    if sense == "text":
        return caption(scenes, seed, dropout=0)
    drawn = getattr(scene_senses, sense)(scenes, seed)
    return [(wave, scene_senses.RATE) for wave in drawn] if sense == "audio" else drawn


# ---- training ------------------------------------------------------------------------------------

def untrained(model: Clip, seed: int, recipe: Recipe = RECIPE) -> ImageBind:
    """An ImageBind with this CLIP and random towers."""
    towers = senses(recipe)
    return ImageBind(model, towers, init_params(tensors(towers, model.dim), seed), Spectrogram())


def bind(model: Clip, recipe: Recipe = RECIPE, options: RunOptions = RunOptions()) -> ImageBind:
    """Train the tower of each sense on images of this CLIP, which stays as it is."""
    start, seed = untrained(model, options.seed, recipe), options.seed
    scenes = draw_scenes(recipe.scenes, seed + SENSE_SEED, SEEN)
    images = model.encode_images(perceive("image", scenes, seed + SENSE_SEED))
    inputs = {name: start.arrays(name, perceive(name, scenes, seed + SENSE_SEED))
              for name in start.senses}
    return bind_towers(start, images, inputs, recipe, options)


def bind_towers(start: ImageBind, images: np.ndarray, inputs: Mapping[str, np.ndarray],
                recipe: Recipe = RECIPE, options: RunOptions = RunOptions()) -> ImageBind:
    """Train the tower of each sense, which is not changed, one after the other.

    images: (N, E), the vectors of N images; inputs: {sense: (N, *shape)}, of the same scenes
    """
    towers = []
    for name, sense in start.senses.items():
        run = train(inputs[name], frozen(images),
                    start.p.only(sense_tensors(sense, start.clip.dim, name + ".")),
                    sense, name + ".", recipe.steps, recipe.batch_size, recipe.optim, options)
        towers.append(run.p)
    return ImageBind(start.clip, start.senses, join(*towers), start.spectrogram)


def bind_moving(model: ImageBind, name: str, recipe: Recipe = RECIPE,
                options: RunOptions = RunOptions()) -> ImageBind:
    """Train the tower of one sense again, from random values, together with the image tower."""
    old, sense, seed = model.clip, model.senses[name], options.seed
    scenes = draw_scenes(recipe.scenes, seed + SENSE_SEED, SEEN)
    images = old.processor(perceive("image", scenes, seed + SENSE_SEED))
    x = model.arrays(name, perceive(name, scenes, seed + SENSE_SEED))
    fixed = [tensor for tensor in old.p if not tensor.startswith("image.")]
    start = init_params(sense_tensors(sense, old.dim, name + "."), seed)

    def moving(rows, p):
        return clip.encode_images(images[rows], p, old.config)
    run = train(x, moving, join(start, old.p.freeze(fixed)), sense, name + ".", recipe.steps,
                recipe.batch_size, recipe.optim, options)
    p, q = old.p.copy(), model.p.copy()
    for both in (p, q):
        for tensor in both.keys() & run.p.keys():
            both[tensor][...] = run.p[tensor]
    return ImageBind(Clip(old.config, p, old.tokenizer, old.processor), model.senses, q,
                     model.spectrogram)


# ---- measuring -----------------------------------------------------------------------------------

def vectors(model: ImageBind, scenes: Scenes, seed: int) -> dict[str, np.ndarray]:
    """{sense: the unit vectors (n, E) of these scenes}."""
    return {sense: model.encode(sense, perceive(sense, scenes, seed)) for sense in KNOWN}


def matrix(of: Mapping[str, np.ndarray], scenes: Scenes) -> dict[tuple[str, str], Cell]:
    """{(from, to): Cell} of all ordered pairs of different senses.  of: vectors()"""
    return {(a, b): Cell(recall(of[a] @ of[b].T),
                         best_recall_of(scenes, shared(a, b, through="image"), K),
                         best_recall_of(scenes, shared(a, b), K), chance_recall(len(scenes), K))
            for a in of for b in of if a != b}


def zero_shot(model: ImageBind, of: Mapping[str, np.ndarray], scenes: Scenes
              ) -> dict[tuple[str, str], tuple[float, float]]:
    """{(sense, attribute): accuracy by prompts, the best possible}; attributes of captions."""
    found = {}
    for name in KNOWN["text"]:
        classes = model.clip.class_vectors({value: prompts(name, number, synonyms=3)
                                            for number, value in enumerate(ATTRIBUTES[name])})
        for sense in of.keys() - {"text"}:
            right = (of[sense] @ classes.T).argmax(axis=1) == scenes.of(name)
            found[sense, name] = float(right.mean()), best_accuracy(KNOWN[sense], name, SEEN)
    return found


def sums(model: ImageBind, of: Mapping[str, np.ndarray], scenes: Scenes, seed: int
         ) -> dict[str, Sum]:
    """Which image is nearest to a sound plus "a red thing", to each alone?

    The colour is drawn, whatever the scene's is, among those that the shape has in SEEN.
    """
    names = ATTRIBUTES["colour"]
    classes = model.clip.class_vectors({value: prompts("colour", number, synonyms=3)
                                        for number, value in enumerate(names)})
    allowed = np.zeros((len(ATTRIBUTES["shape"]), len(names)))
    allowed[tuple(np.array(SEEN).T)] = 1
    draws = generator(seed, "colours").random((len(scenes), len(names)))
    colour = (draws * allowed[scenes.of("shape")]).argmax(axis=1)
    word = classes[colour]
    queries = {"sound + word": add_vectors(of["audio"], word), "sound": of["audio"], "word": word}
    found = {}
    for kind, query in queries.items():
        nearest = scenes.take((query @ of["image"].T).argmax(axis=1))
        right = [nearest.of("colour") == colour, nearest.of("shape") == scenes.of("shape"),
                 nearest.of("size") == scenes.of("size")]
        found[kind] = Sum(*(float(ok.mean()) for ok in (*right, np.all(right, axis=0))))
    return found


def report(model: Clip, recipe: Recipe = RECIPE, options: RunOptions = RunOptions(), n: int = TEST
           ) -> Report:
    """Bind four senses to this CLIP and measure, on n new scenes of seen pairs."""
    seed = options.seed + TEST_SEED
    scenes = draw_scenes(n, seed, SEEN)
    bound = bind(model, recipe, options)
    of, random = (vectors(some, scenes, seed) for some in (
        bound, untrained(model, options.seed, recipe)))
    moved = vectors(bind_moving(bound, "audio", recipe, options), scenes, seed)
    return Report(matrix(of, scenes), matrix(random, scenes), zero_shot(bound, of, scenes),
                  sums(bound, of, scenes, seed), matrix(moved, scenes))


# ---- the tables ----------------------------------------------------------------------------------

def met(a: str, b: str) -> bool:
    """Whether these two senses were paired in training."""
    return "image" in (a, b)


def matrix_lines(reports: Sequence[dict[tuple[str, str], Cell]]) -> list[str]:
    """The matrix as lines of text: the mean recall of several seeds, and the bound.

    Pairs that met in training are marked with *.
    """
    names = list(KNOWN)
    lines = [f"{'from / to':10}" + "".join(f"{name:>17}" for name in names)]
    for a in names:
        cells = []
        for b in names:
            if a == b:
                cells.append(f"{'':17}")
                continue
            found = [cells[a, b] for cells in reports]
            mean, best = (np.mean([cell[i] for cell in found]) for i in (0, 1))
            cells.append(f"{mean:.3f} of {best:.3f}{'*' if met(a, b) else ' '}".rjust(17))
        lines.append(f"{a:10}" + "".join(cells).rstrip())
    return lines


def share_of_bound(cells: Mapping[tuple[str, str], Cell], paired: bool) -> float:
    """Σ (recall − chance) / Σ (bound − chance) of the pairs that met in training, or never met.

    Pairs whose bound is chance are left out.
    """
    wanted = [cell for (a, b), cell in cells.items()
              if met(a, b) == paired and cell.bound > cell.chance + 1e-9]
    return float(sum(cell.recall - cell.chance for cell in wanted)
                 / sum(cell.bound - cell.chance for cell in wanted))
