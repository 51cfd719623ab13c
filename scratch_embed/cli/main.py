"""The command line: `scratch-embed COMMAND ...`, the same as `python -m scratch_embed`.

stdout carries data, stderr progress and messages.  Exit codes: 0 success; 1 an error in the input
or the system, explained in one line; 2 the command line is wrong; 130 Ctrl-C.

Each file of a command has a function that adds it to the parser, and a function that runs it.  The
second imports what it needs when it runs, so that --help is fast.
Read next cli/README.md (a table of the commands), cli/train.py, cli/tour.py
"""
import os
import sys
import warnings

from scratch_embed import __version__
from scratch_embed.cli import (
    classifier,
    convert,
    encode,
    evaluate,
    fasttext,
    figures,
    fill,
    info,
    neighbours,
    phrases,
    plot,
    search,
    tour,
    train,
    vectors,
    why,
    worlds,
)
from scratch_embed.cli.parsing import top_parser
from scratch_embed.numerics.errors import TrainingDiverged
from scratch_embed.numerics.files import named_errors

GROUPS = {                         # the titles in --help: the files whose commands they list
    "train": (phrases, train),
    "use": (vectors, plot, fasttext, classifier, encode, fill, search, neighbours, convert, info),
    "evaluate": (evaluate, worlds),
    "explain": (tour, figures, why),
}


def main(argv=None):
    """Run one command; return its exit code."""
    arguments = parser().parse_args(argv)              # exits with code 2 if the command is wrong
    if hasattr(sys.stdout, "reconfigure"):             # bytes that are not UTF-8, in the words of
        sys.stdout.reconfigure(errors="surrogateescape")      # some models, are printed unchanged
    try:
        with warnings.catch_warnings(), named_errors("standard output"):
            warnings.showwarning = _print_warning
            arguments.run(arguments)
            if sys.stdout is not None:                 # None if it was closed
                sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        print("\nstopped" + resume_hint(arguments, stopped), file=sys.stderr)
        return 130
    except BrokenPipeError:                            # `scratch-embed ... | head` stops reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, KeyError, TrainingDiverged, OSError, MemoryError,
            ModuleNotFoundError) as error:
        print(f"scratch-embed: {message_of(error)}", file=sys.stderr)
        return 1
    return 0


def _print_warning(message, *_):
    print(f"scratch-embed: warning: {message}", file=sys.stderr)


def resume_hint(arguments, stopped):
    """How to continue a stopped run; empty if the command has no --checkpoint.

    A HeldInterrupt says that the checkpoint was saved before Ctrl-C took effect.
    """
    from scratch_embed.numerics.interrupt import HeldInterrupt
    if not hasattr(arguments, "checkpoint"):
        return ""
    path = arguments.checkpoint
    if not path:
        return ("; nothing is saved: with --checkpoint FILE the state is saved every minute and at "
                "Ctrl-C")
    return (f"; the state is saved in {path}: repeat the command with --resume to continue"
            if isinstance(stopped, HeldInterrupt) else "")


def message_of(error):
    """The message of an error, on one line."""
    if type(error) is KeyError and error.args:
        return str(error.args[0])                      # str(KeyError) would put it in quotes
    if isinstance(error, FileExistsError) and error.filename is not None:      # by makedirs
        return f"{error.filename}: expected the name of a folder, got a file; choose another"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def parser():
    """The parser of all commands."""
    return top_parser(GROUPS, __version__)
