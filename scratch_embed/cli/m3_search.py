"""index and search with BGE-M3: which of its kinds of vectors are stored, and which are compared.

A folder of BGE-M3 has two heads besides the transformer, so `index` can store three kinds of
vectors for a line, and `search` adds the scores of the kinds that it is asked for.
Read next sentences/bge_m3_index.py (the search), cli/search.py (the commands)
"""
import argparse
import os

from scratch_embed.cli.messages import say

KINDS = ("dense", "sparse", "multi-vector")
FIELD = "multi"                    # the field of M3Vectors and of M3Index for the last of them


# ---- options -------------------------------------------------------------------------------------

def add_index_kinds(command):
    """Add --kinds to `index`."""
    command.add_argument("--kinds", type=kinds, metavar="KINDS",
                         help="of a folder of BGE-M3: the kinds of vectors to store, some of "
                              "dense,sparse,multi-vector, with dense among them; multi-vector is "
                              "a vector for each token, and needs most of the memory (default: "
                              "all three)")


def add_search_kinds(command):
    """Add --kinds and --weights to `search`."""
    command.add_argument("--kinds", type=kinds, metavar="KINDS",
                         help="with an index of BGE-M3: the kinds whose scores are added, some of "
                              "dense,sparse,multi-vector (default: all that the index has)")
    command.add_argument("--weights", type=weights, metavar="WEIGHTS",
                         help="with an index of BGE-M3: a weight for each of these kinds, such as "
                              "1,0.3,1; the score is the weighted mean (default: 1 for each)")


def kinds(text):
    """An argparse type: some of KINDS, separated by commas, in their order.

    "multi", the name of the field in Python, is accepted too.
    """
    given = words_of(text.split(","))
    if not set(given) <= set(KINDS) or len(set(given)) < len(given):
        raise argparse.ArgumentTypeError(f"expected some of {','.join(KINDS)}, each once, "
                                         f"separated by commas, got {text!r}")
    return tuple(kind for kind in KINDS if kind in given)


def words_of(fields):
    """The names in KINDS of these fields of M3Vectors."""
    return tuple(KINDS[2] if field == FIELD else field for field in fields)


def weights(text):
    """An argparse type: numbers of 0 or more, separated by commas, not all 0."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 <= weight < float("inf") for weight in found) or not any(found):
        raise argparse.ArgumentTypeError("expected numbers of 0 or more, separated by commas, not "
                                         f"all 0, got {text!r}")
    return found


def check_index_kinds(arguments):
    """Exit with code 2 for --kinds that no index can have."""
    if arguments.kinds and arguments.add:
        arguments.usage_error("--add uses the kinds of the index: leave out --kinds")
    if arguments.kinds and "dense" not in arguments.kinds:
        arguments.usage_error("--kinds: expected dense among the kinds of an index, because its "
                              "search gives the candidates of the others; `search --kinds` can "
                              f"leave it out; got {','.join(arguments.kinds)}")


def check_search_kinds(arguments):
    """Exit with code 2 if --kinds or --weights contradict other options, or each other."""
    for option in "kinds", "weights":
        for other in "bm25", "dense":
            if getattr(arguments, option) and getattr(arguments, other):
                arguments.usage_error(f"argument --{option}: not allowed with --{other}")
    if arguments.kinds and arguments.weights and len(arguments.kinds) != len(arguments.weights):
        arguments.usage_error(f"--weights: expected a number for each of "
                              f"{', '.join(arguments.kinds)}, got {len(arguments.weights)}")


# ---- the model -----------------------------------------------------------------------------------

def chosen_kinds(arguments):
    """The kinds that `index` stores: of --kinds, or all that the model's folder has.

    Raises ValueError for --kinds of a model without the heads of BGE-M3.
    """
    folder = arguments.model
    found = {ending for name in head_files(folder) for ending in (".safetensors", ".pt")
             if os.path.exists(name + ending)}
    if found == {".pt"} and not arguments.kinds:
        say(f"{folder}: its heads are .pt files, pickles, which are not read: only its dense "
            f"vectors are used; with --kinds {','.join(KINDS)} the message says how to "
            "convert them")
    if not found and arguments.kinds not in (None, ("dense",)):
        raise ValueError(f"--kinds: expected a folder of BGE-M3, such as `train m3` writes, and "
                         f"{folder} has no heads for sparse and multi-vector; leave out --kinds")
    return arguments.kinds or (KINDS if ".safetensors" in found else ("dense",))


def head_files(folder):
    """The paths of the two heads of BGE-M3 in a folder, without their ending."""
    from scratch_embed.sentences.bge_m3_folder import FILES
    return [os.path.join(folder, name) for name in FILES.values()]


def asked(found):
    """The arguments of BgeM3.encode for these kinds, of KINDS."""
    return {"return_dense": "dense" in found, "return_sparse": "sparse" in found,
            "return_multi_vector": "multi-vector" in found}


def new_m3_index(m3, found):
    """An empty M3Index of these kinds."""
    from scratch_embed.sentences.bge_m3_index import M3Index
    return M3Index(m3.encode([], **asked(found)))


# ---- searching -----------------------------------------------------------------------------------

def three_weights(index, arguments):
    """The weights of the dense, sparse and multi-vector scores.  index: an M3Index or an Index

    Raises ValueError for --kinds or --weights that the index cannot have.
    """
    has = words_of(getattr(index, "kinds", ("dense",)))
    for option in "kinds", "weights":
        if not hasattr(index, "kinds") and getattr(arguments, option):
            raise ValueError(f"--{option}: expected with an index of BGE-M3's kinds, and "
                             f"{arguments.index} has only dense vectors; leave it out, or index "
                             "the texts with a folder of BGE-M3")
    wanted = ("dense",) if arguments.dense else arguments.kinds or has
    if missing := [kind for kind in wanted if kind not in has]:
        raise ValueError(f"--kinds: expected some of {','.join(has)}, which {arguments.index} "
                         f"has, got {','.join(missing)}; `index` stores all kinds of a folder of "
                         "BGE-M3")
    given = arguments.weights or [1.0] * len(wanted)
    if len(given) != len(wanted):
        raise ValueError(f"--weights: expected a number for each of {', '.join(wanted)}, got "
                         f"{len(given)}")
    by_kind = dict(zip(wanted, given))
    return tuple(by_kind.get(kind, 0.0) for kind in KINDS)


def m3_search(index, m3, prompt, arguments):
    """The function (queries, k) -> (line numbers (N, k), scores (N, k)) of an M3Index."""
    from scratch_embed.sentences.bge_m3_index import DEPTH
    chosen = three_weights(index, arguments)
    used = [kind for kind, weight in zip(KINDS, chosen) if weight]

    def search(queries, k):
        return index.search(m3.encode(queries, prompt=prompt, **asked(used)), k, chosen,
                            max(k, DEPTH))
    return search
