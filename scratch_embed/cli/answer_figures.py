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


def draw_rag(figure, curves):
    """Draw recall against the reader's budget: of searches, and of kinds of chunks."""
    left, right = figure.subplots(1, 2, sharey=True)
    colours = [GREY, ORANGE, BLUE, GREEN, "black", "#CC79A7"]
    for axes, lines, title in [(left, curves.searches, "Searches in chunks of 32 words"),
                               (right, curves.chunks, "Kinds of chunks, for the bi-encoder")]:
        for (name, recalls), colour in zip(lines.items(), colours):
            low, high = recalls.min(axis=0), recalls.max(axis=0)
            axes.plot(curves.budgets, recalls.mean(axis=0), color=colour, label=name)
            axes.fill_between(curves.budgets, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set(xscale="log", xlabel="budget of the reader (words)", title=title,
                 xticks=curves.budgets, xticklabels=curves.budgets, ylim=(0, 101))
        axes.minorticks_off()
    left.legend(loc="lower right", bbox_to_anchor=(1.02, 0.2), handlelength=1, labelspacing=0.15,
                borderpad=0, fontsize=8)
    right.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    left.set_ylabel("recall: the answer is in the context (%)")


def draw_cross_or_bi(figure, points):
    """Draw nDCG@10 against passes a query, a point for each depth; baselines are lines."""
    axes, last = figure.subplots(), max(points.ndcg)
    for depth, scores in points.ndcg.items():
        passes, y = min(1 + depth, last), scores.mean()
        colour = ORANGE if depth == 0 else GREEN if depth == last else BLUE
        name = ("bi-encoder" if depth == 0 else f"all {depth}" if depth == last
                else f"top {depth}")
        axes.errorbar(passes, y, [[y - scores.min()], [scores.max() - y]], fmt="o", color=colour,
                      capsize=3)
        axes.annotate(name, (passes, y), xytext=(6, -12), textcoords="offset points",
                      color=colour)
    for name, scores in points.baselines.items():
        axes.axhline(scores.mean(), color=GREY, linestyle=":")
        axes.text(0.99, scores.mean() + 1, name, ha="right", color="#555555",
                  transform=axes.get_yaxis_transform())
    axes.set(xscale="log", xlabel="passes of a transformer for a query (log scale)",
             ylabel="nDCG@10 (%)", xlim=(0.8, 2 * last), ylim=(0, 104),
             title="A cross-encoder on the first candidates of a bi-encoder")


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


def draw_clip(figure, spaces):
    """Draw images and captions in two dimensions before and after training, and cosines after."""
    axes = figure.subplots(1, 3)
    for plane, space, title in zip(axes, spaces, ("Before training", "After training")):
        for image, text in zip(space.images, space.texts):
            plane.plot(*zip(image, text), color=GREY, linewidth=0.3, zorder=1)
        for points, colour, label in [(space.images, BLUE, "images"),
                                      (space.texts, ORANGE, "captions")]:
            plane.scatter(*points.T, s=7, color=colour, label=label, zorder=2)
        plane.set(xticks=[], yticks=[], title=title, xlabel="along the gap",
                  ylabel="most varying direction of the rest")
        plane.set_aspect("equal", "datalim")
    axes[0].legend(loc="best")
    for values, colour, label in [(spaces[1].others, ORANGE, "another's caption"),
                                  (spaces[1].own, BLUE, "its own caption")]:
        axes[2].hist(values, bins=60, range=(-1, 1), density=True, color=colour, alpha=0.7,
                     label=label)
    axes[2].set(yticks=[], xlim=(-1, 1), xlabel="cosine of an image with", title="After training")
    axes[2].legend(loc="upper left")


def draw_intervals(axes, x, scores, colour, style, name):
    """Draw the means and 95% intervals of scores (seeds, x)."""
    from scratch_embed.why.effects import interval
    means, halves = zip(*map(interval, scores.T))
    axes.errorbar(x, means, halves, fmt=style, color=colour, capsize=3, markersize=5,
                  linewidth=1.3, label=name)
