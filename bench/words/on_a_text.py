"""What the benchmarks of word vectors share: jobs on a text, and their quality.

A script that uses this calls `on_a_text(sections, worker, description, options)`.  Each section
gets the text as a plain file; `do` starts the script again with a job on it.
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

T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262,
        10: 2.228, 12: 2.179, 14: 2.145, 16: 2.120, 18: 2.101}


# ---- one run, in its own process ----------------------------------------------------------------

def do(side, text, environment=(), **job):
    """Run a job in a process of its own; its figures, and the whole process's seconds."""
    job = dict(side=side, text=text, seed=1, workers=1) | job
    start = time.perf_counter()
    figures = in_a_process(job, {"OPENBLAS_NUM_THREADS": "1", **dict(environment)})
    return figures | {"process": time.perf_counter() - start}


def scores(index, vectors, job):
    """WordSim-353 and analogies in percent, with their coverage; {} unless the job asks."""
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


# ---- telling it ---------------------------------------------------------------------------------

def welch(a, b):
    """The 95% interval of mean(a) − mean(b), whose variances may differ."""
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    quantile = next((t for df, t in sorted(T_95.items(), reverse=True) if df <= freedom), T_95[1])
    middle = statistics.mean(a) - statistics.mean(b)
    return middle - quantile * math.sqrt(va + vb), middle + quantile * math.sqrt(va + vb)


def compare_quality(text, sides, peer, seeds, pairs, analogies, at_once=2, known=None, **job):
    """Both measures of each side over the seeds; differences to the peer with their intervals.

    known: {measure: figures of the peer that were measured elsewhere}, if it is not run here.
    """
    jobs = [(side, seed) for seed in seeds for side in sides]
    with ThreadPoolExecutor(at_once) as pool:
        done = dict(zip(jobs, pool.map(lambda one: do(
            one[0], text, seed=one[1], pairs=pairs, analogies=analogies, **job), jobs)))
    print(f"  covered: {'; '.join(sorted({figures['coverage'] for figures in done.values()}))}")
    for measure in ("wordsim", "analogies"):
        found = {side: [done[side, seed][measure] for seed in seeds] for side in sides}
        found |= {peer: known[measure]} if known else {}
        for side, values in found.items():
            print(f"  {measure:9} {side:10} mean {statistics.mean(values):6.2f}   "
                  + " ".join(f"{x:.2f}" for x in values))
        for side in found.keys() - {peer}:
            low, high = welch(found[side], found[peer])
            print(f"  {measure:9} {side} - {peer} = {(low + high) / 2:+.2f}, "
                  f"95% interval {low:+.2f} to {high:+.2f}", flush=True)


# ---- the script ---------------------------------------------------------------------------------

def on_a_text(sections, worker, description, options=()):
    """Run the chosen sections, or one job.  options: (name, help) of further arguments."""
    def main():
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("text")
        parser.add_argument("--pairs", help="needed for quality")
        parser.add_argument("--analogies", help="needed for quality")
        for name, help in options:
            parser.add_argument(f"--{name}", help=help)
        arguments = vars(choose(parser, sections, rounds=3))
        chosen, text = arguments.pop("sections"), arguments.pop("text")
        if "quality" in chosen and not (arguments["pairs"] and arguments["analogies"]):
            parser.error("quality needs --pairs and --analogies")
        with tempfile.TemporaryDirectory() as folder:
            plain = os.path.join(folder, "plain.txt")            # the peers read plain files
            with open(plain, "wb") as out:
                out.write(read_bytes(text))
            for section in chosen:
                sections[section](plain, **arguments)
    script(main, worker)
