"""train classifier, predict, evaluate classifier: which labels does a line of text deserve?"""
import itertools
import sys

from scratch_embed.cli.parsing import add_command, non_negative, require_writable, whole
from scratch_embed.cli.training import (
    add_checkpoint_options,
    add_common_options,
    add_ngram_options,
    check_ngrams,
    open_checkpoint,
    run_options,
    say,
)

AT_A_TIME = 1000                   # lines that are answered together


def add_training(methods):
    """Add `train classifier`."""
    command = add_command(
        methods, "classifier", "a classifier of lines by fastText (Joulin et al. 2016)",
        "scratch-embed train classifier labelled.txt -o model.bin --word-ngrams 2",
        run=run_training)
    command.add_argument("labelled", help="a line an example, its labels the words that begin with "
                         '__label__; plain or gzip; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FILE",
                         help="the model, as fastText's .bin, in which its name must end")
    add_common_options(command, min_count=1)
    add_checkpoint_options(command)
    option = command.add_argument
    option("--lr", type=non_negative, default=0.1, metavar="RATE",
           help="learning rate at the start (%(default)s)")
    option("--loss", choices=["softmax", "ns", "hs", "ova"], default="softmax",
           help="softmax; negative sampling; hierarchical softmax, for many labels; one-vs-all, "
                "for several labels a line (%(default)s)")
    option("--word-ngrams", type=whole(1), default=1, metavar="N",
           help="longest run of words that has a row of its own; 2 sees some order (%(default)s)")
    add_ngram_options(command, 0, 0)
    option("--buckets", type=whole(1), default=2_000_000, metavar="N",
           help="rows that runs and n-grams share, of 4 x dim bytes each (%(default)s)")
    option("--negatives", type=whole(1), default=5, metavar="N",
           help="noise labels for each line, with ns (%(default)s)")


def run_training(arguments):
    """Read, train, save; say what was done on stderr."""
    from scratch_embed.words import supervised
    from scratch_embed.words.labelled import read_labelled
    from scratch_embed.words.subwords import NGrams

    check_ngrams(arguments)
    if not arguments.output.lower().endswith(".bin"):
        arguments.usage_error(f"{arguments.output}: a classifier is written as a .bin; "
                              "let its name end so")
    require_writable(arguments.output, arguments.labelled)
    checkpoint = open_checkpoint(arguments, arguments.labelled)
    method = {loss: method for method, loss in supervised.LOSS.items()}[arguments.loss]
    trained = supervised.train(
        read_labelled(arguments.labelled, arguments.errors), method, dim=arguments.dim,
        lr=arguments.lr, epochs=arguments.epochs, min_count=arguments.min_count,
        word_ngrams=arguments.word_ngrams,
        ngrams=NGrams(arguments.min_n, arguments.max_n, arguments.buckets),
        negatives=arguments.negatives, options=run_options(arguments, checkpoint))
    trained.classifier.save(arguments.output)
    say(f"{trained.classifier}")
    say(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}")


# ---- predict ------------------------------------------------------------------------------------

def add_commands(commands):
    """Add `predict`."""
    command = add_command(
        commands, "predict", "print for each line its likeliest labels, the likeliest first: label,"
        " probability, label, probability ...",
        "scratch-embed predict model.bin texts.txt -k 3", run=run_predict)
    command.add_argument("model", help="a .bin of `train classifier`, or a supervised one of "
                         "fastText's")
    command.add_argument("file", help='a text a line, plain or gzip; "-" is stdin')
    add_answer_options(command)
    command.add_argument("--errors", choices=["strict", "replace", "ignore"], default="strict",
                         help="what to do with bytes that are not UTF-8 (%(default)s)")


def add_answer_options(command):
    """Which labels are an answer."""
    command.add_argument("-k", type=whole(1), default=1, metavar="N",
                         help="at most so many labels a line (%(default)s)")
    command.add_argument("--threshold", type=non_negative, default=0.0, metavar="P",
                         help="none that is less likely (%(default)s)")


def run_predict(arguments):
    """A line of output for each line of input, empty where no label is likely enough."""
    from scratch_embed.text.corpus import read_lines
    from scratch_embed.words.classifier import Classifier
    classifier = Classifier.load(arguments.model)
    lines = read_lines(arguments.file, arguments.errors)
    person = arguments.file == "-" and sys.stdin is not None and sys.stdin.isatty()
    while some := list(itertools.islice(lines, 1 if person else AT_A_TIME)):
        for found in classifier.predict(some, arguments.k, arguments.threshold):
            print("\t".join(f"{label}\t{probability:.4f}" for label, probability in found))


# ---- evaluate classifier ------------------------------------------------------------------------

def add_evaluation(kinds):
    """Add `evaluate classifier`."""
    command = add_command(
        kinds, "classifier", "print examples N, precision P@k and recall R@k of a classifier",
        "scratch-embed evaluate classifier model.bin labelled-test.txt -k 2", run=run_evaluation)
    command.add_argument("model", help="a .bin of `train classifier`, or a supervised one of "
                         "fastText's")
    command.add_argument("labelled", help="a line an example, as for `train classifier`")
    add_answer_options(command)


def run_evaluation(arguments):
    """Three lines: name, number."""
    from scratch_embed.words.classifier import Classifier
    classifier = Classifier.load(arguments.model)
    quality = classifier.test(arguments.labelled, arguments.k, arguments.threshold)
    print(f"N\t{quality.examples}")
    print(f"P@{arguments.k}\t{quality.precision:.4f}")
    print(f"R@{arguments.k}\t{quality.recall:.4f}")
    if quality.unseen:
        say(f"left out: {quality.unseen:,} labels that the model was never shown")
