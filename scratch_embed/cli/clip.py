"""train clip: train an image tower and a text tower on images with captions."""
import math

from scratch_embed.cli.captioned import add_pairs, check_pairs, pairs_of, report_captions
from scratch_embed.cli.messages import say
from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    in_words_of_chance,
    mean_loss,
    report_size,
    require_other_folder,
    steps_of,
)
from scratch_embed.cli.parsing import add_command, whole
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options

SIZES = {"dim": 64, "layers": 2, "image_size": 16, "patch": 4, "vocab_size": 1000}
HEADS = 4
TOY, TOY_TEST = 16_000, 1000       # toy scenes, and others to measure on


def add_training(methods):
    """Add `train clip`."""
    command = add_command(
        methods, "clip", "train CLIP, for images and texts (Radford et al. 2021)",
        "scratch-embed train clip --pairs captions.tsv -o clip --image-size 32",
        run=run_clip, check=check_usage,
        details="The images are PNG files with captions, or those of the toy scenes, on which the "
                "result is measured beside chance and upper bounds.")
    option = command.add_argument
    add_pairs(command, "PNG", "captions.tsv")
    add_output_options(command, "the folder to write, created if it is missing, with config.json, "
                                "model.safetensors and the files of the tokenizer and of the image "
                                "processor; transformers loads it as CLIPModel")
    option("--examples", type=whole(2), metavar="N",
           help=f"number of toy scenes, without --pairs (default: {TOY:,})")
    option("--model", metavar="MODEL", help="a folder with a CLIP, of `train clip` or "
           "transformers: continue with it; leave out the options for sizes then (default: new "
           "weights)").read_as = "any"
    for name, what in (
            ("dim", f"dimensions of both towers and of the vectors, a multiple of {HEADS}"),
            ("layers", "layers of the image tower; the text tower has half as many"),
            ("image-size", "pixels of a side: images are resized, and cropped to a square"),
            ("patch", "pixels of a side of a patch, a divisor of --image-size"),
            ("vocab-size", "tokens of the vocabulary, which is learned from the captions")):
        option(f"--{name}", type=whole(1), metavar="N",
               help=f"{what} (default: {SIZES[name.replace('-', '_')]:,})")
    add_step_options(command, steps=1200, batch=128, lr=3e-3, kind="pair", dropout=None)


def run_clip(arguments):
    """Read or draw the pairs, train, save, measure; messages go to stderr."""
    from scratch_embed.multimodal.clip import train
    from scratch_embed.multimodal.clip_encoder import Clip
    from scratch_embed.nn.optim import Optim
    require_other_folder(arguments.output, arguments.model, sentences=False)
    optim = Optim(arguments.lr, arguments.warmup_ratio, weight_decay=0.1)
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(arguments, arguments.pairs, batch_size=arguments.batch_size,
                                 workers=arguments.workers, **optim._asdict(), **steps)
    images, captions, sample, source = (
        pairs_of(arguments, "image") if arguments.pairs else draw(arguments))
    start = Clip.load(arguments.model) if arguments.model else new_clip(arguments, captions)
    report_size(start.p.flat.size, arguments.workers, heads="")
    steps = steps_of(arguments, len(captions), "pair")
    run = train(start.processor(images), start.tokenize(captions, truncate=True), start.p,
                start.config, steps, arguments.batch_size, optim,
                options=run_options(arguments, checkpoint))
    trained = Clip(start.config, run.p, start.tokenizer, start.processor)
    trained.save(arguments.output)
    chance = math.log(min(arguments.batch_size, len(captions)))
    say(f"{mean_loss(run.losses)}{in_words_of_chance(run.losses, chance)}; temperature "
        f"{1 / trained.scale:.4f}, before training {1 / start.scale:.4f}; wrote "
        f"{arguments.output}, {trained.p.flat.size:,} parameters")
    if not arguments.pairs:
        report_scenes(start, trained, arguments)
    report_captions(trained, start, "image", sample, source)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other; fill in the sizes of a new model."""
    check_resume(arguments)
    given = [f"--{name.replace('_', '-')}" for name in SIZES if getattr(arguments, name)]
    if arguments.model and given:
        arguments.usage_error(f"--model has sizes of its own: leave out {given[0]}")
    for name, value in SIZES.items():
        setattr(arguments, name, getattr(arguments, name) or value)
    check_pairs(arguments)
    if arguments.image_size % arguments.patch:
        arguments.usage_error(f"--patch: expected a divisor of --image-size "
                              f"{arguments.image_size}, got {arguments.patch}")
    if arguments.dim % HEADS:
        arguments.usage_error(f"--dim: expected a multiple of {HEADS}, got {arguments.dim}")


# ---- pairs ---------------------------------------------------------------------------------------

def draw(arguments):
    """pairs_of() the toy scenes; those to measure on are other scenes."""
    from scratch_embed.multimodal.clip_verdict import RECIPE, TEST_SEED, draw_pairs
    N, seed = arguments.examples or TOY, arguments.seed
    data = draw_pairs(N, seed, RECIPE.dropout)
    test = draw_pairs(min(N, TOY_TEST), seed + TEST_SEED, 0.0)
    say(f"the toy scenes: {N:,} images with captions, {len(test.captions):,} held out")
    return data.images, data.captions, (test.images, test.captions), "held out"


def new_clip(arguments, captions):
    """A Clip with random weights, whose tokenizer is learned from the captions."""
    from scratch_embed.multimodal.clip_verdict import RECIPE, untrained
    from scratch_embed.multimodal.image_processor import ImageProcessor, Square
    size, layers = arguments.image_size, arguments.layers
    recipe = RECIPE._replace(vocab=arguments.vocab_size, dim=arguments.dim, patch=arguments.patch,
                             layers=(layers, max(1, layers // 2)))
    processor = ImageProcessor(size=size, crop=Square(size, size), mean=(0.5,) * 3,
                               std=(0.25,) * 3)
    return untrained(captions, arguments.seed, recipe, processor)


# ---- the verdict ---------------------------------------------------------------------------------

def report_scenes(start, trained, arguments):
    """Print zero-shot accuracies and recall on new toy scenes, beside chance and upper bounds."""
    from scratch_embed.multimodal import clip_verdict as toy
    n = min(arguments.examples or TOY, TOY_TEST)
    after, before = (toy.report(clip, arguments.seed, n) for clip in (trained, start))
    chance, best = toy.recall_bounds(arguments.seed, n)
    say(f"{n:,} new scenes{'':16}trained   untrained   chance   best possible")
    rows = [(f"recall@{toy.K}, {name}", getattr(after, field), getattr(before, field), chance, best)
            for name, field in (("image by caption", "text_to_image"),
                                ("caption by image", "image_to_text"))]
    rows += [(f"zero-shot {name.replace('_', ' ')}", getattr(after.zero_shot, name),
              getattr(before.zero_shot, name), getattr(toy.CHANCE, name), 1.0)
             for name in toy.Zero._fields]
    for name, *values in rows:
        say(f"  {name:28}" + "".join(f"{value:11.3f}" for value in values))
