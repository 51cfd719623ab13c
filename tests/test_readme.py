"""The pages are true: their code runs and prints what they show, their links and counts hold.

The blocks of a page run in order, in an empty folder with corpora/ beside it, as in a checkout.  An
`output` block holds what the block above it prints.  A block marked `no-run` needs a download, a
peer, or more time than a test has.
"""
import contextlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from scratch_embed.cli.main import parser
from scratch_embed.transformer.families import FAMILIES
from tests.pages import (
    COMMAND,
    COUNTED,
    LINK,
    NAMED,
    PACKAGE,
    PAGES,
    README,
    ROOT,
    answers,
    blocks,
    find_line,
    heading_anchors,
    length,
    without_blocks,
)

NEAR = 20                          # lines that a stated number may be off: what a screen shows
KINDS = {"python", "sh", "output", "text"}
RUN = [page for page in PAGES if any(b.run and b.kind in ("python", "sh") for b in blocks(page))]


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    """shell(command, folder) -> what it prints.  `scratch-embed` is that of this checkout."""
    programs = tmp_path_factory.mktemp("programs")
    for name, options in [("python", ""), ("scratch-embed", "-m scratch_embed")]:
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {options} "$@"\n')
        program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT),
                   "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def run(command, folder):
        done = subprocess.run(["bash", "-ec", command], cwd=folder, env=environment,
                              capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout
    return run


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_blocks_of_a_page_run_and_print_what_it_shows(page, shell, tmp_path, monkeypatch):
    (tmp_path / "corpora").symlink_to(ROOT / "corpora")
    (tmp_path / "my-text.txt").symlink_to(ROOT / "corpora" / "words-easy.txt")    # the reader's own
    monkeypatch.chdir(tmp_path)
    names, printed = {"__name__": "page"}, ""
    for block in blocks(page):
        if block.kind == "output":
            assert printed == block.body
        elif block.kind in ("python", "sh") and block.run:
            if (re.search(" (plot|figures) ", block.body)
                    and importlib.util.find_spec("matplotlib") is None):
                continue
            if block.kind == "sh":
                printed = shell(block.body, tmp_path)
                continue
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.body, f"<{name_of(page)}>", "exec"), names)
            printed = out.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_names_its_language_and_a_picture_or_link_leads_somewhere(page):
    assert {block.kind for block in blocks(page)} <= KINDS
    for target in LINK.findall(without_blocks(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor in heading_anchors(file), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"],
                         ids=name_of)
def test_every_file_that_is_named_exists(page):
    """Names are written from the checkout, from the package, or from the page's own folder."""
    for name in NAMED.findall(without_blocks(page)):
        assert any((base / name).exists() for base in (ROOT, PACKAGE, page.parent)), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_command_that_is_named_has_its_script_or_its_tests(page):
    for name in COMMAND.findall(page.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_block_is_understood(page):
    """Also those that are not run: the parser refuses an option that is not there, and exits."""
    text = "".join(block.body for block in blocks(page) if block.kind == "sh")
    for command in re.findall(r"scratch-embed ([^|&\n]*)", text):
        parser().parse_args(shlex.split(command))


# ---- the README ----------------------------------------------------------------------------------

def test_the_readme_is_at_most_150_lines():
    assert length(README) <= 150


def test_its_first_block_is_two_commands_the_tour_and_the_tests():
    """`.ci/run` runs both as printed."""
    tour, tests = blocks(README)[0].body.splitlines()
    assert tour.startswith("python -m pip install") and tour.endswith("&& scratch-embed tour")
    assert tests == "python -m tests"


def test_its_line_counts_are_right():
    """To a screen; `python -m tests.pages` writes them anew."""
    rows = COUNTED.findall(README.read_text())
    assert len(rows) >= 10
    for _, path, count in rows:
        assert abs(int(count) - length(ROOT / path)) <= NEAR, path


def test_every_family_of_models_is_in_the_table_of_folders_that_load():
    page = (PACKAGE / "sentences" / "README.md").read_text()
    for name in FAMILIES:
        assert f"| `{name}` | yes" in page


# ---- questions -----------------------------------------------------------------------------------

def test_there_are_twenty_five_questions():
    assert len(answers()) >= 25


@pytest.mark.parametrize("answer", answers(), ids=lambda answer: answer.words)
def test_a_question_leads_to_the_words_that_answer_it(answer):
    """Within a screen of the line that is stated; `python -m tests.pages` writes the lines anew."""
    line = find_line(answer.path, answer.words)
    assert line is not None, f"{answer.path.name} has not one line with: {answer.words}"
    assert abs(line - answer.line) <= NEAR
