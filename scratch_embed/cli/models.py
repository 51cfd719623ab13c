"""What the commands that train or read a transformer share: options, its folder, its text."""
import os
import tempfile
from functools import partial

from scratch_embed.cli.parsing import below_one, non_negative, whole
from scratch_embed.cli.training import add_checkpoint_options, chosen_checkpoint, say

# ---- options ------------------------------------------------------------------------------------

def add_output_options(command, what):
    """Where the model goes, and where the run is kept while it lasts."""
    command.add_argument("-o", "--output", required=True, metavar="FOLDER", help=what)
    add_checkpoint_options(command)


def add_step_options(command, steps, batch, lr):
    """How the steps of a training are taken.  The defaults are those of its function."""
    length = command.add_mutually_exclusive_group()
    length.add_argument("--steps", type=whole(1), default=steps, metavar="N",
                        help="how many steps (%(default)s)")
    length.add_argument("--epochs", type=whole(1), metavar="N",
                        help="or: passes over the text")
    option = command.add_argument
    option("--batch", type=whole(1), default=batch, metavar="N",
           help="sequences a step (%(default)s)")
    option("--lr", type=non_negative, default=lr, metavar="RATE",
           help="learning rate at its highest; it then falls to 0 (%(default)s)")
    option("--warm-up", type=below_one, default=0.1, metavar="SHARE",
           help="the share of the steps in which the rate rises (%(default)s)")
    option("--dropout", type=below_one, default=0.1, metavar="RATE",
           help="the share of numbers that is left out by chance (%(default)s)")
    option("--workers", type=whole(1), default=1, metavar="N",
           help="threads, a share of each batch to each; the same number, the same result every "
                "time (%(default)s)")
    option("--seed", type=whole(0), default=1, metavar="N",
           help="of all random choices (%(default)s)")
    option("--errors", choices=["strict", "replace", "ignore"], default="strict",
           help="what to do with bytes that are not UTF-8 (%(default)s)")
    command.set_defaults(usage_error=command.error)


def steps_of(arguments, N):
    """--steps, or the steps of --epochs over N sequences; say which.

    An epoch leaves out the last batch where it is not full (training/batches.py).
    """
    if arguments.epochs is None:
        return arguments.steps
    steps = arguments.epochs * (N // min(arguments.batch, N))
    say(f"{steps:,} steps in {arguments.epochs} epochs of {N:,} sequences")
    return steps


# ---- before the work ----------------------------------------------------------------------------

def open_run(arguments, text):
    """The Checkpoint of a training step by step, or None; say whether a run goes on."""
    from scratch_embed.training.session import Checkpoint
    given = chosen_checkpoint(arguments, text)
    return Checkpoint(*given) if given else None


def check_folder(path, sentences):
    """Raise OSError or ValueError now rather than after the work if no model can be written there.

    sentences: it will hold a sentence encoder, and else a BERT alone.  A folder that holds the
    other of these is refused: files of both, together, would be read as one model.
    """
    if path in ("", "-"):
        raise ValueError(f"the output, {path!r}: name a folder; stdout is for data")
    above = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(above):
        raise FileNotFoundError(f"cannot write {path}: there is no folder {above}")
    if os.path.exists(path) and not os.path.isdir(path):
        raise NotADirectoryError(f"cannot write {path}: it is a file; name a folder")
    if not os.access(path if os.path.isdir(path) else above, os.W_OK):
        raise PermissionError(f"cannot write {path}: the folder is write-protected")
    if not os.path.exists(os.path.join(path, "config.json")):
        return
    if not os.path.exists(os.path.join(path, "model.safetensors")) and not sentences:
        raise ValueError(f"cannot write {path}: it holds a config.json that is no model's; name "
                         "another folder")
    if os.path.exists(os.path.join(path, "modules.json")) != sentences:
        there = "a model, but no sentence encoder" if sentences else "a sentence encoder"
        raise ValueError(f"cannot write {path}: it holds {there}; name another folder, or delete "
                         "this one")


def check_memory(tensors, workers):
    """Raise MemoryError where the model cannot be trained; say how large it is."""
    import math

    from scratch_embed.numerics.memory import require_memory
    size = sum(math.prod(tensor.shape) for tensor in tensors.values())
    require_memory(4 * size * (3 + workers),
                   f"a model of {size:,} parameters, their gradients and AdamW's means")
    say(f"the model has {size:,} parameters")


def require_savable(tokenizer):
    """Raise ValueError for a tokenizer that a model's folder has no form for."""
    from scratch_embed.text.wordpiece_files import save
    with tempfile.TemporaryDirectory() as folder:
        save(folder, tokenizer)


# ---- reading ------------------------------------------------------------------------------------

def lines_of(path, errors):
    """A function that yields the lines of a text, as often as it is called.

    A file is read again each time; what comes through a pipe is kept.
    """
    from scratch_embed.text.corpus import read_lines
    if os.path.isfile(path):
        return partial(read_lines, path, errors)
    lines = list(read_lines(path, errors))
    return lambda: iter(lines)


def read_model(folder):
    """(model, tokenizer) of a folder with a transformer, or with a sentence encoder on one."""
    from scratch_embed.transformer import families
    require_model(folder)
    return families.read_model(folder)


def require_model(folder):
    """Raise OSError unless it is a folder with a config.json."""
    if not os.path.exists(folder):
        raise FileNotFoundError(f"{folder}: there is no such folder; `scratch-embed train bert` "
                                "writes one")
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"{folder} is a file: expected a model's folder, with config.json,"
                                 " model.safetensors and a tokenizer")
    if not os.path.exists(os.path.join(folder, "config.json")):
        raise FileNotFoundError(f"{folder} is no model's folder: it has no config.json")
