"""The figures of `answer`: one function per question, from (matplotlib Figure, numbers).

The numbers are computed in answers/; this file only draws them.
Read next cli/answer.py
"""
from scratch_embed.cli.figures import BLUE, ORANGE


def draw_contrastive(figure, cosines):
    """Draw histograms of cosines for each model: of queries with right and with wrong reports."""
    rows = figure.subplots(len(cosines.right), 1, sharex=True)
    for axes, name in zip(rows, cosines.right):
        for values, colour, label in [(cosines.wrong[name], ORANGE, "an irrelevant report"),
                                      (cosines.right[name], BLUE, "a right answer")]:
            axes.hist(values, bins=100, range=(-1, 1), density=True, color=colour, alpha=0.7,
                      label=label)
        axes.set(yticks=[], xlim=(-1, 1))
        axes.text(-1, 0.6 * axes.get_ylim()[1], name, fontsize=9)
        axes.spines["left"].set_visible(False)
    rows[0].legend(loc="center", title="cosine of a query with")
    rows[-1].set_xlabel("cosine")
    figure.supylabel("density", fontsize=10)
    figure.suptitle("Queries and reports before training, without labels and with pairs (one seed)",
                    fontsize=10.5)
