"""How a command is declared: its help, an example at the end of it, its function, its numbers."""
import argparse
import math
import os


def add_command(commands, name, help, example, run=None):
    """Add a subcommand with `help` and an example; `run(arguments)` does it.  Return its parser."""
    command = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter)
    command.set_defaults(run=run)
    return command


def whole(least):
    """An argparse type: a whole number of at least `least`."""
    def parse(text):
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, "
                                             f"found {text!r}")
        return number
    return parse


def _float(text):
    """The number that a text spells, nan if it spells none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def non_negative(text):
    """An argparse type: a finite number of at least 0."""
    number = _float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, found {text!r}")
    return number


def positive(text):
    """An argparse type: a finite number above 0."""
    number = _float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return number


def below_one(text):
    """An argparse type: a number from 0 to below 1."""
    number = _float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, found {text!r}")
    return number


def require_writable(path, corpus=None):
    """Raise OSError or ValueError now rather than after the work if `path` cannot be written."""
    folder = os.path.dirname(os.path.realpath(path))
    if path == "-":
        raise ValueError("the output needs a name: stdout is for data, and this is a file")
    if not path or os.path.isdir(path):
        raise IsADirectoryError(f"cannot write {path!r}: name a file, not a folder")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"cannot write {path}: there is no folder {folder}")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(f"cannot write {path}: the file is write-protected")
    special = os.path.exists(path) and not os.path.isfile(path)      # a pipe, a terminal
    if not (special or os.access(folder, os.W_OK)):                  # else it is replaced whole
        raise PermissionError(f"cannot write {path}: the folder {folder} is write-protected")
    if corpus is not None and os.path.exists(path) and os.path.exists(corpus):
        if os.path.samefile(path, corpus):
            raise ValueError(f"{path} is the text itself; write to another file")
