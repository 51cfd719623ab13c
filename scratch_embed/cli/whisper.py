"""train whisper: train Whisper's encoder on sounds whose frames have labels."""
from scratch_embed.cli.messages import say
from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    mean_loss,
    report_size,
    require_other_folder,
    steps_of,
)
from scratch_embed.cli.parsing import add_command, whole
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options
from scratch_embed.numerics.wording import counted

SIZES = {"dim": 64, "layers": 2, "heads": 4, "ff": 256, "mels": 40}
RATE, MOST_SECONDS = 16_000, 30    # of Whisper's sounds
TOY, TOY_HELD_OUT = 2_000, 300     # utterances of the toy world
FEW = 20                           # sounds that are enough to measure on
KNOWN_BY_HEART = ("(on the sounds that it was trained on, which it may know by heart: --held-out "
                  "FILE measures others)")


def add_training(methods):
    """Add `train whisper`."""
    command = add_command(
        methods, "whisper", "train Whisper's encoder of sounds (Radford et al. 2022)",
        "scratch-embed train whisper sounds.tsv -o whisper --held-out others.tsv",
        run=run_whisper, check=check_usage,
        details="It learns which label each frame of 20 ms has.  Whisper itself learns to write "
                "the text, with a decoder, which is not here.")
    option = command.add_argument
    option("sounds", nargs="?", metavar="FILE",
           help="lines of WAV file <tab> label; or JSON lines with the fields sound and --label, a "
                "label or one for every 10 ms, as `world speech` writes them; paths are relative "
                f"to FILE's folder (default: {TOY:,} utterances of the toy speech)")
    add_output_options(command, "the folder to write, created if it is missing, with config.json, "
                                "model.safetensors and preprocessor_config.json; transformers "
                                "loads it as WhisperForAudioClassification, whose encoder it is")
    option("--label", metavar="NAME",
           help="the field of JSON lines that has the labels (default: label)")
    model = option("--model", metavar="MODEL",
                   help="a folder with a Whisper model, of `train whisper` or transformers: "
                        "continue with its encoder; leave out the options for sizes then (default: "
                        "new weights)")
    model.read_as = "any"
    for name, help in (("dim", "dimensions of a frame's vector"), ("layers", "layers"),
                       ("heads", "attention heads, a divisor of --dim"),
                       ("ff", "width of the feed-forward sublayer"),
                       ("mels", "bands of the spectrogram")):
        option(f"--{name}", type=whole(1), metavar="N",
               help=f"{help} (default: {SIZES[name]})")
    option("--seconds", type=whole(1, MOST_SECONDS), metavar="N",
           help="length to which sounds are padded or cut (default: that of the longest, at most "
                f"{MOST_SECONDS})")
    option("--held-out", metavar="FILE",
           help="measure the result on these sounds, with labels as those of FILE, which training "
                "does not read (default: on sounds that no step has used, if there are any)")
    add_step_options(command, steps=300, batch=32, lr=2e-3, kind="sound", dropout=None)


def run_whisper(arguments):
    """Read the sounds, train, save, measure; messages go to stderr."""
    from scratch_embed.multimodal.whisper_training import train
    from scratch_embed.nn.optim import Optim
    require_other_folder(arguments.output, arguments.model, sentences=False)
    optim = Optim(arguments.lr, arguments.warmup_ratio)
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(arguments, arguments.sounds, batch_size=arguments.batch_size,
                                 **optim._asdict(), workers=arguments.workers, **steps)
    start, names, data, held_out = read_data(arguments)
    report_size(start.p.flat.size + len(names) * (start.dim + 1), arguments.workers,
                heads=", including the classifier of frames, which only training uses")
    steps = steps_of(arguments, len(data.labels), "sound")
    trained = train(data, start, len(names), steps, arguments.batch_size, optim,
                    run_options(arguments, checkpoint))
    trained.model.save(arguments.output)
    say(f"{mean_loss(trained.losses)}; wrote {arguments.output}, {trained.model.p.flat.size:,} "
        "parameters")
    report(arguments, trained, start, names, data, held_out, steps)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other; fill in the sizes of a new model."""
    check_resume(arguments)
    given = [f"--{name}" for name in (*SIZES, "seconds") if getattr(arguments, name)]
    if arguments.model and given:
        arguments.usage_error(f"--model has sizes of its own: leave out {given[0]}")
    if arguments.held_out and not arguments.sounds:
        arguments.usage_error("--held-out: expected with a FILE of sounds; the toy speech has "
                              "held-out utterances of its own: leave it out")
    if arguments.label and not arguments.sounds:
        arguments.usage_error("--label: expected with a FILE of JSON lines; the toy speech is "
                              "trained with its syllables: leave it out")
    arguments.label = arguments.label or "label"
    for name, value in SIZES.items():
        setattr(arguments, name, getattr(arguments, name) or value)
    dim, heads = arguments.dim, arguments.heads
    if not arguments.model and (dim % heads or dim % 2 or dim < 4):
        arguments.usage_error(f"--dim: expected an even number of at least 4 that --heads {heads} "
                              f"divides, got {dim}")


# ---- sounds to numbers ---------------------------------------------------------------------------

def read_data(arguments):
    """(the encoder before training, names of classes, Labelled, held-out Labelled or None)."""
    from scratch_embed.multimodal.sound_files import class_names, longest_seconds, read_sound_list
    if not arguments.sounds:
        return toy_data(arguments)
    found = read_sound_list(arguments.sounds, arguments.label, arguments.errors)
    names = class_names(found)
    if len(names) < 2:
        raise ValueError(f"{arguments.sounds}: expected at least 2 different labels, found "
                         f"{len(names)}")
    seconds = arguments.seconds or (
        1 if arguments.model else longest_seconds(found, RATE, MOST_SECONDS))
    start = start_model(arguments, seconds)
    data = labelled(found, start, names)
    held_out = None
    if arguments.held_out:
        held_out = labelled(read_sound_list(arguments.held_out, arguments.label, arguments.errors),
                            start, names)
    return start, names, data, held_out


def toy_data(arguments):
    """read_data() of the toy speech, in which every 10 ms have a label."""
    from scratch_embed.multimodal.whisper_training import Labelled, label_frames, spectrograms
    from scratch_embed.worlds.speech import HOP, RATE, SYLLABLES, speech
    start = start_model(arguments, arguments.seconds or 1)
    audio = start.audio
    if audio.rate * HOP != RATE * audio.hop:
        raise ValueError(f"{arguments.model}: expected spectrograms of 10 ms a frame, as the toy "
                         f"speech has labels for, got {1000 * audio.hop / audio.rate:g} ms")

    def draw(n, seed):
        waves, syllables, _ = speech(n, seed, float(audio.seconds))
        return Labelled(spectrograms([(wave, RATE) for wave in waves], audio),
                        label_frames(syllables))
    say(f"the toy speech: {TOY:,} utterances of {audio.seconds} s, {TOY_HELD_OUT:,} held out")
    return (start, [*SYLLABLES, "silence"], draw(TOY, arguments.seed),
            draw(TOY_HELD_OUT, arguments.seed + 1))


def start_model(arguments, seconds):
    """The encoder of --model, or a new one for sounds of so many seconds."""
    from scratch_embed.multimodal.audio import WhisperAudio
    from scratch_embed.multimodal.whisper import STRIDE, Config
    from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
    if arguments.model:
        return WhisperEncoder.load(arguments.model)
    audio = WhisperAudio(rate=RATE, mels=arguments.mels, seconds=seconds)
    sizes = [getattr(arguments, name) for name in ("mels", "dim", "layers", "heads", "ff")]
    return WhisperEncoder.new(Config(*sizes, audio.frames // STRIDE), audio, arguments.seed)


def labelled(found, start, names):
    """The Labelled of a list of sounds; prints their number, and how many were cut."""
    from scratch_embed.multimodal.sound_files import read_labelled
    data, cut = read_labelled(found, start, names)
    said = f"{found.path}: {counted(len(data.labels), 'sound')}, {counted(len(names), 'label')}"
    if cut:
        said += f"; {cut:,} longer than {start.audio.seconds} s were cut"
    say(said)
    return data


# ---- the verdict --------------------------------------------------------------------------------

def report(arguments, trained, start, names, data, held_out, steps):
    """Report on frames of held-out sounds, of sounds that no step used, or of any."""
    import numpy as np

    from scratch_embed.multimodal.whisper_training import UNLABELLED, Labelled, new_head
    from scratch_embed.multimodal.whisper_verdict import of_frames
    from scratch_embed.training.batches import unused
    left = unused(len(data.labels), arguments.batch_size, steps, arguments.seed)
    sample, source = data, "of the training sounds"
    if held_out:
        sample, source = held_out, "of held-out sounds"
    elif len(left) >= FEW:
        sample, source = Labelled(*(array[left] for array in data)), "of sounds that no step used"
    counts = np.bincount(data.labels[data.labels != UNLABELLED], minlength=len(names))
    before = start, new_head(start, len(names), arguments.seed)
    verdict, accuracy, frequent = of_frames(trained.model, trained.head, before, sample, counts)
    say(f"right in {100 * accuracy:.1f} % of {counted(verdict.examples, 'frame')} {source}; the "
        f"most frequent label, {names[counts.argmax()]}, in {100 * frequent:.1f} %")
    say(verdict.sentence("label frequencies", "train for more --steps, or on more sounds"))
    if verdict.learned and sample is data:
        say(KNOWN_BY_HEART)
