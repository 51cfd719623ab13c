"""The queries of a command: texts that are its arguments, or the lines of stdin."""
import sys


def texts_of(given):
    """(iterator over the texts, or over stdin's lines for ["-"]; whether stdin is a terminal)."""
    from scratch_embed.text.corpus import read_lines
    if given != ["-"]:
        return iter(given), False
    lines = (line for line in read_lines("-") if line.strip())
    return lines, sys.stdin is not None and sys.stdin.isatty()


def refuse_blank(arguments, queries):
    """Exit with code 2 if a query has no text."""
    if not all(map(str.strip, queries)):
        arguments.usage_error("QUERY: expected a text, got a blank one")
