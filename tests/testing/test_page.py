"""The package's page: its examples print what stands below them, its tables are the docstrings'."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scratch_embed import testing
from tests.testing.test_invariants import ALL

PAGE = Path(testing.__file__).with_name("README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)


def test_the_examples_print_what_stands_below_them():
    example, output = ("".join(body for kind, body in BLOCKS if kind == wanted)
                       for wanted in ("python", "output"))
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert done.stdout == output, done.stderr


@pytest.mark.parametrize("checker", ALL)
def test_every_invariant_stands_in_its_table_as_its_docstring_has_it(checker):
    for name, invariant in ALL[checker].items():
        row = f"{invariant.statement} | {invariant.bound}".replace("|low| + |high|",
                                                                   r"\|low\| + \|high\|")
        assert f"| `{name}` | {row} |\n" in PAGE, name
