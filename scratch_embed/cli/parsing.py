"""Helpers that declare commands and options: help, example, types of numbers, renamed options."""
import argparse
import math
import os
import textwrap

RENAMED = {                        # old name: new name, which the error message states
    "--batch": "--batch-size",
    "--cbow-error": "--cbow-gradient",
    "--every": "--eval-steps",
    "--form": "--shared-negatives",
    "--headless": "--no-head",
    "--joiner": "--delimiter",
    "--level": "--relevance-level",
    "--mask-share": "--mlm-probability",
    "--max-size": "--max-vocab-size",
    "--multiply": "--cosmul",
    "--piece-error": "--subword-gradient",
    "--tokens": "--tokenizer",
    "--unsymmetric": "--asymmetric",
    "--unweighted": "--no-distance-weighting",
    "--warm-up": "--warmup-ratio",
}


def add_command(commands, name, help, example, run=None):
    """Add a subcommand with `help` and an example; `run(arguments)` executes it.  -> its parser"""
    command = commands.add_parser(
        name, help=help.replace("%", "%%"),
        description=textwrap.fill(f"{help[0].upper()}{help[1:]}.", 79),
        epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False)
    command.set_defaults(run=run)
    return command


def refuse_old_names(command, *names):
    """Make each of these old names (keys of RENAMED) an error; the help does not show them."""
    for name in names:
        command.add_argument(name, action=_Refuse, nargs="?", default=argparse.SUPPRESS,
                             help=argparse.SUPPRESS)


class _Refuse(argparse.Action):
    """An option that ends the command with exit code 2 and a message with the new name."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.error(f"{option_string} is now {RENAMED[option_string]}")


# ---- numbers ------------------------------------------------------------------------------------

def whole(least):
    """An argparse type: a whole number of at least `least`."""
    def parse(text):
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, "
                                             f"got {text!r}")
        return number
    return parse


def _float(text):
    """A text as a float; nan if it is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def non_negative(text):
    """An argparse type: a finite number of at least 0."""
    number = _float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return number


def positive(text):
    """An argparse type: a finite number above 0."""
    number = _float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def below_one(text):
    """An argparse type: a number from 0 to below 1."""
    number = _float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text!r}")
    return number


# ---- files that will be written -----------------------------------------------------------------

def require_writable(path, corpus=None):
    """Raise OSError or ValueError if `path` cannot be written; commands call this before the work.

    corpus: the path of the input, which must not be overwritten.
    """
    folder = os.path.dirname(os.path.realpath(path))
    if path == "-":
        raise ValueError("the output: expected the name of a file, got '-'; this command does not "
                         "write its result to stdout")
    if not path or os.path.isdir(path):
        raise IsADirectoryError(f"cannot write {path!r}: name a file, not a folder")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"cannot write {path}: there is no folder {folder}")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(f"cannot write {path}: the file is write-protected")
    special = os.path.exists(path) and not os.path.isfile(path)      # a pipe or a terminal
    if not (special or os.access(folder, os.W_OK)):                # a new file replaces the old one
        raise PermissionError(f"cannot write {path}: the folder {folder} is write-protected")
    if corpus is not None and os.path.exists(path) and os.path.exists(corpus):
        if os.path.samefile(path, corpus):
            raise ValueError(f"{path} is the input text itself; write to another file")
