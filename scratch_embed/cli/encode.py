"""encode: turn each line of a text, image or sound into a vector, in a NumPy file or as numbers."""
import itertools
import sys
from functools import partial

from scratch_embed.cli.loading import (
    OF_SENSES,
    add_encoder_options,
    add_model,
    chosen_sif,
    load_encoder,
)
from scratch_embed.cli.parsing import (
    add_command,
    add_errors,
    add_json,
    refuse_old_names,
    require_writable,
    whole,
)
from scratch_embed.cli.printing import print_json
from scratch_embed.cli.prompts import add_instruction, say_default
from scratch_embed.cli.senses import INPUT, add_sense, sense_input
from scratch_embed.cli.texts import NO_WORDS
from scratch_embed.cli.tokenizing import chosen_tokenizer, refuse_for_a_transformer, say_known
from scratch_embed.cli.training import say
from scratch_embed.numerics.wording import counted

BATCH_SIZE = 1000                   # lines encoded and printed together
PRECISIONS = "float32", "int8", "uint8", "binary", "ubinary"
# quantised by the minimum and maximum over all vectors, so that all must be encoded before the
# first can be printed
BY_RANGES = "int8", "uint8"


def add_commands(commands):
    """Add `encode`."""
    command = add_command(
        commands, "encode", "encode lines of a text, images or sounds as vectors",
        "scratch-embed encode encoder texts.txt -o vectors.npy --normalize", run=run_encode,
        details="With -o write one NumPy array; without it print a line of numbers per line of "
                "text, or per file.  Blank lines are encoded too.")
    add_model(command, OF_SENSES).read_as = "any encoder"
    option = command.add_argument
    option("input", nargs="?", default="-", metavar="TEXT",
           help=f"{INPUT} (default: %(default)s)").read_as = "text or files"
    option("-o", "--output", metavar="FILE", help="the file to write; its name ends in "
           ".npy: a NumPy array (numpy.load) with one row per line: D numbers, or D/8 bytes with "
           "--precision binary or ubinary (default: print the numbers)")
    option("--normalize", action="store_true", help="scale every vector to norm 1")
    option("--truncate-dim", type=whole(1), metavar="D", help="keep only the first D dimensions "
           "(default: all)")
    option("--precision", choices=PRECISIONS, default=PRECISIONS[0],
           help="float32; int8 or uint8: one byte per dimension, scaled to the minimum and maximum "
                "of that dimension over all lines; binary or ubinary: one bit per dimension "
                "(default: %(default)s)")
    prompts = command.add_mutually_exclusive_group()
    prompts.add_argument("--prompt-name", metavar="NAME",
                         help="put the model's prompt of this name before every line "
                              "(default: its default prompt, if it has one)")
    add_instruction(prompts, "prompt", "every line")
    prompts.add_argument("--prompt", metavar="STRING", help="put this text before every line; "
                         '"": no prompt (default: as for --prompt-name)')
    option("--batch-size", type=whole(1), metavar="N", help="encode at most this many lines "
           "together (default: chosen for speed)")
    option("--workers", type=whole(1), metavar="N", help="largest number of threads of a "
           "transformer (default: as many as NumPy's BLAS uses, up to 8)")
    refuse_old_names(command, "--batch")
    add_sense(command, "PNG files")
    add_encoder_options(command)
    add_errors(command)
    add_json(command, '{"query": line, "vector": [number, ...]} for each line or path of a file')
    command.set_defaults(files=None)


def run_encode(arguments):
    """Encode the input and write or print the vectors; messages go to stderr."""
    from scratch_embed.numerics.blas import blas_threads_at_most
    from scratch_embed.numerics.npy import array_writer
    if arguments.output:
        require_writable(arguments.output, arguments.input)
        array_writer(arguments.output)
    tokenizer = chosen_tokenizer(arguments)
    refuse_for_a_transformer(arguments.model, tokenizer)
    encoder = load_encoder(arguments.model, chosen_sif(arguments, arguments.model), tokenizer)
    found = sense_input(arguments.input, arguments.model, encoder, arguments.sense)
    if found:
        encoder, arguments.files = found
    # an unknown prompt or a wrong dimension is an error before the text is read
    chosen_encode(encoder, arguments)([], precision="float32", show_progress_bar=False)
    if arguments.prompt_name is None and arguments.prompt is None:
        say_default(encoder, arguments.model, "; --prompt-name NAME puts one before every line")
    with blas_threads_at_most(arguments.workers):
        (write_array if arguments.output else print_rows)(arguments, encoder)


def write_array(arguments, encoder):
    """Write a NumPy file, completely or not at all."""
    from scratch_embed.numerics.npy import array_writer
    lines = list(lines_of(arguments))
    if not any(map(str.strip, lines)):
        raise ValueError(f"{arguments.input}: {NO_WORDS}")
    vectors = chosen_encode(encoder, arguments)(lines)
    say_known(encoder, arguments.model, "lines")
    array_writer(arguments.output)(arguments.output, vectors)
    what = "file" if arguments.files else "line"
    say(f"encoded {counted(len(vectors), what)}: {vectors.dtype} array of shape "
        f"{vectors.shape}; wrote {arguments.output}")


def print_rows(arguments, encoder):
    """Print a line of numbers per text; a float32 has the fewest digits that restore it."""
    from scratch_embed.words.vector_files import shortest_digits
    lines = lines_of(arguments)
    encode = chosen_encode(encoder, arguments)
    shown = shortest_digits if arguments.precision == "float32" else list
    words = False
    while some := list(itertools.islice(lines, at_a_time(arguments))):
        words = words or any(map(str.strip, some))
        for line, row in zip(some, encode(some)):
            if arguments.json:
                print_json({"query": line, "vector": row.tolist()})
            else:
                print(*shown(row))
    if not words:
        raise ValueError(f"{arguments.input}: {NO_WORDS}")
    say_known(encoder, arguments.model, "lines")


def lines_of(arguments):
    """An iterator over the lines of the input, or over the paths of its files."""
    from scratch_embed.text.corpus import read_lines
    if arguments.files:
        return iter(arguments.files)
    return read_lines(arguments.input, arguments.errors)


def chosen_encode(encoder, arguments):
    """The encoder's encode() with the options as arguments: a function of a list of texts."""
    size = {"batch_size": arguments.batch_size} if arguments.batch_size else {}
    return partial(encoder.encode, prompt_name=arguments.prompt_name, prompt=arguments.prompt,
                   show_progress_bar=bool(arguments.output), precision=arguments.precision,
                   normalize_embeddings=arguments.normalize, truncate_dim=arguments.truncate_dim,
                   **size)


def at_a_time(arguments):
    """Number of lines to encode before printing: 1 at a terminal, None for all, or BATCH_SIZE."""
    if arguments.precision in BY_RANGES:
        return None
    interactive = arguments.input == "-" and sys.stdin is not None and sys.stdin.isatty()
    return 1 if interactive else BATCH_SIZE
