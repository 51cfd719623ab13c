"""train clap: train a text tower and an audio tower on sounds with captions."""
import os

from scratch_embed.cli.messages import say_of
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
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options, say

FRAMES = 125                       # steps of a spectrogram, at most the 128 of the square
WINDOW = 4                         # times the step: the length of a Fourier transform
PART = 10                          # one in so many pairs is held out


def add_training(methods):
    """Add `train clap`."""
    command = add_command(
        methods, "clap", "train CLAP, for sounds and texts (Wu et al. 2023)",
        "scratch-embed train clap --pairs sounds.tsv -o clap --rate 16000 --seconds 5",
        run=run_clap, check=check_usage,
        details="The sounds are files with captions, or those of the toy scenes, on which the "
                "result is measured beside baselines and upper bounds.")
    option = command.add_argument
    option("--pairs", metavar="FILE",
           help="lines of WAV file <tab> caption, with or without the header filepath <tab> title, "
                "as `world scenes` writes sounds.tsv; the names of files are relative to FILE "
                "(default: sounds and captions of the toy scenes)")
    add_output_options(command, "the folder to write, created if it is missing, with config.json, "
                                "model.safetensors and the files of the tokenizer and of the "
                                "spectrograms; transformers loads it as ClapModel")
    option("--examples", type=whole(2), metavar="N",
           help="number of toy scenes, without --pairs (default: 4,000)")
    option("--rate", type=whole(1), metavar="HZ",
           help="samples per second; sounds of another rate are resampled (default: 8,000)")
    option("--seconds", type=whole(1), metavar="N",
           help="length that the model hears: shorter sounds are repeated, and of longer ones "
                "each step cuts another part (default: 1)")
    option("--vocab-size", type=whole(1), metavar="N",
           help="tokens of the vocabulary, which is learned from the captions (default: 600)")
    add_step_options(command, steps=1200, batch=32, lr=1.5e-3, kind="pair", dropout=None)


def run_clap(arguments):
    """Read or draw the sounds, train, save, measure; messages go to stderr."""
    from scratch_embed.multimodal import clap_verdict as toy
    require_other_folder(arguments.output, None, sentences=False)
    recipe = recipe_of(arguments)
    arguments.held_out = None
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(arguments, arguments.pairs, batch_size=arguments.batch_size,
                                 workers=arguments.workers, **recipe.optim._asdict(), **steps)
    if arguments.pairs:
        sounds, captions = read_pairs(arguments, recipe.audio)
        rest = range(0, len(sounds), PART) if len(sounds) >= 20 * PART else range(0)
        kept = sorted({*range(len(sounds))} - {*rest})
    else:
        data = toy.draw_pairs(recipe.scenes, arguments.seed, recipe.dropout)
        sounds, captions, kept = [*data.sounds], data.captions, range(len(data.sounds))
    known, named = [sounds[n] for n in kept], [captions[n] for n in kept]
    start = toy.with_statistics(toy.untrained(named, arguments.seed, recipe), known,
                                arguments.seed)
    report_size(start.p.flat.size, arguments.workers, heads="")
    recipe = recipe._replace(steps=steps_of(arguments, len(known), "pair"))
    trained, run = toy.fit(start, known, named, recipe, run_options(arguments, checkpoint))
    trained.save(arguments.output)
    chance = log_chance(min(arguments.batch_size, len(known)))
    say(f"{mean_loss(run.losses)}{in_words_of_chance(run.losses, chance)}; wrote "
        f"{arguments.output}, {trained.p.flat.size:,} parameters")
    if arguments.pairs:
        report_pairs(start, trained, sounds, captions, rest)
    else:
        report_scenes(start, trained, arguments.seed, recipe)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    check_resume(arguments)
    if arguments.batch_size < 2:
        arguments.usage_error("--batch-size: expected 2 or more, because the other pairs of a "
                              f"batch are the negatives, got {arguments.batch_size}")
    if arguments.pairs and arguments.examples:
        arguments.usage_error("--examples: the number of toy scenes; leave it out with --pairs")
    for name in ("rate", "seconds"):
        if not arguments.pairs and getattr(arguments, name):
            arguments.usage_error(f"--{name}: expected with --pairs; the toy sounds have a "
                                  "quarter of a second at 8,000 Hz")


def recipe_of(arguments):
    """The Recipe of these options."""
    from scratch_embed.multimodal.clap_verdict import RECIPE
    from scratch_embed.nn.optim import Optim
    rate, seconds = arguments.rate or RECIPE.audio.rate, arguments.seconds or RECIPE.audio.seconds
    hop = -(-rate * seconds // FRAMES)                       # rounded up
    audio = RECIPE.audio._replace(rate=rate, seconds=seconds, hop=hop, n_fft=WINDOW * hop,
                                  high=RECIPE.audio.high * rate / RECIPE.audio.rate)
    return RECIPE._replace(
        scenes=arguments.examples or RECIPE.scenes,
        test=min(RECIPE.test, arguments.examples or RECIPE.test),
        vocab=arguments.vocab_size or RECIPE.vocab, audio=audio, steps=arguments.steps,
        batch_size=arguments.batch_size,
        optim=Optim(arguments.lr, arguments.warmup_ratio, RECIPE.optim.weight_decay))


def log_chance(N):
    """The loss of equal scores in a batch of N pairs."""
    import math
    return math.log(N)


def read_pairs(arguments, audio):
    """(sounds at audio.rate, captions) of --pairs."""
    from tqdm import tqdm

    from scratch_embed.multimodal.audio import load_sound
    from scratch_embed.text.columns import read_columns
    files, captions = read_columns(arguments.pairs, 2, 2, arguments.errors,
                                   say_of(arguments.pairs))
    if (files[0], captions[0]) == ("filepath", "title"):
        files, captions = files[1:], captions[1:]
    above = os.path.dirname(arguments.pairs)
    bar = tqdm(files, unit="sound", desc="reading", disable=None)
    sounds = [load_sound(os.path.join(above, file), audio.rate) for file in bar]
    if len(sounds) < 2:
        raise ValueError(f"{arguments.pairs}: expected at least 2 sounds with captions, got "
                         f"{len(sounds)}")
    return sounds, captions


# ---- the verdict --------------------------------------------------------------------------------

def report_scenes(start, trained, seed, recipe):
    """Print the scores on new scenes, beside baselines, chance and the best possible."""
    from scratch_embed.multimodal.clap_verdict import K, bounds, report
    chance, best = bounds(seed, recipe)
    rows = report(start, trained, seed, recipe) | {"chance": chance, "best possible": best}
    say(f"{recipe.test:,} new scenes: the first result agrees in shape, size and motion (exact), "
        f"and the own partner is among the first {K} (recall)")
    say(f"{'':28}  caption by sound    sound by caption")
    say(f"{'':28}  exact    recall    exact    recall")
    for name, (exact_text, exact_sound, recall_text, recall_sound) in rows.items():
        say(f"{name:28}  {exact_text:.3f}    {recall_text:.3f}     {exact_sound:.3f}    "
            f"{recall_sound:.3f}")


def report_pairs(start, trained, sounds, captions, rest):
    """Print the mean reciprocal rank of each sound's caption, before and after training."""
    from scratch_embed.multimodal.clap_verdict import reciprocal_ranks
    held_out, numbers = len(rest) > 0, list(rest) or range(min(len(sounds), 500))
    chosen = [sounds[n] for n in numbers], [captions[n] for n in numbers]
    before, after = (float(reciprocal_ranks(model, *chosen).mean()) for model in (start, trained))
    chance = sum(1 / rank for rank in range(1, len(numbers) + 1)) / len(numbers)
    what = "held-out sounds" if held_out else "training sounds, since there are too few to hold out"
    say(f"the caption of each of {len(numbers):,} {what}: mean reciprocal rank {after:.3f}; before "
        f"training {before:.3f}; chance {chance:.3f}")
