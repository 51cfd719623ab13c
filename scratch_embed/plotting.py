"""plot(): a map of words on the two directions in which they differ most; needs matplotlib.

Equation  xy = (u − ū) · (c₁, c₂):  u the vectors of the shown words, scaled to norm 1, ū their
          mean, c₁ and c₂ their first two principal components
          share of an axis = its variance / the variance of all D dimensions of these words
Cost      that of space/geometry.py's pca for the shown words; without given words, a search of the
          nearest rows among the AMONG most frequent words
Read next space/close_groups.py (which words), space/label_placement.py (where their names stand),
          cli/plot.py (`scratch-embed plot`)

Both axes have the same scale, so that distances in the map can be compared.  The shares say how
much of the truth the map shows: with two axes at 20 % together, words that look near may be far
from each other, so look at cosines (`similar`) before drawing conclusions.
"""
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.close_groups import close_groups
from scratch_embed.space.geometry import pca, project
from scratch_embed.space.label_placement import place_labels
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.tables import as_text
from scratch_embed.words.vectors import WordVectors

AMONG = 2000                       # the most frequent words, from which close groups are chosen
# eight colours of Okabe & Ito, which colour-blind readers can distinguish; yellow is darkened
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#A58E00", "#E69F00")
MARKERS = "osD^vP*X"               # one per COLOURS, so that the groups differ in print too
GAP = 3.5                          # points between a word and its mark

Vectors = WordVectors | FastTextVectors
Words = Iterable[str] | Mapping[str, Iterable[str]]


def plot(vectors: Vectors, words: Words | None = None, near: str | Iterable[str] | None = None,
         groups: int = 8, topn: int = 8, title: str | None = None, ax: Any = None) -> Any:
    """Draw words on their first two principal components, a colour per group -> matplotlib's Axes.

    words    the words to show: a list, or {name of the group: words}
    near     instead of `words`: a word or several, each shown with its `topn` nearest neighbours
    groups   without both: so many close groups of `topn` words among the frequent words
    ax       the Axes to draw on; default: those of a new figure

    Axes have equal scales, and labels state the share of the variance.  Names do not overlap in the
    figure's present size; a warning says how many words have no room for their name.
    Raises ValueError for fewer than two words or dimensions, MissingWord for an unknown word,
    ModuleNotFoundError without matplotlib.

    >>> words = WordVectors(["king", "queen", "cat"], [[3, 1, 0], [3, 2, 0], [0, 1, 3]])
    >>> ax = plot(words, near=["king"], topn=2)                                # doctest: +SKIP
    >>> ax.figure.savefig("map.svg")                                           # doctest: +SKIP
    """
    import_matplotlib("plot()")
    if words is not None and near is not None:
        raise ValueError("words, near: expected one of them, got both")
    shown = (close_words(vectors, groups, topn) if words is None and near is None
             else neighbours(vectors, near, topn) if words is None else as_groups(words))
    names = [name for group in shown for name in group]
    xy, shares = coordinates(vectors, names)
    if ax is None:
        from matplotlib import pyplot
        _, ax = pyplot.subplots(figsize=(9, 7), layout="constrained")
    draw(ax, shown, xy, shares, title)
    return ax


def import_matplotlib(what: str) -> Any:
    """The module matplotlib.  Raises ModuleNotFoundError that says how to install it for `what`."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{what} needs matplotlib: pip install 'scratch-embed[plot]', "
                                  "or in a checkout  pip install -e '.[plot]'") from None
    return matplotlib


# ---- which words --------------------------------------------------------------------------------

def as_groups(words: Words) -> list[list[str]]:
    """The groups of words; a word that is in several is only in the first."""
    if isinstance(words, str):
        raise ValueError(f"words: expected a list of words, got one str; try {words!r}.split()")
    taken: set[str] = set()
    groups = []
    for group in words.values() if isinstance(words, Mapping) else [words]:
        groups.append([word for word in dict.fromkeys(group) if word not in taken])
        taken.update(groups[-1])
    return groups


def neighbours(vectors: Vectors, near: str | Iterable[str] | None, topn: int) -> list[list[str]]:
    """Each word of `near` with its `topn` nearest neighbours."""
    chosen = [near] if isinstance(near, str) else list(near or ())
    found = {word: [word, *(other for other, _ in vectors.most_similar(word, topn=topn))]
             for word in chosen}
    return as_groups(found)


def close_words(vectors: Vectors, groups: int, size: int) -> list[list[str]]:
    """`groups` close groups of `size` words, among the AMONG first that begin with a letter.

    The first words of a file are its most frequent ones; this leaves out punctuation and numbers,
    and words without specific neighbours, such as the and of.
    """
    require_whole("groups", groups, 1), require_whole("topn", size, 2)
    table = vectors.words if isinstance(vectors, FastTextVectors) else vectors
    frequent = table.index_to_key[:AMONG]
    candidates = [word for word in frequent if word[:1].isalpha()]
    candidates = candidates if len(candidates) > 1 else frequent
    if len(candidates) < 2:
        raise ValueError(f"vectors: expected at least 2 words, got {len(candidates)}")
    rows = table.unit_rows[[table.key_to_index[word] for word in candidates]]
    found = close_groups(rows, groups, min(size, len(candidates)))
    return [[candidates[row] for row in group] for group in found]


# ---- where --------------------------------------------------------------------------------------

def coordinates(vectors: Vectors, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates (n, 2) of n words, and the share of the variance (2,) along each axis."""
    table = l2_normalize(np.asarray(vectors[words], np.float64).reshape(len(words), -1))[0]
    if min(table.shape) < 2:
        raise ValueError("plot: expected at least 2 words and 2 dimensions, got "
                         f"{table.shape[0]} words of {table.shape[1]} dimensions")
    axes = pca(table, 2)
    total = table.var(axis=0, ddof=1).sum()
    return project(table, axes), axes.variances / total if total > 0 else np.zeros(2)


def draw(ax: Any, groups: list[list[str]], xy: np.ndarray, shares: np.ndarray,
         title: str | None) -> None:
    """Draw the marks, the axes and the names on `ax`.  xy: (n, 2) of all words in order."""
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.12)
    colours, start = [], 0
    for number, group in enumerate(groups):
        colour = COLOURS[number % len(COLOURS)]
        ax.scatter(*xy[start:start + len(group)].T, s=14, color=colour,
                   marker=MARKERS[number // len(COLOURS) % len(MARKERS)])
        colours += [colour] * len(group)
        start += len(group)
    for axis, which, share in zip((ax.xaxis, ax.yaxis), ("first", "second"), shares):
        axis.set_label_text(f"{which} principal component ({100 * share:.0f} % of the variance)")
    if title:
        ax.set_title(title, parse_math=False)
    write_names(ax, [word for group in groups for word in group], xy, colours)


def write_names(ax: Any, words: list[str], xy: np.ndarray, colours: list[str]) -> None:
    """Write each word beside its point, with a line to it if the name is not next to it."""
    figure = ax.get_figure()
    pixel = figure.dpi / 72                                # per point
    beside = dict(xytext=(0, 0), textcoords="offset points", fontsize=9,
                  parse_math=False)                        # "$" may be a word
    names = [ax.annotate(as_text(word), point, color=colour, **beside)
             for word, point, colour in zip(words, xy, colours)]
    for name in names:
        name.set_in_layout(False)
    for _ in range(2):                 # the first sets the limits, the second makes room for ticks
        figure.draw_without_rendering()
    points = ax.transData.transform(xy)
    sizes = np.array([name.get_window_extent().size for name in names])
    corners = place_labels(points, sizes, tuple(ax.get_window_extent().extents), GAP * pixel)
    for name, point, corner, size in zip(names, points, corners, sizes):
        if np.isnan(corner).any():
            name.remove()
            continue
        name.xyann = tuple((corner - point) / pixel)
        edge = np.clip(point, corner, corner + size)       # the label's point nearest to the mark
        if np.linalg.norm(edge - point) > 2 * GAP * pixel:
            line = ax.annotate("", ax.transData.inverted().transform(edge),
                               ax.transData.inverted().transform(point),
                               arrowprops=dict(arrowstyle="-", color=name.get_color(),
                                               linewidth=0.5, shrinkA=0, shrinkB=0))
            line.set_in_layout(False)
    if hidden := int(np.isnan(corners[:, 0]).sum()):
        warnings.warn(f"{hidden} of {len(words)} words have no room for their name: show fewer "
                      "words, or use a larger figure", stacklevel=4)
