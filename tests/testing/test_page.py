"""The tables of the package's page are the docstrings' (tests/test_readme.py runs its blocks)."""
from pathlib import Path

import pytest

from scratch_embed import testing
from tests.testing.test_invariants import ALL

PAGE = Path(testing.__file__).with_name("README.md").read_text()


@pytest.mark.parametrize("checker", ALL)
def test_every_invariant_stands_in_its_table_as_its_docstring_has_it(checker):
    for name, invariant in ALL[checker].items():
        row = f"{invariant.statement} | {invariant.bound}".replace("|low| + |high|",
                                                                   r"\|low\| + \|high\|")
        assert f"| `{name}` | {row} |\n" in PAGE, name
