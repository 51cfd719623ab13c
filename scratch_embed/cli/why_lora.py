"""why lora: E5-Mistral with and without its instruction, and ablations of LoRA and its training."""
from scratch_embed.cli.printing import heading, listed, paragraph, show_effects, show_intervals
from scratch_embed.cli.why_models import say_wait


def run_lora(arguments):
    """Print the scores by what the query is given, then the ablations, predictions first."""
    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.lora import (
        ABLATIONS,
        BASE,
        OTHERS,
        PRETRAINING,
        SIZES,
        TAU,
        TRIPLETS,
        measures,
        numbers_trained,
        start,
        trained,
        what_the_query_is_given,
    )
    from scratch_embed.why.seeds import for_seeds, over_seeds
    say_wait()
    starts = for_seeds(start, range(1, arguments.seeds + 1))
    steps = dict(steps=arguments.steps)
    heading("1  One query, two instructions")
    first, base = starts[0], BASE | steps
    settings = dict(rank=base["lora"].rank, alpha=base["lora"].alpha, **steps, tau=TAU, **{
        name: base[name] for name in ("batch_size", "lr")})
    paragraph(f"nDCG@10 in % of {len(first.world.queries) // 2} queries with two instructions each "
              f"on {len(first.world.corpus)} documents (worlds/instructions.py), and of "
              f"{len(first.search.queries)} questions on {len(first.search.corpus)} "
              f"(worlds/facts.py); mean of {len(starts)} seeds with its 95% interval.  A Mistral, "
              f"{listed(SIZES)}, is pre-trained as a language model, {listed(PRETRAINING)}, and "
              f"fine-tuned on {TRIPLETS:,} triplets of each task: {listed(settings)}.")
    show_intervals(over_seeds(lambda at: what_the_query_is_given(starts[at], base),
                              range(len(starts))), ["instructed", "search"])
    heading("2  Ablations")
    counts = {name: numbers_trained(first, settings["lora"]) for name, settings in {
        "rank 16": base, **{name: base | change for name, (change, _) in
                            ABLATIONS[0].variants.items()}}.items()}
    paragraph("nDCG@10 in % with instructions; the difference, with - without, is paired by seed "
              "and has its 95% interval.  The line below each is the difference in the search.  "
              "Numbers trained: " + ", ".join(f"{name} {count:,}" for name, count in
                                              counts.items()) + ".")
    ablations = [ablation._replace(settings=ablation.settings | steps) for ablation in ABLATIONS]
    show_effects(ablations, measure_ablations(ablations, starts, trained, progress=True,
                                              score=measures), OTHERS)
