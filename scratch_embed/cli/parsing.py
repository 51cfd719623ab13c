"""Declare commands and options: the parser, help, options that commands share, numbers, old names.

Every option that several commands have is declared here once, so that it has one name, one metavar
and one sentence: -k/--top, --errors, --json.  cli/help.py lays out what --help prints.
"""
import argparse
import difflib
import math
import os
import re
import sys

from scratch_embed.cli.help import HelpFormatter, description, example_of, listed_commands
from scratch_embed.cli.other_names import name_here

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
REPLACED = {                       # an option that another kind of argument replaces: the sentence
    "--input": "--input is now the second argument, TEXT",
    "-i": "-i is now the second argument, TEXT",
}
LARGEST = 2**31 - 1                # of a whole number: the largest int32, the type of most indices
NUMBER = re.compile(r"-\d+|-\d*\.\d+")                # argparse takes these as values


class CommandParser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, printed by the command that was typed."""

    summary = ""                                       # what the list of commands says of it
    others = {}                                        # {option: commands that have it}, of all

    def __init__(self, **settings):
        super().__init__(formatter_class=HelpFormatter, allow_abbrev=False, **settings)
        self._positionals.title = "arguments"

    def add_subparsers(self, **settings):
        """As argparse; the usage of a subcommand begins with the words that were typed."""
        title = f"{settings['metavar'].lower()}s" if "metavar" in settings else None
        action = super().add_subparsers(prog=self.prog, title=title, **settings)
        self._action_groups.insert(0, self._action_groups.pop())     # the help begins with them
        return action

    def error(self, message):
        """Exit with code 2 and one line on stderr."""
        message = message.removeprefix("argument ").replace("with argument", "with")
        option, _, problem = message.partition(": ")
        if problem == "expected one argument":
            name = option.split("/")[-1]
            message = f"{option}: expected a value after it; write {name}=VALUE if it begins with -"
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_known_args(self, args=None, namespace=None):
        """As argparse; but this command itself refuses what it does not know."""
        given = sys.argv[1:] if args is None else list(args)
        refuse_unknown(self, given)
        namespace, left = super().parse_known_args(given, namespace)
        if left:
            self.error(moved_value(self, given) or f"unexpected argument {left[0]!r}")
        return namespace, left


def subcommands(parser):
    """{name: parser} of the subcommands of a parser; empty if it has none."""
    return next((action.choices for action in parser._actions
                 if isinstance(action, argparse._SubParsersAction)), {})


def refuse_unknown(parser, given):
    """Exit with code 2 if `given` has an unknown option or subcommand; name the nearest.

    argparse alone would complain of missing arguments first, and in the name of the top command.
    """
    known, commands = parser._option_string_actions, subcommands(parser)
    for text in given:
        if text == "--":
            return
        if text.startswith("-") and len(text) > 1 and " " not in text and not NUMBER.match(text):
            name = text.partition("=")[0]
            # argparse would read -output as -o with the value utput
            if name not in known and (text[:2] not in known or f"-{name}" in known):
                parser.error(unknown_option(parser, name))
        elif commands:
            if text not in commands:
                parser.error(unknown_command(parser, text))
            return                                     # the rest belongs to the subcommand


def unknown_option(parser, name):
    """The message about an option that a command does not have."""
    known = parser._option_string_actions
    if name in REPLACED and not subcommands(parser):
        return REPLACED[name]
    if name in RENAMED:
        return (f"{name} is now {RENAMED[name]}" if RENAMED[name] in known else
                f"unknown option {name}; other commands have it, by the name {RENAMED[name]}")
    shown = [option for option, action in known.items() if action.help != argparse.SUPPRESS]
    here = name_here(name, shown)
    if here and here.split()[0] in shown:
        return f"{name} is {here} here"
    if here and not subcommands(parser):
        return f"unknown option {name}; other commands have it, by the name {here}"
    if name in parser.others:
        return f"unknown option {name}; it belongs to {listed(parser.others[name])}"
    close = ([option for option in shown if option.startswith(f"{name}-")]
             or difflib.get_close_matches(name, shown, 1))
    nearest = f"; the nearest is {'/'.join(known[close[0]].option_strings)}" if close else ""
    return f"unknown option {name}{nearest}"


def listed(names, most=3):
    """The first of some names, and how many there are besides."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} other commands" if more > 1 else
                                      f" and {names[most]}" if more == 1 else "")


def unknown_command(parser, name):
    """The message about a command that does not exist."""
    commands = subcommands(parser)
    inner = [f"{outer} {name}" for outer, group in commands.items() if name in subcommands(group)]
    close = inner or difflib.get_close_matches(name, commands, 1)
    hint = f"; the nearest is {' or '.join(close)}" if close else (
        f": expected {', '.join(commands)}")
    return f"unknown command {name!r}{hint}"


def moved_value(parser, given):
    """The message about a value of --json, which named a folder until version 0.1; else None."""
    if "--results-folder" in parser._option_string_actions and "--json" in given:
        return ("--json takes no value; it prints the scores.  `--json FOLDER` is now "
                "--results-folder FOLDER")
    return None


# ---- commands -----------------------------------------------------------------------------------

def add_command(commands, name, help, example, run=None, details="", check=None):
    """Add a subcommand; `run(arguments)` executes it.  -> its parser

    help: one short sentence, for the lists of commands too; details: further sentences.
    check: check(arguments) exits with code 2 if options contradict each other; it runs first.
    """
    command = commands.add_parser(name, help=help.replace("%", "%%"),
                                  description=description(help, details),
                                  epilog=example_of(example))
    command.summary = help
    command.set_defaults(run=run, check=check, command=command, usage_error=command.error)
    return command


def refuse_old_names(command, *names):
    """Make each of these old names (keys of RENAMED) an error; the help does not show them."""
    for name in names:
        refuse_option(command, name, None)


def refuse_option(command, name, message):
    """Make an option of a related command an error with this message; the help does not show it."""
    command.add_argument(name, action=_Refuse, nargs="?", default=argparse.SUPPRESS,
                         const=message, help=argparse.SUPPRESS)


class _Refuse(argparse.Action):
    """An option that ends the command with exit code 2: its message, or its new name."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.error(self.const or f"{option_string} is now {RENAMED[option_string]}")


def top_parser(groups, version):
    """The parser of all commands.  groups: {title: the modules that add its commands}."""
    top = CommandParser(prog="scratch-embed", epilog=example_of("scratch-embed tour"))
    top.add_argument("--version", action="version", version=f"scratch-embed {version}",
                     help="print the version and exit")
    commands = top.add_subparsers(metavar="COMMAND", required=True, help=argparse.SUPPRESS)
    listed = {}
    for title, modules in groups.items():
        before = set(commands.choices)
        for module in modules:
            module.add_commands(commands)
        listed[title] = [line for name, command in commands.choices.items() if name not in before
                         for line in leaves(name, command)]
    share_options(top)
    top.description = ("Embeddings from scratch in NumPy and Numba.\n\n"
                       f"{listed_commands(listed)}\n\n`scratch-embed COMMAND --help` explains a "
                       "command.")
    return top


def share_options(top):
    """Tell each command which options the others have, for the message about an unknown option."""
    found = {}

    def visit(parser, path):
        for option, action in parser._option_string_actions.items():
            if path and action.help != argparse.SUPPRESS and option not in ("-h", "--help"):
                found.setdefault(option, []).append(" ".join(path))
        parser.others = found
        for name, inner in subcommands(parser).items():
            visit(inner, [*path, name])
    visit(top, [])


def leaves(name, command):
    """(name, summary) of a command, or of each of its subcommands."""
    inner = subcommands(command)
    if not inner:
        return [(name, command.summary)]
    return [leaf for sub, parser in inner.items() for leaf in leaves(f"{name} {sub}", parser)]


# ---- options that commands share ---------------------------------------------------------------

def add_top(command, default, help, depends=None):
    """Add -k and --top: how many results.

    depends: the default in words, if it depends on other options; then it is None at first
    """
    command.add_argument("-k", "--top", type=whole(1, 10**18), default=None if depends else default,
                         metavar="N", help=f"{help} (default: {depends or default})")


def add_errors(command):
    """Add --errors: what to do with bytes that are not UTF-8."""
    command.add_argument("--errors", choices=["strict", "replace", "ignore"], default="strict",
                         help="what to do with bytes that are not UTF-8: stop with an error, write "
                              "U+FFFD in their place, or leave them out (default: %(default)s)")


def add_json(command, shape):
    """Add --json: print JSON of that shape instead of a table."""
    command.add_argument("--json", action="store_true", help=f"print JSON instead: {shape}")


# ---- numbers ------------------------------------------------------------------------------------

def whole(least, most=LARGEST):
    """An argparse type: a whole number from `least` to `most`."""
    def parse(text):
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, "
                                             f"got {text!r}")
        if number > most:
            raise argparse.ArgumentTypeError(f"expected a whole number of at most {most:,}, "
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


def unbroken(text):
    """An argparse type: a text without white space."""
    if text.split() not in ([], [text]):
        raise argparse.ArgumentTypeError(f"expected no white space, at which a phrase would be "
                                         f"split again, got {text!r}")
    return text


# ---- files that will be written -----------------------------------------------------------------

def require_folder(path):
    """Raise OSError or ValueError if `path` is not a folder that can be written to, or made."""
    if path in ("", "-"):
        raise ValueError(f"the output: expected the name of a folder, got {path!r}")
    above = os.path.realpath(path)
    while not os.path.exists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        where = f"{path}: " if os.path.realpath(path) == above else f"{path}: {above}: "
        raise NotADirectoryError(f"{where}expected the name of a folder, got a file; choose "
                                 "another")
    if above not in (os.path.realpath(path), os.path.dirname(os.path.realpath(path))):
        raise FileNotFoundError(f"cannot write {path}: there is no folder "
                                f"{os.path.dirname(os.path.realpath(path))}")
    if not os.access(above, os.W_OK):
        raise PermissionError(f"cannot write {path}: the folder {above} is write-protected")


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
            raise ValueError(f"{path} is the input itself; write to another file")
