"""train clap: train a text tower and an audio tower on sounds with captions."""
import math

from scratch_embed.cli.captioned import add_pairs, check_pairs, pairs_of, report_captions
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


def add_training(methods):
    """Add `train clap`."""
    command = add_command(
        methods, "clap", "train CLAP, for sounds and texts (Wu et al. 2023)",
        "scratch-embed train clap --pairs sounds.tsv -o clap --rate 16000 --seconds 5",
        run=run_clap, check=check_usage,
        details="The sounds are files with captions, or those of the toy scenes, on which the "
                "result is measured beside baselines and upper bounds.")
    option = command.add_argument
    add_pairs(command, "WAV", "sounds.tsv")
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
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(arguments, arguments.pairs, batch_size=arguments.batch_size,
                                 workers=arguments.workers, **recipe.optim._asdict(), **steps)
    if arguments.pairs:
        sounds, captions, (tests, named), source = pairs_of(arguments, "sound")
        sounds, tests = (read_sounds(files, recipe.audio.rate) for files in (sounds, tests))
    else:
        data = toy.draw_pairs(recipe.scenes, arguments.seed, recipe.dropout)
        test = toy.draw_pairs(recipe.test, arguments.seed + toy.TEST_SEED, 0.0)
        sounds, captions, source = [*data.sounds], data.captions, "held out"
        tests, named = [*test.sounds], test.captions
    start = toy.with_statistics(toy.untrained(captions, arguments.seed, recipe), sounds,
                                arguments.seed)
    report_size(start.p.flat.size, arguments.workers, heads="")
    recipe = recipe._replace(steps=steps_of(arguments, len(sounds), "pair"))
    trained, run = toy.fit(start, sounds, captions, recipe, run_options(arguments, checkpoint))
    trained.save(arguments.output)
    chance = math.log(min(arguments.batch_size, len(sounds)))
    say(f"{mean_loss(run.losses)}{in_words_of_chance(run.losses, chance)}; wrote "
        f"{arguments.output}, {trained.p.flat.size:,} parameters")
    if not arguments.pairs:
        report_scenes(start, trained, arguments.seed, recipe)
    tests = [(x, recipe.audio.rate) for x in tests]
    report_captions(trained, start, "audio", (tests, named), source)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    check_resume(arguments)
    check_pairs(arguments)
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


def read_sounds(files, rate):
    """The samples of WAV files at this rate."""
    from tqdm import tqdm

    from scratch_embed.multimodal.audio import load_sound
    return [load_sound(file, rate) for file in tqdm(files, unit="sound", desc="reading",
                                                    disable=None)]


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
