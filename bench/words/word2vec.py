"""Benchmark of word2vec against gensim: speed, memory, quality, growth with the text.

    python bench/words/word2vec.py english.txt.gz --pairs wordsim353.tsv \
        --analogies questions-words.txt
    python bench/words/word2vec.py english.txt.gz speed process memory growth

Both have the same settings: skip-gram, dim 100, window 5, 5 negatives, sample 1e-3, min_count 5,
3 epochs (speed, memory and growth: 1).  Ours is run in two forms: "exact" draws negatives for each
pair, "shared" once per position (words/shared_negatives.py).  Every run is a process of its own.
Times are medians of runs in the order A B A B ...; quality is the mean over seeds 1..10, and its
difference to gensim's mean with a 95% interval (Welch).
Needs     python -m pip install -e '.[bench]'
"""
import os
import tempfile
import time

from on_a_text import compare_quality, on_a_text, run_job, scores
from side_by_side import PeakMemory, median, ratios, spread

SIDES = ("gensim", "exact", "shared")
EPOCHS, SEEDS = 3, range(1, 11)


# ---- one run, in its own process ----------------------------------------------------------------

def run_gensim(job):
    """Run gensim: build_vocab reads the text, then train reads it again, both compiled."""
    from gensim.models import Word2Vec
    Word2Vec([["warm", "up"]] * 10, min_count=1, workers=1)
    memory = PeakMemory()
    start = time.perf_counter()
    model = Word2Vec(vector_size=100, window=5, negative=5, sample=1e-3, min_count=5, sg=1,
                     seed=job["seed"], workers=job["workers"])
    model.build_vocab(corpus_file=job["text"])
    read = time.perf_counter()
    model.train(corpus_file=job["text"], total_examples=model.corpus_count,
                total_words=model.corpus_total_words, epochs=job["epochs"])
    done = time.perf_counter()
    index, vectors = model.wv.key_to_index, model.wv.vectors
    words = int(model.wv.expandos["count"].sum()) * job["epochs"]
    figures = dict(read=read - start, train=done - read, growth=memory.growth(), words=words)
    return figures, index, vectors, model.wv


def run_ours(job):
    """Run scratch_embed; unless job["warm"] is False, kernels are compiled or loaded before."""
    from scratch_embed.text.reader import read_corpus
    from scratch_embed.text.vocab import index_sentences
    from scratch_embed.training.session import RunOptions
    from scratch_embed.words.shared_negatives import shared_chunk
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.words.word2vec import skipgram_chunk, train
    method = shared_chunk if job["side"] == "shared" else skipgram_chunk
    if job.get("warm", True):
        vocab, corpus = index_sentences([["warm", "up"]] * 10, min_count=1)
        train(corpus, vocab, method, sample=0, epochs=1)
        with tempfile.NamedTemporaryFile(suffix=".txt") as file:
            file.write(b"warm up\n")
            file.flush()
            read_corpus(file.name, min_count=1)
    memory = PeakMemory()
    start = time.perf_counter()
    vocab, corpus = read_corpus(job["text"], job.get("min_count", 5), folder=job.get("folder"))
    read = time.perf_counter()
    trained = train(corpus, vocab, method, epochs=job["epochs"],
                    options=RunOptions(job["workers"], job["seed"]))
    done = time.perf_counter()
    words = len(corpus.ids) * job["epochs"]
    figures = dict(read=read - start, train=done - read, growth=memory.growth(), words=words)
    return figures, vocab.index, trained.W, WordVectors(vocab.words, trained.W)


def worker(job):
    """Run one job.  -> its figures; "table": the MiB of both tables"""
    job = {"epochs": EPOCHS} | job
    figures, index, vectors, kv = (run_gensim if job["side"] == "gensim" else run_ours)(job)
    if "save" in job:
        kv.save_word2vec_format(job["save"]) if job["side"] == "gensim" else kv.save(job["save"])
    return figures | {"table": vectors.nbytes * 2 / 2**20} | scores(index, vectors, job)


# ---- the sections -------------------------------------------------------------------------------

def speed(text, rounds, **_):
    """Training only: thousand words per second, and ratios round by round."""
    print("\nspeed: training only, k words/s, counted before subsampling; one epoch per run")
    sides = [(side, workers) for workers in (1, 2) for side in SIDES]
    rates = {key: [] for key in sides}
    for _ in range(rounds):
        for side, workers in sides:
            figures = run_job(side, text, epochs=1, workers=workers)
            rates[side, workers].append(figures["words"] / figures["train"] / 1e3)
    for (side, workers), values in rates.items():
        print(f"  {side:7} {workers} thread(s)  {median(values):7.0f}  ({spread(values)})"
              f"   x gensim {ratios(values, rates['gensim', workers])}"
              f"   x one thread {ratios(values, rates[side, 1])}", flush=True)
    share_of_peak(median(rates["exact", 1]), median(rates["shared", 1]))


def share_of_peak(exact, shared):
    """Print the GFLOP/s of training, and their share of those of a matrix product.

    exact, shared: thousand words per second on one thread
    """
    import numpy as np
    A = np.ones((1500, 1500), np.float32)             # on as many threads as BLAS takes
    times = []
    for _ in range(7):
        start = time.perf_counter()
        A @ A
        times.append(time.perf_counter() - start)
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "all")
    peak = 2 * 1500**3 / min(times) / 1e9
    flops = 3.82 * 6 * (6 * 100)     # measured pairs per word · (K + 1) targets · 6 D
    exact, shared = (rate * 1e3 * flops / 1e9 for rate in (exact, shared))
    print(f"  a float32 matrix product on {threads} thread(s): {peak:.0f} GFLOP/s; exact "
          f"{exact:.1f}, {100 * exact / peak:.0f}% of it; shared {shared:.1f}, "
          f"{100 * shared / peak:.0f}%")


def process(text, rounds, **_):
    """Seconds from the start of Python to the file of vectors: three epochs, one thread."""
    print("\nwhole process: seconds from the start of Python to the file of vectors, one thread")
    with tempfile.TemporaryDirectory() as folder:
        cases = {"gensim": ("gensim", False)}
        cases |= {f"{side}, {'empty' if cold else 'warm'} kernel cache": (side, cold)
                  for side in SIDES[1:] for cold in (True, False)}
        seconds = {case: [] for case in cases}
        run_job("exact", text, epochs=1, environment={"NUMBA_CACHE_DIR": folder + "/warm"})
        run_job("shared", text, epochs=1, environment={"NUMBA_CACHE_DIR": folder + "/warm"})
        for number in range(rounds):
            for case, (side, cold) in cases.items():
                cache = f"{folder}/{side}{number}" if cold else folder + "/warm"
                figures = run_job(side, text, save=f"{folder}/{side}.vec", warm=False,
                                  environment={"NUMBA_CACHE_DIR": cache})
                seconds[case].append(figures["process"])
        for case, values in seconds.items():
            print(f"  {case:28} {median(values):6.1f} ({spread(values)})"
                  f"   x gensim {ratios(seconds['gensim'], values)}", flush=True)


def memory(text, rounds, **_):
    """The growth of anonymous memory while reading and training one epoch, after warm-up."""
    print("\nmemory: growth of anonymous memory after import and warm-up, MiB (one epoch)")
    with tempfile.TemporaryDirectory() as folder:
        for name, side, options in [("gensim", "gensim", {}), ("exact", "exact", {}),
                                    ("exact, text on disk", "exact", {"folder": folder + "/e"}),
                                    ("shared, text on disk", "shared", {"folder": folder + "/s"})]:
            values = [run_job(side, text, epochs=1, **options) for _ in range(rounds)]
            growth = median([v["growth"] for v in values])
            print(f"  {name:20} {growth:6.1f}   of which both tables {values[0]['table']:5.1f}")


def growth(text, rounds, **_):
    """Training time and memory for 1, 2, 4, 8 eighths of the text, then for one eighth repeated."""
    with open(text, "rb") as file:
        lines = file.readlines()
    eighth = lines[:len(lines) // 8]
    print("\ngrowth: exact form, one epoch, one thread, text on disk")
    print(" eighths of the text, whose vocabulary grows with it")
    measure_growth({t: lines[:len(lines) * t // 8] for t in (1, 2, 4, 8)},
                   dict.fromkeys((1, 2, 4, 8), 5), rounds)
    print(" the first eighth, repeated; min_count 5, 10, 20, 40, so that no word is added")
    measure_growth({t: eighth * t for t in (1, 2, 4, 8)}, {t: 5 * t for t in (1, 2, 4, 8)}, rounds)


def measure_growth(texts, min_count, rounds):
    """Print time and memory for each text.  texts: {t: lines}; min_count: {t: number}"""
    with tempfile.TemporaryDirectory() as folder:
        paths = {t: f"{folder}/{t}.txt" for t in texts}
        for t, lines in texts.items():
            with open(paths[t], "wb") as file:
                file.writelines(lines)
        seconds, other_memory, words = {t: [] for t in paths}, {t: [] for t in paths}, {}
        for number in range(rounds):
            for t, path in paths.items():
                figures = run_job("exact", path, epochs=1, folder=f"{folder}/ids{t}-{number}",
                                  min_count=min_count[t])
                seconds[t].append(figures["train"])
                words[t] = figures["words"]
                other_memory[t].append(figures["growth"] - figures["table"])
    for t in paths:
        microseconds = median([s / words[t] * 1e6 for s in seconds[t]])
        print(f"  {t}x  {words[t]:9,} words  {median(seconds[t]):6.2f} s ({spread(seconds[t])})"
              f"  {microseconds:.3f} µs per word   memory beyond both tables "
              f"{median(other_memory[t]):5.1f} MiB")
    spread_of_times = max(max(s) / min(s) - 1 for s in seconds.values())
    per_word = median(seconds[8]) / words[8] / (median(seconds[1]) / words[1])
    ratio, limit = median(seconds[8]) / median(seconds[1]), 8 * (1 + spread_of_times)
    print(f"  t(8x)/t(1x) = {ratio:.2f} for {words[8] / words[1]:.2f} times the words: the time "
          f"per word is {per_word:.2f} of that at 1x; 8 x (1 + observed spread) = {limit:.2f}: "
          + ("within" if ratio <= limit else "above"))


def quality(text, pairs, analogies, **_):
    """WordSim-353 and analogies over seeds 1..10 for all sides, two processes at a time."""
    print(f"\nquality: three epochs, one thread per run, seeds {SEEDS[0]}..{SEEDS[-1]}")
    compare_quality(text, SIDES, "gensim", SEEDS, pairs, analogies)


SECTIONS = dict(speed=speed, process=process, memory=memory, growth=growth, quality=quality)

if __name__ == "__main__":
    on_a_text(SECTIONS, worker, __doc__.splitlines()[0])
