"""train simcse: train a sentence encoder from a BERT and a text, or pairs of texts."""
import math

from scratch_embed.cli.messages import say_of
from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    mean_loss,
    report_size,
    require_other_folder,
    require_savable,
    saved_size,
    steps_of,
)
from scratch_embed.cli.parsing import add_command, positive, refuse_old_names, whole
from scratch_embed.cli.simcse_start import read_start, tokenize
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options, say
from scratch_embed.cli.verdicts import report_search

POOLINGS = "cls", "mean"


def add_training(methods):
    """Add `train simcse`."""
    command = add_command(
        methods, "simcse", "train a sentence encoder by SimCSE (Gao et al. 2021)",
        "scratch-embed train simcse corpus.txt.gz -o encoder --model bert --pooling mean",
        run=run_simcse, check=check_usage)
    option = command.add_argument
    option("corpus", nargs="?", metavar="TEXT",
           help="text, plain or gzip, one sentence per line; the positive of a sentence is itself "
                'under another dropout mask; "-" is stdin; TEXT or --pairs is required '
                '(default: none)')
    option("--pairs", metavar="FILE",
           help="instead of TEXT: lines of text <tab> positive, or of text <tab> positive <tab> "
                "hard negative; TEXT or --pairs is required (default: none)")
    add_output_options(command, "the folder to write, created if it is missing; "
                                "sentence-transformers loads it")
    model = option("--model", required=True, metavar="MODEL",
                   help="the BERT or the sentence encoder to start from")
    model.read_as = "transformer"
    option("--pooling", choices=POOLINGS,
           help="a text's vector: the vector of [CLS], or the mean of its tokens' vectors "
                "(default: that of the sentence encoder in --model; cls for a BERT)")
    option("--tau", type=positive, default=0.05, metavar="T",
           help="temperature; the smaller it is, the more the nearest negatives count "
                "(default: %(default)s)")
    head = command.add_mutually_exclusive_group()
    head.add_argument("--keep-head", action="store_true",
                      help="save the model with the projection head that training adds, as the "
                           "authors do for pairs (default: it is used in training only)")
    head.add_argument("--no-head", action="store_true", help="train without a projection head")
    option("--max-length", type=whole(1), metavar="N",
           help="truncate texts to N tokens (default: the most that the model accepts)")
    option("--held-out", metavar="FILE", help="lines of text <tab> positive, which training does "
           "not read: measure the result on these pairs, and print during training how near the "
           "pairs are (alignment) and how far apart all texts are (uniformity); for both, smaller "
           "is better (default: measure the result on the training texts, at the end only)")
    option("--eval-steps", type=whole(1), default=50, metavar="N",
           help="steps between two measurements on --held-out (default: %(default)s)")
    refuse_old_names(command, "--headless", "--every")
    add_step_options(command, steps=500, batch=64, lr=3e-4)


def run_simcse(arguments):
    """Read, train, save; messages go to stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.sentences.simcse import HEAD, geometry, remove_head, train, width
    require_other_folder(arguments.output, arguments.model, sentences=True)
    optim = Optim(arguments.lr, arguments.warmup_ratio, weight_decay=0.0)
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(
        arguments, arguments.corpus or arguments.pairs, tau=arguments.tau,
        dropout=arguments.dropout, batch_size=arguments.batch_size, workers=arguments.workers,
        headless=arguments.no_head, **optim._asdict(), **steps)
    start = read_start(arguments)
    model, pool = start.model, start.pool
    require_savable(start.encoder.tokenizer)
    texts = texts_of(arguments)
    views = tokenize(texts, start)
    held_out = pairs_held_out(arguments, start)
    W = 0 if arguments.no_head or HEAD in model.p else width(pool, model)
    report_size(model.without_heads().p.flat.size + W * (W + 1), arguments.workers)
    if held_out:
        say("before: alignment {:.4f}, uniformity {:.4f}".format(
            *geometry(held_out, model, pool)))
    steps = steps_of(arguments, len(views[0].offsets) - 1)
    trained = train(views, model, pool, arguments.tau, steps, arguments.batch_size,
                    optim, arguments.dropout, not arguments.no_head, held_out,
                    run_options(arguments, checkpoint))
    recipe = start.encoder.recipe._replace(
        dense=head_of(trained.model.p) if start.keep_head else ())
    saved = remove_head(trained.model)
    SentenceEncoder(start.encoder.tokenizer, saved, recipe).save(arguments.output)
    sizes = saved_size(saved.p.flat.size + sum(dense.p.flat.size for dense in recipe.dense),
                       trained.model.p.flat.size)
    if held_out and steps % arguments.eval_steps:            # the last step has not printed it
        say("after: alignment {:.4f}, uniformity {:.4f}".format(
            *geometry(held_out, trained.model, pool)))
    N = min(arguments.batch_size, len(views[0].offsets) - 1)
    chance = math.log(N * max(1, len(views) - 1))
    say(f"{mean_loss(trained.losses)} (chance: {chance:.4f}); wrote {arguments.output}, {sizes}")
    report_simcse(arguments, trained.model, start, texts, views, held_out)


def report_simcse(arguments, model, start, texts, views, held_out):
    """Report how well texts are found: partners of pairs, or the other halves of single texts."""
    from scratch_embed.sentences.verdict import halves, of_encoder
    if held_out:
        what, pairs = f"the partners of {arguments.held_out}", held_out[:2]
    elif len(views) > 1:
        what, pairs = "the positives of the training pairs", views[:2]
    else:
        what = "the second half of a training text by its first half"
        pairs = halves(start.encoder.tokenize(texts[0]) if start.prompt else views[0])
    pool = start.pool if held_out or len(views) > 1 else start.pool_of_all
    report_search(of_encoder(model, start.model, pool, *pairs, arguments.seed, start.keep_head),
                  what)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    check_resume(arguments)
    if (arguments.corpus is None) == (arguments.pairs is None):
        arguments.usage_error("name either a text or --pairs FILE")
    if arguments.batch_size < 2:
        arguments.usage_error(f"--batch-size: expected 2 or more, because the other texts of a "
                              f"batch are the negatives, got {arguments.batch_size}")


# ---- text to numbers ----------------------------------------------------------------------------

def texts_of(arguments):
    """[texts], or with --pairs [texts, positives] or [texts, positives, hard negatives]."""
    from scratch_embed.text.columns import read_columns
    from scratch_embed.text.corpus import read_lines
    if arguments.pairs:
        views = read_columns(arguments.pairs, 2, 3, arguments.errors, say_of(arguments.pairs))
    else:
        views = [[line for line in read_lines(arguments.corpus, arguments.errors) if line.strip()]]
    if len(views[0]) < 2:
        raise ValueError(f"{arguments.corpus or arguments.pairs}: expected at least 2 texts, "
                         f"found {len(views[0])}")
    what = ["texts", "texts and positives", "texts, positives and hard negatives"][len(views) - 1]
    say(f"{len(views[0]):,} {what}")
    return views


def pairs_held_out(arguments, start):
    """The HeldOut pairs of --held-out, or None."""
    from scratch_embed.sentences.simcse import HeldOut
    from scratch_embed.text.columns import read_columns
    if not arguments.held_out:
        return None
    pairs = read_columns(arguments.held_out, errors=arguments.errors,
                         note=say_of(arguments.held_out))
    return HeldOut(*tokenize(pairs, start), arguments.eval_steps)


# ---- numbers to files ---------------------------------------------------------------------------

def head_of(p):
    """(Dense,): the trained projection head as a module of a sentence-transformers folder."""
    from scratch_embed.nn.params import Params
    from scratch_embed.sentences.recipe import Dense
    ours = {f"linear.{kind}": p[f"head.{kind}"] for kind in ("weight", "bias")}
    head = Params({name: view.shape for name, view in ours.items()})
    for name, view in ours.items():
        head[name][...] = view
    return (Dense(head),)
