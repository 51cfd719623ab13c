"""The pages (*.md) are correct: the output of code, links, file names and line counts.

The blocks of a page run in order, in a folder that contains corpora/ and my-text.txt.  An `output`
block shows the output of the block above it.  A block marked `no-run` is not run, because it needs
a download, another library, or too much time.
"""
import contextlib
import importlib.util
import io
import re
import shlex
import shutil

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

NEAR = 20                          # tolerance of line numbers and counts: half a screen
KINDS = {"python", "sh", "output", "text"}
ELSEWHERE = {PACKAGE / "BEYOND_ONE_MACHINE.md"}    # tests/test_beyond.py runs it, once
RUN = [page for page in PAGES if page not in ELSEWHERE
       and any(b.run and b.kind in ("python", "sh") for b in blocks(page))]


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_blocks_of_a_page_print_the_output_shown(page, shell, tmp_path, monkeypatch):
    (tmp_path / "corpora").symlink_to(ROOT / "corpora")
    (tmp_path / "my-text.txt").symlink_to(ROOT / "corpora" / "words-easy.txt")  # the reader's text
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
                printed = shell(block.body, tmp_path, new_python=page == README)
                continue
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.body, f"<{name_of(page)}>", "exec"), names)
            printed = out.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_name_their_language_and_links_have_targets(page):
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
    """Paths start at the checkout, at the package, or at the page's own folder."""
    for name in NAMED.findall(without_blocks(page)):
        assert any((base / name).exists() for base in (ROOT, PACKAGE, page.parent)), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_script_or_tests_of_every_quoted_command_exist(page):
    for name, selected in COMMAND.findall(page.read_text()):
        assert (ROOT / name).exists(), name
        assert not selected or selected in (ROOT / name).read_text(), f"{name} -k {selected}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_scratch_embed_command_in_a_block_can_be_parsed(page):
    """Also in `no-run` blocks.  The parser exits if an option does not exist."""
    text = "".join(block.body for block in blocks(page) if block.kind == "sh")
    for command in re.findall(r"scratch-embed ([^|&>\n]*)", text):
        assert callable(parser().parse_args(shlex.split(command)).run)


# ---- the README ----------------------------------------------------------------------------------

def test_the_readme_is_at_most_150_lines():
    assert length(README) <= 150


def test_the_first_block_of_the_readme_installs_runs_the_tour_and_the_tests():
    """`.ci/run` runs both lines as they are."""
    tour, tests = blocks(README)[0].body.splitlines()
    assert tour.startswith("python -m pip install") and tour.endswith("&& scratch-embed tour")
    assert tests == "python -m tests"


def test_the_line_counts_of_the_readme_are_right():
    """To 20 lines; `python -m tests.pages` updates them."""
    rows = COUNTED.findall(README.read_text())
    assert len(rows) >= 10
    for _, path, count in rows:
        assert abs(int(count) - length(ROOT / path)) <= NEAR, path


def test_every_family_of_models_is_in_the_table_of_folders_that_load():
    page = (PACKAGE / "transformer/README.md").read_text()
    for name in FAMILIES:
        assert f"| `{name}` | yes" in page


# ---- questions -----------------------------------------------------------------------------------

def test_there_are_at_least_25_questions():
    assert len(answers()) >= 25


@pytest.mark.parametrize("answer", answers(), ids=lambda answer: answer.words)
def test_a_question_points_to_the_line_that_answers_it(answer):
    """To 20 lines; `python -m tests.pages` updates the line numbers."""
    line = find_line(answer.path, answer.words)
    assert line is not None, f"{answer.path.name}: expected exactly one line with {answer.words}"
    assert abs(line - answer.line) <= NEAR
