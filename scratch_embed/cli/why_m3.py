"""why m3: which of BGE-M3's three scores finds what, and what self-distillation adds."""
from scratch_embed.cli.printing import heading, listed, paragraph, show_intervals
from scratch_embed.cli.why_models import say_wait


def run_m3(arguments):
    """Print the predictions, then the table of all scores, then which predictions held."""
    from scratch_embed.why.m3 import (
        CLAIMS,
        COLUMNS,
        M3,
        PAIRS,
        SIZES,
        compared,
        differences,
        draw_task,
    )
    from scratch_embed.why.seeds import for_seeds, stack
    say_wait()
    seeds = list(range(1, arguments.seeds + 1))
    tasks = [draw_task(seed) for seed in seeds]
    queries, documents = tasks[0].lookups.gains.shape
    settings = M3 | dict(steps=arguments.steps)
    heading("1  Dense, sparse, multi-vector and hybrid")
    paragraph(f"nDCG@10 in % of {queries} queries on {documents:,} documents, each with a unique "
              f"code such as kx-417: {queries // 2} questions in other words, {queries // 2} that "
              f"name a code (worlds/codes.py); mean: of both halves.  Composed: 20 reports share a "
              f"code, and each of {len(tasks[0].composed.queries)} questions names one, as no "
              f"training pair does.  Mean of {len(seeds)} seeds with its 95% interval.  "
              f"{listed(SIZES)}; {listed(settings)}; {PAIRS:,} training pairs of both kinds, with "
              "other codes.  Hybrid: the mean of the three scores.")
    print("\nPredictions (a trial on seed 1 had shown the order of the scores before):")
    for number, claim in enumerate(CLAIMS, 1):
        paragraph(f"{number}  {claim.column}: {claim.one} {IN_WORDS[claim.predicted]} "
                  f"{claim.other}.  {claim.why}", "    ")
    print()
    measured = for_seeds(lambda task: compared(task, steps=arguments.steps), tasks, progress=True)
    rows = stack([each.rows for each in measured])
    for first, last in (0, 2), (2, 4):                                     # all are too wide
        show_intervals({name: x[:, first:last] for name, x in rows.items()}, COLUMNS[first:last])
    heading("2  The predictions")
    held = 0
    for number, (claim, found) in enumerate(zip(CLAIMS, differences(rows)), 1):
        held += found.verdict == claim.predicted
        print(f"    {number:2}  {claim.column + ':':11}{claim.one + ' - ' + claim.other:42}"
              f"{found.mean:+6.1f} ± {found.half:4.1f}  {IN_SHORT[found.verdict]:16}"
              f"{'held' if found.verdict == claim.predicted else 'failed'}", flush=True)
    print()
    paragraph(f"{held} of {len(CLAIMS)} predictions held.  Of {len(CLAIMS)} intervals at 95%, "
              f"{len(CLAIMS) / 20:.1f} are expected to miss the true value by chance.")
    show_reasons(measured)



IN_WORDS = {"helps": "is above", "hurts": "is below",
            "not significant": "does not differ significantly from"}
IN_SHORT = {"helps": "higher", "hurts": "lower", "not significant": "not significant"}


def show_reasons(measured):
    """Print how much each score varies, and how many of the best documents are candidates."""
    from scratch_embed.why.m3 import DEPTHS, K
    from scratch_embed.why.seeds import stack
    heading("3  How much each score varies")
    paragraph("The standard deviation of a query's scores over the documents, mean over queries.  "
              "With equal weights the score that varies most decides most.")
    show_intervals(stack([each.deviations for each in measured]),
                   ("dense", "sparse", "multi-vector"), digits=(3, 3, 3))
    heading("4  Candidates")
    paragraph(f"How many of the {K} best documents by the hybrid score, of all documents, "
              "M3Index.search finds, in %, when the dense and the sparse search give so many "
              "candidates each.")
    found = stack([{f"depth {depth}": [recall] for depth, recall in zip(DEPTHS, each.recall)}
                   for each in measured])
    show_intervals(found, ("found",))
