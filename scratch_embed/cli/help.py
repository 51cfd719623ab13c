"""What --help prints: usage, paragraphs of at most 79 columns, options in one order, examples."""
import argparse
import textwrap

WIDTH = 79
# options that many commands share stand behind a command's own, in this order
LAST = ("--workers", "--seed", "--errors", "--on-disk", "--checkpoint", "--resume", "--json")


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
        """Add the arguments or options of a section; those in LAST at the end."""
        super().add_arguments(sorted(actions, key=lambda action: max(
            (LAST.index(name) + 1 for name in action.option_strings if name in LAST), default=0)))

    def _format_action_invocation(self, action):
        """-o, --output FILE; argparse would print -o FILE, --output FILE."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    def _split_lines(self, text, width):
        """Wrap at spaces only: argparse would also break gzip-compressed."""
        return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def description(help, details=""):
    """The paragraphs at the top of a command's help: a sentence, and more in `details`."""
    sentence = f"{help[0].upper()}{help[1:]}"
    parts = [sentence if sentence.endswith(".") else f"{sentence}.", details]
    return "\n\n".join(textwrap.fill(part, WIDTH, break_on_hyphens=False) for part in parts if part)


def example_of(command):
    """The last lines of a command's help; a long example is continued as a shell continues it."""
    lines = textwrap.wrap(command, WIDTH - 4, initial_indent="  ", subsequent_indent="      ",
                          break_on_hyphens=False, break_long_words=False)
    return "example:\n" + " \\\n".join(lines)


def listed_commands(groups):
    """The commands by group, one per line.  groups: {title: [(name, what it does)]}."""
    width = max(len(name) for rows in groups.values() for name, _ in rows) + 4
    lines = []
    for title, rows in groups.items():
        lines += ["", f"{title}:"]
        lines += [textwrap.fill(help, WIDTH, initial_indent=f"  {name}".ljust(width),
                                subsequent_indent=" " * width) for name, help in rows]
    return "\n".join(lines[1:])
