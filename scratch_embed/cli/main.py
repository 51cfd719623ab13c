"""The command line: `scratch-embed COMMAND ...`, the same as `python -m scratch_embed`.

stdout carries data, stderr progress and messages.  Exit codes: 0 success; 1 an error in the input
or the system, explained in one line (or, silently, a pipe that nobody reads any more); 2 the
command line is wrong; 130 Ctrl-C.

Each file of a command has a function that adds it to the parser, and a function that runs it.  The
second imports what it needs when it runs, so that --help is fast.
Read next cli/README.md (a table of the commands), cli/train.py, cli/tour.py
"""
import os
import sys
import time
import warnings
from functools import cache, partial

from scratch_embed import __version__
from scratch_embed.cli import (
    answer,
    classifier,
    convert,
    encode,
    evaluate,
    fasttext,
    figures,
    fill,
    info,
    mine,
    neighbours,
    phrases,
    plot,
    rerank,
    search,
    tour,
    train,
    vectors,
    why,
    worlds,
)
from scratch_embed.cli.parsing import top_parser
from scratch_embed.cli.paths import check_paths, wrong_path_message
from scratch_embed.cli.shell_names import message_of, shell_names
from scratch_embed.numerics.errors import TrainingDiverged
from scratch_embed.numerics.files import named_errors

GROUPS = {                         # the titles in --help: the files whose commands they list
    "train": (phrases, train, mine),
    "use": (vectors, plot, fasttext, classifier, encode, fill, search, rerank, neighbours,
            convert, info),
    "evaluate": (evaluate, worlds),
    "explain": (tour, figures, why, answer),
}


def main(argv=None):
    """Run one command; return its exit code."""
    started = time.time()
    arguments = parser().parse_args(argv)              # exits with code 2 if the command is wrong
    if hasattr(sys.stdout, "reconfigure"):             # bytes that are not UTF-8, in the words of
        sys.stdout.reconfigure(errors="surrogateescape")      # some models, are printed unchanged
    try:
        with warnings.catch_warnings(), named_errors("standard output"):
            warnings.showwarning = partial(print_warning, arguments)
            if arguments.check:
                arguments.check(arguments)             # code 2 if options contradict each other
            check_paths(arguments)
            arguments.run(arguments)
            if sys.stdout is not None:                 # None if it was closed
                sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        print("\nstopped" + resume_hint(arguments, stopped, started), file=sys.stderr)
        return 130
    except BrokenPipeError:                            # `scratch-embed ... | head` stops reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, KeyError, TrainingDiverged, OSError, MemoryError,
            ModuleNotFoundError) as error:
        message = wrong_path_message(arguments) or message_of(error, arguments)
        print(f"scratch-embed: {message}", file=sys.stderr)
        return 1
    return 0


def print_warning(arguments, message, *_):
    """Print a warning on one line of stderr."""
    print(f"scratch-embed: warning: {shell_names(str(message), arguments)}", file=sys.stderr)


def resume_hint(arguments, stopped, started):
    """How to continue a stopped run; empty if the command has no --checkpoint.

    started: when the command began, in seconds since 1970.
    A HeldInterrupt says that the checkpoint was saved before Ctrl-C took effect.
    """
    from scratch_embed.numerics.interrupt import HeldInterrupt
    if not hasattr(arguments, "checkpoint"):
        return ""
    path = arguments.checkpoint
    if not path:
        if written_since(started, arguments.output):
            return f"; {arguments.output} is written and complete"
        return (f"; this run is lost, and nothing was written to {arguments.output}; with "
                "--checkpoint FILE a run can be continued: its state is saved every minute and at "
                "Ctrl-C")
    return (f"; the state is saved in {path}: repeat the command with --resume to continue"
            if isinstance(stopped, HeldInterrupt) else "")


def written_since(started, output):
    """Whether a file, or the config.json of a folder, was written after a time."""
    path = os.path.join(output, "config.json") if os.path.isdir(output) else output
    return os.path.exists(path) and os.stat(path).st_mtime >= started


@cache
def parser():
    """The parser of all commands.  It is made once, which takes longer than a simple command."""
    return top_parser(GROUPS, __version__)
