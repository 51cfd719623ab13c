"""Checks of the text that a command reads, from its first bytes: it has words, and is a text.

Word vectors are UTF-8 text too, so that training on them would work, and mean nothing.
"""
import re

from scratch_embed.numerics.errors import FormatError

SAMPLE = 1 << 16                   # bytes that are inspected
BLANK = b" \t\n\r\v\f\0"
NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)")
FRACTION = re.compile(rb"[.eE]")
NO_WORDS = "expected a text with words, found none"


def sample_of(path):
    """(the first bytes of a file, decompressed; whether they are all of it).

    If the sample is blank, it is the next that is not.  Raises what open_binary() does.
    """
    from scratch_embed.numerics.files import open_binary
    with open_binary(path) as (file, _):
        start = file.read(SAMPLE)
        while start and not start.strip(BLANK):
            start = file.read(SAMPLE)
        return start, not file.read(1)


def require_words(path):
    """Raise ValueError if a file is blank or word vectors.  What is damaged is left to its reader.
    """
    try:
        start, complete = sample_of(path)
    except (FormatError, OSError):
        return
    if not start:
        raise ValueError(f"{path}: {NO_WORDS}")
    if are_vectors(start, complete):
        raise ValueError(f"{path}: expected a text, found word vectors; `similar`, `encode` and "
                         "`index --model` take them")


def are_vectors(start, complete):
    """Whether the first bytes of a file are those of word vectors, of word2vec, GloVe or fastText.

    Either the first line is the header "V D", and a word and D numbers are on each line after it,
    or after it are bytes that are not a text (word2vec's binary format); or each line has a word of
    its own and equally many numbers, 2 or more, with a decimal point or exponent somewhere: texts
    of ids in place of words are whole numbers.

    complete: whether `start` is the whole file; otherwise its last line is left out.

    >>> are_vectors(b"2 3\\nking 1 0 2\\nqueen 1 1 2\\n", True)
    True
    >>> are_vectors(b"the king\\nthe queen\\n", True)
    False
    """
    header, _, rest = start.partition(b"\n")
    sizes = header.removeprefix(b"\xef\xbb\xbf").split()
    has_header = len(sizes) == 2 and all(re.fullmatch(rb"\d{1,9}", size) for size in sizes)
    rows = (rest if has_header else start).split(b"\n")
    if not complete:
        rows.pop()
    rows = [fields for row in rows if (fields := row.split())]
    if has_header:
        count, dim = map(int, sizes)
        if not complete and not rows or is_binary_row(rest, dim):
            return is_binary_row(rest, dim)
        right_count = len(rows) == count if complete else len(rows) <= count
        return bool(rows) and right_count and all(is_row(row, dim) for row in rows)
    dim = len(rows[0]) - 1 if rows else 0
    return (dim >= 2 and len({row[0] for row in rows}) == len(rows)
            and all(is_row(row, dim) for row in rows)
            and any(FRACTION.search(number) for row in rows for number in row[1:]))


def is_row(fields, dim):
    """Whether the fields of a line are a word and `dim` numbers."""
    return len(fields) == dim + 1 and all(map(NUMBER.fullmatch, fields[1:]))


def is_binary_row(rest, dim):
    """Whether what follows a header "V D" begins with a word, a space and D float32 numbers."""
    from scratch_embed.numerics.binary_kinds import could_be_text
    word, space, numbers = rest.partition(b" ")
    return bool(word and space and dim) and not could_be_text(numbers[:4 * dim])
