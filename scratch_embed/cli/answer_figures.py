"""The figures of `answer`: one function per question, from (matplotlib Figure, numbers).

The numbers are computed in answers/; this file only draws them.
Read next cli/answer.py
"""
from scratch_embed.cli.figures import BLUE, ORANGE


def draw_contrastive(figure, cosines):
    """Draw a histogram of cosines for each model: of positives, and of other pairs."""
    axes = figure.subplots()
    for values, colour in ((cosines.positives, BLUE), (cosines.others, ORANGE)):
        for name, x in values.items():
            axes.hist(x, bins=100, range=(-1, 1), color=colour, label=name)
