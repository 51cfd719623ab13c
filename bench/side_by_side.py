"""What all benchmarks share: runs in processes of their own, turns, memory, and how it is told.

A script of bench/ROOM puts this folder on its path, calls `script(main, worker)`, and its main()
`choose(parser, sections)`.  `in_a_process` starts the script again with --worker and a job, and
what its worker returns comes back as JSON: every run has its own memory, and neither side finds
the other's caches or threads.
"""
import gzip
import json
import os
import statistics
import subprocess
import sys
import threading
import time

# ---- runs ---------------------------------------------------------------------------------------

def in_a_process(job, environment=(), given=None):
    """What the script's worker returns for a job; `given` is its stdin."""
    done = subprocess.run([sys.executable, sys.argv[0], "--worker", json.dumps(job)], text=True,
                          input=given, env={**os.environ, **dict(environment)},
                          capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def threads_of(count):
    """The environment in which both sides' libraries take so many threads."""
    return {name: str(count) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}


def take_turns(sides, rounds, warm_up=0):
    """{name: seconds of each round} of functions that take turns: A B A B ...

    warm_up: rounds before them that are not counted.
    """
    taken = {name: [] for name in sides}
    for number in range(-warm_up, rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if number >= 0:
                taken[name].append(time.perf_counter() - start)
    return taken


# ---- memory -------------------------------------------------------------------------------------

def anonymous_kib(pid="self"):
    """A process's memory that no file backs, in KiB; 0 when it has ended."""
    return _status("RssAnon", pid)


def peak_mib():
    """The most memory that this process ever had, its libraries' files among it."""
    return _status("VmHWM", "self") / 1024


def _status(name, pid):
    """A line of Linux's /proc/PID/status, in KiB; 0 if there is none."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith(name)), 0)
    except OSError:
        return 0


class PeakMemory:
    """The growth of a process's anonymous memory, looked at every 5 ms, in MiB.

    since: KiB from which it is counted; None: what it is now
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


# ---- telling it ---------------------------------------------------------------------------------

def median(values):
    return statistics.median(values)


def spread(values, digits=1):
    return f"{min(values):.{digits}f}..{max(values):.{digits}f}"


def ratios(values, others):
    """values / others round by round: their median and spread."""
    each = [a / b for a, b in zip(values, others)]
    return f"{median(each):5.2f} ({spread(each, 2)})"


# ---- the script ---------------------------------------------------------------------------------

def read_bytes(text):
    """The bytes of a file, plain or gzip."""
    with open(text, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(text, "rb") as file:
        return file.read()


def add_sizes(parser, sizes):
    """Whole numbers as options: {name: default}."""
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="(%(default)s)")


def choose(parser, sections, usual=None, rounds=5):
    """The arguments of the command line, `sections` (those asked for, or the usual) among them."""
    usual = list(sections) if usual is None else usual
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(sections)
                        + f" (without a name: {', '.join(usual)})" * (usual != list(sections)))
    parser.add_argument("--rounds", type=int, default=rounds, help="of each side (%(default)s)")
    arguments = parser.parse_intermixed_args()
    arguments.sections = arguments.sections or usual
    if not set(arguments.sections) <= set(sections):
        parser.error(f"sections are {', '.join(sections)}")
    return arguments


def script(main, worker):
    """Run main(), or, started with --worker and a job, the worker."""
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(worker(json.loads(sys.argv[2]))))
    else:
        main()
