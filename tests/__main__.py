"""python -m tests: the linter, the type checker, and all tests; .ci/run runs the same.

The tests run in two processes side by side, half of the files each.  With arguments, which are
passed to pytest, they run in one process:  python -m tests -x tests/nn
A tool that is not installed is reported and skipped:  python -m pip install -e '.[test,check]'
"""
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROCESSES = 2


def run(tool: str, *arguments: str) -> int:
    """Run `python -m tool arguments`.  -> its exit code; 0 if the tool is not installed."""
    if importlib.util.find_spec(tool) is None:
        print(f"{tool} is not installed: skipped", flush=True)
        return 0
    print("+ python -m", tool, *arguments, flush=True)
    return subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT).returncode


def run_shares() -> list[int]:
    """Run all tests, a share of the files in each process; print the outputs.  -> exit codes."""
    shares = [f"{k}/{PROCESSES}" for k in range(1, PROCESSES + 1)]
    start, running = time.perf_counter(), []
    for share in shares:
        command = [sys.executable, "-m", "pytest", "-rs", "tests", "--share", share]
        output = tempfile.TemporaryFile("w+")
        running.append((subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output), output))
    codes = []
    for share, (process, output) in zip(shares, running):
        codes.append(process.wait())
        output.seek(0)
        print(f"+ python -m pytest -rs tests --share {share}\n{output.read()}", flush=True)
    print(f"tests: {time.perf_counter() - start:.0f} s in {PROCESSES} processes; a file that one "
          "deselects runs in the other")
    for share, (_, output) in zip(shares, running):
        output.seek(0)
        last = output.read().strip().splitlines()[-1]
        print(f"    share {share}: {last.strip('= ')}")
    print("A test is skipped if the original that it compares with is not installed (the lines "
          "SKIPPED above name it).")
    return codes


def main() -> int:
    """Run all steps, even if one fails.  -> the first exit code that is not 0, or 0."""
    codes = [run("ruff", "check", "."), run("mypy")]
    codes += [run("pytest", *sys.argv[1:])] if sys.argv[1:] else run_shares()
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    sys.exit(main())
