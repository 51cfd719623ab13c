"""Functions shared by the `train` commands: options, checks before the work, reading the text.

Options and output paths are checked before anything is read or trained, so that the result of an
hour is not lost because a folder does not exist.
"""
import os

from scratch_embed.cli.messages import say
from scratch_embed.cli.parsing import (
    add_errors,
    non_negative,
    refuse_old_names,
    require_writable,
    whole,
)
from scratch_embed.cli.tokenizing import (
    add_tokenizer_options,
    chosen_tokenizer,
    warn_of_raw_text,
)
from scratch_embed.numerics.wording import counted

# ---- options ------------------------------------------------------------------------------------

def add_text_options(command, output):
    """Add the input, output and checkpoint options of word2vec, GloVe and FastText."""
    command.add_argument("corpus", metavar="TEXT",
                         help='text, plain or gzip, one sentence per line; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FILE", help=output)
    command.add_argument("--max-vocab-size", type=whole(1), metavar="N",
                         help="keep at most the N most frequent words (default: all)")
    refuse_old_names(command, "--max-size")
    add_tokenizer_options(command)
    command.add_argument("--on-disk", metavar="FOLDER",
                         help="keep the text's word ids in files of this folder (default: in "
                              "memory)")
    add_checkpoint_options(command)


def add_checkpoint_options(command):
    """Add the options for saving the state of a training run and continuing from it."""
    command.add_argument("--checkpoint", metavar="FILE",
                         help="save the training state in this file every minute, at Ctrl-C and at "
                              "the end (default: no file)")
    command.add_argument("--resume", action="store_true", help="continue from the checkpoint")


def add_common_options(command, min_count=5, epochs=5):
    """Add the options that word2vec, GloVe, FastText and the classifier share."""
    add_errors(command)
    number = command.add_argument
    number("--min-count", type=whole(1), default=min_count, metavar="N",
           help="leave out words that occur fewer than N times (default: %(default)s)")
    number("--dim", type=whole(1), default=100, metavar="N",
           help="dimensions of a vector (default: %(default)s)")
    number("--epochs", type=whole(1), default=epochs, metavar="N",
           help="passes over the text (default: %(default)s)")
    number("--workers", type=whole(1), default=1, metavar="N",
           help="threads; only 1 gives the same result every time (default: %(default)s)")
    number("--seed", type=whole(0), default=1, metavar="N",
           help="seed of all random draws (default: %(default)s)")


def add_pair_options(command, sample):
    """Add the options of word2vec and FastText, which learn from pairs of words in a window."""
    command.add_argument("--mode", choices=["skipgram", "cbow"], default="skipgram",
                         help="predict the context from a word, or a word from its context "
                              "(default: %(default)s)")
    command.add_argument("--loss", choices=["ns", "hs"], default="ns",
                         help="negative sampling or hierarchical softmax (default: %(default)s)")
    number = command.add_argument
    number("--window", type=whole(1), default=5, metavar="N",
           help="largest distance of a context word (default: %(default)s)")
    number("--negatives", type=whole(1), default=5, metavar="N",
           help="negatives per pair, with --loss ns (default: %(default)s)")
    number("--sample", type=non_negative, default=sample, metavar="SHARE",
           help="subsample words whose share of the text exceeds SHARE; 0: no subsampling "
                "(default: %(default)s)")


def add_ngram_options(command, min_n, max_n, default=True):
    """Add --min-n and --max-n, with the defaults min_n and max_n; None if `default` is False."""
    for option, value, help in (
            ("--min-n", min_n, "characters of the shortest n-gram, < and > included; 0 is as 1; "
                               "without effect if --max-n is 0"),
            ("--max-n", max_n, "characters of the longest n-gram; 0: no n-grams")):
        command.add_argument(option, type=whole(0), default=value if default else None,
                             metavar="N", help=f"{help} (default: {value})")


def check_ngrams(arguments):
    """Exit with code 2 if --min-n exceeds --max-n, unless --max-n is 0 (no n-grams)."""
    if 0 < arguments.max_n < arguments.min_n:
        arguments.usage_error(f"--max-n: expected 0 or at least --min-n {arguments.min_n}, "
                              f"got {arguments.max_n}")


# ---- checks, reading, messages -------------------------------------------------------------------

def check_files(arguments, **settings):
    """Raise an error unless the output can be written, and the inputs are there.

    -> Checkpoint of --checkpoint, or None.  settings: as for open_checkpoint
    """
    from scratch_embed.words.vector_tensors import vocabulary_beside
    from scratch_embed.words.vectors import writer_for

    checkpoint = open_checkpoint(arguments, arguments.corpus, **settings)
    require_writable(arguments.output, arguments.corpus)
    writer_for(arguments.output)
    if arguments.output.lower().endswith((".safetensors", ".npy")):
        require_writable(vocabulary_beside(arguments.output), arguments.corpus)
    if arguments.on_disk:
        os.makedirs(arguments.on_disk, exist_ok=True)
    return checkpoint


def check_resume(arguments):
    """Exit with code 2 if there is --resume without --checkpoint."""
    if arguments.resume and not arguments.checkpoint:
        arguments.usage_error("--resume needs --checkpoint FILE, the file to continue from")


def open_checkpoint(arguments, text, **settings):
    """The Checkpoint of --checkpoint, or None.  Prints whether a run is resumed or replaced.

    settings: those of the run that are known before its text is read.  Raises ValueError if the
    checkpoint has others, FileExistsError if it may not be replaced.
    """
    from scratch_embed.training.session import Checkpoint
    check_workers(arguments)
    if arguments.held_out:
        os.stat(arguments.held_out)
    if not arguments.checkpoint:
        return None
    require_writable(arguments.checkpoint, text)
    if os.path.realpath(arguments.checkpoint) == os.path.realpath(arguments.output):
        arguments.usage_error("--output and --checkpoint are the same file; name two files")
    if os.path.isfile(arguments.checkpoint):
        use_existing(arguments, settings)
    elif arguments.resume:
        say("nothing to resume, starting from the beginning:", arguments.checkpoint)
    return Checkpoint(arguments.checkpoint, arguments.resume)


def use_existing(arguments, settings):
    """Check that the checkpoint, which exists, can be resumed or replaced; say what will happen."""
    from scratch_embed.training.checkpoint import read_saved, require_replaceable, require_same
    path = arguments.checkpoint
    if not arguments.resume:
        require_replaceable(path)
        say(f"{path} holds a finished run; this run will replace it (--resume would continue it)")
        return
    saved = read_saved(path)
    require_same(path, saved, {**settings, "seed": arguments.seed})
    say(f"resuming {path} after {saved.done:,} of {saved.total:,} {saved.unit}")
    longer = settings.get(saved.unit) or 0
    if longer > saved.total and saved.settings.get("adagrad") is None:
        say(f"the run goes on to {longer:,} {saved.unit}; its learning rate rises to that of a run "
            f"of this length after {saved.done:,}, and falls to its end")


def check_workers(arguments):
    """Say if there are more threads than processors."""
    cores = os.cpu_count() or 1
    if arguments.workers > cores:
        say(f"--workers {arguments.workers:,}: this machine has {counted(cores, 'processor')}; "
            "more threads are not faster, and word vectors become worse, since threads that wait "
            "hold old values")


def run_options(arguments, checkpoint):
    """RunOptions with --workers, --seed, the checkpoint (or None) and a progress bar."""
    from scratch_embed.training.session import RunOptions
    return RunOptions(arguments.workers, arguments.seed, checkpoint, progress=True)


def read_text(arguments):
    """(Vocab, Corpus) of the text.  Prints their sizes, and how the text was split."""
    from scratch_embed.text.reader import read_corpus
    tokenizer = chosen_tokenizer(arguments)
    vocab, corpus = read_corpus(arguments.corpus, arguments.min_count, arguments.max_vocab_size,
                                arguments.errors, arguments.on_disk, tokenizer)
    sentences = counted(len(corpus.offsets) - 1, "sentence")
    say(f"kept {counted(len(corpus.ids), 'word')} in {sentences}, {len(vocab):,} different; "
        f"tokenizer: {tokenizer}")
    warn_of_raw_text(vocab, tokenizer)
    return vocab, corpus
