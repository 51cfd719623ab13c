"""What the `train` commands share: options, the checks before the work, the text, the saving.

Nothing is read or trained before everything that can be wrong with the options and with the files
to be written has been looked at: an hour's work is not lost to a folder that does not exist.
"""
import os
import sys

from scratch_embed.cli.parsing import non_negative, require_writable, whole

# ---- options ------------------------------------------------------------------------------------

def add_text_options(command, output):
    """What the three methods for word vectors read, write and keep."""
    command.add_argument("corpus", help='text, plain or gzip, a sentence a line; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FILE", help=output)
    command.add_argument("--max-size", type=whole(1), metavar="N",
                         help="keep at most so many words, the most frequent")
    command.add_argument("--on-disk", metavar="FOLDER",
                         help="keep the text's numbers in files there, if memory is too small")
    add_checkpoint_options(command)


def add_checkpoint_options(command):
    """Where a run is kept while it lasts."""
    command.add_argument("--checkpoint", metavar="FILE",
                         help="save the state there every minute and at Ctrl-C")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint")


def add_common_options(command, min_count=5, epochs=5):
    """What all four methods take."""
    command.add_argument("--errors", choices=["strict", "replace", "ignore"], default="strict",
                         help="what to do with bytes that are not UTF-8 (%(default)s)")
    number = command.add_argument
    number("--min-count", type=whole(1), default=min_count, metavar="N",
           help="leave out rarer words (%(default)s)")
    number("--dim", type=whole(1), default=100, metavar="N",
           help="numbers in a vector (%(default)s)")
    number("--epochs", type=whole(1), default=epochs, metavar="N",
           help="passes over the text (%(default)s)")
    number("--workers", type=whole(1), default=1, metavar="N",
           help="threads; one gives the same result every time (%(default)s)")
    number("--seed", type=whole(0), default=1, metavar="N",
           help="of all random choices (%(default)s)")
    command.set_defaults(usage_error=command.error)


def add_pair_options(command, sample):
    """What word2vec and FastText take: both learn from pairs of neighbours."""
    command.add_argument("--mode", choices=["skipgram", "cbow"], default="skipgram",
                         help="guess the neighbours, or the word between them (%(default)s)")
    command.add_argument("--loss", choices=["ns", "hs"], default="ns",
                         help="negative sampling or hierarchical softmax (%(default)s)")
    number = command.add_argument
    number("--window", type=whole(1), default=5, metavar="N",
           help="the farthest neighbour (%(default)s)")
    number("--negatives", type=whole(1), default=5, metavar="N",
           help="noise words for each pair, with ns (%(default)s)")
    number("--sample", type=non_negative, default=sample, metavar="T",
           help="thin out words more frequent than this; 0 keeps all (%(default)s)")


def add_ngram_options(command, min_n, max_n, default=True):
    """The lengths of n-grams of letters.  default=False: None where they are not given."""
    for option, value, help in (
            ("--min-n", min_n, "letters of the shortest n-gram, < and > counted"),
            ("--max-n", max_n, "letters of the longest; 0: no n-grams")):
        command.add_argument(option, type=whole(0), default=value if default else None,
                             metavar="N", help=f"{help} ({value})")


def check_ngrams(arguments):
    """Bad usage if no n-gram can be that long."""
    if 0 < arguments.max_n < arguments.min_n:
        arguments.usage_error(f"no n-gram has {arguments.min_n} letters or more and "
                              f"{arguments.max_n} or fewer: --max-n is less than --min-n")


# ---- before and after ----------------------------------------------------------------------------

def check_files(arguments):
    """Look at the places that will be written.  Return the Checkpoint if one is asked for."""
    from scratch_embed.words.vector_tensors import vocabulary_beside
    from scratch_embed.words.vectors import writer_for

    checkpoint = open_checkpoint(arguments, arguments.corpus)
    require_writable(arguments.output, arguments.corpus)
    writer_for(arguments.output)
    if arguments.output.lower().endswith(".safetensors"):
        require_writable(vocabulary_beside(arguments.output), arguments.corpus)
    if arguments.on_disk:
        os.makedirs(arguments.on_disk, exist_ok=True)
    return checkpoint


def open_checkpoint(arguments, text):
    """The Checkpoint of word vectors that is asked for, or None; say whether a run goes on."""
    from scratch_embed.training.session import Checkpoint
    given = chosen_checkpoint(arguments, text)
    return Checkpoint(*given) if given else None


def run_options(arguments, checkpoint):
    """The RunOptions of a command: --workers, --seed, a checkpoint or None, and a bar."""
    from scratch_embed.training.session import RunOptions
    return RunOptions(arguments.workers, arguments.seed, checkpoint, progress=True)


def chosen_checkpoint(arguments, text):
    """(path, whether to go on from it), or None; say whether a run goes on."""
    if arguments.resume and not arguments.checkpoint:
        arguments.usage_error("--resume needs --checkpoint FILE, the file to go on from")
    if not arguments.checkpoint:
        return None
    require_writable(arguments.checkpoint, text)
    if os.path.realpath(arguments.checkpoint) == os.path.realpath(arguments.output):
        arguments.usage_error("--output and --checkpoint are one file; name two")
    if arguments.resume:
        there = os.path.exists(arguments.checkpoint)
        say("resuming" if there else "nothing to resume, beginning anew:", arguments.checkpoint)
    return arguments.checkpoint, arguments.resume


def read_text(arguments):
    """(Vocab, Corpus) of the text; say what is in it."""
    from scratch_embed.text.reader import read_corpus
    vocab, corpus = read_corpus(arguments.corpus, arguments.min_count, arguments.max_size,
                                arguments.errors, arguments.on_disk)
    say(f"kept {len(corpus.ids):,} words in {len(corpus.offsets) - 1:,} sentences, "
        f"{len(vocab):,} different")
    return vocab, corpus


def say(*message):
    """A line for the person, not for the data."""
    print(*message, file=sys.stderr)
