"""why e5: what instructions, hard negatives, margins and a teacher contribute."""
from scratch_embed.cli.printing import (
    heading,
    listed,
    paragraph,
    say_difference,
    show_effects,
    show_intervals,
)
from scratch_embed.cli.why_models import say_wait


def run_e5(arguments):
    """Print ablations of stage 2, predictions first; then the scores with instructions."""
    say_wait()
    seeds = list(range(1, arguments.seeds + 1))
    show_stage_2(seeds, arguments.documents, arguments.sentences)
    show_instructions(seeds)


def show_stage_2(seeds, documents, sentences):
    """Print the ablations of hard negatives and of the teacher."""
    from scratch_embed.why.ablations import measure, measure_ablations
    from scratch_embed.why.e5 import (
        ABLATIONS,
        BASE,
        NEGATIVES,
        OTHERS,
        STAGE_1,
        STAGE_2,
        TAU,
        before,
        false_negatives,
        measures,
        reranked,
        start,
        trained,
    )
    from scratch_embed.why.seeds import for_seeds
    starts = for_seeds(lambda seed: start(seed, documents, sentences), seeds)
    heading("1  Hard negatives, margins and a teacher")
    mining = BASE["mining"]
    queries, documents = starts[0].encoder.search.gains.shape
    paragraph(f"nDCG@10 in % of {queries} queries in other words on {documents:,} documents "
              f"(worlds/facts.py), mean of {len(seeds)} seeds; the difference, with - without, is "
              "paired by seed and has its 95% interval.  The line below each is the difference in "
              f"STS.  Stage 1, on pairs alone: {listed(STAGE_1)}.  Stage 2: "
              f"{listed(STAGE_2 | dict(tau=TAU))}; {mining.num_negatives} negative for each pair, "
              f"found by the model after stage 1, relative margin {mining.relative_margin}.")
    print("\nThe share of the negatives that are right answers, which no pair names, in %:")
    show_intervals({name: of_seeds(starts, lambda start, texts=texts, mining=mining:
                                   false_negatives(texts(start, mining)))
                    for name, (texts, mining) in NEGATIVES.items()}, ["false"])
    print("\nnDCG@10 and STS before stage 2, and of the teacher:")
    show_intervals({"after stage 1": measure([before], starts, score=measures)[0],
                    "its 50 best, reranked by the teacher": of_seeds(starts, reranked)},
                   ["nDCG@10", "STS"])
    show_effects(ABLATIONS, measure_ablations(ABLATIONS, starts, trained, progress=True,
                                              score=measures), OTHERS)


def of_seeds(starts, number):
    """(seeds, columns) of a function of a Start that returns a number or several."""
    import numpy as np
    return np.array([np.atleast_1d(number(start)) for start in starts])


def show_instructions(seeds):
    """Print nDCG@10 with and without instructions, and one query's rankings under two."""
    from scratch_embed.why.instructions import (
        CEILING,
        SEEDS,
        SIZES,
        STAGES,
        TAU,
        TRIPLETS,
        measure_all,
    )
    seeds = seeds[:SEEDS]
    heading("2  One query, five instructions")
    paragraph("nDCG@10 in % of 60 queries with five instructions each, on 300 documents "
              "(worlds/instructions.py).  Only documents that agree with the query in the slot "
              f"that the instruction names are relevant.  Mean of {len(seeds)} seeds with its 95% "
              "interval; 'ceiling' is the best expected score of a model that knows all facts but "
              f"not the instruction.  {listed(SIZES | dict(tau=TAU))}; stage 1: "
              f"{listed(STAGES[0])}, on paraphrases; stage 2: {listed(STAGES[1])}, on "
              f"{TRIPLETS:,} queries with instructions.")
    scores, shown = measure_all(seeds)
    show_intervals({name: row[:, None] for name, row in scores.items()}, ["nDCG@10"])
    say_difference("nDCG@10", "stage 2", CEILING, scores)
    for asked, documents in shown.items():
        print(f"\n    {asked}")
        for rank, document in enumerate(documents, 1):
            print(f"      {rank}  {document}")
