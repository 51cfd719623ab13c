"""Benchmark of GloVe against its C programs: counting, training, memory, quality.

    python bench/words/glove.py english.txt.gz --c GloVe/build \
        --pairs wordsim353.tsv --analogies questions-words.txt
    python bench/words/glove.py english.txt.gz count speed memory --c GloVe/build

Both have the same settings: window 10, min_count 5, dim 100, x_max 10, lr 0.05.  --c is the folder
of the C programs (vocab_count, cooccur, shuffle, glove).  Without it, training is compared with the
same equation without biases in plain NumPy, and quality with the C program's figures in KNOWN.
Every run is a process of its own.  Times are medians of runs in the order A B A B ...
"""
import os
import subprocess
import time

import numpy as np
from on_a_text import compare_quality, on_a_text, run_job, scores
from side_by_side import PeakMemory, anonymous_kib, median, ratios, spread

WINDOW, X_MAX, DIM, EPOCHS, SEEDS = 10, 10, 100, 15, (1, 2, 3)
PLAIN_CELLS = 20_000               # cells that plain NumPy trains on, one by one
KNOWN = {"wordsim": [35.1, 36.7, 37.6], "analogies": [8.14, 8.09, 8.20]}   # C, english.txt.gz


# ---- one run, in its own process ----------------------------------------------------------------

def run_ours(job):
    """Run scratch_embed: read, count, train.  Its kernels are compiled, or loaded, before."""
    from scratch_embed.text.reader import read_corpus
    from scratch_embed.text.vocab import index_sentences
    from scratch_embed.training.session import RunOptions
    from scratch_embed.words.cooccurrence import count_cells
    from scratch_embed.words.glove import train
    vocab, corpus = index_sentences([["warm", "up"]] * 10, min_count=1)
    train(count_cells(corpus, 2), 2, epochs=1)
    memory, start = PeakMemory(), time.perf_counter()
    vocab, corpus = read_corpus(job["text"])
    read = time.perf_counter()
    cells = count_cells(corpus, len(vocab), WINDOW)
    counted = time.perf_counter()
    trained = train(cells, len(vocab), dim=DIM, x_max=X_MAX, epochs=job["epochs"],
                    options=RunOptions(job["workers"], job["seed"]))
    done = time.perf_counter()
    figures = dict(read=read - start, count=counted - read, train=done - counted,
                   cells=len(cells.rows), tokens=len(corpus.ids), loss=trained.losses[-1],
                   growth=memory.growth())
    return figures | scores(vocab.index, trained.vectors, job)


def run_plain(job):
    """Train in plain NumPy, without biases, one cell at a time.  -> cells per second"""
    from scratch_embed.text.reader import read_corpus
    from scratch_embed.words.cooccurrence import count_cells
    from scratch_embed.words.glove import adagrad_step, loss_and_grad, weight
    vocab, corpus = read_corpus(job["text"])
    cells = count_cells(corpus, len(vocab), WINDOW)
    sample = np.random.default_rng(1).choice(len(cells.rows), PLAIN_CELLS)
    W, U = np.random.default_rng(2).random((2, len(vocab), DIM)) / DIM
    G, H = np.ones_like(W), np.ones_like(U)
    start = time.perf_counter()
    for i, j, x in zip(cells.rows[sample], cells.cols[sample], cells.counts[sample]):
        _, dw, du, _ = loss_and_grad(W[i], U[j], 0.0, 0.0, np.log(x), weight(x, X_MAX))
        W[i], G[i] = adagrad_step(W[i], G[i], dw, 0.05)
        U[j], H[j] = adagrad_step(U[j], H[j], du, 0.05)
    return dict(rate=PLAIN_CELLS / (time.perf_counter() - start))


def run_c(job):
    """Run the C programs one after the other.  -> seconds of each, the largest memory of one"""
    folder, programs, seconds, peak = job["folder"], job["c"], {}, 0
    names = {name: f"{folder}/{name}-{job['epochs']}-{job['seed']}"
             for name in ("vocab", "cells", "shuffled", "vectors")}
    steps = {
        "vocab_count": (["-min-count", "5"], job["text"], names["vocab"]),
        "cooccur": (["-window-size", str(WINDOW), "-memory", "4", "-vocab-file", names["vocab"],
                     "-overflow-file", names["cells"]], job["text"], names["cells"]),
        "shuffle": (["-memory", "4", "-seed", str(job["seed"]), "-temp-file", names["shuffled"]],
                    names["cells"], names["shuffled"]),
        "glove": (["-input-file", names["shuffled"], "-vocab-file", names["vocab"], "-save-file",
                   names["vectors"], "-vector-size", str(DIM), "-x-max", str(X_MAX), "-iter",
                   str(job["epochs"]), "-threads", str(job["workers"]), "-binary", "0", "-seed",
                   str(job["seed"]), "-write-header", "0"], os.devnull, os.devnull)}
    for program, (options, source, target) in steps.items():
        start = time.perf_counter()
        with open(source, "rb") as stdin, open(target, "wb") as stdout:
            process = subprocess.Popen([f"{programs}/{program}", *options, "-verbose", "0"],
                                       stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL)
            while process.poll() is None:
                peak = max(peak, anonymous_kib(process.pid))
                time.sleep(0.005)
        if process.returncode:
            raise SystemExit(f"{program} ended with return code {process.returncode}")
        seconds[program] = time.perf_counter() - start
    figures = dict(seconds=seconds, growth=peak / 1024,
                   cells=os.path.getsize(names["cells"]) // 16)
    if job.get("pairs"):
        from scratch_embed.words.vectors import WordVectors
        kv = WordVectors.load(names["vectors"] + ".txt")
        figures |= scores(kv.key_to_index, kv.vectors, job)
    for name in names.values():
        for path in (name, name + ".txt"):
            if os.path.exists(path):
                os.remove(path)
    return figures


def worker(job):
    """Run one job.  -> its figures"""
    return {"ours": run_ours, "plain": run_plain, "C": run_c}[job["side"]](job)


# ---- the sections -------------------------------------------------------------------------------

def c_options(text, c):
    """The further arguments of a job that runs the C programs."""
    if not os.path.isfile(f"{c}/cooccur"):
        raise SystemExit(f"--c {c}: expected the folder of GloVe's programs vocab_count, cooccur, "
                         "shuffle and glove (github.com/stanfordnlp/GloVe, make), found no cooccur")
    return dict(c=c, folder=os.path.dirname(text))


def count(text, rounds, c, **_):
    """Counting alone: seconds, million pairs per second, ratio to C."""
    print("\ncount: from word numbers to cells; C also reads the text and writes the cells")
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(run_job("ours", text, epochs=1))
        if c:
            theirs.append(run_job("C", text, epochs=1, **c_options(text, c)))
    seconds = [o["count"] for o in ours]
    pairs = 2 * WINDOW * ours[0]["tokens"]                       # an upper bound
    print(f"  ours  {median(seconds):6.2f} s ({spread(seconds)}), {ours[0]['cells']:,} cells, "
          f"at most {pairs / median(seconds) / 1e6:.0f} M pairs per second")
    if c:
        c_seconds = [t["seconds"]["vocab_count"] + t["seconds"]["cooccur"] for t in theirs]
        whole = [o["read"] + o["count"] for o in ours]
        print(f"  C     {median(c_seconds):6.2f} s ({spread(c_seconds)}), "
              f"{theirs[0]['cells']:,} cells\n"
              f"  ours with reading {median(whole):.2f} s; x C {ratios(c_seconds, whole)}")


def speed(text, rounds, c, **_):
    """Training alone.  C also reads files, so its time is half the difference of 3 epochs and 1.

    Plain NumPy has one thread in both rows.
    """
    print("\nspeed: training alone, seconds per epoch over all cells")
    peer = "C" if c else "plain"
    figures = {(side, workers): [] for workers in (1, 2) for side in ("ours", peer)}
    for _ in range(rounds):
        for side, workers in figures:
            figures[side, workers].append(seconds_per_epoch(side, text, workers, c))
    cells = None
    for (side, workers), values in figures.items():
        seconds, cells = [s for s, _ in values], values[0][1] or cells
        print(f"  {side:5} {workers} thread(s)  {median(seconds):7.2f} s ({spread(seconds)})   "
              f"{cells / median(seconds) / 1e6:6.2f} M cells/s", flush=True)
    for workers in (1, 2):
        ours, other = ([s for s, _ in figures[side, workers]]
                       for side in ("ours", peer))
        print(f"  {workers} thread(s): x {'C' if c else 'plain NumPy'} {ratios(other, ours)}")
    ours = [s for s, _ in figures["ours", 2]]
    print(f"  two threads x one {ratios([s for s, _ in figures['ours', 1]], ours)}")
    memory_traffic(cells / median(ours))


def seconds_per_epoch(side, text, workers, c):
    """-> (seconds per epoch, number of cells)"""
    if side == "plain":
        cells = run_job("ours", text, epochs=1)["cells"]
        return cells / run_job("plain", text)["rate"], cells
    if side == "C":
        one, three = (run_job("C", text, epochs=n, workers=workers, **c_options(text, c))
                      for n in (1, 3))
        return (three["seconds"]["glove"] - one["seconds"]["glove"]) / 2, one["cells"]
    done = run_job("ours", text, epochs=3, workers=workers)
    return done["train"] / 3, done["cells"]


def memory_traffic(cells_per_second):
    """Print the bytes per second that training moves, and those of copying a large array."""
    a = np.ones(50_000_000, np.float32)
    b, times = np.empty_like(a), []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(b, a)
        times.append(time.perf_counter() - start)
    copied = 2 * a.nbytes / min(times) / 1e9
    moved = 2 * 2 * 2 * 4 * (DIM + 1)      # 2 rows, weights and G, read and written, 4 bytes each
    print(f"  a cell reads and writes {moved} bytes: {cells_per_second * moved / 1e9:.1f} GB/s, "
          f"much of it from caches; one thread copies {copied:.1f} GB/s of memory")


def memory(text, rounds, c, **_):
    """Anonymous memory.  Ours: the growth after import and warm-up; C: its largest program."""
    print("\nmemory: anonymous memory, MiB (one epoch)")
    ours = [run_job("ours", text, epochs=1)["growth"] for _ in range(rounds)]
    print(f"  ours  {median(ours):7.1f}")
    if c:
        print(f"  C     {run_job('C', text, epochs=1, **c_options(text, c))['growth']:7.1f} "
              "(-memory 4: cooccur allocates this at the start)")


def quality(text, pairs, analogies, c, **_):
    """WordSim-353 and analogies over the seeds, with two threads, as KNOWN was measured."""
    print(f"\nquality: {EPOCHS} epochs, two threads, seeds {', '.join(map(str, SEEDS))}")
    if c:
        compare_quality(text, ("ours", "C"), "C", SEEDS, pairs, analogies, 1, epochs=EPOCHS,
                        workers=2, **c_options(text, c))
    else:
        compare_quality(text, ("ours",), "C", SEEDS, pairs, analogies, 1, KNOWN, epochs=EPOCHS,
                        workers=2)


SECTIONS = dict(count=count, speed=speed, memory=memory, quality=quality)

if __name__ == "__main__":
    on_a_text(SECTIONS, worker, __doc__.splitlines()[0], [("c", "folder of GloVe's C programs")])
