"""train imagebind: bind sounds, depth, thermal images and motion to the images of a CLIP."""
import os

from scratch_embed.cli.captioned import ADVICE, split_off
from scratch_embed.cli.messages import say
from scratch_embed.cli.models import (
    add_step_options,
    report_size,
    require_other_folder,
    steps_of,
)
from scratch_embed.cli.parsing import add_command, whole
from scratch_embed.cli.training import check_workers
from scratch_embed.numerics.wording import counted

FIELDS = {"audio": "sound", "depth": "depth", "thermal": "thermal"}      # of the lines of FILE
MOTION = "imu.npy"                 # beside FILE: float32 (lines, channels, steps)
TOY, TOY_TEST = 8_000, 1000        # toy scenes, and others to measure on
HEADS = 4
PATCH = {"audio": (8, 6), "depth": (4, 4), "thermal": (4, 4), "imu": (8, 8)}      # and stride


def add_training(methods):
    """Add `train imagebind`."""
    command = add_command(
        methods, "imagebind", "train ImageBind's senses (Girdhar et al. 2023)",
        "scratch-embed train imagebind --model clip -o bound", run=run_imagebind,
        check=check_usage,
        details="A tower for each further sense is trained so that its vectors agree with those "
                "of the images, which stay as they are.  So a sound finds a caption, although no "
                "caption of a sound is ever read.")
    option = command.add_argument
    option("--model", required=True, metavar="MODEL",
           help="a folder with a CLIP, of `train clip` or transformers").read_as = "any"
    option("--scenes", metavar="FILE",
           help="JSON lines with the field image and some of sound, depth and thermal, as `world "
                "scenes` writes scenes.jsonl: names of PNG and WAV files, relative to FILE; the "
                f"signals of a motion sensor are in {MOTION} beside FILE, if it is there (default: "
                "the toy scenes)").read_as = "text"
    option("-o", "--output", required=True, metavar="FOLDER",
           help="the folder to write, created if it is missing: the CLIP's files, and "
                "imagebind.json and senses.safetensors, for `encode`, `index` and load(); the "
                "original has no such folder")
    option("--examples", type=whole(2), metavar="N",
           help=f"number of toy scenes, without --scenes (default: {TOY:,})")
    option("--dim", type=whole(1), default=48, metavar="N",
           help=f"dimensions of the towers, a multiple of {HEADS} (default: %(default)s)")
    option("--layers", type=whole(1), default=2, metavar="N",
           help="layers of each tower (default: %(default)s)")
    option("--frames", type=whole(8), default=32, metavar="N",
           help="frames of 8 ms of a sound, whose end is cut off or filled with silence (default: "
                "%(default)s)")
    add_step_options(command, steps=600, batch=128, lr=4e-3, kind="scene", dropout=None)


def run_imagebind(arguments):
    """Read or draw the scenes, train, save, measure; messages go to stderr."""
    from scratch_embed.multimodal.clip_encoder import Clip
    from scratch_embed.multimodal.imagebind_encoder import Spectrogram
    from scratch_embed.multimodal.imagebind_verdict import RECIPE, bind_towers
    from scratch_embed.nn.optim import Optim
    from scratch_embed.training.session import RunOptions
    require_other_folder(arguments.output, arguments.model, sentences=False)
    check_workers(arguments)
    clip, spectrogram = Clip.load(arguments.model), Spectrogram(frames=arguments.frames)
    inputs, sample = (read_scenes if arguments.scenes else draw)(arguments)
    maps = {name: arrays_of(name, found, spectrogram) for name, found in inputs.items()
            if name != "image"}
    start = new_towers(arguments, clip, maps, spectrogram)
    report_size(start.p.flat.size, arguments.workers, heads=", without those of CLIP")
    recipe = RECIPE._replace(
        steps=steps_of(arguments, len(inputs["image"]), "scene"), batch_size=arguments.batch_size,
        optim=Optim(arguments.lr, arguments.warmup_ratio, RECIPE.optim.weight_decay))
    trained = bind_towers(start, clip.encode_images(inputs["image"]), maps, recipe,
                          RunOptions(arguments.workers, arguments.seed, progress=True))
    trained.save(arguments.output)
    say(f"wrote {arguments.output}: {', '.join(trained.senses)} beside image and text, "
        f"{trained.p.flat.size:,} parameters")
    if not arguments.scenes:
        report_matrix(trained, sample[0], new_scenes(arguments)[0])
    report(start, trained, sample)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    if arguments.batch_size < 2:
        arguments.usage_error("--batch-size: expected 2 or more, because the other scenes of a "
                              f"batch are the negatives, got {arguments.batch_size}")
    if arguments.scenes and arguments.examples:
        arguments.usage_error("--examples: the number of toy scenes; leave it out with --scenes")
    if arguments.dim % HEADS:
        arguments.usage_error(f"--dim: expected a multiple of {HEADS}, got {arguments.dim}")


# ---- scenes to arrays ----------------------------------------------------------------------------

def read_scenes(arguments):
    """({sense: inputs} to train on, the same to measure on); a caption is a sense too, if given."""
    import numpy as np

    from scratch_embed.numerics.json_files import Fields, parse
    from scratch_embed.text.corpus import read_lines
    path, above = arguments.scenes, os.path.dirname(arguments.scenes)
    lines = [Fields(path, parse(path, f"line {number}", line.encode()), f"line {number}")
             for number, line in enumerate(read_lines(path, arguments.errors), 1) if line.strip()]
    if len(lines) < 2:
        raise ValueError(f"{path}: expected at least 2 lines, got {len(lines)}")
    found = {"image": [os.path.join(above, fields.text("image")) for fields in lines]}
    for sense, field in FIELDS.items():
        if any(field in fields for fields in lines):             # then each line must have it
            found[sense] = [os.path.join(above, fields.text(field)) for fields in lines]
    if any("caption" in fields for fields in lines):
        found["text"] = [fields.text("caption") for fields in lines]
    if os.path.exists(motion := os.path.join(above, MOTION)):
        signals = np.load(motion, allow_pickle=False)
        if signals.ndim != 3 or len(signals) != len(lines):
            raise ValueError(f"{motion}: expected (lines, channels, steps) with {len(lines)} "
                             f"lines, those of {path}, got {signals.shape}")
        found["imu"] = [*signals]
    if not found.keys() - {"image", "text"}:
        raise ValueError(f"{path}: expected a field besides image, such as sound or depth, got "
                         "none")
    kept, rest = split_off(len(lines))
    say(f"{path}: {counted(len(lines), 'scene')} with {', '.join(found)}"
        + (f"; {len(rest):,} are held out" if rest else ""))
    train, sample = ({sense: [values[n] for n in numbers] for sense, values in found.items()}
                     for numbers in (kept, rest or kept))
    train.pop("text", None)
    return train, (sample, "held out" if rest else "of the training scenes")


def draw(arguments):
    """read_scenes() of the toy scenes; those to measure on are other scenes."""
    from scratch_embed.multimodal.imagebind_verdict import CUTS, SENSE_SEED, perceive
    from scratch_embed.worlds.scenes import KNOWN, SEEN, draw_scenes
    N, seed = arguments.examples or TOY, arguments.seed + SENSE_SEED
    scenes, (test, test_seed) = draw_scenes(N, seed, SEEN), new_scenes(arguments)
    say(f"the toy scenes: {N:,} with {', '.join(CUTS)}, {len(test):,} held out")
    return ({sense: perceive(sense, scenes, seed) for sense in ("image", *CUTS)},
            ({sense: perceive(sense, test, test_seed) for sense in KNOWN}, "held out"))


def new_scenes(arguments):
    """(toy scenes to measure on, their seed)."""
    from scratch_embed.multimodal.clip_verdict import TEST_SEED
    from scratch_embed.worlds.scenes import SEEN, draw_scenes
    seed = arguments.seed + TEST_SEED
    return draw_scenes(min(arguments.examples or TOY, TOY_TEST), seed, SEEN), seed


def arrays_of(sense, inputs, spectrogram):
    """The inputs of a tower.  -> (N, *shape) float32"""
    import numpy as np

    from scratch_embed.multimodal.imagebind_encoder import grey_map
    if sense == "audio":
        return spectrogram(inputs)
    maps = [grey_map(x) if isinstance(x, str) else np.asarray(x, np.float32) for x in inputs]
    if len(shapes := {x.shape for x in maps}) > 1:
        raise ValueError(f"{sense}: expected inputs of one size, got {sorted(shapes)}")
    return np.stack(maps)


def new_towers(arguments, clip, maps, spectrogram):
    """An ImageBind with random towers, whose inputs have the sizes and the spread of `maps`."""
    from scratch_embed.multimodal.imagebind import SCALE, Sense, tensors, trunk
    from scratch_embed.multimodal.imagebind_encoder import ImageBind
    from scratch_embed.nn.params import init_params
    tower = trunk(arguments.dim, arguments.layers, HEADS)
    senses = {name: Sense(x.shape[1:], *PATCH[name], tower, SCALE[name], float(x.mean()),
                          float(x.std()) or 1.0) for name, x in maps.items()}
    return ImageBind(clip, senses, init_params(tensors(senses, clip.dim), arguments.seed),
                     spectrogram)


# ---- the verdict ---------------------------------------------------------------------------------

def report(start, trained, sample):
    """Print how well each sense finds its image, and its caption, which it never met."""
    import numpy as np

    from scratch_embed.multimodal.partner_verdict import MOST
    inputs, source = sample
    some = {sense: values[:MOST] for sense, values in inputs.items()}
    after, before = (vectors_of(model, some) for model in (trained, start))
    N = len(some["image"])
    images = verdicts(trained.senses, after, before, "image", np.arange(N))
    captions = {}
    if texts := some.get("text"):
        captions = verdicts(trained.senses, after, before, "text", [*map(texts.index, texts)])
    say(f"MRR of {N:,} scenes, {source}, beside that before training and chance; captions never "
        "met other senses than images:")
    for sense in trained.senses:
        cells = [f"{name} {verdict.trained:.3f} ({verdict.start:.3f}; {verdict.chance:.3f})"
                 for name, found in (("image", images), ("caption", captions))
                 if (verdict := found.get(sense))]
        say(f"  by {sense:9}{'   '.join(cells)}")
    learned = [sense for sense, verdict in images.items() if verdict.learned]
    others = [sense for sense in images if sense not in learned]
    better = f"better than before training: {', '.join(learned)}"
    no_better = (f"not significantly better: {', '.join(others)}: {ADVICE}, unless images show "
                 "little of what this sense perceives")
    say("verdict: " + "; ".join([better] * bool(learned) + [no_better] * bool(others)))


def vectors_of(model, inputs):
    """{sense: the unit vectors (N, E)}; long captions are truncated.  inputs: {sense: N inputs}"""
    from scratch_embed.cli.sense_encoder import senses_of
    encode = senses_of(model)
    return {sense: encode[sense](values) for sense, values in inputs.items()}


def verdicts(senses, after, before, key, own):
    """{sense: the PartnerVerdict on finding the vectors of `key`}.  own: the key of each query

    after, before: {sense: vectors (N, E)}.  Equal keys are one.
    """
    import numpy as np

    from scratch_embed.multimodal.partner_verdict import of_partners
    different, own = np.unique(own, return_inverse=True)
    return {sense: of_partners(after[sense] @ after[key][different].T,
                               before[sense] @ before[key][different].T, own)
            for sense in senses}


def report_matrix(trained, sample, scenes):
    """Print the recall of every sense among every other on toy scenes, beside upper bounds."""
    from scratch_embed.multimodal.imagebind_verdict import K, matrix, matrix_lines
    say(f"recall@{K} of {len(scenes):,} new scenes, and the highest that is expected of any model "
        "(a sample can have more); * pairs that training had:")
    for line in matrix_lines([matrix(vectors_of(trained, sample), scenes)]):
        say(line)
