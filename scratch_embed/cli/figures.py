"""figures: draw ten pictures, each named after the file that it explains; needs matplotlib.

The numbers are computed in why/figures.py; this file only draws them.
Read next why/figures.py, cli/sense_figures.py (two of the ten)
"""
import os
import sys
from functools import partial

from scratch_embed.cli.parsing import add_command, require_writable, whole
from scratch_embed.cli.sense_figures import sense_figures

# three colours of Okabe & Ito, which colour-blind readers can distinguish; the baseline is grey
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
STYLE = {"font.size": 10, "axes.titlesize": 10.5, "axes.spines.top": False,
         "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 9}
WIDE, DPI = (8.4, 3.7), 92


def add_commands(commands):
    """Add `figures`."""
    figures = add_command(commands, "figures", "draw ten figures that explain files of this "
                          "package", "scratch-embed figures -o figures", run=run_figures,
                          details="Their numbers are computed here, which takes two to three "
                                  "minutes.")
    figures.add_argument("-o", "--output", required=True, metavar="FOLDER",
                         help="the folder to write the PNG files to; created if missing")
    figures.add_argument("--seeds", type=whole(2), default=5, metavar="N",
                         help="toy worlds to average over in compress.png (default: %(default)s)")
    figures.add_argument("--documents", type=whole(40), default=2000, metavar="N",
                         help="documents of the toy world of simcse.png and compress.png "
                              "(default: %(default)s)")
    figures.add_argument("--sentences", type=whole(100), default=12_000, metavar="N",
                         help="sentences of that world's text (default: %(default)s)")
    figures.add_argument("--steps", type=whole(1), default=1500, metavar="N",
                         help="steps of the masked LM of simcse.png; SimCSE has a fifth as many "
                              "(default: %(default)s)")
    figures.add_argument("--clip-steps", type=whole(1), default=1200, metavar="N",
                         help="steps of the CLIP of imagebind.png and imagebind_verdict.png; the "
                              "other senses have half as many (default: %(default)s)")


def run_figures(arguments):
    """Compute and write one figure after the other."""
    from scratch_embed.plotting import import_matplotlib
    matplotlib = import_matplotlib("figures")
    from matplotlib.figure import Figure

    from scratch_embed.numerics.files import atomic_write
    folder = arguments.output
    os.makedirs(folder, exist_ok=True)
    figures = all_figures(arguments)
    for name in figures:                               # an error comes before the work
        require_writable(os.path.join(folder, name))
    for name, (compute, draw) in figures.items():
        numbers = compute()
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=WIDE, layout="constrained")
            draw(figure, numbers)
            with atomic_write(os.path.join(folder, name)) as file:
                figure.savefig(file, format="png", dpi=DPI, pil_kwargs={"optimize": True})
        print(f"wrote {os.path.join(folder, name)}", file=sys.stderr)


def all_figures(arguments):
    """{file name: (a function that computes the numbers, a function that draws them)}."""
    from scratch_embed.why import figures
    size = dict(documents=arguments.documents, sentences=arguments.sentences)
    return {"packed.png": (figures.packed_batch, draw_packed),
            "layers.png": (figures.norm_gradient, draw_layers),
            "hamming.png": (figures.hyperplanes, draw_hamming),
            "infonce.png": (figures.infonce_push, draw_infonce),
            "negative_sampling.png": (figures.alias_columns, draw_negative_sampling),
            "word2vec.png": (figures.distance_weights, draw_word2vec),
            "simcse.png": (partial(figures.cone, **size, steps=arguments.steps), draw_simcse),
            "compress.png": (partial(figures.smaller_vectors, arguments.seeds, **size),
                             draw_compress),
            **sense_figures(arguments.clip_steps)}


# ---- one function per figure: (matplotlib Figure, numbers) ---------------------------------------

def draw_packed(figure, batch):
    """Draw a padded batch, and the same tokens packed end to end."""
    N, longest = batch.real.shape
    T = int(batch.offsets[-1])
    colours = [BLUE, "#7FB8D8"]                        # neighbours differ
    top, bottom = figure.subplots(2, 1, height_ratios=[N, 2.2])
    for n, length in enumerate(batch.real.sum(axis=1)):
        top.barh(n, length, color=colours[n % 2], height=0.9)
        top.barh(n, longest - length, left=length, color="white", edgecolor=GREY, hatch="////",
                 linewidth=0, height=0.9, label="[PAD]" if n == 0 else None)
    top.set(yticks=range(N), ylim=(N - 0.5, -0.5), xlim=(0, longest), ylabel="sequence n",
            xlabel="position in the sequence",
            title=f"Padded: {N} x {longest} = {N * longest} rows in every layer, "
                  f"{1 - T / (N * longest):.0%} of them [PAD]; {batch.padded_pairs:,} "
                  "query-key products a head")
    top.legend(loc="upper right", framealpha=1, frameon=True)
    for n, (start, end) in enumerate(zip(batch.offsets, batch.offsets[1:])):
        bottom.barh(0, end - start, left=start, color=colours[n % 2], height=0.9)
        bottom.text((start + end) / 2, 0, n, ha="center", va="center", fontsize=9,
                    color="white" if n % 2 == 0 else "black")
    bottom.set(yticks=[], xticks=batch.offsets, xlim=(0, T), xlabel="offsets (rows)",
               title=f"Packed: {T} rows, no mask; {batch.packed_pairs:,} query-key products a head")
    bottom.spines["left"].set_visible(False)


def draw_negative_sampling(figure, table):
    """Draw the noise distribution and the uniform distribution; the columns of the alias table."""
    V = len(table.words)
    colours = dict(zip(table.words, [BLUE, "#E69F00", GREEN]))
    left, right = figure.subplots(1, 2, sharey=False)
    left.bar(table.words, V * table.probability,
             color=[colours.get(word, GREY) for word in table.words])
    left.axhline(1, color="black", linestyle="--", linewidth=1)
    left.text(V - 0.5, 1.06, "uniform: 1/V", ha="right")
    left.set(ylabel="probability, in units of 1/V", title="What is to be drawn: count^¾ / sum")
    for c in range(V):
        for w in sorted(range(V), key=lambda w: w != c):          # its word below its alias
            mass, bottom = table.mass[w, c], 0 if w == c else table.mass[c, c]
            if mass > 0:
                name = table.words[w]
                right.bar(c, mass, bottom=bottom, width=0.92, edgecolor="white",
                          color=colours.get(name, GREY))
                right.text(c, bottom + mass / 2, name, ha="center", va="center", color="white",
                           fontsize=9)
    right.set(xticks=range(V), xticklabels=[f"{c}" for c in range(V)], xlabel="column",
              ylabel="share of the column",
              title="The alias table: V equal columns;\na draw picks one, then its word or alias")


def draw_word2vec(figure, weights):
    """Draw the weight of a pair against its distance, for three methods and for random draws."""
    axes = figure.subplots()
    axes.plot(weights.distance, weights.fixed_window, color=GREY, linestyle="--",
              label="a fixed window: 1")
    axes.plot(weights.distance, weights.random_window, color=BLUE,
              label="word2vec: (window − d + 1)/window")
    axes.plot(weights.distance, weights.drawn, "o", color=BLUE, markerfacecolor="white",
              label="word2vec: the share of draws")
    axes.plot(weights.distance, weights.harmonic, color=ORANGE, marker="s", markersize=4,
              label="GloVe: 1/d")
    axes.set(xlabel="distance d of the two words", ylabel="weight of the pair", ylim=(0, 1.08),
             xticks=weights.distance,
             title="How much a pair counts by its distance; "
                   f"window = {len(weights.distance)}")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.93))


def draw_layers(figure, gradient):
    """Draw layer norm's gradient: at D = 3 in the plane orthogonal to ones, and its size by eps."""
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.35])
    x, d, dx = gradient.x, gradient.d, gradient.dx
    _circle(left, (x @ x)**0.5)
    _arrow(left, (0, 0), x, "black", "x − mean x", (-1.2, -0.55))
    _arrow(left, x, x + d, GREY, "d = w dy", (0.1, 0))
    _arrow(left, x, x + dx, BLUE, "dx / r", (-1.0, 0.1))
    left.plot(*zip(x + d, x + dx), color=ORANGE, linestyle=":", linewidth=2)
    left.text(*(x + (d + dx) / 2 + [-0.35, 0.35]), "removed: along x̂", color=ORANGE)
    left.set(xlim=(-1.8, 3.6), ylim=(-1.8, 2.7), aspect="equal", xticks=[], yticks=[],
             title="D = 3, eps = 0: the plane across ones;\ndx is tangent to the circle")
    left.set_frame_on(False)
    right.plot(gradient.eps, gradient.others, color=BLUE, linestyle="--",
               label="d across both (D − 2 directions)")
    right.plot(gradient.eps, gradient.xhat, color=ORANGE, label="d along x̂: t/(1 + t)")
    right.plot(gradient.eps, gradient.ones, color="black", label="d along ones: 0 for any eps")
    right.set(xscale="log", xlabel="t = eps / var x", ylabel="|dx| / (r |d|)", ylim=(-0.05, 1.1),
              title="What the backward pass keeps of d, D = 64")
    right.legend(loc="upper left", bbox_to_anchor=(0, 0.9))


def draw_infonce(figure, push):
    """Draw p_ij, and negative j's share of the repulsive gradient, for each tau."""
    left, right = figure.subplots(1, 2, sharex=True)
    for (tau, p), colour, line in zip(push.p.items(), [GREEN, BLUE, ORANGE], ["-.", "-", "--"]):
        left.plot(push.cosine, p, line, color=colour, label=f"tau = {tau:g}")
        right.plot(push.cosine, push.share[tau], line, color=colour, label=f"tau = {tau:g}")
    for axes, chance, name in [(left, push.keys, "1/M"), (right, push.keys - 1, "1/(M − 1)")]:
        axes.axhline(1 / chance, color=GREY, linestyle=":", label=f"chance: {name}")
        axes.set(xlabel="cosine of the query and negative j", ylim=(0, 1.02))
    left.axvline(push.partner, color="black", linewidth=0.8)
    left.text(push.partner - 0.03, 0.97, "the partner", ha="right")
    left.set(ylabel="p_ij", title=f"M = {push.keys} keys; the partner at {push.partner}, "
             f"{push.keys - 2} others at 0")
    right.set(ylabel="p_ij / (1 − p_ii)", title="Its share of the push: the partner cancels")
    left.legend(loc="upper left")


def draw_hamming(figure, planes):
    """Draw random hyperplanes between x and y, and the share of bits that differ by the angle."""
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    _circle(left, 1)
    for side, colour, name in [(False, GREY, "no"), (True, ORANGE, "yes")]:
        left.plot(*planes.normals[planes.separated == side].T, "o", color=colour, markersize=4,
                  label=f"{name}: {(planes.separated == side).sum()}")
    margin = abs(planes.normals @ [*zip(planes.x, planes.y)]).min(axis=1)
    r = planes.normals[(margin * planes.separated).argmax()]           # far from both x and y
    _arrow(left, (0, 0), r, ORANGE, "r", 0.08 * r)
    left.plot([-1.3 * r[1], 1.3 * r[1]], [1.3 * r[0], -1.3 * r[0]], color=ORANGE, linestyle="--")
    for vector, name in [(planes.x, "x"), (planes.y, "y")]:
        _arrow(left, (0, 0), vector, BLUE, name, 0.12 * vector)
    left.set(xlim=(-1.4, 2.6), ylim=(-1.4, 1.4), aspect="equal", xticks=[], yticks=[],
             title=f"{len(planes.normals)} random normals r (dots);\n"
                   f"expected to separate: {len(planes.normals)} x 50°/180° = "
                   f"{len(planes.normals) * 50 / 180:.1f}")
    left.set_frame_on(False)
    left.legend(loc="lower right", title="Are x and y on\ndifferent sides of\nr's hyperplane?")
    mean, low, high = (getattr(planes.differ, f)(axis=1) for f in ("mean", "min", "max"))
    right.plot([0, 180], [0, 1], color="black", linewidth=1, label="angle / 180°")
    right.errorbar(planes.angle, mean, [mean - low, high - mean], fmt="o", color=BLUE, capsize=3,
                   label=f"sign_bits of {planes.differ.shape[1]} random pairs,\nD = {planes.D}: "
                   "mean, least, most")
    right.axhline(0.5, color=GREY, linestyle=":")
    right.text(180, 0.44, "unrelated vectors: 1/2", ha="right", color="#555555")
    right.set(xlabel="angle of the pair (degrees)", ylabel="share of bits that differ, H / D",
              xticks=range(0, 181, 30), title="Hamming distance estimates the angle")
    right.legend(loc="upper left")


def draw_simcse(figure, cone):
    """Draw a histogram of cosines for each model; pairs of the same sentence frame in colour."""
    same = cone.same_frame
    rows = figure.subplots(len(cone.cosines), 1, sharex=True)
    for axes, (name, cosines) in zip(rows, cone.cosines.items()):
        axes.hist([cosines[~same], cosines[same]], bins=100, range=(-1, 1), stacked=True,
                  color=[BLUE, "#E69F00"], label=["another sentence frame", "the same frame"])
        axes.set(yticks=[], xlim=(-1, 1))
        mean = round(float(cosines.mean()), 2) + 0.0            # not -0.00
        axes.text(-1, 0.45 * axes.get_ylim()[1], f"{name}\nmean cosine {mean:.2f}\nnDCG@10 "
                  f"{cone.ndcg[name]:.1f} %", va="center", fontsize=9)
        axes.spines["left"].set_visible(False)
    rows[1].legend(loc="center", title="two reports with")
    rows[-1].set_xlabel("cosine of two reports")
    figure.supylabel("pairs (a scale for each row)", fontsize=10)
    figure.suptitle("Mean-pooled vectors of one toy world (one seed), before and after contrast",
                    fontsize=10.5)


# (label, part of the names of why.compression.forms, colour, marker, line style)
FORMS = [("float32", "float32", "black", "s", ""),
         ("int8, the same as uint8", "int8", "black", "D", ""),
         ("PCA to half, a quarter", "PCA", BLUE, "o", "-"),
         ("the first half, quarter, at length 1", "at length 1", ORANGE, "^", "-"),
         ("the first half, quarter, as cut", "as cut", ORANGE, "v", "--"),
         ("bits, float x bits, then int8", "bits, float x bits, int8", GREEN, "P", ""),
         ("bits, float x bits", "bits, float x bits", GREEN, "^", ""),
         ("bits, by Hamming distance", "bits (Hamming)", GREEN, "v", "")]


def draw_compress(figure, found):
    """Draw nDCG@10 against bytes per vector, with 95% intervals; the baselines are lines."""
    axes, drawn = figure.subplots(), set()
    for label, part, colour, marker, line in FORMS:
        rows = {name: row for name, row in found.forms.items() if part in name
                and name not in drawn and (part != "int8" or "bits" not in name)}
        drawn |= {*rows}
        bytes, means, halves = zip(*((size, *score) for size, score in rows.values()))
        axes.errorbar(bytes, means, halves, fmt=marker, linestyle=line, color=colour, capsize=3,
                      markersize=6, linewidth=1.3, label=label)
    for name, (mean, _) in found.baselines.items():
        axes.axhline(mean, color=GREY, linestyle=":")
        axes.text(10, mean + 1, name, color="#555555")
    sizes = sorted({size for size, _ in found.forms.values()} - {72})
    axes.set(xscale="log", xlabel="bytes a vector (64 numbers), log scale", ylabel="nDCG@10 (%)",
             ylim=(0, 101), xticks=sizes, xticklabels=sizes,
             title="What smaller vectors still find: means over worlds, with 95% intervals")
    axes.minorticks_off()
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))


# ---- shapes --------------------------------------------------------------------------------------

def _circle(axes, radius):
    import numpy as np
    turn = np.linspace(0, 2 * np.pi, 200)
    axes.plot(radius * np.cos(turn), radius * np.sin(turn), color=GREY, linewidth=0.8)


def _arrow(axes, start, end, colour, name, shift):
    axes.annotate("", end, start, arrowprops=dict(arrowstyle="-|>", color=colour, linewidth=1.8,
                                                  shrinkA=0, shrinkB=0))
    axes.text(end[0] + shift[0], end[1] + shift[1], name, color=colour, va="center")
