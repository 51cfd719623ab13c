"""A map in letters: words at their places in the plane."""
import numpy as np


def ascii_map(words, xy, width=72, height=20):
    """Lines of text with each word where xy (N, 2) puts it; axes are stretched to fill the map.

    A word that would cover another moves to the nearest free line above or below, or is left out
    where there is none.  Return (lines, the words that were left out).
    """
    xy = np.asarray(xy, np.float64)
    spread = np.ptp(xy, axis=0)
    places = (xy - xy.min(0)) / np.where(spread > 0, spread, 1)           # 0..1
    grid = [[" "] * width for _ in range(height)]
    left_out = []
    for word, (x, y) in zip(words, places):
        column = round(x * max(width - len(word), 0))
        wanted = round((1 - y) * (height - 1))
        for line in sorted(range(height), key=lambda line, wanted=wanted: abs(line - wanted)):
            around = grid[line][max(column - 1, 0):column + len(word) + 1]
            if set(around) == {" "} and column + len(word) <= width:
                grid[line][column:column + len(word)] = word
                break
        else:
            left_out.append(word)
    return ["".join(line).rstrip() for line in grid], left_out
