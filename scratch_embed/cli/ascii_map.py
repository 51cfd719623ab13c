"""A scatter plot of words in plain text."""
import numpy as np


def ascii_map(words, xy, width=72, height=20):
    """Plot each word at its coordinates, in lines of text; the axes are scaled to fill the plot.

    A word that would cover another moves to the nearest free line above or below; if no line is
    free, the word is left out.  words: N strings, xy: (N, 2) -> lines, the words left out
    """
    xy = np.asarray(xy, np.float64)
    extent = np.ptp(xy, axis=0)
    positions = (xy - xy.min(0)) / np.where(extent > 0, extent, 1)        # 0..1
    grid = [[" "] * width for _ in range(height)]
    left_out = []
    for word, (x, y) in zip(words, positions):
        column = round(x * max(width - len(word), 0))
        row = round((1 - y) * (height - 1))
        for line in sorted(range(height), key=lambda line, row=row: abs(line - row)):
            cells = grid[line][max(column - 1, 0):column + len(word) + 1]
            if set(cells) == {" "} and column + len(word) <= width:
                grid[line][column:column + len(word)] = word
                break
        else:
            left_out.append(word)
    return ["".join(line).rstrip() for line in grid], left_out
