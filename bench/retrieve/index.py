"""Compare the speed of exact search with faiss: float vectors and binary codes.

    python bench/retrieve/index.py                 # float and hamming
    python bench/retrieve/index.py selection       # the time of selecting the k best, without faiss
    python bench/retrieve/index.py hamming --rows 250000 --rounds 3

1,000,000 rows x 128 float32, 1,000 queries at once, k = 10, two threads on each side.  `float` is
compared with IndexFlatIP.  `hamming` searches the signs of the same rows, 16 bytes each, and is
compared with IndexBinaryFlat.
Each side is a separate process that keeps its rows and waits while the other searches, A B A B ...;
the first round is a warm-up and not counted.  Memory is the largest growth of anonymous memory
during a search, sampled every 5 ms; the rows, and a first search for two queries, come before it.
The results of both sides are compared: the share of equal ids, and the largest difference of a
score.  `selection` times the matrix products alone and with each way to select the k best, on one
thread.
Needs: python -m pip install faiss-cpu (except for selection)
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import (
    PeakMemory,
    add_sizes,
    anonymous_kib,
    choose,
    median,
    ratios,
    script,
    spread,
    take_turns,
    threads_of,
)

SIDES, K = ("faiss", "scratch_embed"), 10


# ---- one side, in its own process -----------------------------------------------------------

def data(job):
    """Queries and rows of norm 1, the same on both sides."""
    rng = np.random.default_rng(0)
    tables = []
    for n in (job["queries"], job["rows"]):
        table = rng.standard_normal((n, job["dim"]), np.float32)
        table /= np.linalg.norm(table, axis=1, keepdims=True)
        tables.append(table)
    return tables


def faiss_side(job):
    """The queries and a function that searches for them, with faiss."""
    import faiss
    faiss.omp_set_num_threads(job["threads"])
    Q, X = data(job)
    if job["section"] == "float":
        index = faiss.IndexFlatIP(job["dim"])
    else:
        Q, X = np.packbits(Q > 0, axis=1), np.packbits(X > 0, axis=1)
        index = faiss.IndexBinaryFlat(8 * X.shape[1])
    index.add(X)
    return Q, lambda queries: index.search(queries, K)[::-1]


def our_side(job):
    """The queries and a function that searches for them, with scratch_embed."""
    from scratch_embed.retrieve.index import Index
    from scratch_embed.space.hamming import nearest_hamming, sign_bits
    Q, X = data(job)
    options = dict(workers=job["threads"]) | ({"block": job["block"]} if job["block"] else {})
    if job["section"] == "float":
        index = Index(job["dim"], normalise=False)
        index.add(range(len(X)), X)
        return Q, lambda queries: index.search(queries, K, **options)
    Q, X = sign_bits(Q), sign_bits(X)
    return Q, lambda queries: nearest_hamming(queries, X, K, **options)


def worker(job):
    """Search once for each line of stdin; print seconds and memory.  Save the last result."""
    Q, search = (faiss_side if job["side"] == "faiss" else our_side)(job)
    search(Q[:2])                                                # compiles, starts threads
    before = anonymous_kib()
    print("ready", flush=True)
    for _ in sys.stdin:
        memory, start = PeakMemory(since=before), time.perf_counter()
        ids, scores = search(Q)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "growth": memory.growth()}), flush=True)
    np.savez(job["results"], ids=ids, scores=scores)


# ---- the comparison -----------------------------------------------------------------------------

def search_once(process):
    """Let one side search once -> its seconds and memory growth."""
    process.stdin.write("search\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def section(name, arguments, folder):
    """Let both sides search in turn, and print a table."""
    job = dict(vars(arguments), section=name)
    environment = {**os.environ, **threads_of(arguments.threads)}
    results = {side: os.path.join(folder, f"{name}-{side}.npz") for side in SIDES}
    sides, rounds = {}, {side: [] for side in SIDES}
    for side in SIDES:
        command = json.dumps(job | dict(side=side, results=results[side]))
        sides[side] = subprocess.Popen(
            [sys.executable, __file__, "--worker", command], text=True, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not sides[side].stdout.readline():                    # "ready": its index is built
            raise SystemExit(f"{side} did not start; the line above says why")
    for turn in range(arguments.rounds + 1):
        for side in SIDES:
            figures = search_once(sides[side])
            if turn > 0:
                rounds[side].append(figures)
    for process in sides.values():
        process.stdin.close()
        process.wait()
    report(name, arguments, rounds, [results[side] for side in SIDES])


def report(name, arguments, rounds, results):
    """Print queries per second, ratios round by round, memory, and how far the results agree."""
    from scratch_embed.space.neighbours import BLOCK
    block = arguments.block or BLOCK
    print(f"\n{name}: {arguments.rows:,} rows x {arguments.dim}, {arguments.queries:,} queries, "
          f"k = {K}, {arguments.threads} threads, block {block:,} numbers "
          f"({block * 4 / 2**20:.0f} MiB of scores per worker)")
    theirs = [figures["seconds"] for figures in rounds["faiss"]]
    for side in SIDES:
        seconds = [figures["seconds"] for figures in rounds[side]]
        per_second = [arguments.queries / s for s in seconds]
        growth = max(figures["growth"] for figures in rounds[side])
        print(f"  {side:14} {median(per_second):8.0f} queries/s ({spread(per_second, 0)})   "
              f"x faiss {ratios(theirs, seconds)}   memory +{growth:.1f} MiB")
    a, b = (np.load(path) for path in results)
    difference = abs(a["scores"].astype(float) - b["scores"].astype(float)).max()
    print(f"  equal ids: {(a['ids'] == b['ids']).mean():.2%}; largest difference of a score: "
          f"{difference:.1g}")


def selection(arguments):
    """Time the matrix products alone and with each form of selection, on one thread, in turn."""
    from scratch_embed.numerics.blas import one_blas_thread
    from scratch_embed.space.heaps import merge_heaps
    from scratch_embed.space.neighbours import merge_sorted, nearest
    forms = {"products only": lambda *_: None, "sorted (NumPy)": merge_sorted,
             "heaps": merge_heaps}
    Q, X = data(vars(arguments))
    for k in (10, 100):
        searches = {name: partial(nearest, Q, X, k, merge=merge) for name, merge in forms.items()}
        with one_blas_thread():
            nearest(Q[:2], X[:100_000], k, merge=merge_heaps)
            seconds = take_turns(searches, arguments.rounds)
        print(f"\nselection: {arguments.rows:,} rows, {arguments.queries:,} queries, k = {k}")
        for name, values in seconds.items():
            print(f"  {name:14} {median(values):7.2f} s   x products "
                  f"{ratios(values, seconds['products only'])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sizes(parser, {"rows": 1_000_000, "dim": 128, "queries": 1_000, "threads": 2})
    parser.add_argument("--block", type=int, help="numbers in one block of scores")
    arguments = choose(parser, ("float", "hamming", "selection"), ["float", "hamming"])
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.sections:
            if name == "selection":
                selection(arguments)
            else:
                section(name, arguments, folder)


if __name__ == "__main__":
    script(main, worker)
