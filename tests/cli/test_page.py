"""scratch_embed/cli/README.md: every command has a row and an example; every named option exists.

tests/test_readme.py runs the code blocks of the page.
"""
import re

import pytest

from scratch_embed.cli.main import parser
from scratch_embed.cli.other_names import NAMES
from scratch_embed.cli.parsing import RENAMED
from tests.cli.test_parsing import commands, options
from tests.pages import PACKAGE, blocks

PAGE = PACKAGE / "cli" / "README.md"
TEXT = PAGE.read_text()
EXAMPLES = "".join(block.body for block in blocks(PAGE) if block.kind == "sh")
COMMANDS = [" ".join(words) for words, command in commands(parser())
            if command.get_default("run")]                 # `train` alone has no run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_row_in_the_table_and_an_example(command):
    assert len(re.findall(rf"^\| `{command}` \| ", TEXT, re.M)) == 1
    assert re.search(rf"\bscratch-embed {command}\b", EXAMPLES)


def test_the_table_has_no_other_command():
    assert sorted(re.findall(r"^\| `([a-z][\w -]*)` \| ", TEXT, re.M)) == sorted(COMMANDS)


def test_every_option_that_is_explained_exists():
    existing = set().union(*(options(command) for _, command in commands(parser())))
    explained = TEXT.split("## Options")[1].split("Options cannot")[0]
    named = re.findall(r"`(--?[a-z][a-z-]*)", explained)
    assert len(named) > 15 and set(named) <= existing


def test_the_table_of_renamed_options_is_that_of_the_parser():
    table = TEXT.split("| earlier |")[1]
    assert dict(re.findall(r"^\| `(--[\w-]+)[ \w]*` \| `(--[\w-]+)` \|$", table, re.M)) == RENAMED


def test_the_table_of_names_in_other_programs_is_that_of_the_parser():
    table = TEXT.split("--dim here*")[1].split("Some options")[0]
    rows = [[re.findall(r"`(--[^`]+)`", cell) for cell in line.split("|")[1:3]]
            for line in table.splitlines() if line.startswith("| `")]
    assert {name: here for names, (here,) in rows for name in names} == NAMES
