"""encode: a text's lines as vectors, in a file of NumPy's or a row of numbers a line."""
import itertools
import sys
from functools import partial

from scratch_embed.cli.loading import MODELS, add_encoder_options, load_encoder
from scratch_embed.cli.parsing import add_command, require_writable, whole
from scratch_embed.cli.training import say

AT_A_TIME = 1000                   # lines whose rows are printed together
PRECISIONS = "float32", "int8", "uint8", "binary", "ubinary"
BY_RANGES = "int8", "uint8"        # codes that depend on all of the vectors


def add_commands(commands):
    """Add `encode`."""
    command = add_command(
        commands, "encode", "encode a text line by line: N lines become a NumPy array of N rows, "
        "or without -o N lines of numbers; a blank line is a text too, and keeps its place",
        "scratch-embed encode encoder -i texts.txt -o vectors.npy --normalize", run=run_encode)
    command.add_argument("model", help=MODELS)
    option = command.add_argument
    option("-i", "--input", default="-", metavar="FILE",
           help='a text a line, plain or gzip; "-", and by default, stdin')
    option("-o", "--output", metavar="FILE.npy", help="float32 (N, D), which numpy.load reads")
    option("--normalize", action="store_true", help="scale every vector to length 1")
    option("--truncate-dim", type=whole(1), metavar="D", help="keep the first D numbers alone")
    option("--precision", choices=PRECISIONS, default=PRECISIONS[0],
           help="or codes: a byte a number, in the ranges of this text's vectors, or a bit a number"
                " (%(default)s)")
    prompts = command.add_mutually_exclusive_group()
    prompts.add_argument("--prompt-name", metavar="NAME",
                         help="of the model's prompts; its text goes before every line")
    prompts.add_argument("--prompt", metavar="TEXT", help="goes before every line")
    option("--batch-size", type=whole(1), metavar="N", help="lines that are encoded together, at "
                                                            "most (as many as are fast)")
    option("--workers", type=whole(1), metavar="N", help="threads of a transformer, at most (as "
                                                         "many as NumPy's products have)")
    add_encoder_options(command)
    option("--errors", choices=["strict", "replace", "ignore"], default="strict",
           help="what to do with bytes that are not UTF-8 (%(default)s)")


def run_encode(arguments):
    """Read, encode, write; say what was done on stderr."""
    from scratch_embed.numerics.blas import blas_threads_at_most
    if arguments.output:
        require_writable(arguments.output, arguments.input)
    encode = chosen_encode(arguments)
    with blas_threads_at_most(arguments.workers):
        (write_array if arguments.output else print_rows)(arguments, encode)


def write_array(arguments, encode):
    """A file of NumPy's, whole or not at all."""
    import numpy as np

    from scratch_embed.numerics.files import atomic_write
    from scratch_embed.text.corpus import read_lines
    vectors = encode(list(read_lines(arguments.input, arguments.errors)))
    with atomic_write(arguments.output) as file:
        np.save(file, vectors, allow_pickle=False)
    say(f"{len(vectors):,} lines, {vectors.shape[1]} numbers each, {vectors.dtype}; wrote "
        f"{arguments.output}")


def print_rows(arguments, encode):
    """A line of numbers a line; of float32 the fewest digits that give it back."""
    from scratch_embed.text.corpus import read_lines
    from scratch_embed.words.vector_files import shortest_digits
    lines = read_lines(arguments.input, arguments.errors)
    shown = shortest_digits if arguments.precision == "float32" else list
    while some := list(itertools.islice(lines, at_a_time(arguments))):
        for row in encode(some):
            print(*shown(row))


def chosen_encode(arguments):
    """texts -> (N, d), as the options say."""
    encoder = load_encoder(arguments.model, arguments.sif, arguments.tokens)
    size = {"batch_size": arguments.batch_size} if arguments.batch_size else {}
    return partial(encoder.encode, prompt_name=arguments.prompt_name, prompt=arguments.prompt,
                   show_progress_bar=bool(arguments.output), precision=arguments.precision,
                   normalize_embeddings=arguments.normalize, truncate_dim=arguments.truncate_dim,
                   **size)


def at_a_time(arguments):
    """How many lines are printed together; None: all."""
    if arguments.precision in BY_RANGES:
        return None
    person = arguments.input == "-" and sys.stdin is not None and sys.stdin.isatty()
    return 1 if person else AT_A_TIME
