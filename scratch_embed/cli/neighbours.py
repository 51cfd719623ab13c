"""neighbours: the rows of an index that are nearest to texts, vectors or rows of the index."""
import os
from typing import Any, NamedTuple

from scratch_embed.cli.loading import MODELS, load_encoder
from scratch_embed.cli.messages import say
from scratch_embed.cli.parsing import add_command, add_json, add_top
from scratch_embed.cli.printing import print_results
from scratch_embed.cli.prompts import say_prompts
from scratch_embed.cli.tokenizing import say_known


class Query(NamedTuple):
    """A vector whose neighbours are searched."""

    name: str | int                # how the output names it
    vector: Any                    # (D,)
    own: str | int | None = None   # the id of this row of the index, which is not its neighbour
    if_zero: str = "its vector is zero"        # why it then has no neighbours


def add_commands(commands):
    """Add `neighbours`."""
    command = add_command(
        commands, "neighbours", "print the rows of an index nearest to a text or a row",
        "scratch-embed neighbours texts.index --rows 12 -k 5", run=run_neighbours,
        check=check_usage,
        details="A line per neighbour, the nearest first: query, rank, score, id of the row, and "
                "its text if the index has texts.  The id of a row is the line number that "
                "`search` prints, if `index` wrote the index.  A query without neighbours is named "
                "on stderr, and the exit code is 1; the others are answered.  `search` also "
                "searches by words.")
    index = command.add_argument("index", metavar="INDEX",
                                 help="a file that `index` or Index.save wrote")
    index.read_as = "any index"
    command.add_argument("texts", nargs="*", metavar="QUERY", help="a text, encoded by the "
                         "model of the index; QUERY, --rows or --vector-file is required "
                         "(default: none)")
    command.add_argument("--rows", nargs="+", metavar="ID", help="rows of the index, by their ids: "
                         "the line numbers, if `index` wrote it; the row itself is left out "
                         "(default: none)")
    vectors = command.add_argument(
        "--vector-file", metavar="FILE", help="vectors, as `encode` writes them: a .npy file, or "
        'lines of numbers, "-" for stdin (default: none)')
    vectors.read_as = "any"
    command.add_argument("--model", metavar="MODEL", help=f"{MODELS}; for QUERY, if the index does "
                         "not store its model or the model has moved (default: the path in the "
                         "index)")
    add_top(command, 10, "largest number of neighbours per query")
    add_json(command, '{"query": text, id or number of the vector, "results": [{"rank", "score", '
                      '"id", "text"}]} for each query; "text" only if the index has texts')


def check_usage(arguments):
    """Exit with code 2 if there is nothing to search for."""
    if not (arguments.texts or arguments.rows or arguments.vector_file):
        arguments.usage_error("give a QUERY, --rows ID, or --vector-file FILE")


def run_neighbours(arguments):
    """Search with each text, row and vector, and print the results."""
    from scratch_embed.retrieve.texts import TextIndex
    loaded = load_any_index(arguments.index)
    index, texts = ((loaded.index, loaded.texts) if isinstance(loaded, TextIndex)
                    else (loaded, None))
    index = getattr(index, "dense", index)                     # of BGE-M3, the dense vectors
    rows = [as_id(index, given) for given in arguments.rows or ()]
    queries = [Query(row, index[row], row) for row in rows]
    if arguments.vector_file:
        vectors = read_rows(arguments.vector_file, index.dim)
        queries += [Query(number, vector) for number, vector in enumerate(vectors, 1)]
    if arguments.texts:
        queries += encoded(loaded, arguments)
    show = print_objects if arguments.json else print_lines
    for query, found in zip(queries, nearest_rows(index, queries, arguments.top)):
        show(query.name, [(score, row, texts[row]) if texts is not None else (score, row)
                          for row, score in found])
    report([query for query in queries if not query.vector.any()])


def encoded(loaded, arguments):
    """A Query for each text.  Prints the share of known words, if any word is known."""
    encoder, prompt = encoder_for(loaded, arguments)
    name = os.path.basename(os.path.normpath(arguments.model or loaded.made_by["model"]))
    vectors = encoder.encode(arguments.texts, prompt=prompt)
    if vectors.any():
        say_known(encoder, name, "queries", strict=False)
    return [Query(text, vector, if_zero=f"{name} knows none of its words")
            for text, vector in zip(arguments.texts, vectors)]


def report(without):
    """Name the queries without neighbours on stderr: the last one by raising it, for exit code 1.

    Their vectors are zero, and a zero vector has no direction.
    """
    messages = [f"{query.name!r} has no neighbours: {query.if_zero}" for query in without]
    for message in messages[:-1]:
        say(f"scratch-embed: {message}")
    if messages:
        raise ValueError(messages[-1])


def load_any_index(path):
    """The Index or TextIndex in a file.  Raises ValueError for anything else."""
    from scratch_embed.loading import load
    from scratch_embed.retrieve.index import Index
    from scratch_embed.retrieve.texts import TextIndex
    found = load(path)
    if not isinstance(found, Index | TextIndex):
        raise ValueError(f"{path}: expected an index, got {found!r}; `scratch-embed index` makes "
                         "one from a text, and Index.from_vectors from vectors")
    return found


def as_id(index, given):
    """The id of a row as the index has it, an int or a str.  Raises ValueError if it has none."""
    number = int(given) if given.isascii() and given.removeprefix("-").isdigit() else None
    for id in (given, number):
        if id is not None and id in index:
            return id
    raise ValueError(f"--rows: expected the id of one of {len(index):,} rows, got {given!r}")


def read_rows(path, dim):
    """Vectors (N, dim) from a .npy file, or from lines of numbers ("-": stdin)."""
    import io

    import numpy as np

    from scratch_embed.numerics.errors import FormatError
    from scratch_embed.numerics.files import open_binary
    from scratch_embed.recognition import NUMPY
    with open_binary(path) as (file, name):
        if not file.peek(len(NUMPY)).startswith(NUMPY):
            return np.array([numbers_of(line, f"line {number}", name, dim)
                             for number, line in enumerate(file, 1) if line.strip()],
                            np.float64).reshape(-1, dim)
        try:
            vectors = np.atleast_2d(np.load(io.BytesIO(file.read()), allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise FormatError(name, "its array", f"expected what numpy.save writes, found damage "
                                                 f"({error})") from None
    if vectors.ndim != 2 or vectors.shape[1] != dim or vectors.dtype.kind != "f":
        raise FormatError(name, "its array", f"expected floating-point numbers of shape (N, {dim})"
                          f" or ({dim},), found {vectors.dtype} {vectors.shape}")
    return vectors


def numbers_of(line, place, name, dim):
    """The numbers of a line, as `encode` prints them.  Raises FormatError for another count."""
    from scratch_embed.numerics.errors import FormatError
    from scratch_embed.numerics.wording import counted
    fields = line.split()
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = None
    if numbers is None or len(numbers) != dim:
        raise FormatError(name, place, f"expected {dim} numbers, the dimensions of the index, "
                                       f"found {counted(len(fields), 'field')}")
    return numbers


def encoder_for(loaded, arguments):
    """(the encoder that made the index, the prompt of queries there), or (--model, its own)."""
    from scratch_embed.cli.text_index import dense_part, encoder_of, load_index, prompts_of
    from scratch_embed.retrieve.texts import TextIndex
    if isinstance(loaded, TextIndex):
        index = load_index(arguments.index)
        encoder = dense_part(encoder_of(index, arguments.index, arguments.model))
        say_prompts(arguments.index, prompts_of(index), {})
        return encoder, prompts_of(index).query
    if not arguments.model:
        raise ValueError(f"{arguments.index} does not store its model: give --model, the model "
                         "that encoded its rows")
    encoder = load_encoder(arguments.model, deduced="deduced from the vocabulary")
    if encoder.dim != loaded.dim:
        raise ValueError(f"{arguments.index} has vectors of {loaded.dim} dimensions, and "
                         f"{arguments.model} has {encoder.dim}: give the model that encoded its "
                         "rows")
    return encoder, None


def nearest_rows(index, queries, k):
    """For each query [(id, score)] of the k nearest rows, the best first, but not its own row.

    Empty for a zero vector, which has no neighbours.
    """
    import numpy as np
    if not len(index) or not queries:
        return [[] for _ in queries]
    vectors = np.stack([query.vector for query in queries])
    ids, scores = index.search(vectors, min(k + 1, len(index)))
    return [[(id, score) for id, score in zip(*row) if id != query.own][:k * bool(vector.any())]
            for query, vector, *row in zip(queries, vectors, ids.tolist(), scores.tolist())]


def print_lines(query, found):
    """Print a line per neighbour."""
    for rank, (score, *row) in enumerate(found, 1):
        print(query, rank, f"{score:.4f}", *row, sep="\t")


def print_objects(query, found):
    """Print the neighbours of a query as one JSON object."""
    print_results(query, ("score", "id", "text"), found)
