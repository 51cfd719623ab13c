"""Files of version 0.1 are still read, and its trainings still give the same results.

golden/version_0_1/ contains files, checkpoints of interrupted runs, and results of version 0.1.
golden/version_0_1_trainings.py and version_0_1_files.py define the trainings and the files.

How equal are the results?  They are equal bit for bit on the machine that wrote them, as
`python tests/golden/make_version_0_1.py --compare` shows.  Another machine fuses other
multiplications with additions and adds in another order, so every update can differ by a rounding,
2⁻²⁴ of the sum.  These trainings update a number about a hundred times: that is about a hundred
roundings in the worst case and about ten if they are random.  The largest difference found is 26
roundings, with a BLAS and a compiler that fuse nothing, and in plain Python.  The tests allow 300,
which is 2e-5 of the largest number; a missing step or another random number changes more.
"""
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).with_name("golden")))

from make_version_0_1 import ask, different_files, load_results, roundings
from version_0_1_files import ANSWERS, WRITERS
from version_0_1_trainings import (
    REFUSED,
    STOPPED,
    TRAININGS,
    VERSION_0_1,
    State,
    checkpoint_name,
)

from scratch_embed.numerics.errors import FormatError

ROUNDINGS = 300


@pytest.fixture(scope="module")
def recorded():
    """The results of version 0.1: {name of training or file: {key: array}}."""
    return load_results(VERSION_0_1)


def assert_near(found, recorded, name):
    """Floats are equal to 300 roundings of the largest, all other arrays exactly."""
    assert found.keys() == recorded.keys()
    for key, x in found.items():
        y = recorded[key]
        assert (x.shape, x.dtype) == (y.shape, y.dtype), key
        if x.dtype.kind != "f":
            assert (x == y).all(), key
        elif key == "key biases" and name in TRAININGS:
            assert np.abs(x - y).max() <= largest_difference(TRAININGS[name].keywords), key
        elif x.any() or y.any():
            assert roundings(x, y) <= ROUNDINGS, key


def largest_difference(settings):
    """A bound on the difference of two runs of Adam in a number whose gradient is rounding only.

    A step is at most lr (1 − β₁)/√(1 − β₂) = 3.2 lr long (Kingma & Ba 2015, section 2.1).
    """
    return 2 * 3.2 * settings["lr"] * settings["steps"]


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_gives_the_recorded_result(name, recorded):
    assert_near(ask(VERSION_0_1, name), recorded[name], name)


@pytest.mark.parametrize("name", sorted(STOPPED.keys() & REFUSED))
def test_a_checkpoint_that_cannot_be_resumed_is_refused_with_a_remedy(name, tmp_path):
    path = shutil.copy(VERSION_0_1 / checkpoint_name(name), tmp_path)
    with pytest.raises(FormatError, match=r"written by version 0\.1 .*: finish it with"):
        TRAININGS[name](state=State(path))
    assert Path(path).read_bytes() == (VERSION_0_1 / checkpoint_name(name)).read_bytes()


@pytest.mark.parametrize("name", sorted(STOPPED.keys() - REFUSED))
def test_an_interrupted_run_resumes_to_the_recorded_result(name, recorded, tmp_path):
    path = shutil.copy(VERSION_0_1 / checkpoint_name(name), tmp_path)
    assert_near(TRAININGS[name](state=State(path)), recorded[name], name)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_file_gives_the_recorded_answers(name, recorded):
    assert_near(ask(VERSION_0_1, name), recorded[name], name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_written_with_the_same_bytes(name, tmp_path):
    WRITERS[name](VERSION_0_1, tmp_path)
    assert different_files(VERSION_0_1, tmp_path) == []
