"""Print headings, paragraphs, tables with intervals and comparisons, for `tour` and `why`; JSON.

Every command prints JSON of the same two shapes.  A measured number is {"value", "low", "high"}:
its 95% interval, or null where there is none.  What was found for a query is {"query", "results"},
each result with its rank.
"""
import json
import math
import sys
import textwrap


def measured(value, low=None, high=None):
    """{"value", "low", "high"} of a number and its interval; nan becomes None, JSON's null."""
    return {name: None if number is None or math.isnan(number) else float(number)
            for name, number in (("value", value), ("low", low), ("high", high))}


def with_interval(scores):
    """The mean of the scores of several queries, as `measured`; one query has no interval."""
    from scratch_embed.evaluate.significance import bootstrap_interval
    return measured(*bootstrap_interval(scores)) if len(scores) > 1 else measured(scores[0])


def print_json(found):
    """Print an object as one line of JSON, in UTF-8.

    It is in ASCII with \\u escapes if it has characters that stdout cannot encode, such as bytes
    that are not UTF-8, or characters at which some readers end a line.
    """
    text = json.dumps(found, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        plain = len(text.splitlines()) == 1
    except UnicodeEncodeError:
        plain = False
    print(text if plain else json.dumps(found))


def print_results(query, names, rows):
    """Print {"query", "results"} as one line of JSON.

    rows: the results, the best first; names: of the fields of a row, after its rank.
    """
    print_json({"query": query, "results": [{"rank": rank, **dict(zip(names, row))}
                                            for rank, row in enumerate(rows, 1)]})


def print_lines(query, rows, title, show):
    """Print a line per result: rank, score, line number, text.

    rows: (score, line number, text), the best first; title: whether the query is printed above
    show: text -> what is printed of it, on one line
    """
    if title:
        print(f"query: {' '.join(query.split())}")
    for rank, (score, line, text) in enumerate(rows, 1):
        print(f"{rank}\t{score:.4f}\t{line}\t{show(text)}")
    if title:
        print()


def heading(text):
    """Print the underlined heading of a part."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def paragraph(text, indent=""):
    """Print a text, wrapped to 96 columns."""
    print(textwrap.fill(text, 96, initial_indent=indent, subsequent_indent=indent), flush=True)


def show_intervals(scores, columns, digits=None):
    """Print a table of means and 95% intervals.  scores: {name: (seeds, columns)}.

    digits: decimals of each column, by default 1; a column of nan is left empty
    """
    from scratch_embed.why.effects import interval
    digits = digits or (1,) * len(columns)
    name_width = max(26, *(len(name) + 1 for name in scores))
    print(f"    {'':{name_width}}" + "".join(f"{name:>11}{'':7}" for name in columns).rstrip())
    for name, rows in scores.items():
        cells = [f"{mean:9.{places}f} ± {half:4.{places}f}  " if mean == mean else " " * 18
                 for (mean, half), places in zip(map(interval, rows.T), digits, strict=True)]
        print(f"    {name:{name_width}}" + "".join(cells).rstrip(), flush=True)


def say_difference(what, one, other, scores):
    """Print whether `one` is better than `other`, paired by seed.  scores: {name: (seeds,)}."""
    from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT, paired_difference
    mean, half = difference = paired_difference(scores[one], scores[other])
    verdict = {HELPS: "is better than", HURTS: "is worse than", NOT_SIGNIFICANT: "against"}
    print(f"    {what}: {one} {verdict[difference.verdict]} {other}, {mean:+.1f} ± {half:.1f}"
          + (f", {NOT_SIGNIFICANT}" if difference.verdict == NOT_SIGNIFICANT else ""))


def listed(settings):
    """Settings as one line of text, "x-max 10, shuffle yes": names as those of options.

    A NamedTuple is shown by its fields, a function by its name.
    """
    parts = []
    for name, value in settings.items():
        if hasattr(value, "_asdict"):
            parts.append(listed(value._asdict()))
            continue
        if callable(value):                                # c_adagrad, skipgram_chunk
            value = value.__name__.removesuffix("_chunk").removesuffix(f"_{name}")
            value = value.replace("_", " ")
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        parts.append(f"{name.replace('_', '-')} {value}")
    return ", ".join(parts)


def show_effects(ablations, effects, others=()):
    """Print each ablation's prediction, then the effect of each of its variants.

    effects: an iterator over lists of effects, one list per ablation, measured when it is read;
    others: names of further measures, printed on a second line
    -> (number of predictions that held, number of predictions)
    """
    held = total = 0
    paragraph("Each heading below names a part of the method, and each variant replaces it.  "
              "'helps': the score with that part is higher than in the variant; 'hurts': lower.")
    for ablation in ablations:
        print(f"\n{ablation.name}")
        paragraph("Prediction: " + ablation.prediction, "    ")
        print(f"    {'variant':25}{'predicted':22} with  without   difference  found")
        for effect in next(effects):                          # next() measures the ablation
            mean, half = effect.difference
            found = effect.difference.verdict
            print(f"    {effect.variant:25}{effect.predicted:22}{effect.with_it:5.1f}"
                  f"{effect.without:9.1f}{mean:+6.1f} ± {half:4.1f}  {found}", flush=True)
            if others:
                print(f"    {'':25}" + ", ".join(
                    f"{name} {x.mean:+.2f} ± {x.half:.2f}"
                    for name, x in zip(others, effect.others, strict=True)), flush=True)
            held += found == effect.predicted
            total += 1
    print()
    paragraph(f"{held} of {total} predictions held.  Of {total} intervals at 95%, "
              f"{total / 20:.1f} are expected to miss the true value by chance.")
    return held, total
