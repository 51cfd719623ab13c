"""index: save lines, images or sounds with their vectors in one file.  search: find them there."""
import itertools
import os
from functools import partial

from scratch_embed.cli.loading import MODELS, OF_SENSES, add_encoder_options
from scratch_embed.cli.m3_search import (
    add_index_kinds,
    add_search_kinds,
    asked,
    check_index_kinds,
    check_search_kinds,
    m3_search,
    three_weights,
    words_of,
)
from scratch_embed.cli.parsing import (
    add_command,
    add_errors,
    add_json,
    add_top,
    require_writable,
    whole,
)
from scratch_embed.cli.printing import print_lines, print_results
from scratch_embed.cli.prompts import (
    add_document_prompts,
    add_query_prompt,
    add_query_prompts,
    chosen_prompts,
    say_prompts,
)
from scratch_embed.cli.queries import refuse_blank, texts_of
from scratch_embed.cli.query_words import UnknownWords, why_nothing
from scratch_embed.cli.rerank import (
    add_cross_encoder,
    add_depth,
    check_depth,
    load_cross_encoder,
    reranked_search,
    say_truncated,
)
from scratch_embed.cli.senses import (
    INPUT,
    add_file_query,
    add_sense,
    check_file_search,
    file_search,
    of_files,
    print_files,
)
from scratch_embed.cli.snippets import snippet
from scratch_embed.cli.text_index import (
    dense_part,
    encoder_of,
    load_index,
    new_index,
    open_index,
    prompts_of,
    splits_of,
)
from scratch_embed.cli.texts import NO_WORDS
from scratch_embed.cli.tokenizing import chosen_tokenizer, say_known
from scratch_embed.cli.training import say
from scratch_embed.numerics.endings import by_ending
from scratch_embed.numerics.wording import counted

ENDINGS = {".index": None, ".safetensors": None, "": None}       # of an index; one format
BATCH_SIZE = 1000                  # queries searched together
TOP = 10                           # results per query
HYBRID_DEPTH = 100                 # lines of each list that a hybrid fuses; k if k is larger


# ---- index --------------------------------------------------------------------------------------

def add_commands(commands):
    """Add `index` and `search`."""
    index = add_command(commands, "index", "save lines, images or sounds for `search`",
                        "scratch-embed index texts.txt -o texts.index --model words.vec",
                        run=run_index, check=check_index_usage)
    index.add_argument("texts", metavar="TEXT", help=f"{INPUT}; blank lines are left out, but "
                       "count in the line numbers").read_as = "text or files"
    index.add_argument("-o", "--output", required=True, metavar="FILE", help="the index to write; "
                       "its name ends in .index or .safetensors, or has no ending")
    index.add_argument("--model", metavar="MODEL", help=f"{MODELS}{OF_SENSES}.  The index stores "
                       "its path and digest (default: with --add, the model of the index)"
                       ).read_as = "any encoder"
    index.add_argument("--add", action="store_true", help="add to an existing index, with its "
                       "model and options; line numbers continue")
    add_sense(index, "PNG files")
    add_encoder_options(index, bm25=True)
    add_index_kinds(index)
    add_document_prompts(index)
    add_query_prompt(index)
    add_errors(index)
    add_search(commands)


def run_index(arguments):
    """Read the lines, encode them, save the index; messages go to stderr."""
    from tqdm import tqdm

    from scratch_embed.text.corpus import read_lines
    require_writable(arguments.output, arguments.texts)
    if arguments.model:
        check_outside(arguments.output, arguments.model)
    if not arguments.add:                              # an index of any name can be added to
        by_ending(arguments.output, ENDINGS, "an index")
    index, loaded, files = (open_index if arguments.add else new_index)(arguments)
    encoder = dense_part(loaded)
    more = {} if loaded is encoder else asked(words_of(index.index.kinds))
    lines = files or tqdm(read_lines(arguments.texts, arguments.errors), unit="line", disable=None)
    prompt = None if files else prompts_of(index).document
    added = index.add(lines, partial(loaded.encode, prompt=prompt, **more))
    if not len(index):
        raise ValueError(f"{arguments.texts}: {NO_WORDS}")
    name = os.path.basename(index.made_by["model"])
    if say_known(encoder, name, "lines", strict=not arguments.add):
        say("`search --bm25` and --hybrid can find lines without a known word")
    index.save(arguments.output)
    kinds = f" ({', '.join(words_of(index.index.kinds))})" if more else ""
    say(f"{counted(added, 'file' if files else 'line')} added, {len(index):,} in all, "
        f"{index.index.dim} dimensions{kinds}; wrote {arguments.output}")


def check_index_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    prompts = arguments.prompt_name, arguments.query_prompt, arguments.document_prompt
    if arguments.add and (arguments.sif is not None or chosen_tokenizer(arguments) is not None
                          or prompts != (None, None, None)):
        arguments.usage_error("--add uses the options of the index: leave out --sif, --tokenizer, "
                              "--keep-case, --apostrophes and the prompts")
    check_index_kinds(arguments)
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


# ---- search -------------------------------------------------------------------------------------

def add_search(commands):
    """Add `search`."""
    search = add_command(commands, "search", "print the lines or files of an index nearest to a "
                         "query",
                         "scratch-embed search texts.index storm -k 5", run=run_search,
                         check=check_search_usage,
                         details="A line per result, the best first: rank, score, line number, "
                                 "and the part of the line that has the most words of the query.  "
                                 "By default the model and BM25 search together: the score is "
                                 "the weighted sum of both, each scaled to 0 to 1.  An index of "
                                 "BGE-M3 is searched by its own kinds of scores, without BM25: the "
                                 "score is their weighted mean.  It is the "
                                 "cosine with --dense, BM25's with --bm25, and the sum of 1/(60 + "
                                 "rank) over both rankings with --hybrid.  With --rerank, a "
                                 "cross-encoder reads the query, without the prompts of the "
                                 "search, with each of the first --depth lines, and its scores "
                                 "give their new order.  With several queries, each is "
                                 "printed above its results.  An index of images or sounds is "
                                 "searched by the model alone; a line per result has rank, "
                                 "score and path.")
    search.add_argument("index", metavar="INDEX", help="a file that `index` wrote")
    search.add_argument("queries", nargs="+", metavar="QUERY", help='a text; several are searched '
                        'one after the other; "-" alone: one query per line of stdin; QUERY or '
                        '--file is required (default: none)').required = False
    add_file_query(search)
    add_top(search, TOP, "largest number of results per query",
            f"{TOP}, or with --rerank --depth if that is smaller")
    how = search.add_mutually_exclusive_group()
    how.add_argument("--dense", action="store_true", help="search by the model alone, which finds "
                     "other words for the same, but not rare words and codes")
    how.add_argument("--bm25", action="store_true", help="search by the words of the query with "
                     "BM25, without the model; a word must be the same, with its accents")
    how.add_argument("--hybrid", action="store_true", help="fuse the results of the model and BM25 "
                     "by their ranks (reciprocal rank fusion), not by their scores")
    add_search_kinds(search)
    search.add_argument("--snippet", type=whole(10), default=120, metavar="N", help="characters of "
                        "a line that are printed; --json prints whole lines (default: %(default)s)")
    search.add_argument("--model", metavar="MODEL", help="the new path of the model, if it has "
                        "moved (default: the path in the index)").read_as = "any encoder"
    add_cross_encoder(search, "--rerank")
    add_depth(search, "with --rerank: rerank the first N lines that the search finds")
    add_query_prompts(search, default="the prompt that the index stores")
    add_json(search, '{"query": text, "results": [{"rank", "score", "line", "text"}]} for each '
                     'query; of an index of files {"rank", "score", "file"}')


def check_search_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    if arguments.depth and not arguments.rerank:
        arguments.usage_error("--depth is the number of lines for --rerank MODEL: give both")
    check_search_kinds(arguments)
    if not (arguments.queries or arguments.file):
        arguments.usage_error("give a QUERY, or --file FILE to search by an image or a sound")
    arguments.queries = arguments.queries or []
    refuse_blank(arguments, arguments.queries)
    if arguments.rerank:
        check_depth(arguments, TOP)
    arguments.top = arguments.top or TOP


def run_search(arguments):
    """Print the results of each query."""
    index = load_index(arguments.index)
    check_file_search(index, arguments)
    reranker = load_cross_encoder(arguments.rerank) if arguments.rerank else None
    encoder, near = None, None
    three_weights(index.index, arguments)
    if not arguments.bm25:
        loaded = encoder_of(index, arguments.index, arguments.model)
        encoder = dense_part(loaded)
        near = model_search(index, loaded, query_prompt(index, encoder, arguments), arguments)
    search, split = chosen_search(index, near, arguments), splits_of(index, arguments.index)[1]
    if reranker:
        search = reranked_search(search, index, reranker, arguments)
    queries, interactive = texts_of(arguments.queries or [arguments.file])
    show = printer(arguments, interactive, of_files(index))
    k, unknown = min(arguments.top, len(index)), UnknownWords(encoder)
    asked = answered = 0
    while batch := list(itertools.islice(queries, 1 if interactive else BATCH_SIZE)):
        asked += len(batch)
        for query, ids, scores in zip(batch, *search(batch, k)):
            found = [(float(score), line, index.texts[line])
                     for line, score in zip(ids.tolist(), scores)
                     if line in index.texts]               # −1 where fewer than k lines are found
            unknown.add(query)
            if not found:
                reason = why_nothing(query, index.texts.values(), split)
                nothing = f"nothing found for {query!r}: {reason}"
                if arguments.queries == [query]:       # nothing follows: this is the error
                    raise ValueError(nothing)
                say(nothing)
            answered += bool(found)
            show(query, found)
    if reranker:
        say_truncated(reranker, arguments.rerank)
    if asked and not answered:
        raise ValueError("nothing found: no query has a known word")
    if encoder is not None:
        say_known(encoder, os.path.basename(index.made_by["model"]), "queries", strict=False)
        if unknown.words:
            say(f"{os.path.basename(index.made_by['model'])}: unknown words: {unknown}")


def query_prompt(index, encoder, arguments):
    """The text before each query: of the options, or of the index.  It is printed."""
    stored, name = prompts_of(index), os.path.basename(index.made_by["model"])
    if arguments.prompt_name is None and arguments.query_prompt is None:
        say_prompts(name, stored, {})
        return stored.query
    return chosen_prompts(encoder, name, arguments.query_prompt, stored.document or "",
                          arguments.prompt_name).query


def model_search(index, loaded, prompt, arguments):
    """The search by the model alone, a function as that of chosen_search()."""
    if loaded is not dense_part(loaded):
        return m3_search(index.index, loaded, prompt, arguments)
    return file_search(index, loaded, prompt, arguments)


def chosen_search(index, near, arguments):
    """The function (queries, k) -> (line numbers (N, k), scores (N, k)) of N queries.

    near: the search by the model alone
    """
    from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion, sum_of_scores
    of_m3 = hasattr(index.index, "kinds")
    if near and (arguments.dense or of_m3 and not arguments.hybrid):
        return near
    if of_files(index) or arguments.file:
        return near
    words = index.bm25_search(splits_of(index, arguments.index)[1])
    if arguments.bm25:
        return words
    fuse = reciprocal_rank_fusion if arguments.hybrid else sum_of_scores

    def both(queries, k):
        depth = max(k, HYBRID_DEPTH)
        return fuse([near(queries, depth), words(queries, depth)], k)
    return both


def printer(arguments, interactive, files):
    """The function that prints the results of a query: rows (score, line number, text or path)."""
    given = arguments.queries
    several = len(given) > 1 or given == ["-"] and not interactive

    def show(query, found):
        if arguments.json and files:
            print_results(query, ("score", "file"), [(row[0], row[2]) for row in found])
        elif arguments.json:
            print_results(query, ("score", "line", "text"), found)
        elif files:
            print_files(query, found, several)
        else:
            print_lines(query, found, several, lambda text: snippet(text, query,
                                                                    arguments.snippet))
    return show
