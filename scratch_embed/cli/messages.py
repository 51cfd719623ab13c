"""Print messages to stderr, since stdout is for data."""
import sys


def say(*message):
    """Print a message to stderr; stdout is for data."""
    print(*message, file=sys.stderr)
