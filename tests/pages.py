"""Parse the pages (*.md): code blocks, links, headings, line counts and file names.

`python -m tests.pages` updates the line counts in README.md and the line numbers in
scratch_embed/QUESTIONS.md, and prints the quoted words that it does not find.
"""
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "scratch_embed"
README, QUESTIONS = ROOT / "README.md", PACKAGE / "QUESTIONS.md"
FOLDERS = ("bench", "corpora", "scratch_embed", "tests")
PAGES = sorted([README, *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md"))])

BLOCK = re.compile(r"^```(\w*)( no-run)?\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`([\w-]+(?:/[\w.-]+)+\.(?:py|md|png|txt|tsv))`")
COMMAND = re.compile(r"\b(?:pytest|python)(?: -[\w=]+)* ((?:tests|bench)/[\w/.]*\w)"
                     r"(?: -k \"?(\w+))?")
#  | 1 | [`words/word2vec.py`](scratch_embed/words/word2vec.py) | 267 | ...
COUNTED = re.compile(r"^(\| \d+ \| \[`[^`]+`\]\(([^)]+)\) \| )(\d+)(?= \|)", re.M)
#  ... | [`words/word2vec.py:28`](words/word2vec.py#L28) | `Why two tables?` |
ANSWER = re.compile(r"\[`([\w/.]+):(\d+)`\]\(([\w/.]+)#L(\d+)\) \| `([^`\n]+)` \|$", re.M)


class Block(NamedTuple):
    """A code block: its language, whether the tests run it, and its text."""

    kind: str
    run: bool
    body: str


class Answer(NamedTuple):
    """A line of QUESTIONS.md: the file and line to open, and the words to find there."""

    path: Path
    line: int
    words: str


def blocks(page: Path) -> list[Block]:
    """All code blocks of a page, in order."""
    return [Block(kind, not mark, body) for kind, mark, body in BLOCK.findall(page.read_text())]


def without_blocks(page: Path) -> str:
    """The text of a page without its code blocks."""
    return BLOCK.sub("", page.read_text())


def heading_anchors(page: Path) -> set[str]:
    """The anchors (#name) of a page's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def length(path: Path) -> int:
    """The number of lines of a file."""
    return path.read_text().count("\n")


def answers() -> list[Answer]:
    """All lines of QUESTIONS.md."""
    return [Answer(PACKAGE / path, int(line), words)
            for path, line, _, _, words in ANSWER.findall(QUESTIONS.read_text())]


def find_line(path: Path, words: str) -> int | None:
    """The number of the only line that contains `words`; None if there is no or more than one."""
    found = [n for n, line in enumerate(path.read_text().split("\n"), 1) if words in line]
    return found[0] if len(found) == 1 else None


def update() -> int:
    """Update line counts and line numbers.  -> 0, or 1 if quoted words were not found."""
    README.write_text(COUNTED.sub(lambda m: f"{m[1]}{length(ROOT / m[2])}", README.read_text()))
    missing = [answer for answer in answers() if find_line(answer.path, answer.words) is None]

    def with_line(match):
        path, line, target, _, words = match.groups()
        line = find_line(PACKAGE / path, words) or line
        return f"[`{path}:{line}`]({target}#L{line}) | `{words}` |"
    QUESTIONS.write_text(ANSWER.sub(with_line, QUESTIONS.read_text()))
    for path, _, words in missing:
        print(f"{path}: not found, or more than once: {words}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(update())
