"""evaluate retrieval: compare encoders, BM25 and hybrids of both on one collection."""
import os
import re
from functools import partial

from scratch_embed.cli.loading import (
    MODELS,
    add_encoder_options,
    chosen_sif,
    column_names,
    load_encoder,
)
from scratch_embed.cli.parsing import (
    add_command,
    add_errors,
    add_json,
    non_negative,
    require_writable,
    whole,
)
from scratch_embed.cli.printing import print_json, with_interval
from scratch_embed.cli.prompts import add_document_prompt, add_query_prompts, chosen_prompts
from scratch_embed.cli.tokenizing import chosen_tokenizer, say_known
from scratch_embed.cli.training import say
from scratch_embed.cli.worlds import HELP, WORLDS, add_seed, world

FILES = "corpus", "queries", "qrels"
BM25_NAME = "bm25"


def add_evaluation(kinds):
    """Add `evaluate retrieval`."""
    command = add_command(
        kinds, "retrieval", "print ranking measures of encoders, BM25 and hybrids",
        "scratch-embed evaluate retrieval words.vec --corpus corpus.jsonl --queries queries.jsonl "
        "--qrels qrels.tsv", run=run_evaluation, check=check_usage,
        details="Each measure has its 95% bootstrap interval over queries.  A hybrid fuses the "
                "rankings of an encoder and of BM25, by reciprocal rank fusion or as a weighted "
                "sum.  Give --corpus, --queries and --qrels together, or none of them for the "
                "toy world of --world.")
    command.add_argument("models", nargs="+", metavar="MODEL", help=MODELS)
    add_encoder_options(command, bm25=True)
    add_query_prompts(command)
    add_document_prompt(command)
    option = command.add_argument
    option("--corpus", metavar="FILE", help='documents: JSON lines {"_id", "title", "text"}, as '
                                            "in BEIR, or lines of id <tab> text; plain or gzip "
                                            "(default: those of --world)")
    option("--queries", metavar="FILE", help="queries in the same format; queries without "
                                             "judgements are left out "
                                             "(default: those of --world)")
    option("--qrels", metavar="FILE", help="relevance judgements: lines of query <tab> document "
                                           "<tab> gain, with or without a header; or TREC's "
                                           "(default: those of --world)")
    option("--world", choices=list(WORLDS), metavar="NAME",
           help="a toy collection instead of files; `scratch-embed world` writes it, and a text "
                f"to train on.  {HELP} (default: facts)")
    add_seed(command)
    option("--depth", type=whole(1), default=1000, metavar="N",
           help="documents per ranked list, also in the lists that a hybrid fuses "
                "(default: %(default)s)")
    option("--weight", type=non_negative, default=0.3, metavar="SHARE",
           help="weight of the vectors in the weighted sum, 0 to 1; BM25 has 1 - SHARE "
                "(default: %(default)s)")
    option("--no-bm25", action="store_true", help="evaluate only the encoders")
    option("--run-out", metavar="FOLDER", help="write each system's ranking there as a TREC run; "
           "the folder is created if it is missing (default: nowhere)")
    add_json(command, '{system: {measure: {"value", "low", "high"}}}')
    add_errors(command)


def run_evaluation(arguments):
    """Search with each system (encoder, BM25, hybrid), evaluate the rankings, print a table."""
    from scratch_embed.evaluate.ranking import evaluate
    from scratch_embed.evaluate.trec import require_run_names, write_run
    from scratch_embed.retrieve.lists import as_run
    tokenizer = chosen_tokenizer(arguments)
    names = column_names(arguments.models, taken=[BM25_NAME])
    tags = tags_of(systems_of(names.values(), arguments.no_bm25))
    if arguments.run_out:
        os.makedirs(arguments.run_out, exist_ok=True)
        for tag in tags.values():
            require_writable(run_path(arguments, tag))
    collection = chosen_collection(arguments)
    if arguments.run_out:                                  # before the search, which may take long
        try:
            require_run_names(collection.queries, collection.documents)
        except ValueError as error:
            raise ValueError(f"--run-out: {error}") from None
    encoders = {name: load_encoder(path, sif_of(arguments, path), tokenizer)
                for path, name in names.items()}
    prompts = {name: chosen_prompts(encoder, name, arguments.query_prompt,
                                    arguments.document_prompt, arguments.prompt_name)
               for name, encoder in encoders.items()}
    lists, found = searches(encoders, prompts, collection, tokenizer, arguments), {}
    for system in lists:                                   # one run in memory at a time
        run = as_run(*lists[system], list(collection.queries), list(collection.documents))
        found[system] = evaluate(collection.qrels, run, measures())
        if arguments.run_out:
            write_run(run_path(arguments, tags[system]), run, tags[system])
    print_table(found, arguments.json)


def sif_of(arguments, model):
    """The a of SIF for a model: --sif and its default are for word vectors, None for a folder."""
    return None if os.path.isdir(model) else chosen_sif(arguments, model)


def run_path(arguments, tag):
    """The path of a system's run."""
    return os.path.join(arguments.run_out, f"{tag}.run")


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    given = [name for name in FILES if getattr(arguments, name)]
    if given and len(given) < 3:
        arguments.usage_error("--corpus, --queries and --qrels: give all three, or none of them "
                              "for a toy world")
    if given and arguments.world:
        arguments.usage_error("--world replaces --corpus, --queries and --qrels: leave them out")
    if arguments.sif is not None and all(map(os.path.isdir, arguments.models)):
        arguments.usage_error("--sif weights word vectors, and all models are folders with a "
                              "transformer; leave it out")
    if arguments.weight > 1:
        arguments.usage_error(f"--weight: expected 0 to 1, got {arguments.weight}")


def chosen_collection(arguments):
    """The Collection of the files, or of a toy world.  Prints which, and its size."""
    from scratch_embed.evaluate.collection import read_collection
    if arguments.corpus:
        name = arguments.corpus
        found = read_collection(name, arguments.queries, arguments.qrels, arguments.errors)
    else:
        name = arguments.world or "facts"
        found = world(name, arguments.seed)
        name = f"the toy world {name} of seed {arguments.seed}"
    say(f"{name}: {len(found.documents):,} documents, {len(found.queries):,} queries")
    return found


def measures():
    """{name: function}, the columns of the table."""
    from scratch_embed.evaluate import ranking
    return {"Recall@1": partial(ranking.recall, k=1), "Recall@10": partial(ranking.recall, k=10),
            "MRR@10": partial(ranking.reciprocal_rank, k=10),
            "nDCG@10": partial(ranking.ndcg, k=10), "MAP": ranking.average_precision}


# ---- the systems --------------------------------------------------------------------------------

def systems_of(names, no_bm25):
    """The names of all systems, in the order of the table: of encoders, BM25 and hybrids."""
    alone = [*names] if no_bm25 else [*names, BM25_NAME]
    return [*alone, *(f"{name}+{BM25_NAME}-{way}" for name in names for way in ("rrf", "sum")
                      if not no_bm25)]


def searches(encoders, prompts, collection, tokenizer, arguments):
    """{system: (ids (N, depth), scores (N, depth))} of N queries; ids are document numbers."""
    from scratch_embed.retrieve.bm25 import BM25
    from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion, weighted_sum
    from scratch_embed.text.word_tokenizer import WORDS
    documents, queries = (list(part.values()) for part in collection[:2])
    depth, found = min(arguments.depth, len(documents)), {}
    for name, encoder in encoders.items():
        found[name] = dense(name, encoder, prompts[name], documents, queries, depth)
    if arguments.no_bm25:
        return found
    split, joined = tokenizer or WORDS, {}
    say(f"tokenizer of bm25: {split}")
    words = BM25([split(text) for text in documents]).search(map(split, queries), depth)
    for name, lists in found.items():
        both, weights = (lists, words), [arguments.weight, 1 - arguments.weight]
        joined[f"{name}+{BM25_NAME}-rrf"] = reciprocal_rank_fusion(both, depth)
        joined[f"{name}+{BM25_NAME}-sum"] = weighted_sum(both, weights, depth)
    return {**found, BM25_NAME: words, **joined}


def dense(name, encoder, prompts, documents, queries, depth):
    """(ids, scores) of the nearest documents.  Prints the shares of known words."""
    from scratch_embed.retrieve.index import Index
    from scratch_embed.retrieve.texts import nearest_or_none
    vectors = []
    for texts, prompt, what in ((documents, prompts.document, "documents"),
                                (queries, prompts.query, "queries")):
        vectors.append(encoder.encode(texts, prompt=prompt, show_progress_bar=True))
        say_known(encoder, name, what)
    index = Index(vectors[0].shape[1])
    index.add(range(len(documents)), vectors[0])
    return nearest_or_none(index, vectors[1], depth)


def tags_of(systems):
    """{system: its name in a run file}: white space, slashes and non-UTF-8 bytes become "_".

    Raises ValueError if two such names are equal.
    """
    tags = {system: re.sub(r"[\s/\\\ud800-\udfff]+", "_", system) for system in systems}
    if len(set(tags.values())) < len(tags):
        raise ValueError(f"two systems would have the same name in {', '.join(tags.values())}: "
                         "rename a model")
    return tags


# ---- the table ----------------------------------------------------------------------------------

def print_table(found, as_json):
    """Print a line per system and a column per measure, with its mean and interval."""
    rows = {system: {name: with_interval(scores) for name, scores in evaluation.scores.items()}
            for system, evaluation in found.items()}
    if as_json:
        print_json(rows)
        return
    width = max(map(len, rows)) + 2
    interval = any(cell["low"] is not None for row in rows.values() for cell in row.values())
    names = (name + ", 95% CI" * interval for name in measures())
    print(" " * width + "".join(f"{name:<21}" for name in names).rstrip())
    for system, row in rows.items():
        cells = (f"{cell['value']:.3f}" + ("" if cell["low"] is None else
                                           f" {cell['low']:.3f}-{cell['high']:.3f}")
                 for cell in row.values())
        print(f"{system:<{width}}{''.join(f'{cell:<21}' for cell in cells)}".rstrip())
