"""python -m tests: the linter, the type checker, and all tests; .ci/run runs the same.

The tests run in two processes side by side; each takes the next file that none has begun.  With
arguments, which are passed to pytest, they run in one process:  python -m tests -x tests/nn
A tool that is not installed is reported and skipped:  python -m pip install -e '.[test,check]'
"""
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROCESSES = 2
ONE_THREAD = {"OMP_NUM_THREADS": "1", **os.environ}    # of BLAS and torch: a core for each process


def run(tool: str, *arguments: str) -> int:
    """Run `python -m tool arguments`.  -> its exit code; 0 if the tool is not installed."""
    if importlib.util.find_spec(tool) is None:
        print(f"{tool} is not installed: skipped", flush=True)
        return 0
    print("+ python -m", tool, *arguments, flush=True)
    return subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT).returncode


def run_tests() -> list[int]:
    """Run all tests in PROCESSES processes, which share the files; print outputs.  -> exit codes"""
    start, running = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as claims:
        command = [sys.executable, "-m", "pytest", "-rs", "tests", "--claims", claims]
        for _ in range(PROCESSES):
            output = tempfile.TemporaryFile("w+")
            running.append((subprocess.Popen(command, cwd=ROOT, env=ONE_THREAD, stdout=output,
                                             stderr=output), output))
        codes = [process.wait() for process, _ in running]
    lasts = []
    for number, (_, output) in enumerate(running, 1):
        output.seek(0)
        text = output.read()
        print(f"+ python -m pytest -rs tests, process {number}\n{text}", flush=True)
        lasts.append(text.strip().splitlines()[-1].strip("= "))
    print(f"tests: {time.perf_counter() - start:.0f} s in {PROCESSES} processes; each ran the "
          "files that the other had not begun")
    for number, last in enumerate(lasts, 1):
        print(f"    process {number}: {last}")
    print("A test is skipped if the original that it compares with is not installed (the lines "
          "SKIPPED above name it).")
    return codes


def main() -> int:
    """Run all steps, even if one fails.  -> the first exit code that is not 0, or 0."""
    codes = [run("ruff", "check", "."), run("mypy")]
    codes += [run("pytest", *sys.argv[1:])] if sys.argv[1:] else run_tests()
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    sys.exit(main())
