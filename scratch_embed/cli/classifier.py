"""train classifier, predict, evaluate classifier: text classification by fastText."""
import itertools
import sys

from scratch_embed.cli.parsing import (
    add_command,
    add_errors,
    add_json,
    add_top,
    non_negative,
    require_writable,
    whole,
)
from scratch_embed.cli.printing import measured, print_json, print_results
from scratch_embed.cli.training import (
    add_checkpoint_options,
    add_common_options,
    add_ngram_options,
    check_ngrams,
    open_checkpoint,
    run_options,
    say,
)

BATCH_SIZE = 1000                   # lines classified together


def add_training(methods):
    """Add `train classifier`."""
    command = add_command(
        methods, "classifier", "train a classifier of lines (Joulin et al. 2016)",
        "scratch-embed train classifier labelled.txt -o model.bin --word-ngrams 2",
        run=run_training)
    command.add_argument("labelled", metavar="LABELLED", help="one example per line, split at "
                         "white space, as fastText does: lower-case it and remove punctuation "
                         "first; its labels are the words that begin with __label__; plain or "
                         'gzip; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FILE",
                         help="the model in fastText's format; the name must end in .bin")
    add_common_options(command, min_count=1)
    add_checkpoint_options(command)
    option = command.add_argument
    option("--lr", type=non_negative, default=0.1, metavar="RATE",
           help="initial learning rate (default: %(default)s)")
    option("--loss", choices=["softmax", "ns", "hs", "ova"], default="softmax",
           help="softmax; negative sampling; hierarchical softmax, for many labels; one-vs-all, "
                "for several labels per line (default: %(default)s)")
    option("--word-ngrams", type=whole(1), default=1, metavar="N",
           help="words of the longest word n-gram that is a feature; 2 captures some word "
                "order (default: %(default)s)")
    add_ngram_options(command, 0, 0)
    option("--buckets", type=whole(1), default=2_000_000, metavar="N",
           help="number of rows that word n-grams and character n-grams share by hashing; each row "
                "takes 4 x dim bytes (default: %(default)s)")
    option("--negatives", type=whole(1), default=5, metavar="N",
           help="negatives per line, with --loss ns (default: %(default)s)")


def run_training(arguments):
    """Read, train, save; messages go to stderr."""
    from scratch_embed.words import supervised
    from scratch_embed.words.labelled import read_labelled
    from scratch_embed.words.subwords import NGrams

    check_ngrams(arguments)
    if not arguments.output.lower().endswith(".bin"):
        arguments.usage_error("--output: expected a name that ends in .bin, the format of a "
                              f"classifier, got {arguments.output}")
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
        commands, "predict", "print the most probable labels of each line of a text",
        "scratch-embed predict model.bin texts.txt -k 3", run=run_predict,
        details="A line per line of the text: label, probability, label, probability, and so on.")
    add_classifier(command)
    command.add_argument("file", metavar="TEXT",
                         help='one text per line, plain or gzip; "-" is stdin')
    add_label_options(command)
    add_errors(command)
    add_json(command, '{"query": line, "results": [{"rank", "score", "label"}]} for each line')


def add_classifier(command):
    """Add the argument MODEL: a classifier."""
    command.add_argument("model", metavar="MODEL", help="a .bin of `train classifier`, or a "
                         "supervised model of fastText")


def add_label_options(command):
    """Add the options that choose which labels are predicted."""
    add_top(command, 1, "largest number of labels per line")
    command.add_argument("--threshold", type=non_negative, default=0, metavar="X",
                         help="only labels of at least this probability (default: %(default)s)")


def run_predict(arguments):
    """Print a line for each input line: its labels, or nothing if no label reaches --threshold."""
    from scratch_embed.text.corpus import read_lines
    from scratch_embed.words.classifier import Classifier
    classifier = Classifier.load(arguments.model)
    lines = read_lines(arguments.file, arguments.errors)
    interactive = arguments.file == "-" and sys.stdin is not None and sys.stdin.isatty()
    while some := list(itertools.islice(lines, 1 if interactive else BATCH_SIZE)):
        for line, labels in zip(some, classifier.predict(some, arguments.top,
                                                         arguments.threshold)):
            if arguments.json:
                print_results(line, ("label", "score"), labels)
            else:
                print("\t".join(f"{label}\t{probability:.4f}" for label, probability in labels))


# ---- evaluate classifier ------------------------------------------------------------------------

def add_evaluation(kinds):
    """Add `evaluate classifier`."""
    command = add_command(
        kinds, "classifier", "print the precision and the recall of a classifier",
        "scratch-embed evaluate classifier model.bin labelled-test.txt -k 2", run=run_evaluation,
        details="Three lines: the number of examples N, the precision P@k and the recall R@k of "
                "the k most probable labels.")
    add_classifier(command)
    command.add_argument("labelled", metavar="LABELLED",
                         help="one example per line, as for `train classifier`")
    add_label_options(command)
    add_json(command, '{"N": examples, measure: {"value", "low", "high"}}')


def run_evaluation(arguments):
    """Print N, P@k and R@k, each on a line: name, number."""
    from scratch_embed.words.classifier import Classifier
    classifier = Classifier.load(arguments.model)
    quality = classifier.test(arguments.labelled, arguments.top, arguments.threshold)
    found = {f"P@{arguments.top}": quality.precision, f"R@{arguments.top}": quality.recall}
    if arguments.json:
        print_json({"N": quality.examples,
                    **{name: measured(value) for name, value in found.items()}})
    else:
        print(f"N\t{quality.examples}")
        for name, value in found.items():
            print(f"{name}\t{value:.4f}")
    if quality.unseen:
        say(f"left out {quality.unseen:,} labels that the model does not know")
