"""answer: answer an interview question with numbers that are measured now.

Each answer trains what it needs on toy worlds, prints tables with 95% intervals over seeds, and the
answer in plain words with these numbers.
Read next answers/README.md (the answers), cli/answer_figures.py (draws their figures)
"""
import sys

from scratch_embed.answers.questions import CLIP, CONTRASTIVE, CROSS_OR_BI, MATRYOSHKA, RAG
from scratch_embed.cli.parsing import add_command, add_json, whole
from scratch_embed.cli.plot import ENDINGS
from scratch_embed.cli.printing import heading, measured, paragraph, print_json, show_intervals
from scratch_embed.numerics.endings import by_ending


def add_commands(commands):
    """Add `answer` and its questions."""
    top = add_command(commands, "answer", "answer an interview question with measured numbers",
                      "scratch-embed answer 1")
    numbers = top.add_subparsers(metavar="NUMBER", required=True)
    for number, question, run in [
            ("1", CONTRASTIVE, run_contrastive), ("2", CROSS_OR_BI, run_cross_or_bi),
            ("3", RAG, run_rag), ("4", MATRYOSHKA, run_matryoshka),
            ("5", CLIP, run_clip)]:
        command = add_command(numbers, number, f"show {question.about}",
                              f"scratch-embed answer {number} -o answer.png", run=run,
                              check=check_figure,
                              details=f"The question: {question.text}  It is answered by trainings "
                                      "on toy worlds, which take one to two minutes.")
        command.add_argument("-o", "--output", metavar="FILE",
                             help="draw the answer's figure to this file, whose name ends in .png, "
                                  ".svg or .pdf; needs matplotlib (default: no figure)")
        command.add_argument("--seeds", type=whole(2), default=3, metavar="N",
                             help="number of runs to average over; each has its own world and "
                                  "initial weights (default: %(default)s)")
        command.add_argument("--documents", type=whole(20), default=question.documents,
                             metavar="N", help="documents or images of the collection that is "
                                               "searched (default: %(default)s)")
        command.add_argument("--steps", type=whole(1), default=question.steps, metavar="N",
                             help="steps of training; a model that needs more or fewer has them in "
                                  "proportion (default: %(default)s)")
        add_json(command, "tables, claims and the text of the answer")


def run_contrastive(arguments):
    """How does contrastive learning train embedding models?"""
    from scratch_embed.answers.contrastive import answer
    from scratch_embed.cli.answer_figures import draw_contrastive
    show(arguments, answer, draw_contrastive)


def run_cross_or_bi(arguments):
    """Cross-encoder vs bi-encoder — when to use each?"""
    from scratch_embed.answers.cross_or_bi import answer
    from scratch_embed.cli.answer_figures import draw_cross_or_bi
    show(arguments, answer, draw_cross_or_bi)


def run_rag(arguments):
    """How would you evaluate embedding quality for a RAG system?"""
    from scratch_embed.answers.rag import answer
    from scratch_embed.cli.answer_figures import draw_rag
    show(arguments, answer, draw_rag)


def run_matryoshka(arguments):
    """What are Matryoshka embeddings and why are they useful?"""
    from scratch_embed.answers.matryoshka import answer
    from scratch_embed.cli.answer_figures import draw_matryoshka
    show(arguments, answer, draw_matryoshka)


def run_clip(arguments):
    """How does CLIP create a shared image-text embedding space?"""
    from scratch_embed.answers.clip import answer
    from scratch_embed.cli.answer_figures import draw_clip
    show(arguments, answer, draw_clip)


# ---- print and draw ------------------------------------------------------------------------------

def check_figure(arguments):
    """Raise an error for a wrong ending of the figure, before the work."""
    if arguments.output is not None:
        by_ending(arguments.output, ENDINGS, "a picture")


def show(arguments, answer, draw):
    """Compute an answer; print it, and draw its figure if asked for."""
    from scratch_embed.plotting import import_matplotlib
    if arguments.output is not None:
        import_matplotlib("a figure")                        # if it is missing, before the work
    print("(training; the first run also compiles, for some seconds)", file=sys.stderr)
    found = answer(range(1, arguments.seeds + 1), arguments.documents, arguments.steps,
                   progress=True)
    if arguments.json:
        print_json(as_json(found))
    else:
        print_answer(found)
    if arguments.output is not None:
        write_figure(arguments.output, draw, found.figure)


def print_answer(found):
    """Print the question, the tables, and the answer."""
    heading(found.question)
    for table in found.tables:
        print()
        paragraph(table.title)
        show_intervals(table.rows, table.columns, table.digits)
    for part in found.paragraphs:
        print()
        paragraph(str(part))
    print()
    held = sum(claim.holds for claim in found.claims)
    paragraph(f"Over {len(found.seeds)} seeds {held} of {len(found.claims)} claims hold; intervals "
              "are at 95%, paired by seed.")


def as_json(found):
    """An Answer as JSON: every number with its interval."""
    return {"question": found.question, "seeds": list(found.seeds),
            "tables": [{"title": table.title, "rows": [
                {"name": name, **{column: with_half(values) for column, values
                                  in zip(table.columns, rows.T, strict=True)}}
                for name, rows in table.rows.items()]} for table in found.tables],
            "claims": [{"claim": claim.clause, "holds": claim.holds,
                        **with_half(claim.greater - claim.less)} for claim in found.claims],
            "answer": [str(part) for part in found.paragraphs]}


def with_half(values):
    """The mean of numbers (seeds,) and its interval, as `measured`."""
    from scratch_embed.why.effects import interval
    mean, half = interval(values)
    return measured(mean, mean - half, mean + half)


def write_figure(path, draw, numbers):
    """Draw the numbers of a figure and write it, in the format of the path's ending."""
    import matplotlib
    from matplotlib.figure import Figure

    from scratch_embed.cli.figures import DPI, STYLE, WIDE
    from scratch_embed.numerics.files import atomic_write
    kind = by_ending(path, ENDINGS, "a picture")
    smaller = {"pil_kwargs": {"optimize": True}} if kind == "png" else {}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=WIDE, layout="constrained")
        draw(figure, numbers)
        with atomic_write(path) as file:
            figure.savefig(file, format=kind, dpi=DPI, **smaller)
    print(f"wrote {path}", file=sys.stderr)
