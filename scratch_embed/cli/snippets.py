"""A snippet: the part of a text with the most words of a query, on one line."""
import re

WORD = re.compile(r"\w+")
CUT = "…"                          # stands where the text goes on


def snippet(text, query, width):
    """At most about `width` characters of a text, on one line, cut at white space.

    The part with the most different words of the query is chosen, the first of equal ones; letters
    are compared without their case.  A text without any of them gives its beginning.

    >>> snippet("one two three four five six", "FIVE", 15)
    '… four five six'
    """
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    start = best_start(line, {word.casefold() for word in WORD.findall(query)}, width)
    end = start + width
    if end >= len(line):
        start, end = len(line) - width, len(line)
    if start and " " in line[start:end]:
        start = line.index(" ", start - 1) + 1             # not within a word
    if end < len(line) and " " in line[start:end + 1].rstrip():
        end = line.rindex(" ", start, end + 1)
    return f"{f'{CUT} ' * (start > 0)}{line[start:end]}{f' {CUT}' * (end < len(line))}"


def best_start(line, wanted, width):
    """Where the window of `width` characters with the most different wanted words begins."""
    found = [match for match in WORD.finditer(line) if match[0].casefold() in wanted]
    best, start, first, inside = 0, 0, 0, {}               # inside: {word: times in the window}
    for match in found:
        word = match[0].casefold()
        inside[word] = inside.get(word, 0) + 1
        while match.end() - found[first].start() > width and first < len(found) - 1:
            left = found[first][0].casefold()
            inside[left] -= 1
            if not inside[left]:
                del inside[left]
            first += 1
        if len(inside) > best:
            # the words in the middle of the window
            room = max(0, width - (match.end() - found[first].start()))
            best, start = len(inside), max(0, found[first].start() - room // 2)
    return start
