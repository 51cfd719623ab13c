"""phrases: join the phrases of a text into single tokens (new york becomes new_york)."""
import contextlib
import gzip
import sys

from scratch_embed.cli.messages import say
from scratch_embed.cli.parsing import (
    add_command,
    add_errors,
    non_negative,
    refuse_old_names,
    require_writable,
    unbroken,
    whole,
)
from scratch_embed.cli.tokenizing import add_tokenizer_options, chosen_tokenizer


def add_commands(commands):
    """Add `phrases`."""
    command = add_command(
        commands, "phrases", "join the phrases of a text: new york becomes new_york",
        "scratch-embed phrases corpus.txt.gz -o joined.txt --threshold 50", run=run_phrases,
        details="A phrase is a pair of adjacent words that occur together far more often than by "
                "chance (Mikolov et al. 2013).  To find longer phrases, run it again on the "
                "output, with a lower threshold.")
    command.add_argument("corpus", metavar="TEXT",
                         help='text, plain or gzip, one sentence per line; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FILE",
                         help='where to write the text with its phrases joined, compressed if the '
                              'name ends in .gz; "-" is stdout')
    add_errors(command)
    command.add_argument("--min-count", type=whole(0), default=5, metavar="N",
                         help="subtract N from the count of each pair, so that rare pairs do not "
                              "become phrases (default: %(default)s)")
    command.add_argument("--threshold", type=non_negative, default=100, metavar="X",
                         help="join pairs whose score exceeds X: (count of the pair - min-count) / "
                              "(count expected by chance) (default: %(default)s)")
    command.add_argument("--delimiter", type=unbroken, default="_", metavar="STRING",
                         help="text between the words of a phrase; with another than _, train with "
                              "--tokenizer spaces (default: %(default)s)")
    add_tokenizer_options(command)
    refuse_old_names(command, "--joiner")


def run_phrases(arguments):
    """Find the phrases of the text and write it with them joined; messages go to stderr."""
    from scratch_embed.numerics.endings import require_text_ending
    from scratch_embed.text.phrases import find_phrases, join_phrases
    from scratch_embed.text.reader import read_corpus

    if arguments.output != "-":
        require_writable(arguments.output, arguments.corpus)
        require_text_ending(arguments.output)
    tokenizer = chosen_tokenizer(arguments)
    vocab, corpus = read_corpus(arguments.corpus, min_count=1, errors=arguments.errors,
                                tokenizer=tokenizer)
    phrases = find_phrases(corpus, vocab, arguments.min_count, arguments.threshold)
    joined = join_phrases(corpus, vocab, phrases, arguments.delimiter)
    with open_output(arguments.output) as file:
        for sentence in joined:
            file.write(" ".join(sentence).encode() + b"\n")
    say(f"tokenizer: {tokenizer}; {len(corpus.ids):,} words, {len(phrases.scores):,} distinct "
        f"phrases; wrote {'standard output' if arguments.output == '-' else arguments.output}")


@contextlib.contextmanager
def open_output(path):
    """A binary file to write to: stdout for "-", else a file that is written atomically.

    If its name ends in .gz, it is compressed; its bytes do not depend on the time.
    """
    from scratch_embed.numerics.endings import ending_of
    from scratch_embed.numerics.files import atomic_write
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif ending_of(path) == ".gz":
        with atomic_write(path) as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            yield packed
    else:
        with atomic_write(path) as file:
            yield file
