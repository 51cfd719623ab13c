"""why clip: the whole method beside its baselines, its ablations, and prompts."""
from scratch_embed.cli.printing import heading, listed, paragraph, show_effects, show_intervals
from scratch_embed.cli.why_models import say_wait


def run_clip(arguments):
    """Print measures beside baselines, then ablations and prompts, predictions first."""
    from scratch_embed.multimodal.clip_verdict import TEST
    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.clip import (
        ABLATIONS,
        BASE,
        OTHERS,
        PROMPTS,
        SMALL,
        STEPS,
        Learned,
        beside_baselines,
        draw_task,
        measures,
        prompted,
        trained,
    )
    from scratch_embed.why.seeds import for_seeds, stack
    say_wait()
    tasks = for_seeds(draw_task, range(1, arguments.seeds + 1))
    base = BASE | dict(steps=arguments.steps)
    learned = for_seeds(lambda task: Learned(task, trained(base, task)), tasks, progress=True)
    heading("1  CLIP on scenes")
    paragraph(f"In %, mean of {len(tasks)} seeds with its 95% interval; a seed is "
              f"{SMALL.scenes:,} scenes (worlds/scenes.py), their images and captions, and initial "
              f"weights.  {TEST:,} other scenes are searched.  Seen and unseen pairs of shape and "
              "colour: among all 36, 6 of which are in no training scene.  Probe: linear "
              "classifiers of image vectors, fitted to seen pairs.  Each tower has "
              f"dim {SMALL.dim} and one layer; patches of {SMALL.patch} pixels; "
              f"{listed(shown(base))}.")
    show_intervals(stack([beside_baselines(task.start, clip, task.seed)
                          for task, clip in learned]),
                   ("untrained", "trained", "chance", "upper bound"))
    heading("2  Ablations")
    paragraph(f"Recall@10 in % of the image of a caption among {TEST:,}; the difference, with - "
              "without, is paired by seed and has its 95% interval.  The line below each is the "
              "difference in recall@10 of texts for images and in the mean zero-shot accuracy of "
              "the four attributes (both in %), and in the gap between the senses.")
    changed = [scaled(ablation, arguments.steps / STEPS) for ablation in ABLATIONS]
    show_effects(changed, measure_ablations(changed, tasks, trained, progress=True,
                                            score=measures), OTHERS)
    heading("3  Which prompts?")
    paragraph("The mean zero-shot accuracy of the four attributes in %, of the models of part 1.")
    show_effects(PROMPTS, measure_ablations(PROMPTS, learned, prompted, score=lambda _, x: x))


def scaled(ablation, factor):
    """The ablation with its steps, and those of its variants, multiplied by a factor."""
    def multiplied(settings):
        return settings | {name: max(1, round(factor * settings[name])) for name in ("steps",)
                           if name in settings}
    return ablation._replace(settings=multiplied(ablation.settings), variants={
        name: (multiplied(change), predicted)
        for name, (change, predicted) in ablation.variants.items()})


def shown(settings):
    """The settings that are numbers."""
    return {name: settings[name] for name in ("steps", "batch_size", "lr", "tau", "dropout")}
