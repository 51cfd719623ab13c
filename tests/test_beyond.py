"""BEYOND_ONE_MACHINE.md: each file of ours opens in the tool that the page names.

The blocks are the page's own, run on the files that its commands make.  A block whose library is
not installed is skipped.  The last block encodes a text on a local Dask cluster.
"""
import ast
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import scratch_embed as se
from tests.pages import PACKAGE, ROOT, blocks

PAGE = PACKAGE / "BEYOND_ONE_MACHINE.md"
BLOCKS = [block.body for block in blocks(PAGE) if block.kind == "python"]
*OPENED, DASK = BLOCKS


def libraries(source):
    """The packages that a block imports, but for ours."""
    for node in ast.walk(ast.parse(source)):
        names = ([alias.name for alias in node.names] if isinstance(node, ast.Import) else
                 [node.module] if isinstance(node, ast.ImportFrom) else [])
        yield from (name.split(".")[0] for name in names if not name.startswith("scratch_embed"))


@pytest.fixture(scope="module")
def folder(shell, tmp_path_factory):
    """The folder in which the page's commands were run."""
    folder = tmp_path_factory.mktemp("beyond")
    (folder / "corpora").symlink_to(ROOT / "corpora")
    for block in blocks(PAGE):
        if block.kind == "sh" and block.run:
            shell(block.body, folder)
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_commands_of_the_page_write_the_files_that_it_opens(folder):
    assert [block.kind for block in blocks(PAGE) if block.run] == ["sh"]
    for name in ("words.vec", "words.bin", "words.npy", "subwords.bin", "encoder", "vectors.npy",
                 "lines.index", "runs", "results"):
        assert (folder / name).exists(), name


@pytest.mark.parametrize("source", OPENED, ids=lambda source: next(
    name for name in libraries(source) if name not in sys.stdlib_module_names | {"numpy"}))
def test_a_file_opens_in_the_tool_that_the_page_names(source, request, monkeypatch):
    for name in libraries(source):
        pytest.importorskip(name)
    monkeypatch.chdir(request.getfixturevalue("folder"))
    exec(compile(source, str(PAGE), "exec"), {"__name__": "page"})
    assert "assert " in source                         # a block states what must hold


def test_dask_encodes_a_text_by_its_partitions(request, tmp_path):
    """Two processes, a copy of the encoder in each: the same vectors as in this process."""
    pytest.importorskip("distributed")
    folder = request.getfixturevalue("folder")
    lines = (ROOT / "corpora" / "words-easy.txt").read_text().splitlines()[:8000]
    for part in range(2):
        text = "".join(f"{line}\n" for line in lines[4000 * part:4000 * (part + 1)])
        (tmp_path / f"texts-{part}.txt").write_text(text)
    (tmp_path / "encode.py").write_text(DASK)
    done = subprocess.run([sys.executable, "encode.py", folder / "encoder", "texts-*.txt", "out"],
                          cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = sorted(tmp_path.glob("out-*.npy"))
    assert done.stdout == f"8000 lines in {len(files)} partitions\n" and len(files) > 2
    vectors = np.concatenate([np.load(path) for path in files])
    expected = se.load(folder / "encoder").encode(lines, normalize_embeddings=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
