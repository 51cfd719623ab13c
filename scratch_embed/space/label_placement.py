"""Label placement: put the labels of points beside them, so that no label overlaps another one.

Method    each label in turn takes the first free position around its point: to the right, above,
          to the left, below, then on the diagonals; then the same further away, in RINGS steps
Shapes    points (N, 2), sizes (N, 2) of the labels, both in pixels -> corners (N, 2), the lower
          left corner of each label; nan for a label without a free position
Cost      O(N²) comparisons of rectangles for each of 8 · RINGS positions: for hundreds of labels
Differs   adjustText optimises all labels together; this is greedy, so it may leave out a label that
          could be placed in another order
Read next plotting.py (its only use)
"""
import numpy as np

RINGS = 8                          # distances that are tried
DIRECTIONS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)])


def place_labels(points: np.ndarray, sizes: np.ndarray, box: tuple[float, float, float, float],
                 gap: float) -> np.ndarray:
    """The lower left corner of each label -> (N, 2), nan where it has no free position.

    box: left, bottom, right, top of the area for labels
    gap: between a point and its label; a label is at least gap/2 away from every other point

    >>> place_labels(np.array([[10, 10], [14, 10]]), np.array([[20, 8], [20, 8]]), (0, 0, 99, 99),
    ...              gap=2).tolist()
    [[0.0, 12.0], [4.0, 0.0]]
    """
    points, sizes = np.asarray(points, float), np.asarray(sizes, float)
    corners, taken = np.full_like(points, np.nan), np.empty((0, 4))
    dots = np.concatenate([points - gap / 2, points + gap / 2], axis=1)
    for n, (point, size) in enumerate(zip(points, sizes)):
        for corner in positions(point, size, gap):
            label = np.concatenate([corner, corner + size])
            inside = (corner >= box[:2]).all() and (corner + size <= box[2:]).all()
            if inside and not overlaps(label, taken).any() and not overlaps(label, dots).any():
                corners[n] = corner
                taken = np.vstack([taken, label])
                break
    return corners


def positions(point: np.ndarray, size: np.ndarray, gap: float) -> np.ndarray:
    """The corners to try for a label of this size, the nearest to its point first -> (P, 2)."""
    centres = [point + direction * (size / 2 + gap + ring * size[1] * 0.75)
               for ring in range(RINGS) for direction in DIRECTIONS]
    return np.array(centres) - size / 2


def overlaps(rectangle: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether a rectangle (left, bottom, right, top) overlaps each of (M, 4) -> (M,) bool."""
    by_axis = (rectangle[:2] < others[:, 2:]) & (others[:, :2] < rectangle[2:])      # (M, 2)
    return np.all(by_axis, axis=1)
