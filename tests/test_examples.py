"""Every example in a docstring prints the output shown below it."""
import doctest
import importlib
import pkgutil

import pytest

import scratch_embed

MODULES = ["scratch_embed", *(found.name for found in pkgutil.walk_packages(
    scratch_embed.__path__, "scratch_embed.") if not found.name.endswith("__main__"))]
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def examples(thing, name):
    """The DocTests of a module, class or function that have examples."""
    return [test for test in doctest.DocTestFinder().find(thing, name) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_their_expected_output(name, capsys):
    for test in examples(importlib.import_module(name), name):
        failed, _ = doctest.DocTestRunner(optionflags=OPTIONS).run(test)
        assert not failed, capsys.readouterr().out


@pytest.mark.parametrize("name", scratch_embed.__all__)
def test_help_of_each_public_name_shows_an_example(name):
    assert ">>> " in getattr(scratch_embed, name).__doc__
