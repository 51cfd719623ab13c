"""What version 0.1 wrote is still read, and what it trained comes out the same.

golden/version_0_1/ holds files, checkpoints that were stopped midway, and results; all that is
asked here of the package stands in golden/version_0_1_trainings.py and version_0_1_files.py.

How near is the same?  To the bit on the machine that wrote the results, where
`python tests/golden/make_version_0_1.py --compare` shows it.  Another machine fuses other products
with sums, and adds in another order, so that each step rounds otherwise, by 2⁻²⁴ of what it adds
up.  A number is stepped some hundred times in these trainings: it differs by some hundred roundings
if all of them err the same way, by some ten if they err by chance.  At most 26 were seen, with a
BLAS and a compiler that fuse nothing, and in plain Python.  300 roundings are 2e-5 of the largest
number: a step left out, or another random number, changes more than that.
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
    """{name: {name: array}}"""
    return load_results(VERSION_0_1)


def assert_near(found, recorded, name):
    """Numbers to 300 roundings of the largest, all else to the letter."""
    assert found.keys() == recorded.keys()
    for key, x in found.items():
        y = recorded[key]
        assert (x.shape, x.dtype) == (y.shape, y.dtype), key
        if x.dtype.kind != "f":
            assert (x == y).all(), key
        elif key == "key biases" and name in TRAININGS:
            assert np.abs(x - y).max() <= farthest(TRAININGS[name].keywords), key
        elif x.any() or y.any():
            assert roundings(x, y) <= ROUNDINGS, key


def farthest(settings):
    """How far two runs of Adam can be apart in a number whose gradient is all rounding.

    A step is at most lr (1 − β₁)/√(1 − β₂) long (Kingma & Ba 2015, section 2.1), 3.2 lr.
    """
    return 2 * 3.2 * settings["lr"] * settings["steps"]


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_ends_where_it_did(name, recorded):
    assert_near(ask(VERSION_0_1, name), recorded[name], name)


@pytest.mark.parametrize("name", sorted(STOPPED.keys() & REFUSED))
def test_a_run_that_cannot_go_on_here_is_refused_with_what_to_do(name, tmp_path):
    path = shutil.copy(VERSION_0_1 / checkpoint_name(name), tmp_path)
    with pytest.raises(FormatError, match=r"written by version 0\.1 .*: finish it with"):
        TRAININGS[name](state=State(path))
    assert Path(path).read_bytes() == (VERSION_0_1 / checkpoint_name(name)).read_bytes()


@pytest.mark.parametrize("name", sorted(STOPPED.keys() - REFUSED))
def test_a_run_that_was_stopped_goes_on_to_the_same_end(name, recorded, tmp_path):
    path = shutil.copy(VERSION_0_1 / checkpoint_name(name), tmp_path)
    assert_near(TRAININGS[name](state=State(path)), recorded[name], name)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_file_says_what_it_said(name, recorded):
    assert_near(ask(VERSION_0_1, name), recorded[name], name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_written_with_the_same_bytes(name, tmp_path):
    WRITERS[name](VERSION_0_1, tmp_path)
    assert different_files(VERSION_0_1, tmp_path) == []
