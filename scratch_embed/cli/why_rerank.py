"""why rerank: quality and cost of reranking at each depth, and ablations of the cross-encoder."""
from scratch_embed.cli.printing import (
    heading,
    listed,
    paragraph,
    show_effects,
    show_intervals,
)
from scratch_embed.cli.why_models import say_wait

DIGITS = (1, 1, 1)                 # of MEASURES


def run_rerank(arguments):
    """Print the curve of quality against depth, then the ablations, predictions first."""
    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.rerank import ABLATIONS, BASE, OTHERS, experiment, measures, trained
    from scratch_embed.why.who_did_what import BI_ENCODER, CROSS_ENCODER, SIZES
    say_wait()
    given = [experiment(seed) for seed in range(1, arguments.seeds + 1)]
    base = BASE | dict(steps=arguments.steps)
    show_curve(given, base)
    heading("2  Ablations of the cross-encoder")
    queries, documents = given[0].task.gains.shape
    paragraph(f"nDCG@10 in % of {queries} queries that name who, act and thing, on {documents} "
              "documents in groups of three with the same words (worlds/bindings.py): the first 50 "
              f"of a bi-encoder, reranked, mean of {len(given)} seeds; the difference, with - "
              "without, is paired by seed and has its 95% interval.  The line below each is the "
              f"difference at other depths.  Both encoders: {listed(SIZES)}.  The bi-encoder: "
              f"{listed(BI_ENCODER)}.  The cross-encoder: "
              f"{listed(CROSS_ENCODER | dict(steps=arguments.steps))}.")
    ablations = [ablation._replace(settings=base) for ablation in ABLATIONS]
    show_effects(ablations, measure_ablations(ablations, given, trained, progress=True,
                                              score=measures), OTHERS)


def show_curve(given, settings):
    """Print passes, recall, nDCG@10 and milliseconds at each depth, beside the baselines."""
    from scratch_embed.why.rerank import trained
    from scratch_embed.why.seeds import stack
    from scratch_embed.why.who_did_what import MEASURES, compared, train_bi
    heading("1  Quality and cost against depth")
    paragraph(f"{len(given)} seeds, each with its world and initial weights.  Recall: of the first "
              "documents of the bi-encoder, as many as the depth, which reranking can move; the "
              "others follow in their order, and count in nDCG@10 too.  Without reranking: recall "
              "of the first 10.  Passes of a transformer and milliseconds: per query; the "
              "documents' vectors are there.  A bag of words cannot "
              "distinguish the documents of a group; its bound is reached if the right group comes "
              "first by luck.")
    found = [compared(one.task, one.bi, trained(settings, one),
                      {"trained with hard negatives": train_bi(one.task, one.bi, hard=True)})
             for one in given]
    show_intervals(stack(found), MEASURES, DIGITS)
