"""index: save lines of text with their vectors in one file.  search: find lines in that file."""
import itertools
import json
import os
import sys

from scratch_embed.cli.loading import (
    MODELS,
    TOKENS,
    add_encoder_options,
    digest_of,
    is_model,
    load_encoder,
    splitter,
)
from scratch_embed.cli.parsing import add_command, require_writable, whole
from scratch_embed.cli.training import say

BATCH_SIZE = 1000                  # queries searched together
HYBRID_DEPTH = 100                 # lines of each list that a hybrid fuses; k if k is larger


# ---- index --------------------------------------------------------------------------------------

def add_commands(commands):
    """Add `index` and `search`."""
    index = add_command(commands, "index", "encode each line of a text, and save lines and vectors "
                        "for `search`", "scratch-embed index texts.txt -o texts.index --model "
                        "words.vec", run=run_index)
    index.add_argument("texts", help='one text per line, plain or gzip; "-" is stdin; blank lines '
                       "are left out, but count in the line numbers")
    index.add_argument("-o", "--output", required=True, metavar="INDEX", help="the file to write")
    index.add_argument("--model", help=f"{MODELS}.  The index stores its path and digest")
    index.add_argument("--add", action="store_true", help="add to an existing index, with its "
                       "model and options; line numbers continue")
    add_encoder_options(index)
    index.add_argument("--errors", choices=["strict", "replace", "ignore"], default="strict",
                       help="what to do with bytes that are not UTF-8 (default: %(default)s)")
    index.set_defaults(usage_error=index.error, tokens=None)       # None: not given
    add_search(commands)


def run_index(arguments):
    """Read the lines, encode them, save the index; messages go to stderr."""
    from tqdm import tqdm

    from scratch_embed.text.corpus import read_lines
    check_index_usage(arguments)
    require_writable(arguments.output, arguments.texts)
    if arguments.model:
        check_outside(arguments.output, arguments.model)
    index, encoder = (open_index if arguments.add else new_index)(arguments)
    lines = tqdm(read_lines(arguments.texts, arguments.errors), unit="line", disable=None)
    unknown = 0

    def encode(texts):
        nonlocal unknown
        vectors = encoder.encode(texts)
        unknown += int((~vectors.any(axis=1)).sum())
        return vectors
    added = index.add(lines, encode)
    if not len(index):
        raise ValueError(f"{arguments.texts}: expected one text per line, found only blank lines")
    index.save(arguments.output)
    say(f"{added:,} lines added, {len(index):,} in all, {index.index.dim} dimensions; wrote "
        f"{arguments.output}")
    if unknown:
        say(f"{unknown:,} of {added:,} lines have no word known to the model: their cosine with "
            "every query is 0; `search --bm25` and --hybrid can find them")


def check_index_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    if arguments.add and (arguments.sif is not None or arguments.tokens is not None):
        arguments.usage_error("--add uses the options of the index: leave out --sif and --tokens")
    if not (arguments.add or arguments.model):
        arguments.usage_error("give --model, the word vectors or the folder that encode the lines")


def check_outside(path, model):
    """Raise ValueError if writing to `path` would replace the model or change its digest."""
    path_, model_ = os.path.realpath(path), os.path.realpath(model)
    if path_ == model_:
        raise ValueError(f"{path} is the model itself; write to another file")
    is_model = os.path.exists(os.path.join(model_, "config.json"))
    if is_model and path_.startswith(os.path.join(model_, "")):
        raise ValueError(f"{path} is in the model's folder and would change its digest; write to "
                         "another folder")


def new_index(arguments):
    """(an empty TextIndex, its encoder)."""
    from scratch_embed.retrieve.texts import TextIndex
    options = {"sif": arguments.sif, "tokens": arguments.tokens or TOKENS[0]}
    made_by = {"model": os.path.abspath(arguments.model), "digest": digest_of(arguments.model),
               **options}
    encoder = load_encoder(arguments.model, **options)
    return TextIndex(encoder.encode([]).shape[1], made_by), encoder


def open_index(arguments):
    """(the existing TextIndex, its encoder)."""
    index = load_index(arguments.output)
    return index, encoder_of(index, arguments.output, arguments.model)


def load_index(path):
    """Read a TextIndex that `new_index` created.  Raises FormatError for any other file."""
    from scratch_embed.numerics.errors import FormatError
    from scratch_embed.retrieve.texts import TextIndex
    index = TextIndex.load(path)
    sif, kinds = index.made_by.get("sif"), [type(index.made_by.get(name)) for name in
                                            ("model", "digest", "tokens")]
    if kinds != [str] * 3 or not isinstance(sif, float | None) or (
            index.made_by["tokens"] not in TOKENS):
        raise FormatError(path, "its metadata", "expected in `made_by` a model, its digest, sif "
                                                f"and tokens, found {index.made_by}")
    return index


def encoder_of(index, path, model=None):
    """The encoder of an index.  path: of the index; model: the new path of the model, if it moved.

    Raises ValueError if another model made the index.
    """
    made_by = index.made_by
    model = model or made_by["model"]
    if not os.path.exists(model):
        raise FileNotFoundError(f"{path} was made with {model}, which does not exist; if it has "
                                "moved, give its new path with --model")
    if not is_model(model, made_by["digest"]):
        raise ValueError(f"{path} was made with another model than {model} (digest "
                         f"{made_by['digest']}, found {digest_of(model)}): their vectors cannot "
                         "be compared; "
                         "index the texts again, or give the old model with --model")
    encoder = load_encoder(model, made_by["sif"], made_by["tokens"])
    dim = encoder.encode([]).shape[1]
    if dim != index.index.dim:
        raise ValueError(f"{path} has vectors of {index.index.dim} dimensions, and {model} has "
                         f"{dim}: index the texts again")
    return encoder


# ---- search -------------------------------------------------------------------------------------

def add_search(commands):
    """Add `search`."""
    search = add_command(commands, "search", "print the lines of an index that are nearest to a "
                         "query, the best first: rank, score, line number, text",
                         "scratch-embed search texts.index storm -k 5", run=run_search)
    search.add_argument("index", help="a file that `index` wrote")
    search.add_argument("queries", nargs="+", metavar="QUERY", help='a text; several are searched '
                        'one after the other; "-" alone: one query per line of stdin')
    search.add_argument("-k", type=whole(1), default=10, metavar="N",
                        help="largest number of results per query (default: %(default)s)")
    how = search.add_mutually_exclusive_group()
    how.add_argument("--bm25", action="store_true", help="lexical search by BM25, without the "
                     "model")
    how.add_argument("--hybrid", action="store_true",
                     help="dense and lexical search, fused by reciprocal rank fusion")
    search.add_argument("--model", help="the new path of the model, if it has moved")
    search.add_argument("--json", action="store_true",
                        help="print an object per query: "
                             "{query, results: [{rank, score, line, text}]}")


def run_search(arguments):
    """Print the results of each query."""
    index = load_index(arguments.index)
    search = chosen_search(index, arguments)
    show = print_json if arguments.json else print_lines
    queries, interactive = texts_of(arguments.queries)
    k = min(arguments.k, len(index))                       # search returns k columns
    while batch := list(itertools.islice(queries, 1 if interactive else BATCH_SIZE)):
        for query, ids, scores in zip(batch, *search(batch, k)):
            found = [(rank, float(score), line, index.texts[line])
                     for rank, (line, score) in enumerate(zip(ids.tolist(), scores), 1)
                     if line in index.texts]               # −1 where fewer than k lines are found
            if not found:
                say(f"nothing found for {query!r}: it has no known word")
            show(query, found)


def texts_of(given):
    """(iterator over the texts, or over stdin's lines for ["-"]; whether stdin is a terminal)."""
    from scratch_embed.text.corpus import read_lines
    if given != ["-"]:
        return iter(given), False
    lines = (line for line in read_lines("-") if line.strip())
    return lines, sys.stdin is not None and sys.stdin.isatty()


def chosen_search(index, arguments):
    """The function (queries, k) -> (line numbers (N, k), scores (N, k)) of N queries."""
    from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion
    if not arguments.bm25:
        encode = encoder_of(index, arguments.index, arguments.model).encode
    if arguments.bm25 or arguments.hybrid:
        words = index.bm25_search(splitter(index.made_by["tokens"]))
    if arguments.bm25:
        return words
    if not arguments.hybrid:
        return lambda queries, k: index.search(encode(queries), k)

    def both(queries, k):
        depth = max(k, HYBRID_DEPTH)
        return reciprocal_rank_fusion([index.search(encode(queries), depth),
                                       words(queries, depth)], k)
    return both


def print_lines(query, found):
    """Print a line per result."""
    for rank, score, line, text in found:
        print(f"{rank}\t{score:.4f}\t{line}\t{text}")


def print_json(query, found):
    """Print all results of a query as one JSON object."""
    print(json.dumps({"query": query, "results": [
        dict(zip(("rank", "score", "line", "text"), row)) for row in found]}))
