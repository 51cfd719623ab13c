"""index: save lines of text with their vectors in one file.  search: find lines in that file."""
import itertools
import os
from functools import partial

from scratch_embed.cli.loading import (
    MODELS,
    add_encoder_options,
    chosen_sif,
    digest_of,
    is_model,
    load_encoder,
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
    Prompts,
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
from scratch_embed.cli.snippets import snippet
from scratch_embed.cli.texts import NO_WORDS
from scratch_embed.cli.tokenizing import chosen_tokenizer, say_known, split_of_version_0_1
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
    index = add_command(commands, "index", "encode the lines of a text, and save them for `search`",
                        "scratch-embed index texts.txt -o texts.index --model words.vec",
                        run=run_index, check=check_index_usage)
    index.add_argument("texts", metavar="TEXT",
                       help='one text per line, plain or gzip; "-" is stdin; blank lines are left '
                            "out, but count in the line numbers")
    index.add_argument("-o", "--output", required=True, metavar="FILE", help="the index to write; "
                       "its name ends in .index or .safetensors, or has no ending")
    index.add_argument("--model", metavar="MODEL", help=f"{MODELS}.  The index stores its path "
                       "and digest (default: with --add, the model of the index)")
    index.add_argument("--add", action="store_true", help="add to an existing index, with its "
                       "model and options; line numbers continue")
    add_encoder_options(index, bm25=True)
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
    index, encoder = (open_index if arguments.add else new_index)(arguments)
    lines = tqdm(read_lines(arguments.texts, arguments.errors), unit="line", disable=None)
    added = index.add(lines, partial(encoder.encode, prompt=prompts_of(index).document))
    if not len(index):
        raise ValueError(f"{arguments.texts}: {NO_WORDS}")
    name = os.path.basename(index.made_by["model"])
    if say_known(encoder, name, "lines", strict=not arguments.add):
        say("`search --bm25` and --hybrid can find lines without a known word")
    index.save(arguments.output)
    say(f"{counted(added, 'line')} added, {len(index):,} in all, {index.index.dim} dimensions; "
        f"wrote {arguments.output}")


def check_index_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    prompts = arguments.prompt_name, arguments.query_prompt, arguments.document_prompt
    if arguments.add and (arguments.sif is not None or chosen_tokenizer(arguments) is not None
                          or prompts != (None, None, None)):
        arguments.usage_error("--add uses the options of the index: leave out --sif, --tokenizer, "
                              "--keep-case, --apostrophes and the prompts")
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
    from scratch_embed.sentences.static import StaticEncoder
    from scratch_embed.text.word_tokenizer import WORDS, WordTokenizer
    tokenizer, digest = chosen_tokenizer(arguments), digest_of(arguments.model)
    sif = chosen_sif(arguments, arguments.model)
    encoder = load_encoder(arguments.model, sif, tokenizer)
    split = encoder.tokenize if isinstance(encoder, StaticEncoder) else None
    split = split if isinstance(split, WordTokenizer) else None            # a folder has its own
    made_by = {"model": os.path.abspath(arguments.model), "digest": digest, "sif": sif,
               "tokenizer": split and split._asdict(),
               "bm25_tokenizer": (tokenizer or WORDS)._asdict()}
    prompts = chosen_prompts(encoder, os.path.basename(arguments.model), arguments.query_prompt,
                             arguments.document_prompt, document_name=arguments.prompt_name)
    made_by |= {f"{kind}_prompt": text for kind, text in prompts._asdict().items()
                if text is not None}
    return TextIndex(encoder.encode([]).shape[1], made_by), encoder


def open_index(arguments):
    """(the existing TextIndex, its encoder)."""
    index = load_index(arguments.output)
    return index, encoder_of(index, arguments.output, arguments.model)


def load_index(path):
    """Read a TextIndex that `new_index` created.  Raises FormatError for any other file."""
    from scratch_embed.retrieve.texts import TextIndex
    index = TextIndex.load(path)
    fields = made_by_of(index, path)
    for name in "model", "digest":
        fields.text(name)
    if index.made_by.get("sif") is not None:
        fields.positive("sif")
    splits_of(index, path)
    for name in "query_prompt", "document_prompt":
        fields.text(name, None)
    return index


def prompts_of(index):
    """The Prompts of an index; earlier versions stored none, and used the default prompt."""
    return Prompts(index.made_by.get("query_prompt"), index.made_by.get("document_prompt"))


def made_by_of(index, path):
    """The description of an index's model, as Fields."""
    from scratch_embed.numerics.json_files import Fields
    return Fields(path, index.made_by, "its `made_by`")


def splits_of(index, path):
    """(text -> words of the encoder, None for a transformer; text -> words of BM25)."""
    from scratch_embed.numerics.json_files import NULL
    from scratch_embed.text.word_tokenizer import from_fields
    fields = made_by_of(index, path)
    if "tokens" in fields:                                 # of version 0.1
        split = split_of_version_0_1(fields.one_of("tokens", ("spaces", "words")))
        return split, split
    stored = fields.of("tokenizer", dict, NULL)
    return (stored and from_fields(fields.inside("tokenizer")),
            from_fields(fields.inside("bm25_tokenizer")))


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
                         "be compared; index the texts again, or give the old model with --model")
    encoder = load_encoder(model, made_by.get("sif"), splits_of(index, path)[0], note=False)
    dim = encoder.encode([]).shape[1]
    if dim != index.index.dim:
        raise ValueError(f"{path} has vectors of {index.index.dim} dimensions, and {model} has "
                         f"{dim}: index the texts again")
    return encoder


# ---- search -------------------------------------------------------------------------------------

def add_search(commands):
    """Add `search`."""
    search = add_command(commands, "search", "print the lines of an index that are nearest to a "
                         "query", "scratch-embed search texts.index storm -k 5", run=run_search,
                         check=check_search_usage,
                         details="A line per result, the best first: rank, score, line number, "
                                 "and the part of the line that has the most words of the query.  "
                                 "By default the model and BM25 search together: the score is "
                                 "the weighted sum of both, each scaled to 0 to 1.  It is the "
                                 "cosine with --dense, BM25's with --bm25, and the sum of 1/(60 + "
                                 "rank) over both rankings with --hybrid.  With --rerank, a "
                                 "cross-encoder reads the query, without the prompts of the "
                                 "search, with each of the first --depth lines, and its scores "
                                 "give their new order.  With several queries, each is "
                                 "printed above its results.")
    search.add_argument("index", metavar="INDEX", help="a file that `index` wrote")
    search.add_argument("queries", nargs="+", metavar="QUERY", help='a text; several are searched '
                        'one after the other; "-" alone: one query per line of stdin')
    add_top(search, TOP, "largest number of results per query",
            f"{TOP}, or with --rerank --depth if that is smaller")
    how = search.add_mutually_exclusive_group()
    how.add_argument("--dense", action="store_true", help="search by the model alone, which finds "
                     "other words for the same, but not rare words and codes")
    how.add_argument("--bm25", action="store_true", help="search by the words of the query with "
                     "BM25, without the model; a word must be the same, with its accents")
    how.add_argument("--hybrid", action="store_true", help="fuse the results of the model and BM25 "
                     "by their ranks (reciprocal rank fusion), not by their scores")
    search.add_argument("--snippet", type=whole(10), default=120, metavar="N", help="characters of "
                        "a line that are printed; --json prints whole lines (default: %(default)s)")
    search.add_argument("--model", metavar="MODEL", help="the new path of the model, if it has "
                        "moved (default: the path in the index)")
    add_cross_encoder(search, "--rerank")
    add_depth(search, "with --rerank: rerank the first N lines that the search finds")
    add_query_prompts(search, default="the prompt that the index stores")
    add_json(search, '{"query": text, "results": [{"rank", "score", "line", "text"}]} for each '
                     "query")


def check_search_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    if arguments.depth and not arguments.rerank:
        arguments.usage_error("--depth is the number of lines for --rerank MODEL: give both")
    refuse_blank(arguments, arguments.queries)
    if arguments.rerank:
        check_depth(arguments, TOP)
    arguments.top = arguments.top or TOP


def run_search(arguments):
    """Print the results of each query."""
    index = load_index(arguments.index)
    reranker = load_cross_encoder(arguments.rerank) if arguments.rerank else None
    encoder, encode = None, None
    if not arguments.bm25:
        encoder = encoder_of(index, arguments.index, arguments.model)
        encode = partial(encoder.encode, prompt=query_prompt(index, encoder, arguments))
    search, split = chosen_search(index, encode, arguments), splits_of(index, arguments.index)[1]
    if reranker:
        search = reranked_search(search, index, reranker, arguments)
    queries, interactive = texts_of(arguments.queries)
    show = printer(arguments, interactive)
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


def chosen_search(index, encode, arguments):
    """The function (queries, k) -> (line numbers (N, k), scores (N, k)) of N queries."""
    from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion, sum_of_scores
    if not arguments.dense:
        words = index.bm25_search(splits_of(index, arguments.index)[1])
    if arguments.bm25:
        return words
    if arguments.dense:
        return lambda queries, k: index.search(encode(queries), k)
    fuse = reciprocal_rank_fusion if arguments.hybrid else sum_of_scores

    def both(queries, k):
        depth = max(k, HYBRID_DEPTH)
        return fuse([index.search(encode(queries), depth), words(queries, depth)], k)
    return both


def printer(arguments, interactive):
    """The function that prints the results of a query: rows (score, line number, text)."""
    given = arguments.queries
    several = len(given) > 1 or given == ["-"] and not interactive

    def show(query, found):
        if arguments.json:
            print_results(query, ("score", "line", "text"), found)
        else:
            print_lines(query, found, several, lambda text: snippet(text, query,
                                                                    arguments.snippet))
    return show
