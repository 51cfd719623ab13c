"""why bert, why simcse: the tricks of what is trained on a Transformer."""
import sys

from scratch_embed.cli.printing import heading, listed, paragraph, show_effects


def run_bert(arguments):
    """Print the tricks of the masked LM, each with its prediction first."""
    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.bert import (
        ABLATIONS,
        BASE,
        OTHERS,
        measures,
        toy_text,
        trained,
        upper_bound,
    )
    wait()
    texts = [toy_text(seed, arguments.sentences) for seed in range(1, arguments.seeds + 1)]
    heading("1  The tricks of filling gaps: what happens without?")
    paragraph(f"% of ambiguous words told right (worlds/senses.py, {upper_bound():.1f} at best), "
              f"mean of {len(texts)} seeds, each with a text of {arguments.sentences:,} sentences "
              "and starting weights of its own; with - without, seed by seed, has its 95% "
              "interval.  Below it what became of the loss of held-out gaps (nats, with - without: "
              "less is "
              f"better).  {listed(BASE)}.")
    show_effects(ABLATIONS, measure_ablations(ABLATIONS, texts, trained, progress=True,
                                              score=measures), OTHERS)


def run_simcse(arguments):
    """Print the tricks of SimCSE, each with its prediction first."""
    from scratch_embed.why.ablations import measure, measure_ablations
    from scratch_embed.why.retrieval_tour import per_seed
    from scratch_embed.why.sentences import BERT, SIZES, pretrain
    from scratch_embed.why.simcse import ABLATIONS, BASE, OTHERS, measures, trained, without_simcse
    wait()
    seeds = list(range(1, arguments.seeds + 1))
    made = per_seed(lambda seed: pretrain(seed, arguments.documents, arguments.sentences), seeds)
    encoders = [made[seed] for seed in seeds]
    heading("1  The tricks of contrast: what happens without?")
    queries, documents = encoders[0].search.gains.shape
    paragraph(f"nDCG@10 in % of {queries} questions about {documents:,} reports, in other words "
              f"(worlds/facts.py), mean of {len(seeds)} seeds; with - without, seed by seed, has "
              "its 95% interval.  Below it the same for STS (Spearman's rho in %), alignment of "
              "paraphrases and uniformity of the reports (less is better).  The masked LM: "
              f"{listed(SIZES | BERT)}.  SimCSE: {listed(BASE)}.")
    before = measure([without_simcse], encoders, progress=True, score=measures)[0].mean(axis=0)
    print("\nbefore contrast: " + ", ".join(f"{name} {x:.2f}" for name, x in
                                            zip(("nDCG@10", *OTHERS), before)))
    show_effects(ABLATIONS, measure_ablations(ABLATIONS, encoders, trained, progress=True,
                                              score=measures), OTHERS)


def wait():
    """Say why nothing is to be seen yet."""
    print("(making the worlds; a first run waits for the compiler)", file=sys.stderr)
