"""Label placement: put the labels of points beside them, so that no label overlaps another one.

Method    each label in turn takes the first free of the positions around its point: to the right,
          above, left, below and the diagonals; then the same further away, in RINGS steps
Shapes    points (N, 2), sizes (N, 2) of the labels, both in pixels -> corners (N, 2), the lower
          left corner of each label; nan for a label without a free position
Cost      O(N²) comparisons of rectangles for each of 8 · RINGS positions: for hundreds of labels
Differs   from optimising all labels together (adjustText): greedy, so a later label may be left out
          that another order could place
Read next plotting.py (its only use)
"""
import numpy as np

RINGS = 8                          # distances that are tried
DIRECTIONS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)])


def place_labels(points: np.ndarray, sizes: np.ndarray, box: tuple[float, float, float, float],
                 gap: float) -> np.ndarray:
    """The lower left corner of each label -> (N, 2), nan where it has no free position.

    box: left, bottom, right, top of the area for labels; gap: between a point and its label, and
    the smallest distance of a label from any other point.

    >>> place_labels(np.array([[10, 10], [14, 10]]), np.array([[20, 8], [20, 8]]), (0, 0, 99, 99),
    ...              gap=2).tolist()
    [[0.0, 12.0], [4.0, 0.0]]
    """
    points, sizes = np.asarray(points, float), np.asarray(sizes, float)
    corners, taken = np.full_like(points, np.nan), np.empty((0, 4))
    dots = np.concatenate([points - gap / 2, points + gap / 2], axis=1)
    for n, (point, size) in enumerate(zip(points, sizes)):
        for at in positions(point, size, gap):
            label = np.concatenate([at, at + size])
            inside = (at >= box[:2]).all() and (at + size <= box[2:]).all()
            if inside and not overlaps(label, taken).any() and not overlaps(label, dots).any():
                corners[n] = at
                taken = np.vstack([taken, label])
                break
    return corners


def positions(point: np.ndarray, size: np.ndarray, gap: float) -> np.ndarray:
    """The corners to try for a label of this size, the nearest to its point first -> (P, 2)."""
    centres = [point + way * (size / 2 + gap + ring * size[1] * 0.75)
               for ring in range(RINGS) for way in DIRECTIONS]
    return np.array(centres) - size / 2


def overlaps(rectangle: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether a rectangle (left, bottom, right, top) overlaps each of (M, 4) -> (M,) bool."""
    sides = (rectangle[:2] < others[:, 2:]) & (others[:, :2] < rectangle[2:])
    return np.all(sides, axis=1)
