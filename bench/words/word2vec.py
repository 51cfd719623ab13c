"""word2vec compared with gensim: speed, memory, quality, growth; both in one run, in turn.

    python bench/words/word2vec.py english.txt.gz --pairs wordsim353.tsv --analogies questions.txt
    python bench/words/word2vec.py english.txt.gz speed process memory growth

The settings of both: skip-gram, dim 100, window 5, 5 negatives, sample 1e-3, min_count 5, 3 epochs.
Every run is a process of its own.  Times are medians of runs in the order A B A B ...; quality is
the mean over seeds 1..10, and its difference to gensim's mean with a 95% interval (Welch).
Needs the extra: python -m pip install -e '.[bench]'
"""
import os
import tempfile
import time

from on_a_text import compare_quality, do, on_a_text, scores
from side_by_side import PeakMemory, median, ratios, spread

SIDES = ("gensim", "exact", "shared")
EPOCHS, SEEDS = 3, range(1, 11)


# ---- one run, in its own process ----------------------------------------------------------------

def run_gensim(job):
    """Read with build_vocab, train from the file, both in gensim's compiled code."""
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
    """The same, by scratch_embed; the kernels are compiled, or loaded, before the clock starts."""
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
    """Do one job; its figures."""
    job = {"epochs": EPOCHS} | job
    figures, index, vectors, kv = (run_gensim if job["side"] == "gensim" else run_ours)(job)
    if "save" in job:
        kv.save_word2vec_format(job["save"]) if job["side"] == "gensim" else kv.save(job["save"])
    return figures | {"table": vectors.nbytes * 2 / 2**20} | scores(index, vectors, job)


# ---- the sections -------------------------------------------------------------------------------

def speed(text, rounds, **_):
    """Training only: thousand words a second, and ratios round by round."""
    print("\nspeed: training only, k words/s (epoch's words x epochs / seconds), one epoch per run")
    plan = [(side, 1) for side in SIDES] + [(side, 2) for side in SIDES]
    rate = {key: [] for key in plan}
    for _ in range(rounds):
        for side, workers in plan:
            figures = do(side, text, epochs=1, workers=workers)
            rate[side, workers].append(figures["words"] / figures["train"] / 1e3)
    for side, workers in plan:
        values = rate[side, workers]
        print(f"  {side:7} {workers} thread(s)  {median(values):7.0f}  ({spread(values)})"
              f"   x gensim {ratios(values, rate['gensim', workers])}"
              f"   x one thread {ratios(values, rate[side, 1])}", flush=True)
    share_of_peak(median(rate["exact", 1]), median(rate["shared", 1]))


def share_of_peak(exact, shared):
    """Arithmetic done, against what one core does in a matrix product."""
    import numpy as np
    A = np.ones((1500, 1500), np.float32)             # on as many threads as BLAS takes
    times = []
    for _ in range(7):
        start = time.perf_counter()
        A @ A
        times.append(time.perf_counter() - start)
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "all")
    peak = 2 * 1500**3 / min(times) / 1e9
    flops = 3.82 * 6 * (6 * 100)     # pairs per word (English, these settings), targets, 6 D each
    exact, shared = (rate * 1e3 * flops / 1e9 for rate in (exact, shared))
    print(f"  a float32 matrix product on {threads} thread(s): {peak:.0f} GFLOP/s; exact "
          f"{exact:.1f}, {100 * exact / peak:.0f}% of it; shared {shared:.1f}, "
          f"{100 * shared / peak:.0f}%")


def process(text, rounds, **_):
    """From the start of Python to the file of vectors, three epochs, one thread."""
    print("\nwhole process: seconds from the start of Python to the file of vectors, one thread")
    with tempfile.TemporaryDirectory() as folder:
        cases = {"gensim": ("gensim", False)}
        cases |= {f"{side}, {'empty' if cold else 'warm'} kernel cache": (side, cold)
                  for side in SIDES[1:] for cold in (True, False)}
        seconds = {case: [] for case in cases}
        do("exact", text, epochs=1, environment={"NUMBA_CACHE_DIR": folder + "/warm"})
        do("shared", text, epochs=1, environment={"NUMBA_CACHE_DIR": folder + "/warm"})
        for turn in range(rounds):
            for case, (side, cold) in cases.items():
                cache = f"{folder}/{side}{turn}" if cold else folder + "/warm"
                done = do(side, text, save=f"{folder}/{side}.vec", warm=False,
                          environment={"NUMBA_CACHE_DIR": cache})
                seconds[case].append(done["process"])
        for case, values in seconds.items():
            print(f"  {case:28} {median(values):6.1f} ({spread(values)})"
                  f"   x gensim {ratios(seconds['gensim'], values)}", flush=True)


def memory(text, rounds, **_):
    """Growth of anonymous memory after import and warm-up, reading and training one epoch."""
    print("\nmemory: growth of anonymous memory after import and warm-up, MiB (one epoch)")
    with tempfile.TemporaryDirectory() as folder:
        for name, side, options in [("gensim", "gensim", {}), ("exact", "exact", {}),
                                    ("exact, text on disk", "exact", {"folder": folder + "/e"}),
                                    ("shared, text on disk", "shared", {"folder": folder + "/s"})]:
            values = [do(side, text, epochs=1, **options) for _ in range(rounds)]
            growth = median([v["growth"] for v in values])
            print(f"  {name:20} {growth:6.1f}   of it both tables {values[0]['table']:5.1f}")


def growth(text, rounds, **_):
    """Training time and memory over 1, 2, 4, 8 parts: of the text, and of one part repeated."""
    with open(text, "rb") as file:
        lines = file.readlines()
    eighth = lines[:len(lines) // 8]
    print("\ngrowth: exact form, one epoch, one thread, text on disk")
    print(" of the text, whose vocabulary grows with it")
    grow({t: lines[:len(lines) * t // 8] for t in (1, 2, 4, 8)}, dict.fromkeys((1, 2, 4, 8), 5),
         rounds)
    print(" of its first eighth, repeated; min_count 5, 10, 20, 40, so that no word is added")
    grow({t: eighth * t for t in (1, 2, 4, 8)}, {t: 5 * t for t in (1, 2, 4, 8)}, rounds)


def grow(texts, min_count, rounds):
    """Time and memory of each text, {times: lines}."""
    with tempfile.TemporaryDirectory() as folder:
        parts = {t: f"{folder}/{t}.txt" for t in texts}
        for t, lines in texts.items():
            with open(parts[t], "wb") as file:
                file.writelines(lines)
        seconds, rest, words = ({t: [] for t in parts} for _ in range(3))
        for turn in range(rounds):
            for t, path in parts.items():
                done = do("exact", path, epochs=1, folder=f"{folder}/ids{t}-{turn}",
                          min_count=min_count[t])
                seconds[t].append(done["train"])
                words[t] = done["words"]
                rest[t].append(done["growth"] - done["table"])
    for t in parts:
        each = median([s / words[t] * 1e6 for s in seconds[t]])
        print(f"  {t}x  {words[t]:9,} words  {median(seconds[t]):6.2f} s ({spread(seconds[t])})"
              f"  {each:.3f} µs a word   memory beyond both tables {median(rest[t]):5.1f} MiB")
    observed = max(max(s) / min(s) - 1 for s in seconds.values())
    per_word = median(seconds[8]) / words[8] / (median(seconds[1]) / words[1])
    ratio, limit = median(seconds[8]) / median(seconds[1]), 8 * (1 + observed)
    print(f"  t(8x)/t(1x) = {ratio:.2f} for {words[8] / words[1]:.2f} times the words: a word "
          f"takes {per_word:.2f} of what it took; 8 x (1 + observed spread) = {limit:.2f}: "
          + ("within" if ratio <= limit else "above"))


def quality(text, pairs, analogies, **_):
    """Seeds 1..10 of both sides, two processes at a time; the difference with its interval."""
    print(f"\nquality: three epochs, one thread per run, seeds {SEEDS[0]}..{SEEDS[-1]}")
    compare_quality(text, SIDES, "gensim", SEEDS, pairs, analogies)


SECTIONS = dict(speed=speed, process=process, memory=memory, growth=growth, quality=quality)

if __name__ == "__main__":
    on_a_text(SECTIONS, worker, __doc__.splitlines()[0])
