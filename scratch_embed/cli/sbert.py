"""train sbert: train a bi-encoder on pairs, triplets or scored pairs of texts."""
import argparse
import math

from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    in_words_of_chance,
    mean_loss,
    require_other_folder,
    steps_of,
)
from scratch_embed.cli.new_model import SIZES, add_size_options, add_vocabulary_options
from scratch_embed.cli.parsing import add_command, positive, whole
from scratch_embed.cli.recipes import report_truncated
from scratch_embed.cli.sbert_data import (
    LOSSES,
    check_loss,
    kind_of_data,
    loss_among,
    objective_of,
    read_examples,
    read_held_out,
)
from scratch_embed.cli.sbert_negatives import with_hard_negatives
from scratch_embed.cli.sbert_start import check_start, prompts_of, read_start
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options, say
from scratch_embed.cli.verdicts import (
    KNOWN_BY_HEART,
    add_held_out_option,
    report,
    report_scores,
    report_search,
)
from scratch_embed.numerics.wording import counted

POOLINGS = "cls", "mean", "max"
REQUIRED = "one of --pairs, --triplets and --scored is required (default: none)"


def add_training(methods):
    """Add `train sbert`."""
    command = add_command(
        methods, "sbert", "train a sentence encoder on pairs of texts (SBERT)",
        "scratch-embed train sbert --pairs pairs.tsv -o encoder --steps 1000", run=run_sbert,
        check=check_usage,
        details="A new transformer is trained, unless --model names one to start from.")
    data = command.add_mutually_exclusive_group(required=True)
    data.add_argument("--pairs", metavar="FILE",
                      help=f"lines of text <tab> positive; {REQUIRED}")
    data.add_argument("--triplets", metavar="FILE",
                      help=f"lines of text <tab> positive <tab> hard negative; {REQUIRED}")
    data.add_argument("--scored", metavar="FILE", help="lines of text <tab> text <tab> score or "
                      f"label, or as CSV; {REQUIRED}")
    add_output_options(command, "the folder to write, created if it is missing; "
                                "sentence-transformers loads it")
    add_start_options(command)
    add_loss_options(command)
    option = command.add_argument
    option("--prompts", nargs="+", metavar="STRING",
           help="put the first STRING before each text of the first column, and the second before "
                "all others, such as 'query: ' 'passage: '; a single one before all texts.  The "
                "folder stores them, and `index` and `search` use them (default: the prompts of "
                "--model, else none)")
    option("--hard-negatives", type=whole(1), metavar="N",
           help="with --pairs: find N positives of other pairs that are similar to each text, and "
                "use them as hard negatives; --model finds them, or without it BM25, which needs "
                "common words; where there are fewer than N, positives drawn at random take their "
                "place (default: only the other texts of the batch are negatives)")
    option("--cache-batch", type=whole(1), metavar="N",
           help="encode N texts at a time, so that a large --batch-size needs little memory "
                "(GradCache); each text is encoded twice (default: all at once)")
    add_held_out_option(command, "examples in the form of the training data")
    add_step_options(command, steps=500, batch=64, lr=3e-4, kind="example")


def add_start_options(command):
    """Add the options of the model that training starts from."""
    start = command.add_mutually_exclusive_group()
    model = start.add_argument("--model", metavar="MODEL", help="a folder with a transformer or a "
                               "sentence encoder to start from; its pooling, prompts and length "
                               "are kept (default: a new model)")
    model.read_as = "transformer"
    words = start.add_argument("--word-vectors", metavar="FILE", help="word vectors with which "
                               "the token embeddings of a new model begin; their words join the "
                               "vocabulary (default: random numbers)")
    words.read_as = "vectors"
    add_vocabulary_options(command)
    add_size_options(command, "truncate texts to N tokens; a new model accepts no more (default: "
                              f"{SIZES['max_length']} for a new model, else that of --model)")
    command.add_argument("--pooling", choices=POOLINGS,
                         help="a text's vector: the vector of [CLS], or the mean or the maximum of "
                              "its tokens' vectors (default: that of the sentence encoder in "
                              "--model, else mean)")


def add_loss_options(command):
    """Add --loss and the settings of the losses."""
    option = command.add_argument
    defaults = ", ".join(f"{losses[0]} for --{kind}" for kind, losses in LOSSES.items())
    option("--loss", type=loss_among(LOSSES),
           help="what is minimised: infonce takes the positives of other pairs as negatives; "
                "triplet compares two distances; cosent and cosine-mse take scores, contrastive "
                "and online-contrastive the labels 1 (similar) and 0, softmax classes from 0 on "
                f"(default: {defaults})")
    option("--tau", type=positive, metavar="T",
           help="temperature of infonce and cosent; the smaller it is, the more the nearest "
                "negatives count (default: 0.05)")
    option("--margin", type=positive, metavar="M",
           help="margin of triplet, contrastive and online-contrastive (default: 5 for triplet, "
                "else 0.5)")
    option("--max-score", type=positive, metavar="S",
           help="the score of two texts with the same meaning, for cosent and cosine-mse; scores "
                "are from 0 to S (default: 1)")
    option("--matryoshka", type=dimensions, metavar="D,D",
           help="train the first D numbers of a vector to work alone, for each of several D, such "
                "as 64,32,16 (default: only the whole vector)")


def dimensions(text):
    """An argparse type: whole numbers of at least 1, with commas between them."""
    try:
        return sorted(map(whole(1), text.split(",")), reverse=True)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError("expected a whole number of at least 1, or several with "
                                         f"commas between them, got {text!r}") from None


def check_usage(arguments):
    """Exit with code 2 if options contradict each other; fill in defaults."""
    check_resume(arguments)
    check_loss(arguments)
    check_start(arguments)
    loss, error = arguments.loss, arguments.usage_error
    takes = {"tau": ("infonce", "cosent"), "max_score": ("cosent", "cosine-mse"),
             "margin": ("triplet", "contrastive", "online-contrastive")}
    for name, losses in takes.items():
        if getattr(arguments, name) is not None and loss not in losses:
            error(f"--{name.replace('_', '-')} belongs to {', '.join(losses)}, not to {loss}: "
                  "leave it out")
    if arguments.hard_negatives and arguments.pairs is None:
        error("--hard-negatives goes with --pairs, for which it finds them: leave it out")
    if arguments.matryoshka and loss == "softmax":
        error("--matryoshka goes with all losses but softmax, whose classifier fits one dimension")
    if arguments.prompts and len(arguments.prompts) > 1 + (arguments.scored is None):
        error("--prompts: expected " + ("one STRING, because the two texts of a scored pair have "
              "the same part" if arguments.scored is not None else "one STRING or two")
              + f", got {len(arguments.prompts)}")
    if loss == "infonce" and arguments.batch_size < 2:
        error("--batch-size: expected 2 or more, because the other texts of a batch are the "
              f"negatives, got {arguments.batch_size}")


# ---- the run -------------------------------------------------------------------------------------

def run_sbert(arguments):
    """Read, train, save, measure; messages go to stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.sentences.sbert import tokenize, train
    require_other_folder(arguments.output, arguments.model, sentences=True)
    optim = Optim(arguments.lr, arguments.warmup_ratio, weight_decay=0.0)
    settings = dict(batch_size=arguments.batch_size, dropout=arguments.dropout,
                    cache_batch=arguments.cache_batch)
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(arguments, kind_of_data(arguments)[1], **settings, **steps,
                                 workers=arguments.workers, **optim._asdict())
    examples = read_examples(arguments)
    held_out = read_held_out(arguments, examples)
    start = read_start(arguments, examples.columns)
    prompts = prompts_of(arguments, start)
    if arguments.hard_negatives:
        examples = with_hard_negatives(arguments, examples, start, prompts)
    note_margin(arguments, start)
    objective, targets = objective_of(arguments, examples, start.dim)
    views = [tokenize(start, column, prompt) for column, prompt in zip(
        examples.columns, [prompts.first, *[prompts.others] * len(examples.columns)])]
    N = views[0].N
    report_truncated(start, N * len(views))
    trained = train(views, start, objective, targets, steps_of(arguments, N, "example"),
                    optim=optim, options=run_options(arguments, checkpoint), **settings)
    trained.encoder.save(arguments.output)
    chance = ""
    if arguments.loss == "infonce" and not arguments.matryoshka:
        keys = min(arguments.batch_size, N) * (len(views) - 1)
        chance = in_words_of_chance(trained.losses, math.log(keys))
    size = sum(p.flat.size for p in (trained.encoder.model.p, *(
        dense.p for dense in trained.encoder.recipe.dense)))
    say(f"{mean_loss(trained.losses)}{chance}; wrote {arguments.output}, {size:,} parameters")
    report_sbert(arguments, trained, start, objective, examples, held_out, prompts)


def note_margin(arguments, start):
    """Say if the vectors have norm 1, and the margin of the triplet loss is out of their reach."""
    if arguments.loss == "triplet" and start.recipe.normalize and (arguments.margin or 5) >= 2:
        say(f"the vectors of {arguments.model} have norm 1, so two distances differ by at most 2, "
            f"and --margin {arguments.margin or 5:g} is never reached; 0.5 may be better")


# ---- the verdict ---------------------------------------------------------------------------------

def report_sbert(arguments, trained, start, objective, examples, held_out, prompts):
    """Report whether training has helped, on --held-out or on the training examples."""
    from scratch_embed.sentences import verdict
    first, second, *_ = (held_out or examples).columns
    encoders, seed = (trained.encoder, start), arguments.seed
    where = arguments.held_out or "the training data"
    if arguments.loss == "softmax":
        found = verdict.of_classes(trained, start, objective, first, second,
                                   (held_out or examples).scores, examples.scores, prompts.first,
                                   seed)
        report(found, ("pair", f"of {where}"), arguments.held_out, "class frequencies",
               verdict.MORE_PAIRS)
    elif arguments.scored is not None:
        data = first, second, (held_out or examples).scores, prompts.first, seed
        found = verdict.of_scored_pairs(*encoders, *data)
        report_scores(found, where, "cosine and score")
        report_shortest(arguments, found, lambda d: verdict.of_scored_pairs(*encoders, *data, d))
    else:
        data = first, second, prompts, seed
        found = verdict.of_text_pairs(*encoders, *data)
        report_search(found, f"the positives of {where}", verdict.MORE_PAIRS, verdict.MORE_PAIRS)
        report_shortest(arguments, found, lambda d: verdict.of_text_pairs(*encoders, *data, d))
    if arguments.loss != "softmax" and found and found.learned and not held_out:
        say(KNOWN_BY_HEART)


def report_shortest(arguments, verdict, of_prefix):
    """With --matryoshka, print the score of its smallest prefix.  of_prefix: d -> its verdict."""
    if arguments.matryoshka and verdict:
        d = min(arguments.matryoshka)
        found = of_prefix(d)
        say(f"the first {counted(d, 'number')} of each vector alone: {found.trained:.4f}; before "
            f"training {found.start:.4f} (encode --truncate-dim {d} --normalize writes them)")
