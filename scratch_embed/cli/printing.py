"""What the long commands print: headings, paragraphs, tables with intervals, a sentence on two."""
import textwrap


def heading(text):
    """A line that begins a part."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def paragraph(text, indent=""):
    """Text in lines that fit."""
    print(textwrap.fill(text, 96, initial_indent=indent, subsequent_indent=indent), flush=True)


def show_intervals(scores, columns):
    """A table of means and intervals.  scores: {name: (seeds, columns)}."""
    from scratch_embed.why.effects import interval
    print(f"    {'':26}" + "".join(f"{name:>11}{'':7}" for name in columns).rstrip())
    for name, rows in scores.items():
        cells = (interval(column) for column in rows.T)
        print(f"    {name:26}" + "".join(f"{mean:9.1f} ± {half:4.1f}  " for mean, half in cells
                                         ).rstrip(), flush=True)


def say_difference(what, one, other, scores):
    """One search against another in a sentence, seed by seed.  scores: {name: (seeds,)}."""
    from scratch_embed.why.effects import HELPS, HURTS, paired_difference
    mean, half = difference = paired_difference(scores[one], scores[other])
    verdict = {HELPS: "is better than", HURTS: "is worse than"}.get(
        difference.verdict, "cannot be told apart from")
    print(f"    {what}: {one} {verdict} {other}, {mean:+.1f} ± {half:.1f}")
