"""Benchmark of FastText and its classifier against the original and gensim.

    python bench/words/fasttext.py english.txt.gz --pairs wordsim353.tsv \
        --analogies questions-words.txt
    python bench/words/fasttext.py english.txt.gz speed process memory classifier

All three train with the same settings: skip-gram, dim 100, window 5, 5 negatives, sample 1e-3,
min_count 5, lr 0.025, n-grams of 3 to 6 letters in 2,000,000 buckets, 3 epochs (speed and memory:
1).  Every run is a process of its own.  Times are medians of runs in the order A B A B ...
The original does not report its training time.  It is measured as the time of a run minus the time
of a run of 0 epochs, which only reads the text and fills the tables.  The original is given no
seed; its runs differ because its threads interleave differently.  If it is not installed, quality
is compared with its figures in KNOWN.
Needs     python -m pip install fasttext gensim   (older fasttext releases: numpy<2)
"""
import sys
import time
from importlib.util import find_spec

from on_a_text import compare_quality, on_a_text, run_job, scores
from side_by_side import PeakMemory, median, ratios, spread

sys.path.pop(0)                    # this folder: `import fasttext` would find this file
SIDES, EPOCHS, SEEDS = ("original", "gensim", "ours"), 3, (1, 2, 3)
KNOWN = {"wordsim": [32.1, 32.5, 32.8],                # the original, english.txt.gz, two threads
         "analogies": [47.15, 46.74, 46.64]}
COMMON = dict(lr=0.025, dim=100)   # settings of all sides


# ---- one run, in its own process ----------------------------------------------------------------

def run_original(job):
    """Run fastText, which reads the text and trains in one call."""
    import fasttext
    memory, start = PeakMemory(), time.perf_counter()
    model = fasttext.train_unsupervised(
        job["text"], model="skipgram", ws=5, epoch=job["epochs"], minCount=5, minn=3, maxn=6,
        neg=5, bucket=2_000_000, t=1e-3, thread=job["workers"], verbose=0, **COMMON)
    figures = dict(whole=time.perf_counter() - start, growth=memory.growth())
    words, counts = model.get_words(include_freq=True)
    if "save" in job:
        model.save_model(job["save"])
    figures["words"] = int(sum(counts))
    if not job.get("pairs"):
        return figures
    import numpy as np
    vectors = np.array([model.get_word_vector(word) for word in words])
    return figures | scores({word: i for i, word in enumerate(words)}, vectors, job)


def run_gensim(job):
    """Run gensim: build_vocab reads the text, then train reads it again."""
    from gensim.models import FastText
    memory, start = PeakMemory(), time.perf_counter()
    model = FastText(vector_size=COMMON["dim"], alpha=COMMON["lr"], window=5, negative=5,
                     sample=1e-3, min_count=5, sg=1, min_n=3, max_n=6, bucket=2_000_000,
                     seed=job["seed"], workers=job["workers"])
    model.build_vocab(corpus_file=job["text"])
    read = time.perf_counter()
    if job["epochs"]:
        model.train(corpus_file=job["text"], total_examples=model.corpus_count,
                    total_words=model.corpus_total_words, epochs=job["epochs"])
    done = time.perf_counter()
    if "save" in job:
        from gensim.models.fasttext import save_facebook_model
        save_facebook_model(model, job["save"])
    return dict(whole=done - start, train=done - read, growth=memory.growth(),
                words=int(model.wv.expandos["count"].sum()))


def run_ours(job):
    """Run scratch_embed; its kernels are compiled, or loaded, before the clock starts."""
    from scratch_embed.text.reader import read_corpus
    from scratch_embed.text.vocab import index_sentences
    from scratch_embed.training.session import RunOptions
    from scratch_embed.words.fasttext import train
    from scratch_embed.words.fasttext_files import Settings, word_model, write_bin
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.subwords import NGrams
    if job.get("warm", True):
        vocab, corpus = index_sentences([["warm", "up"]] * 10, min_count=1)
        train(corpus, vocab, sample=0, epochs=1, ngrams=NGrams(buckets=100))
    memory, start = PeakMemory(), time.perf_counter()
    vocab, corpus = read_corpus(job["text"])
    read = time.perf_counter()
    trained = train(corpus, vocab, sample=1e-3, epochs=job["epochs"],
                    options=RunOptions(job["workers"], job["seed"]), **COMMON)
    done = time.perf_counter()
    figures = dict(whole=done - start, train=done - read, growth=memory.growth(),
                   words=len(corpus.ids))
    if "save" in job:
        settings = Settings(dim=100, epochs=job["epochs"], min_count=5, loss="ns",
                            model="skipgram", buckets=2_000_000, min_n=3, max_n=6, sample=1e-3)
        write_bin(job["save"], word_model(vocab, trained.W, trained.U, settings))
    if not job.get("pairs"):
        return figures
    words = FastTextVectors(vocab.words, trained.W, 3, 6).words
    return figures | scores(vocab.index, words.vectors, job)


def run_classifier(job):
    """Train a classifier, kernels compiled before.  -> seconds with reading, test precision at 1"""
    if job["side"] == "original, classifier":
        import fasttext
        start = time.perf_counter()
        model = fasttext.train_supervised(job["text"], epoch=25, wordNgrams=2, bucket=100_000,
                                          thread=1, verbose=0, **COMMON | {"lr": 0.5})
        seconds = time.perf_counter() - start
        return dict(train=seconds, precision=model.test(job["test"])[1])
    from scratch_embed.words.subwords import NGrams
    from scratch_embed.words.supervised import train
    train(["__label__a warm up", "__label__b up warm"], epochs=1, word_ngrams=2,
          ngrams=NGrams(0, 0, 10))
    start = time.perf_counter()
    trained = train(job["text"], epochs=25, word_ngrams=2,
                    ngrams=NGrams(0, 0, 100_000), **COMMON | {"lr": 0.5})
    seconds = time.perf_counter() - start
    return dict(train=seconds, precision=trained.classifier.test(job["test"]).precision)


def worker(job):
    """Run one job.  -> its figures"""
    job = {"epochs": EPOCHS} | job
    sides = {"original": run_original, "gensim": run_gensim, "ours": run_ours}
    return sides.get(job["side"], run_classifier)(job)


# ---- the sections -------------------------------------------------------------------------------

def speed(text, rounds, **_):
    """Training speed: vocabulary words read per second, counted before subsampling."""
    print("\nspeed: training only, k words/s; original: a run of one epoch minus a run of none")
    sides = [(side, workers) for workers in (1, 2) for side in SIDES]
    rates = {key: [] for key in sides}
    for _ in range(rounds):
        for side, workers in sides:
            figures = run_job(side, text, epochs=1, workers=workers)
            seconds = figures.get("train")
            if side == "original":
                no_epoch = run_job(side, text, epochs=0, workers=workers)
                seconds = figures["whole"] - no_epoch["whole"]
            rates[side, workers].append(figures["words"] / seconds / 1e3)
    for (side, workers), values in rates.items():
        print(f"  {side:8} {workers} thread(s)  {median(values):7.0f} ({spread(values)})   "
              f"x original {ratios(values, rates['original', workers])}   "
              f"x one thread {ratios(values, rates[side, 1])}", flush=True)


def process(text, rounds, **_):
    """Seconds from the start of Python to the .bin: three epochs, two threads, kernels cached."""
    print("\nwhole process: seconds from the start of Python to the .bin on the disk, two threads")
    seconds = {side: [] for side in SIDES}
    run_job("ours", text, epochs=1, save=text + ".bin", workers=2)         # compiles the kernels
    for _ in range(rounds):
        for side, values in seconds.items():
            values.append(run_job(side, text, workers=2, warm=False, save=text + ".bin")["process"])
    for side, values in seconds.items():
        print(f"  {side:8} {median(values):7.1f} ({spread(values)})   x original "
              f"{ratios(seconds['original'], values)}", flush=True)


def memory(text, rounds, **_):
    """The growth of anonymous memory after import and warm-up, one epoch."""
    print("\nmemory: growth of anonymous memory after import and warm-up, MiB (one epoch)")
    for side in SIDES:
        values = [run_job(side, text, epochs=1, workers=2)["growth"] for _ in range(rounds)]
        print(f"  {side:8} {median(values):7.1f}", flush=True)


def quality(text, pairs, analogies, **_):
    """WordSim-353 and analogies of ours and the original (or its KNOWN figures), three epochs."""
    print(f"\nquality: three epochs, two threads, seeds {', '.join(map(str, SEEDS))}")
    installed = find_spec("fasttext") is not None
    sides, known = (("ours", "original"), None) if installed else (("ours",), KNOWN)
    compare_quality(text, sides, "original", SEEDS, pairs, analogies, 1, known, workers=2)


def classifier(text, rounds, **_):
    """The classifiers of ours and the original: 40,000 toy reviews to train, 10,000 to test."""
    from scratch_embed.worlds.labelled import reviews, upper_bound
    print("\nclassifier: worlds/labelled.py, word bigrams, softmax, 25 epochs, one thread")
    lines = reviews(seed=1, lines=50_000).lines
    names = text + ".train", text + ".test"
    for name, part in zip(names, (lines[:40_000], lines[40_000:])):
        with open(name, "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in part)
    results = {"original, classifier": [], "ours, classifier": []}
    for _ in range(rounds):
        for side, values in results.items():
            values.append(run_job(side, names[0], test=names[1]))
    theirs = [v["train"] for v in results["original, classifier"]]
    for side, values in results.items():
        seconds = [v["train"] for v in values]
        print(f"  {side:20} {median(seconds):6.2f} s   x original {ratios(theirs, seconds)}   "
              f"precision {median([v['precision'] for v in values]):.4f} "
              f"(upper bound {upper_bound():.4f})", flush=True)


SECTIONS = dict(speed=speed, process=process, memory=memory, quality=quality,
                classifier=classifier)

if __name__ == "__main__":
    on_a_text(SECTIONS, worker, __doc__.splitlines()[0])
