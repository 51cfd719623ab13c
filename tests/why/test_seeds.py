"""Measurements for several seeds: in their order, whichever ends first, and stacked by name."""
from time import sleep

import numpy as np
import pytest

from scratch_embed.why.seeds import for_seeds, over_seeds, per_seed, stack


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_in_the_order_of_the_seeds_although_the_first_takes_longest(workers):
    def measure(seed):
        sleep(0.02 if seed == 5 else 0)
        return 10 * seed
    assert for_seeds(measure, [5, 1, 3], workers=workers) == [50, 10, 30]
    assert per_seed(measure, (5, 1)) == {5: 50, 1: 10}


def test_rows_of_several_seeds():
    """nan: does not apply."""
    rows = stack(for_seeds(lambda seed: {"a": [seed, 2 * seed], "b": [0, np.nan]}, [1, 2, 3]))
    assert rows["a"].tolist() == [[1, 2], [2, 4], [3, 6]] and rows["b"].shape == (3, 2)
    assert over_seeds(lambda seed: {"a": seed}, [2, 1])["a"].tolist() == [2, 1]
