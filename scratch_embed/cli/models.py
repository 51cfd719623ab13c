"""Functions shared by the commands for transformers: options, checks, reading folders and text."""
import os
import tempfile
from functools import partial

from scratch_embed.cli.parsing import add_errors, below_one, positive, refuse_old_names, whole
from scratch_embed.cli.training import add_checkpoint_options, say
from scratch_embed.numerics.wording import counted

AT_CHANCE = 0.99                   # from this share of chance's loss on, nothing was learned

# ---- options ------------------------------------------------------------------------------------

def add_output_options(command, what):
    """Add the options for where the model and the training state are saved."""
    command.add_argument("-o", "--output", required=True, metavar="FOLDER", help=what)
    add_checkpoint_options(command)


def add_step_options(command, steps, batch, lr, kind="sequence", dropout=0.1):
    """Add the options of the training loop; steps, batch, lr and dropout are their defaults.

    kind: what a batch consists of, in the singular; dropout: None for a model that has none
    """
    length = command.add_mutually_exclusive_group()
    length.add_argument("--steps", type=whole(1), default=steps, metavar="N",
                        help="optimiser steps (default: %(default)s)")
    length.add_argument("--epochs", type=whole(1), metavar="N",
                        help="passes over the training data, instead of --steps (default: as "
                             "many as --steps takes)")
    option = command.add_argument
    option("--batch-size", type=whole(1), default=batch, metavar="N",
           help=f"{kind}s per step (default: %(default)s)")
    option("--lr", type=positive, default=lr, metavar="RATE",
           help="learning rate after the warm-up; then it falls linearly to 0 "
                "(default: %(default)s)")
    option("--warmup-ratio", type=below_one, default=0.1, metavar="SHARE",
           help="share of the steps, at the start, in which the learning rate rises "
                "(default: %(default)s)")
    if dropout is not None:
        option("--dropout", type=below_one, default=dropout, metavar="SHARE",
               help="probability with which an activation is set to 0 (default: %(default)s)")
    option("--workers", type=whole(1), default=1, metavar="N",
           help="threads, which share each batch; the same number gives the same result every "
                "time (default: %(default)s)")
    option("--seed", type=whole(0), default=1, metavar="N",
           help="seed of all random draws (default: %(default)s)")
    add_errors(command)
    refuse_old_names(command, "--batch", "--warm-up")


def steps_of(arguments, N, kind="sequence"):
    """--steps; or, with --epochs, the steps of so many passes over N examples, which are printed.

    An epoch leaves out its last batch if that is not full (training/batches.py).
    """
    if arguments.epochs is None:
        return arguments.steps
    steps = arguments.epochs * (N // min(arguments.batch_size, N))
    say(f"{counted(steps, 'step')} in {counted(arguments.epochs, 'epoch')} of "
        f"{counted(N, kind)}")
    return steps


# ---- before the work ----------------------------------------------------------------------------

def check_folder(path, sentences):
    """Raise OSError or ValueError if no model can be written to the folder `path`.

    sentences: whether a sentence encoder will be written, else a BERT.  A folder with a
    config.json and the other kind is refused, because the files of both together would be read
    as one model.
    """
    if path in ("", "-"):
        raise ValueError(f"the output: expected the name of a folder, got {path!r}")
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
        raise ValueError(f"cannot write {path}: its config.json does not belong to a model; name "
                         "another folder")
    if os.path.exists(os.path.join(path, "modules.json")) != sentences:
        there = "something that is not a sentence encoder" if sentences else "a sentence encoder"
        raise ValueError(f"cannot write {path}: it holds {there}; name another folder, or delete "
                         "this one")


def report_size(size, workers, heads=", including the heads that only training uses"):
    """Print the number of parameters.  Raises MemoryError as require_training_memory does.

    heads: what to add about them
    """
    require_training_memory(size, workers)
    say(f"the model has {size:,} parameters{heads}")


def require_training_memory(size, workers):
    """Raise MemoryError if a model of `size` parameters is too large to be trained."""
    from scratch_embed.numerics.memory import require_memory
    require_memory(4 * size * (3 + workers),
                   f"a model of {size:,} parameters, their gradients and AdamW's moments")


def require_other_folder(output, model, sentences):
    """Raise OSError or ValueError unless `output` can be written and is not the model's folder.

    model: the folder to start from, or None; sentences: as for check_folder
    """
    check_folder(output, sentences)
    if model and os.path.exists(model) and os.path.exists(output) and os.path.samefile(model,
                                                                                       output):
        raise ValueError(f"{output} is the model itself; write to another folder")


def require_savable(tokenizer):
    """Raise ValueError for a tokenizer that cannot be saved in a model's folder."""
    from scratch_embed.text.tokenizer_files import save
    with tempfile.TemporaryDirectory() as folder:
        save(folder, tokenizer)


# ---- after the work -----------------------------------------------------------------------------

def mean_loss(losses):
    """The mean loss of the last 100 steps, or of all if there are fewer, in words."""
    last = losses[-100:]
    steps = (f"the last {len(last)} steps" if len(losses) > len(last) else
             f"all {len(last)} steps" if len(last) > 1 else "1 step")
    return f"loss {sum(last) / len(last):.4f}, the mean of {steps}"


def in_words_of_chance(losses, chance):
    """The loss of equal scores, in words, and whether the last losses are still as high."""
    last = losses[-100:]
    nothing = all(sum(part) / len(part) > AT_CHANCE * chance for part in (
        last, last[len(last) // 2:]))                    # a high loss may fall within few steps
    said = ", so nothing was learned from these examples" if nothing else ""
    return f" (chance: {chance:.4f}{said})"


def saved_size(saved, trained):
    """The number of parameters that were saved, in words.  trained: how many were trained"""
    return f"{saved:,} parameters" + (
        f", without the {trained - saved:,} of the heads of training" if saved < trained else "")


# ---- reading ------------------------------------------------------------------------------------

def lines_of(path, errors):
    """A function that returns an iterator over the lines of a text; it can be called repeatedly.

    A file is read again each time; the lines of a pipe are kept in memory.
    """
    from scratch_embed.text.corpus import read_lines
    if os.path.isfile(path):
        return partial(read_lines, path, errors)
    lines = list(read_lines(path, errors))
    return lambda: iter(lines)


def read_model(folder):
    """(model, tokenizer) of a folder with a transformer or a sentence encoder."""
    from scratch_embed.transformer import model_folder
    require_model(folder)
    return model_folder.read_model(folder)


def require_model(folder):
    """Raise OSError unless `folder` is a folder with a config.json."""
    if not os.path.exists(folder):
        raise FileNotFoundError(f"{folder}: there is no such folder; `scratch-embed train bert` "
                                "writes a model's folder")
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"{folder} is a file: expected a model's folder, with config.json,"
                                 " model.safetensors and a tokenizer")
    if not os.path.exists(os.path.join(folder, "config.json")):
        raise FileNotFoundError(f"{folder} is not a model's folder: it has no config.json")
