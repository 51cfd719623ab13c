"""python -m tests: the linter, the type checker, and all tests; what .ci/run runs, here in yours.

Further arguments are pytest's:  python -m tests -x tests/nn
A tool that is not installed is said and left out:  python -m pip install -e '.[test,check]'
"""
import importlib.util
import subprocess
import sys
from pathlib import Path

STEPS = {"ruff": ["check", "."], "mypy": [], "pytest": ["-rs", *sys.argv[1:]]}


def main() -> int:
    """Run all steps, also after one that fails.  -> the first exit code that is not 0, or 0."""
    codes = []
    for tool, arguments in STEPS.items():
        if importlib.util.find_spec(tool) is None:
            print(f"{tool} is not installed: left out", flush=True)
            continue
        print("+ python -m", tool, *arguments, flush=True)
        command = [sys.executable, "-m", tool, *arguments]
        codes.append(subprocess.run(command, cwd=Path(__file__).parents[1]).returncode)
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    sys.exit(main())
