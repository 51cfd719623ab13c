"""Shared by the benchmarks: separate processes, timing in turn, peak memory, reports, options.

A script in a folder below bench/ puts bench/ on its path and calls `script(main, worker)`; its
main() calls `choose(parser, sections)`.  `in_a_process` starts the script again with --worker and a
job, and returns the worker's result, passed as JSON.  So each of these runs has its own memory,
caches and threads.
"""
import gzip
import json
import os
import statistics
import subprocess
import sys
import threading
import time

# ---- processes and turns ------------------------------------------------------------------------

def in_a_process(job, environment=(), stdin=None):
    """Run the script's worker on a job in a new process.  stdin: its input.  -> its result."""
    done = subprocess.run([sys.executable, sys.argv[0], "--worker", json.dumps(job)], text=True,
                          input=stdin, env={**os.environ, **dict(environment)},
                          capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def threads_of(count):
    """Environment variables that set the number of threads of BLAS and OpenMP."""
    return {name: str(count) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}


def take_turns(sides, rounds, warmup_rounds=0):
    """Time functions in turn, A B A B ... -> {name: seconds of each round}.

    warmup_rounds: further rounds at the start, which are not recorded.
    """
    taken = {name: [] for name in sides}
    for number in range(-warmup_rounds, rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if number >= 0:
                taken[name].append(time.perf_counter() - start)
    return taken


# ---- memory -------------------------------------------------------------------------------------

def anonymous_kib(pid="self"):
    """The anonymous memory of a process (not backed by a file), in KiB; 0 if it has ended."""
    return _status("RssAnon", pid)


def peak_mib():
    """The peak resident memory of this process in MiB, mapped files included."""
    return _status("VmHWM", "self") / 1024


def _status(name, pid):
    """A field of Linux's /proc/PID/status, in KiB; 0 if it does not exist."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith(name)), 0)
    except OSError:
        return 0


class PeakMemory:
    """The largest growth of a process's anonymous memory, sampled every 5 ms, in MiB.

    since: the KiB from which growth is counted; None: the memory at present
    """

    def __init__(self, pid="self", since=None):
        self.pid, self.peak = pid, anonymous_kib(pid)
        self.since = self.peak if since is None else since
        self.stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while not self.stop.wait(0.005):
            self.peak = max(self.peak, anonymous_kib(self.pid))

    def growth(self):
        self.stop.set()
        return (max(self.peak, anonymous_kib(self.pid)) - self.since) / 1024


# ---- reporting ----------------------------------------------------------------------------------

def median(values):
    return statistics.median(values)


def spread(values, digits=1):
    return f"{min(values):.{digits}f}..{max(values):.{digits}f}"


def ratios(values, others):
    """values / others, round by round, as text: the median, and the smallest to the largest."""
    quotients = [a / b for a, b in zip(values, others)]
    return f"{median(quotients):5.2f} ({spread(quotients, 2)})"


# ---- the script ---------------------------------------------------------------------------------

def read_bytes(path):
    """The bytes of a file, plain or gzip."""
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    with (gzip.open if is_gzip else open)(path, "rb") as file:
        return file.read()


def add_sizes(parser, sizes):
    """Add an integer option for each name of {name: default}."""
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="(%(default)s)")


def choose(parser, sections, default=None, rounds=5):
    """Parse the command line; arguments.sections are the given names.

    default: the sections that run if none is given; None: all.  rounds: the default of --rounds
    """
    default = list(sections) if default is None else default
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(sections)
                        + f" (default: {', '.join(default)})" * (default != list(sections)))
    parser.add_argument("--rounds", type=int, default=rounds,
                        help="rounds of each side (%(default)s)")
    arguments = parser.parse_intermixed_args()
    arguments.sections = arguments.sections or default
    if not set(arguments.sections) <= set(sections):
        parser.error(f"sections are {', '.join(sections)}")
    return arguments


def script(main, worker):
    """Run main(), or the worker if the script was started with --worker and a job.

    An original that is not installed ends the script with one line that says how to install it.
    """
    try:
        if sys.argv[1:2] == ["--worker"]:
            print(json.dumps(worker(json.loads(sys.argv[2]))))
        else:
            main()
    except ModuleNotFoundError as missing:
        how = "pip install fasttext" if missing.name == "fasttext" else "pip install -e '.[bench]'"
        raise SystemExit(f"this benchmark compares with {missing.name}, which is not installed: "
                         f"python -m {how}") from None
