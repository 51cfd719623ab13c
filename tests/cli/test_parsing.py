"""An old option name is an error that states the new name; options cannot be abbreviated."""
import argparse

import pytest

from scratch_embed.cli.main import parser
from scratch_embed.cli.other_names import NAMES, name_here
from scratch_embed.cli.parsing import (
    RENAMED,
    CommandParser,
    add_command,
    listed,
    refuse_old_names,
)


def commands(parser, path=()):
    """(words, parser) of every command."""
    yield list(path), parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from commands(inner, (*path, name))


def options(parser):
    """The options that the help shows."""
    return {name for action in parser._actions if action.help != argparse.SUPPRESS
            for name in action.option_strings}


RENAMED_IN = [(words, old) for words, command in commands(parser())
              for old, new in RENAMED.items() if new in options(command)]


def test_every_new_name_is_an_option_of_some_command():
    assert {old for _, old in RENAMED_IN} == set(RENAMED)


@pytest.mark.parametrize("words, old", RENAMED_IN, ids=lambda part: str(part))
@pytest.mark.parametrize("value", [[], ["8"]], ids=["alone", "with a value"])
def test_an_old_name_is_an_error_that_states_the_new_name(words, old, value, run):
    code, out, err = run(*words, old, *value)
    assert (code, out) == (2, "")
    typed = " ".join(["scratch-embed", *words])
    assert err == f"{typed}: {old} is now {RENAMED[old]}; see {typed} --help\n"
    assert run(*words, f"{old}=8")[2] == err


@pytest.mark.parametrize("words, command", list(commands(parser())), ids=lambda part: str(part))
def test_no_option_can_be_abbreviated_and_no_old_name_is_an_option(words, command):
    assert not command.allow_abbrev
    assert not options(command) & set(RENAMED)


def test_an_abbreviation_is_an_error(run):
    code, out, err = run("train", "word2vec", "text", "-o", "vectors", "--epoch", "3")
    assert (code, out) == (2, "") and "unknown option --epoch; the nearest is --epochs;" in err


def test_a_value_that_looks_like_an_option_is_an_error_that_says_how_to_write_it(run):
    code, _, err = run("search", "x.index", "a", "--weights", "-1,1,1")
    assert code == 2
    assert "--weights: expected a value after it; write --weights=VALUE if it begins with -" in err
    assert "numbers of 0 or more" in run("search", "x.index", "a", "--weights=-1,1,1")[2]


def test_an_old_name_is_not_in_the_help_and_leaves_no_argument():
    top = CommandParser()
    command = add_command(top.add_subparsers(), "learn", "learn", "learn")
    command.add_argument("--batch-size", type=int, default=3)
    refuse_old_names(command, "--batch")
    assert "--batch " not in command.format_help()
    assert vars(top.parse_args(["learn"])) == {
        "run": None, "check": None, "command": command, "usage_error": command.error,
        "batch_size": 3}


# ---- names of other programs --------------------------------------------------------------------

def test_every_name_of_another_program_has_an_option_of_some_command():
    existing = set().union(*(options(command) for _, command in commands(parser())))
    assert {here.split()[0] for here in NAMES.values()} <= existing
    for name, here in NAMES.items():                   # the values that it stands for exist too
        if " " in here:
            option, value = here.split()
            assert any(value in (action.choices or ()) for _, command in commands(parser())
                       for action in command._actions if option in action.option_strings), name


@pytest.mark.parametrize("name", ["--vector-size", "--vector_size", "-vector-size", "--vectorSize"])
def test_hyphens_underscores_and_capitals_do_not_count(name):
    assert name_here(name, ["--dim"]) == "--dim"


def test_an_own_option_comes_before_a_name_of_another_program():
    assert name_here("-minCount", ["--min-count"]) == "--min-count"
    assert name_here("--size", ["--Size"]) == "--Size" and name_here("--fly", ["--dim"]) is None


def test_an_option_of_other_commands_is_named_with_up_to_three_of_them(run):
    assert listed(["a"]) == "a" and listed(["a", "b", "c", "d"]) == "a, b, c and d"
    assert listed(list("abcde")) == "a, b, c and 2 other commands"
    assert "unknown option --depth; it belongs to search, rerank, evaluate retrieval;" in run(
        "similar", "v", "king", "--depth", "3")[2]
