"""rerank: order the candidates of a query by a cross-encoder, which reads query and candidate.

`search --rerank` does the same with what it has found; cli/search.py calls reranked_search().
"""
import os

from scratch_embed.cli.parsing import add_command, add_errors, add_json, add_top, whole
from scratch_embed.cli.printing import print_lines, print_results
from scratch_embed.cli.queries import refuse_blank, texts_of
from scratch_embed.cli.training import say
from scratch_embed.numerics.wording import counted

TOP = 10                           # results per query
DEPTH = 50                         # candidates per query
PAIRS = 1024                       # that predict() gets at a time
TAG = "scratch_embed"              # the name of the run, its last column
CROSS_ENCODER = ("a folder with a cross-encoder, of `train cross-encoder` or of "
                 "sentence-transformers")


def add_commands(commands):
    """Add `rerank`."""
    command = add_command(
        commands, "rerank", "print a query's candidates, ordered by a cross-encoder",
        "scratch-embed rerank lines.txt storm --model cross -k 5", run=run_rerank,
        check=check_usage,
        details="A line per result, the best first: rank, score, line number and the line.  Each "
                "candidate of each query is one pass of the model, so let a fast search find the "
                "candidates: `search --rerank` does both.  With --corpus and --queries, which go "
                "together, TEXT is a run in TREC's format, of any search; its first --depth "
                "documents per query are ordered anew and printed as a run.")
    command.add_argument("candidates", metavar="TEXT", help="the candidates, one per line, plain "
                         'or gzip; "-" is stdin; or a run, with --corpus and --queries')
    command.add_argument("asked", nargs="*", metavar="QUERY", help="a text; several are answered "
                         'one after the other; "-" alone: one query per line of stdin (default: '
                         "the queries of --queries)")
    add_cross_encoder(command, "--model", required=True)
    add_top(command, TOP, "largest number of results per query",
            f"{TOP}, or for a run --depth: all documents that are reranked")
    command.add_argument("--corpus", metavar="FILE", help="the documents of the run: JSON lines "
                         '{"_id", "title", "text"}, as in BEIR, or lines of id <tab> text '
                         "(default: the lines of TEXT are the candidates)")
    command.add_argument("--queries", metavar="FILE", help="the queries of the run in the same "
                         "format; queries that it lacks are left out (default: each QUERY)")
    add_depth(command, "rerank only the first N documents of the run, for each query")
    add_errors(command)
    add_json(command, '{"query": text, "results": [{"rank", "score", "line", "text"}]} for each '
                      'QUERY, or {"query": id, "results": [{"rank", "score", "document"}]}')


def add_cross_encoder(command, option, required=False):
    """Add an option that names the folder of a cross-encoder."""
    default = "" if required else " (default: no reranking)"
    command.add_argument(option, required=required, metavar="MODEL",
                         help=CROSS_ENCODER + default).read_as = "cross-encoder"


def add_depth(command, help):
    """Add --depth, the number of candidates per query."""
    command.add_argument("--depth", type=whole(1), metavar="N", help=f"{help} (default: {DEPTH})")


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    files = [bool(arguments.corpus), bool(arguments.queries)]
    if any(files) and (not all(files) or arguments.asked):
        arguments.usage_error("to rerank a run, give --corpus and --queries, and no QUERY")
    if not any(files) and not arguments.asked:
        arguments.usage_error("give a QUERY, or --corpus and --queries to rerank a run")
    if arguments.depth and not any(files):
        arguments.usage_error("--depth is for a run; of a text, all lines are candidates")
    refuse_blank(arguments, arguments.asked)
    check_places(arguments)
    if any(files):
        check_depth(arguments, arguments.depth or DEPTH)
    arguments.top = arguments.top or TOP


def check_places(arguments):
    """Exit with code 2 if TEXT and QUERY are both stdin, or look swapped."""
    text, asked = arguments.candidates, arguments.asked
    if text == "-" and asked == ["-"]:
        arguments.usage_error("TEXT and QUERY are both -, and stdin can be only one of them")
    if not os.path.exists(text) and len(asked) == 1 and os.path.isfile(asked[0]):
        arguments.usage_error(f"{text}: there is no such file; TEXT comes before QUERY: give "
                              f"{asked[0]} first")


def check_depth(arguments, most):
    """Exit with code 2 if there are fewer candidates per query than results; fill in -k.

    most: the default of -k, unless --depth is smaller
    """
    depth = arguments.depth or DEPTH
    arguments.top = arguments.top or min(most, depth)
    if arguments.top > depth:
        arguments.usage_error(f"-k {arguments.top}: expected at most --depth, {depth} candidates "
                              "per query; give a larger --depth, or a smaller -k")


def run_rerank(arguments):
    """Score the candidates of each query and print the best."""
    model = load_cross_encoder(arguments.model)
    (rerank_run if arguments.corpus else rerank_lines)(arguments, model)
    say_truncated(model, arguments.model)


def load_cross_encoder(folder):
    """The CrossEncoder of a folder.  Raises ValueError for one with several labels."""
    from scratch_embed.cli.models import require_model
    from scratch_embed.sentences.cross_encoder import CrossEncoder
    require_model(folder)
    model = CrossEncoder.load(folder)
    labels = model.settings.labels
    if len(labels) > 1:
        raise ValueError(f"{folder}: expected a cross-encoder with one label, whose score orders "
                         f"the candidates, got {counted(len(labels), 'label')}, "
                         f"{', '.join(labels):.60}")
    return model


def name_of(folder):
    """The name of a folder, without those above it."""
    return os.path.basename(os.path.normpath(folder))


def say_truncated(model, folder):
    """Print how many pairs were truncated, if any."""
    if model.truncated:
        say(f"{name_of(folder)}: truncated {counted(model.truncated, 'pair')} to "
            f"{model.settings.max_seq_length} tokens, the most that the model takes")


def best_of(query, texts, model, k):
    """The indices of the k texts with the highest scores, the best first, and their scores."""
    import numpy as np

    from scratch_embed.retrieve.rerank import rerank
    ids, scores = rerank([query], texts, np.arange(len(texts))[None], model.predict, k, PAIRS)
    return ids[0].tolist(), scores[0].tolist()


# ---- the lines of a text ------------------------------------------------------------------------

def rerank_lines(arguments, model):
    """Print the lines with the highest scores for each query."""
    from scratch_embed.cli.texts import NO_WORDS
    from scratch_embed.text.corpus import read_lines
    lines = {number: line for number, line in
             enumerate(read_lines(arguments.candidates, arguments.errors), 1) if line.strip()}
    if not lines:
        raise ValueError(f"{arguments.candidates}: {NO_WORDS}")
    numbers, texts = list(lines), list(lines.values())
    asked, interactive = texts_of(arguments.asked)
    if not interactive:
        asked = list(asked)
        say_passes(arguments.model, len(asked), len(texts) * len(asked))
    if arguments.top > len(texts):
        say(f"{counted(len(texts), 'result')} per query: TEXT has no more candidates")
    several = len(arguments.asked) > 1 or arguments.asked == ["-"] and not interactive
    for query in asked:
        found = [(score, numbers[i], texts[i])
                 for i, score in zip(*best_of(query, texts, model, arguments.top))]
        if arguments.json:
            print_results(query, ("score", "line", "text"), found)
        else:
            print_lines(query, found, several, lambda text: " ".join(text.split()))


def say_passes(folder, queries, pairs):
    """Print how many pairs are scored, each by one pass of the model."""
    say(f"{name_of(folder)}: {counted(pairs, 'pair')} of query and candidate, "
        f"{counted(queries, 'query')}; one pass of the model for each pair")


# ---- the documents of a run ---------------------------------------------------------------------

def rerank_run(arguments, model):
    """Print the run with the first documents of each query in a new order."""
    from scratch_embed.evaluate.collection import read_texts
    from scratch_embed.evaluate.ranking import order
    from scratch_embed.evaluate.trec import read_run
    from scratch_embed.numerics.errors import FormatError
    try:
        run = read_run(arguments.candidates)
    except FormatError as error:
        path, place, problem = error.parts
        raise FormatError(path, place, f"with --corpus and --queries, expected a run in TREC's "
                                       f"format: {problem}") from None
    queries = read_texts(arguments.queries, arguments.errors)
    documents = read_texts(arguments.corpus, arguments.errors)
    depth = arguments.depth or DEPTH
    first = {query: order(scores)[:depth] for query, scores in run.items() if query in queries}
    if not first:
        raise ValueError(f"{arguments.queries}: expected the queries of {arguments.candidates}, "
                         f"found none of them, such as {next(iter(run))!r}")
    missing = [name for names in first.values() for name in names if name not in documents]
    if missing:
        raise ValueError(f"{arguments.corpus}: expected all documents of "
                         f"{arguments.candidates}, found no {missing[0]!r}")
    if len(first) < len(run):
        say(f"{counted(len(run) - len(first), 'query')} of {arguments.candidates} left out: "
            f"{arguments.queries} does not have them")
    say_passes(arguments.model, len(first), sum(map(len, first.values())))
    for query, names in first.items():
        ids, scores = best_of(queries[query], [documents[name] for name in names], model,
                              arguments.top)
        found = [(score, names[i]) for i, score in zip(ids, scores)]
        if arguments.json:
            print_results(query, ("score", "document"), found)
        else:
            for rank, (score, name) in enumerate(found, 1):
                print(query, "Q0", name, rank, repr(score), TAG)


# ---- the results of a search --------------------------------------------------------------------

def reranked_search(search, index, model, arguments):
    """The function (queries, k) -> (line numbers (N, k), scores (N, k)) that orders the first
    --depth lines of search(queries, depth) anew.

    index: a TextIndex, for the texts of the lines; model: a CrossEncoder
    """
    import numpy as np

    from scratch_embed.retrieve.lists import NO_ID
    from scratch_embed.retrieve.rerank import rerank
    depth = min(arguments.depth or DEPTH, len(index))
    numbers, texts = np.array([*index.texts, NO_ID]), list(index.texts.values())
    say(f"{name_of(arguments.rerank)}: reranks what the search finds for each query, at most "
        f"{counted(depth, 'line')}; one pass of the model for each line")

    def again(queries, k):
        lines, _ = search(queries, depth)
        rows = np.where(lines == NO_ID, NO_ID, np.searchsorted(numbers[:-1], lines))
        rows, scores = rerank(queries, texts, rows, model.predict, k, PAIRS)
        return numbers[rows], scores
    return again
