"""plot: draw a map of words on two principal components, as a .png, .svg or .pdf file."""
import os
import sys

from scratch_embed.cli.loading import add_vectors, load_vectors
from scratch_embed.cli.parsing import add_command, add_top, require_writable, whole
from scratch_embed.numerics.endings import by_ending

ENDINGS = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
SIZE, DPI = (10, 8), 120


def add_commands(commands):
    """Add `plot`."""
    plot = add_command(commands, "plot", "draw a map of words on two principal components",
                       "scratch-embed plot vectors.vec -o map.png --near king paris",
                       run=run_plot, check=check_names,
                       details="Each group of words has its colour.  Both axes have the same "
                               "scale, and say which share of the variance they show.")
    add_vectors(plot)
    plot.add_argument("-o", "--output", required=True, metavar="FILE",
                      help="the file to write; its name ends in .png, .svg or .pdf")
    which = plot.add_mutually_exclusive_group()
    which.add_argument("--words", nargs="+", action="append", metavar="WORD",
                       help="show these words; each further --words is a group with a colour of "
                            "its own (default: the words of --groups)")
    which.add_argument("--near", nargs="+", metavar="WORD",
                       help="show each of these words with its nearest neighbours (default: the "
                            "words of --groups)")
    add_top(plot, 8, "neighbours of each word of --near, or words per group of --groups")
    plot.add_argument("--groups", type=whole(1), default=8, metavar="N",
                      help="without --words and --near: show so many groups of words that are "
                           "close to each other, among the 2,000 most frequent words (default: "
                           "%(default)s)")
    plot.add_argument("--title", metavar="STRING",
                      help="text above the map (default: the name of the file of vectors)")


def check_names(arguments):
    """Raise ValueError for a wrong ending of the picture, or too few words."""
    by_ending(arguments.output, ENDINGS, "a picture")
    named_groups(arguments.words)


def run_plot(arguments):
    """Load the vectors, draw, write the picture."""
    kind = by_ending(arguments.output, ENDINGS, "a picture")
    words = named_groups(arguments.words)
    require_writable(arguments.output, arguments.file)
    from scratch_embed.plotting import import_matplotlib, plot
    import_matplotlib("plot")
    from matplotlib.figure import Figure  # not pyplot: this needs no display

    from scratch_embed.numerics.files import atomic_write
    title = os.path.basename(arguments.file) if arguments.title is None else arguments.title
    axes = Figure(figsize=SIZE, dpi=DPI, layout="constrained").add_subplot()
    plot(load_vectors(arguments.file), words, arguments.near, arguments.groups, arguments.top,
         title, axes)
    with atomic_write(arguments.output) as file:
        axes.figure.savefig(file, format=kind)
    sizes = [len(part.get_offsets()) for part in axes.collections]           # of each group
    print(f"drew {sum(sizes)} words{why_fewer(arguments, sizes)}; wrote {arguments.output}",
          file=sys.stderr)


def why_fewer(arguments, sizes):
    """Why there are fewer words than the options say; empty if there are not.  sizes: of groups."""
    if arguments.near:
        asked, why = len(arguments.near) * (arguments.top + 1), (
            "a word that is near to several is drawn once, and there may be no more words")
    elif arguments.words:
        asked, why = sum(map(len, arguments.words)), "a word that is given twice is drawn once"
    else:
        asked, why = arguments.groups * arguments.top, (
            "any further group of near words would share words with these; a smaller --top or a "
            "larger vocabulary gives more")
        if len(sizes) < arguments.groups:
            found = f"{len(sizes)} group{'s' * (len(sizes) > 1)} of {sizes[0]}"
            return f" in {found} (asked: {arguments.groups} of {arguments.top}): {why}"
    return f" (asked: {asked}): {why}" * (sum(sizes) < asked)


def named_groups(given):
    """{number: words} of all --words; None without.  Raises ValueError for fewer than two words."""
    if given is None:
        return None
    different = {word for group in given for word in group}
    if len(different) < 2:
        raise ValueError(f"--words: expected at least 2 words, got {len(different)}")
    return dict(enumerate(given))
