"""why matryoshka: ablations of Matryoshka training, other ways to short vectors, input types."""
from scratch_embed.cli.printing import heading, listed, paragraph, show_effects, show_intervals
from scratch_embed.cli.why_models import say_wait


def run_matryoshka(arguments):
    """Print ablations, predictions first; ways to fewer numbers; dimensions x precision; types."""
    from scratch_embed.why.prefixes import SIZES, TRAINING, flat, tree
    say_wait()
    seeds, steps = list(range(1, arguments.seeds + 1)), arguments.steps
    heading("1  Ablations of Matryoshka training")
    paragraph("nDCG@10 in % of the first 4 numbers on the taxonomy (worlds/taxonomy.py: 256 "
              f"queries, 128 documents, gains by shared levels), mean of {len(seeds)} seeds, each "
              "with its own texts and initial weights; the difference, with - without, is paired "
              "by seed and has its 95% interval.  The line below each has the differences at 8, "
              f"16 and all 64 numbers.  The model: {listed(SIZES)}.  Training: "
              f"{listed(TRAINING | dict(steps=steps))}.")
    show_ablations(seeds, steps)
    heading("2  Fewer numbers: Matryoshka and the alternatives")
    paragraph("Truncation and PCA shorten the vectors of a model whose loss is on all 64 numbers; "
              "PCA is fitted to the training texts.  'Trained at that size' is another model for "
              "each size.  Prediction: on the tree Matryoshka is better than PCA at 4 numbers; on "
              "flat facts it is not; all 64 numbers are somewhat worse than without Matryoshka.")
    show_ways("the taxonomy, a tree of 64 kinds", tree, seeds, steps)
    show_ways("the facts, five slots of which none is coarser", flat, seeds, steps)
    heading("3  Dimensions and precision")
    show_precisions(seeds, steps)
    heading("4  Input types: one encoder, several purposes")
    show_input_types(seeds)


def show_ablations(seeds, steps):
    """Print the ablations on the taxonomy."""
    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.matryoshka import ABLATIONS, OTHERS, measures, trained
    from scratch_embed.why.prefixes import tree
    ablations = [ablation._replace(settings=ablation.settings | dict(steps=steps))
                 for ablation in ABLATIONS]
    show_effects(ablations, measure_ablations(ablations, [*map(tree, seeds)], trained,
                                              progress=True, score=measures), OTHERS)


def show_ways(world, make, seeds, steps):
    """Print the scores of each way at each size, and Matryoshka's differences from the others."""
    from scratch_embed.why.prefixes import (
        DIMS,
        MATRYOSHKA,
        MEASURES,
        OWN,
        PROJECTED,
        TRUNCATED,
        compare,
        train_models,
    )
    from scratch_embed.why.seeds import over_seeds

    def measure(seed):
        task = make(seed)
        return compare(task, train_models(task, steps=steps))
    found = over_seeds(measure, seeds)
    print(f"\n{world}")
    for column, measure in enumerate(MEASURES[:next(iter(found.values())).shape[2]]):
        print(f"    {measure + ', %':21}" + "".join(f"{m:7}{'':8}" for m in DIMS).rstrip())
        show_sizes({way: scores[:, :, column] for way, scores in found.items()})
    ndcg = {way: scores[:, :, 0] for way, scores in found.items()}
    print(f"    {'Matryoshka minus':21}(nDCG@10, paired by seed)")
    show_sizes({other: ndcg[MATRYOSHKA] - ndcg[other] for other in (TRUNCATED, PROJECTED, OWN)},
               sign="+")


def show_sizes(rows, sign=""):
    """Print means and 95% intervals.  rows: {name: (seeds, sizes)}"""
    from scratch_embed.why.effects import interval
    for name, values in rows.items():
        cells = (f"{mean:{sign}7.1f} ± {half:5.1f}" for mean, half in map(interval, values.T))
        print(f"    {name:21}" + "".join(cells), flush=True)


def show_precisions(seeds, steps):
    """Print bytes, nDCG@10 and queries per second of each dimension and precision."""
    from scratch_embed.why.effects import interval
    from scratch_embed.why.prefixes import LARGE, precisions, train, tree
    tasks = [tree(seed, **LARGE) for seed in seeds]       # one by one, because they are timed
    found = [precisions(task, train(task, steps=steps)) for task in tasks]
    queries, documents = tasks[0].gains.shape
    paragraph(f"One Matryoshka model per seed; {documents:,} documents of the taxonomy, {queries} "
              "float queries.  Codes are dequantised before they are scored "
              "(space/quantise.py).  Queries per second: one thread, all queries at once; the "
              "median over seeds, which depends on the machine.")
    print(f"\n    {'numbers':9}{'precision':28}{'bytes':>6}   nDCG@10, %      queries/s")
    for key in found[0]:
        stages = [stage[key] for stage in found]
        mean, half = interval([stage.score[0] for stage in stages])
        rate = sorted(stage.rate for stage in stages)[len(stages) // 2]
        print(f"    {key[0]:<9}{key[1]:28}{stages[0].bytes:6}   {mean:5.1f} ± {half:4.1f}"
              f"{rate:14,.0f}", flush=True)


def show_input_types(seeds):
    """Print the scores of each input type for each purpose, and the baselines."""
    from scratch_embed.why.input_types import CLASS, CLUSTER, MEASURES, NAMES, compare
    from scratch_embed.why.seeds import over_seeds
    paragraph("The reports of worlds/facts.py.  A type is a prompt before the text, as Cohere's "
              "input_type.  Prediction: the search finds most with the types of the search; the "
              f"nearest report has the same {NAMES[CLASS]} with 'classification'; k-means "
              f"clusters have the same {NAMES[CLUSTER]} (V-measure) with 'clustering'; trained "
              "without types, one vector for all purposes is worse at each.  All in %.")
    show_intervals(over_seeds(compare, seeds), MEASURES)
