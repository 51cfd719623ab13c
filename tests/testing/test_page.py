"""The tables of testing/README.md quote the docstrings (tests/test_readme.py runs its code)."""
from pathlib import Path

import pytest

from scratch_embed import testing
from tests.testing.test_invariants import INVARIANTS

PAGE = Path(testing.__file__).with_name("README.md").read_text()


@pytest.mark.parametrize("checker", INVARIANTS)
def test_the_page_quotes_the_docstring_of_every_invariant(checker):
    for name, invariant in INVARIANTS[checker].items():
        row = f"{invariant.statement} | {invariant.bound}".replace("|low| + |high|",
                                                                   r"\|low\| + \|high\|")
        assert f"| `{name}` | {row} |\n" in PAGE, name
