"""The figures of `answer`: one function per question, from (matplotlib Figure, numbers).

The numbers are computed in answers/; this file only draws them.
Read next cli/answer.py
"""
from scratch_embed.cli.figures import BLUE, GREEN, GREY, ORANGE


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


def draw_matryoshka(figure, short):
    """Draw nDCG@10 against numbers for each way to fewer, and against bytes for each precision."""
    left, right = figure.subplots(1, 2, sharey=True)
    styles = [(BLUE, "o-"), (ORANGE, "^--"), (GREEN, "s-."), ("black", "D:"), (GREY, "x:"),
              (GREY, "+--")]
    for (name, scores), (colour, style) in zip(short.ways.items(), styles, strict=True):
        draw_intervals(left, short.dims, scores, colour, style, name)
    for (name, found), (colour, style) in zip(short.stored.items(), styles):
        draw_intervals(right, found[0, :, 0], found[:, :, 1], colour, style, name)
    left.set(xscale="log", xticks=short.dims, xticklabels=short.dims, xlabel="numbers of a vector",
             ylabel="nDCG@10 (%)", title="One model and prefixes, and the alternatives")
    sizes = sorted({int(size) for found in short.stored.values() for size in found[0, :, 0]})
    right.set(xscale="log", xticks=sizes, xticklabels=sizes, xlabel="bytes of a vector",
              title="Matryoshka's prefixes in fewer bits")
    for axes in (left, right):
        axes.minorticks_off()
        axes.legend(loc="lower right")


def draw_intervals(axes, x, scores, colour, style, name):
    """Draw the means and 95% intervals of scores (seeds, x)."""
    from scratch_embed.why.effects import interval
    means, halves = zip(*map(interval, scores.T))
    axes.errorbar(x, means, halves, fmt=style, color=colour, capsize=3, markersize=5,
                  linewidth=1.3, label=name)
