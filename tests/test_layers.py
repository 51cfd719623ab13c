"""Import rules for every file of scratch_embed: only lower layers, and only allowed packages."""
import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

LAYER = {"numerics": 0, "text": 1, "space": 1, "worlds": 1, "nn": 1, "training": 1,
         "evaluate": 2, "retrieve": 2, "losses": 2, "words": 3, "transformer": 3, "sentences": 4,
         "multimodal": 4,
         "recognition": 4.5, "why": 5, "loading": 5, "plotting": 5, "train": 5, "testing": 5,
         "answers": 6, "cli": 7, "__main__": 8}
ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "scratch_embed"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")
ALLOWED = {"numpy", "numba", "tqdm", "scratch_embed", "matplotlib"}     # matplotlib only for plots
IN_TESTING = {"hypothesis"}                  # in testing/ only; the rest runs without it
IN_VECTORS = {"llvmlite"}                    # a part of Numba; in numerics/vectors.py only


def package(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(source):
    """The full names that `source` imports, in any form of import statement."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written from the package's name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_packages(source):
    """The packages of scratch_embed that `source` imports."""
    for name in imports(source):
        top, _, rest = name.partition(".")
        if top == "scratch_embed" and rest and rest != "__version__":
            yield rest.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_from_lower_layers(path):
    for other in imported_packages(path.read_text()):
        assert (other == package(path)
                or LAYER[other] < LAYER[package(path)]), f"{path} imports {other}"


@pytest.mark.parametrize("source", [
    "import scratch_embed.cli.tour", "from scratch_embed import cli",
    "from scratch_embed.cli import tour"])
def test_every_form_of_import_is_detected(source):
    assert list(imported_packages(source)) == ["cli"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_no_framework_no_scipy_no_pickle(path):
    outside = {name.split(".")[0] for name in imports(path.read_text())}
    allowed = (ALLOWED | (IN_TESTING if package(path) == "testing" else set())
               | (IN_VECTORS if path == PACKAGE / "numerics" / "vectors.py" else set()))
    assert outside - set(sys.stdlib_module_names) <= allowed and "pickle" not in outside


def test_every_package_is_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = {f"scratch_embed.{p.parent.name}" for p in PACKAGE.glob("*/__init__.py")}
    assert set(setup["options"]["packages"].split()) == {
        "scratch_embed", "scratch_embed.corpora"} | packages


def test_importing_the_package_and_printing_help_import_no_third_party_package():
    code = """
import sys, scratch_embed
from scratch_embed.cli.main import parser
parser().format_help()
print(sorted({"numpy", "numba", "tqdm", "matplotlib", "hypothesis"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
