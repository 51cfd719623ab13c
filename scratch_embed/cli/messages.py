"""Print messages to stderr, since stdout is for data."""
import sys


def say(*message):
    """Print a message to stderr; stdout is for data."""
    print(*message, file=sys.stderr)


def say_of(path):
    """The function that prints a sentence about a file, after its name."""
    return lambda sentence: say(f"{path}: {sentence}")
