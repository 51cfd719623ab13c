"""close_groups: disjoint groups of the given size, the closest group first."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.close_groups import close_groups


def directions(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_worked_by_hand():
    """Rows at 0, 50, 5, 90, 52, 140 degrees: 50 and 52 are the closest two, then 0 and 5."""
    X = directions(0, 50, 5, 90, 52, 140)
    assert close_groups(X, groups=2, size=2) == [[1, 4], [0, 2]]
    assert close_groups(X, groups=5, size=2)[2:] == [[5, 3]]       # 52 is nearer to 90, but taken
    assert close_groups(X, groups=1, size=3) == [[4, 1, 3]]


@given(st.integers(2, 30), st.integers(1, 5), st.integers(2, 6), st.integers(0, 99))
def test_groups_are_disjoint_and_of_the_given_size(N, groups, size, seed):
    X = l2_normalize(np.random.default_rng(seed).standard_normal((N, 3)))[0]
    if N < size:
        with pytest.raises(ValueError, match=f"at most {N}"):
            close_groups(X, groups, size)
        return
    found = close_groups(X, groups, size)
    rows = [row for group in found for row in group]
    assert 1 <= len(found) <= groups and {len(group) for group in found} == {size}
    assert len(set(rows)) == len(rows)
    closeness = [(X[group[1:]] @ X[group[0]]).mean() for group in found]
    assert all(a >= b - 1e-12 for a, b in zip(closeness, closeness[1:]))
