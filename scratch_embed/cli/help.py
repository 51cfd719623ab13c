"""What --help prints: usage, paragraphs of at most 79 columns, options in one order, examples."""
import argparse
import re
import textwrap

WIDTH = 79
# the options that many commands share stand before and after a command's own, in this order
FIRST = ("--help", "--output", "--model", "--sif", "--tokenizer", "--keep-case", "--apostrophes",
         "--min-count", "--max-vocab-size")
LAST = ("--steps", "--epochs", "--batch-size", "--lr", "--warmup-ratio", "--dropout", "--held-out",
        "--eval-steps", "--workers", "--seed", "--errors", "--on-disk", "--checkpoint", "--resume",
        "--json")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """A formatter of help: the usage shows only what is required; the options follow below it."""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=26, width=WIDTH)

    def add_usage(self, usage, actions, groups, prefix=None):
        """Add "usage: scratch-embed COMMAND ARGUMENT -o FILE [options]"."""
        shown = [action for action in actions if not action.option_strings]
        parts = [self._format_args(action, action.dest) for action in shown]
        for action in actions:
            if action.option_strings and action.required:
                value = self._format_args(action, action.dest.upper())
                parts.append(f"{action.option_strings[0]} {value}")
        if not any(action.nargs == argparse.PARSER for action in shown):
            parts.append("[options]")
        super().add_usage(" ".join([self._prog, *parts]).replace("%", "%%"), [], [], prefix)

    def add_arguments(self, actions):
        """Add the arguments or options of a section, in the order of FIRST and LAST."""
        super().add_arguments(sorted(actions, key=place))

    def _format_action(self, action):
        """The subcommands one per line; argparse would break a line after a longer name."""
        if isinstance(action, argparse._SubParsersAction):
            rows = [(inner.dest, inner.help % {}) for inner in action._choices_actions]
            return listed_commands({"": rows}).removeprefix(":\n") + "\n"
        return super()._format_action(action)

    def _format_action_invocation(self, action):
        """-o, --output FILE; argparse would print -o FILE, --output FILE."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    def _get_help_string(self, action):
        """The help of an option; a default of a thousand or more as 2,000."""
        if type(action.default) is int and action.default >= 1000:
            return action.help.replace("%(default)s", f"{action.default:,}")
        return action.help

    def _split_lines(self, text, width):
        """Wrap at spaces only: argparse would also break gzip-compressed."""
        return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def place(action):
    """The place of an option among the others of a command."""
    name = (action.option_strings or [""])[-1]
    if name in FIRST:
        return FIRST.index(name) - len(FIRST)
    return LAST.index(name) + 1 if name in LAST else 0


def description(help, details=""):
    """The paragraphs at the top of a command's help: a sentence, and more in `details`."""
    sentence = f"{help[0].upper()}{help[1:]}"
    parts = [sentence if sentence.endswith(".") else f"{sentence}.", details]
    return "\n\n".join(textwrap.fill(part, WIDTH, break_on_hyphens=False) for part in parts if part)


def example_of(command):
    """The last lines of a command's help; a long example is continued as a shell continues it."""
    # an option is not parted from its value
    together = re.sub(r"( -\S+) (?=[^-\s])", "\\1\0", command)
    lines = textwrap.wrap(together, WIDTH - 4, initial_indent="  ", subsequent_indent="      ",
                          break_on_hyphens=False, break_long_words=False)
    return "example:\n" + " \\\n".join(lines).replace("\0", " ")


def listed_commands(groups):
    """The commands by group, one per line.  groups: {title: [(name, what it does)]}."""
    width = max(len(name) for rows in groups.values() for name, _ in rows) + 4
    lines = []
    for title, rows in groups.items():
        lines += ["", f"{title}:"]
        lines += [textwrap.fill(help, WIDTH, initial_indent=f"  {name}".ljust(width),
                                subsequent_indent=" " * width) for name, help in rows]
    return "\n".join(lines[1:])
