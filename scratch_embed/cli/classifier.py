"""train classifier, predict, evaluate classifier: text classification by fastText."""
import itertools
import sys

from scratch_embed.cli.parsing import (
    add_command,
    add_errors,
    add_json,
    add_top,
    non_negative,
    positive,
    require_writable,
    whole,
)
from scratch_embed.cli.printing import measured, print_json, print_results
from scratch_embed.cli.training import (
    add_checkpoint_options,
    add_common_options,
    add_ngram_options,
    check_ngrams,
    check_resume,
    open_checkpoint,
    run_options,
    say,
)
from scratch_embed.cli.verdicts import add_held_out_option, report
from scratch_embed.numerics.wording import counted

BATCH_SIZE = 1000                   # lines classified together


def add_training(methods):
    """Add `train classifier`."""
    command = add_command(
        methods, "classifier", "train a text classifier (Joulin et al. 2016)",
        "scratch-embed train classifier labelled.txt -o model.bin --word-ngrams 2",
        run=run_training, check=check_training)
    command.add_argument("labelled", metavar="LABELLED", help="one example per line, split at "
                         "white space, as fastText does: lower-case it and remove punctuation "
                         "first; its labels are the words that begin with __label__; plain or "
                         'gzip; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FILE",
                         help="the file to write, in fastText's format; its name ends in .bin")
    add_common_options(command, min_count=1)
    add_checkpoint_options(command)
    option = command.add_argument
    add_held_out_option(command, "labelled lines")
    option("--lr", type=positive, default=0.1, metavar="RATE",
           help="learning rate at the start; it falls linearly to 0 (default: %(default)s)")
    option("--loss", choices=["softmax", "ns", "hs", "ova"], default="softmax",
           help="softmax; negative sampling; hierarchical softmax, for many labels; one-vs-all, "
                "for several labels per line (default: %(default)s)")
    option("--word-ngrams", type=whole(1), default=1, metavar="N",
           help="words of the longest word n-gram that is a feature; 2 captures some word "
                "order (default: %(default)s)")
    add_ngram_options(command, 0, 0)
    option("--buckets", type=whole(1), metavar="N",
           help="number of rows that word n-grams and character n-grams share by hashing; each row "
                "takes 4 x dim bytes (default: the number of n-grams in the text, at most "
                "2,000,000)")
    option("--negatives", type=whole(1), default=5, metavar="N",
           help="negatives per line, with --loss ns (default: %(default)s)")


def check_training(arguments):
    """Exit with code 2 if options contradict each other, or the output is no .bin."""
    check_resume(arguments)
    check_ngrams(arguments)
    if not arguments.output.lower().endswith(".bin"):
        arguments.usage_error("--output: expected a name that ends in .bin, the format of a "
                              f"classifier, got {arguments.output}")


def run_training(arguments):
    """Read, train, save, measure; messages go to stderr."""
    from scratch_embed.words import supervised
    from scratch_embed.words.labelled import read_labelled

    require_writable(arguments.output, arguments.labelled)
    method = {loss: method for method, loss in supervised.LOSS.items()}[arguments.loss]
    settings = dict(method=method, dim=arguments.dim, lr=arguments.lr, epochs=arguments.epochs,
                    min_count=arguments.min_count, word_ngrams=arguments.word_ngrams,
                    negatives=arguments.negatives)
    lengths = dict(min_n=arguments.min_n, max_n=arguments.max_n)
    supervised.check_settings({**settings, **lengths, "buckets": arguments.buckets or 1})
    checkpoint = open_checkpoint(arguments, arguments.labelled, **settings, **lengths,
                                 **{"buckets": arguments.buckets} if arguments.buckets else {})
    held_out = arguments.held_out and read_labelled(arguments.held_out, arguments.errors)
    lines = read_labelled(arguments.labelled, arguments.errors)
    trained = supervised.train(lines, **settings, ngrams=chosen_ngrams(arguments, lines),
                               options=run_options(arguments, checkpoint))
    trained.classifier.save(arguments.output)
    say(f"{trained.classifier}")
    say(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}")
    report_classifier(arguments, trained.classifier, held_out or lines)


def chosen_ngrams(arguments, lines):
    """The NGrams of --min-n, --max-n and --buckets."""
    from scratch_embed.words.labelled import count_word_ngrams
    from scratch_embed.words.subwords import NGrams, default_buckets
    lengths = arguments.min_n, arguments.max_n
    if arguments.buckets and arguments.word_ngrams == 1 and not arguments.max_n:
        say("--buckets has no effect without n-grams: add --word-ngrams 2 or --max-n")
    buckets = arguments.buckets or min(
        NGrams().buckets, count_word_ngrams(lines, arguments.word_ngrams)
        + default_buckets(lines.words, *lengths))
    return NGrams(*lengths, buckets)


def report_classifier(arguments, classifier, lines):
    """Report on the classifier: its loss, its precision and that of the most frequent label."""
    from scratch_embed.words.verdict import of_classifier
    verdict = of_classifier(classifier, lines, arguments.negatives, arguments.epochs,
                            arguments.seed)
    quality, always = classifier.test(lines), classifier.majority(lines)
    say(f"P@1 on {counted(quality.examples, 'line')} of "
        f"{arguments.held_out or 'the training text'}: {quality.precision:.4f}; "
        f"always {classifier.labels[0]}: {always:.4f}")
    report(verdict, ("line", "of the training text"), arguments.held_out,
           "the frequencies of the labels", "train on more lines, for more --epochs or with a "
           "larger --lr")


# ---- predict ------------------------------------------------------------------------------------

def add_commands(commands):
    """Add `predict`."""
    command = add_command(
        commands, "predict", "print the most probable labels of each line of a text",
        "scratch-embed predict model.bin texts.txt -k 3", run=run_predict,
        details="For each line of the text, a line: label, probability, label, probability, and "
                "so on.")
    add_classifier(command)
    command.add_argument("file", metavar="TEXT",
                         help='one text per line, plain or gzip; "-" is stdin')
    add_label_options(command)
    add_errors(command)
    add_json(command, '{"query": line, "results": [{"rank", "score", "label"}]} for each line')


def add_classifier(command):
    """Add the argument MODEL: a classifier."""
    model = command.add_argument("model", metavar="MODEL", help="a .bin of `train classifier`, or "
                                 "a supervised model of fastText")
    model.read_as = "classifier"


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
        details="Four lines: the number of examples N, the precision P@k and the recall R@k of "
                "the k most probable labels; and, to compare P@1 with, the precision of always "
                "predicting the most frequent label.")
    add_classifier(command)
    command.add_argument("labelled", metavar="LABELLED",
                         help="one example per line, as for `train classifier`")
    add_label_options(command)
    add_errors(command)
    add_json(command, '{"N": examples, measure: {"value", "low", "high"}}')


def run_evaluation(arguments):
    """Print N, P@k, R@k and the P@1 of the most frequent label, each on a line: name, number."""
    from scratch_embed.words.classifier import Classifier
    from scratch_embed.words.labelled import read_labelled
    classifier = Classifier.load(arguments.model)
    lines = read_labelled(arguments.labelled, arguments.errors)
    quality = classifier.test(lines, arguments.top, arguments.threshold)
    found = {f"P@{arguments.top}": quality.precision, f"R@{arguments.top}": quality.recall,
             f"P@1 of always {classifier.labels[0]}": classifier.majority(lines)}
    if arguments.json:
        print_json({"N": quality.examples,
                    **{name: measured(value) for name, value in found.items()}})
    else:
        print(f"N\t{quality.examples}")
        for name, value in found.items():
            print(f"{name}\t{value:.4f}")
    if quality.unseen:
        say(f"left out {quality.unseen:,} labels that the model does not know")
