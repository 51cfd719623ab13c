"""The command line: `scratch-embed COMMAND ...`, the same as `python -m scratch_embed`.

stdout carries data, stderr progress and messages.  Exit codes: 0 done; 1 something is wrong with
the input or the system, said in one line; 2 the command was not understood; 130 Ctrl-C.

Each file of this room has one function that adds its commands to the parser, and one that runs
each command.  The latter import what they need when they run, so that --help answers at once.
"""
import argparse
import os
import sys
import warnings

from scratch_embed import __version__
from scratch_embed.cli import (
    classifier,
    encode,
    evaluate,
    fasttext,
    fill,
    phrases,
    search,
    tour,
    train,
    vectors,
    why,
    worlds,
)
from scratch_embed.numerics.errors import TrainingDiverged


def main(argv=None):
    """Run one command; return its exit code."""
    arguments = parser().parse_args(argv)              # exits with 2 by itself
    if hasattr(sys.stdout, "reconfigure"):             # words of published models that are not
        sys.stdout.reconfigure(errors="surrogateescape")           # UTF-8 come out as they went in
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            arguments.run(arguments)
        if sys.stdout is not None:                     # it may be closed
            sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        print("\nstopped" + kept(arguments, stopped), file=sys.stderr)
        return 130
    except BrokenPipeError:                            # `scratch-embed ... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, KeyError, TrainingDiverged, OSError, MemoryError,
            ModuleNotFoundError) as error:
        print(f"scratch-embed: {message_of(error)}", file=sys.stderr)
        return 1
    return 0


def _print_warning(message, *_):
    print(f"scratch-embed: warning: {message}", file=sys.stderr)


def kept(arguments, stopped):
    """Where a run that was stopped can be found; HeldInterrupt has let it be saved."""
    from scratch_embed.numerics.interrupt import HeldInterrupt
    path = getattr(arguments, "checkpoint", None)
    return (f"; the run is kept in {path}, and the same command with --resume goes on"
            if path and isinstance(stopped, HeldInterrupt) else "")


def message_of(error):
    """What an error says, on one line."""
    if type(error) is KeyError and error.args:
        return str(error.args[0])                      # str(KeyError) would put it in quotes
    if isinstance(error, FileExistsError) and error.filename is not None:         # of makedirs
        return f"{error.filename}: expected the name of a folder, found a file; choose another"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def parser():
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="scratch-embed", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Embeddings from scratch in NumPy and Numba.",
        epilog="Begin with:  scratch-embed tour")
    top.add_argument("--version", action="version", version=f"scratch-embed {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for group in (tour, phrases, train, vectors, fasttext, classifier, encode, fill, evaluate,
                  search, worlds, why):
        group.add_commands(commands)
    return top
