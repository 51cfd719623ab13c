"""Shared by the benchmarks of word vectors: run jobs on a text, and compare the quality.

A benchmark calls `on_a_text(sections, worker, description, options)`.  Each section receives the
path of the uncompressed text; `run_job` starts the script again to run one job on this text.
"""
import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, in_a_process, read_bytes, script

# {degrees of freedom: the 97.5% quantile of Student's t}, for two-sided 95% intervals
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262,
        10: 2.228, 12: 2.179, 14: 2.145, 16: 2.120, 18: 2.101}


# ---- one run, in its own process ----------------------------------------------------------------

def run_job(side, text, environment=(), **job):
    """Run a job in a process of its own.  -> its figures, and the seconds of the whole process"""
    job = dict(side=side, text=text, seed=1, workers=1) | job
    start = time.perf_counter()
    figures = in_a_process(job, {"OPENBLAS_NUM_THREADS": "1", **dict(environment)})
    return figures | {"process": time.perf_counter() - start}


def scores(index, vectors, job):
    """Percentages on WordSim-353 and analogies, with their coverage; {} for a job without pairs.

    index: {word: row}; vectors: (V, D)
    """
    if not job.get("pairs"):
        return {}
    from scratch_embed.evaluate.words import (
        read_analogies,
        read_pairs,
        score_analogies,
        score_pairs,
    )
    rated = score_pairs(index, vectors, read_pairs(job["pairs"]))
    solved = score_analogies(index, vectors, read_analogies(job["analogies"])).overall
    return dict(wordsim=100 * rated.spearman, analogies=100 * solved.accuracy,
                coverage=f"{rated.covered} of {rated.total} pairs, "
                         f"{solved.covered} of {solved.total} analogies")


# ---- comparing ---------------------------------------------------------------------------------

def welch(a, b):
    """The 95% interval of mean(a) − mean(b) (Welch): the variances of a and b may differ."""
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    degrees = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    quantile = next((t for df, t in sorted(T_95.items(), reverse=True) if df <= degrees), T_95[1])
    difference, margin = statistics.mean(a) - statistics.mean(b), quantile * math.sqrt(va + vb)
    return difference - margin, difference + margin


def compare_quality(text, sides, peer, seeds, pairs, analogies, at_once=2, known=None, **job):
    """Print both measures of each side over the seeds, and each side minus the peer (95% interval).

    at_once: processes in parallel; known: {measure: figures of the peer}, if it is not run here.
    """
    jobs = [(side, seed) for seed in seeds for side in sides]
    with ThreadPoolExecutor(at_once) as pool:
        results = dict(zip(jobs, pool.map(lambda side_seed: run_job(
            side_seed[0], text, seed=side_seed[1], pairs=pairs, analogies=analogies, **job), jobs)))
    print(f"  covered: {'; '.join(sorted({figures['coverage'] for figures in results.values()}))}")
    for measure in ("wordsim", "analogies"):
        scored = {side: [results[side, seed][measure] for seed in seeds] for side in sides}
        scored |= {peer: known[measure]} if known else {}
        for side, values in scored.items():
            print(f"  {measure:9} {side:10} mean {statistics.mean(values):6.2f}   "
                  + " ".join(f"{x:.2f}" for x in values))
        for side in scored.keys() - {peer}:
            low, high = welch(scored[side], scored[peer])
            print(f"  {measure:9} {side} - {peer} = {(low + high) / 2:+.2f}, "
                  f"95% interval {low:+.2f} to {high:+.2f}", flush=True)


# ---- the script ---------------------------------------------------------------------------------

def on_a_text(sections, worker, description, options=()):
    """Run the chosen sections, or with --worker one job.  options: (name, help) of more options."""
    def main():
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("text", help="one sentence per line, plain or gzip")
        parser.add_argument("--pairs", help="rated word pairs, needed for quality")
        parser.add_argument("--analogies", help="analogy questions, needed for quality")
        for name, help in options:
            parser.add_argument(f"--{name}", help=help)
        arguments = vars(choose(parser, sections, rounds=3))
        chosen, text = arguments.pop("sections"), arguments.pop("text")
        if "quality" in chosen and not (arguments["pairs"] and arguments["analogies"]):
            parser.error("quality needs --pairs and --analogies")
        with tempfile.TemporaryDirectory() as folder:
            plain = os.path.join(folder, "plain.txt")            # the originals read plain files
            with open(plain, "wb") as out:
                out.write(read_bytes(text))
            for section in chosen:
                sections[section](plain, **arguments)
    script(main, worker)
