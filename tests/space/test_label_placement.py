"""Label placement: inside the box, not over another label or a point."""
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.space.label_placement import overlaps, place_labels

BOX = (0.0, 0.0, 300.0, 200.0)


def test_a_single_label_is_placed_to_the_right_of_its_point():
    corners = place_labels([[50, 60]], [[40, 10]], BOX, gap=3)
    np.testing.assert_array_equal(corners, [[53, 55]])


def test_at_the_right_edge_a_label_is_placed_above_its_point():
    corners = place_labels([[290, 60]], [[10, 10]], BOX, gap=3)
    np.testing.assert_array_equal(corners, [[285, 63]])


def test_a_label_larger_than_the_box_is_not_placed():
    assert np.isnan(place_labels([[50, 60]], [[400, 10]], BOX, gap=3)).all()


@given(st.integers(0, 1000), st.integers(1, 60))
def test_no_label_covers_another_label_or_a_point(seed, N):
    rng = np.random.default_rng(seed)
    points = rng.uniform((5, 5), (295, 195), (N, 2))
    sizes = np.stack([rng.uniform(5, 60, N), np.full(N, 10)], axis=1)
    corners = place_labels(points, sizes, BOX, gap=3)
    placed = np.flatnonzero(~np.isnan(corners[:, 0]))
    boxes = np.concatenate([corners, corners + sizes], axis=1)
    for n in placed:
        others = placed[placed != n]
        assert not overlaps(boxes[n], boxes[others]).any()
        assert not overlaps(boxes[n], np.concatenate([points, points], axis=1)).any()
        assert (boxes[n, :2] >= BOX[:2]).all() and (boxes[n, 2:] <= BOX[2:]).all()
