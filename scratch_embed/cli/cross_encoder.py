"""train cross-encoder: train a model that reads two texts together and scores the pair."""
import math

from scratch_embed.cli.cross_encoder_data import LOSSES, loss_of, read_examples, read_held_out
from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    in_words_of_chance,
    mean_loss,
    require_model,
    require_other_folder,
    require_savable,
    require_training_memory,
    saved_size,
    steps_of,
)
from scratch_embed.cli.parsing import add_command, positive, refuse_option, whole
from scratch_embed.cli.sbert_data import check_loss, kind_of_data, loss_among
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options, say
from scratch_embed.cli.verdicts import (
    KNOWN_BY_HEART,
    add_held_out_option,
    report,
    report_scores,
    report_search,
)

REQUIRED = "--pairs or --scored is required (default: none)"
NOT_A_SEARCH = ("(most of these candidates are drawn at random; those of a search are harder, and "
                "reranking may make it worse: `rerank` a run, then `evaluate run --against` it)")


def add_training(methods):
    """Add `train cross-encoder`."""
    command = add_command(
        methods, "cross-encoder", "train a cross-encoder, which scores pairs of texts",
        "scratch-embed train cross-encoder --pairs pairs.tsv --model encoder -o cross",
        run=run_cross_encoder, check=check_usage,
        details="`rerank` and `search --rerank` use it.")
    data = command.add_mutually_exclusive_group(required=True)
    data.add_argument("--pairs", metavar="FILE",
                      help="lines of query <tab> positive, or with hard negatives after it, all "
                           f"with tabs between them; {REQUIRED}")
    data.add_argument("--scored", metavar="FILE", help="lines of text <tab> text <tab> score or "
                      f"class, or as CSV; {REQUIRED}")
    refuse_option(command, "--triplets", "--triplets is --pairs here, which takes hard negatives "
                                         "after the positive")
    add_output_options(command, "the folder to write, created if it is missing; "
                                "sentence-transformers' CrossEncoder loads it")
    option = command.add_argument
    option("--model", required=True, metavar="MODEL", help="the folder to start from: a sentence "
           "encoder, of `train sbert`, or a transformer, to which a new head is added; or a "
           "cross-encoder").read_as = "any transformer"
    add_loss_options(command)
    option("--max-length", type=whole(4), metavar="N", help="truncate pairs to N tokens (default: "
           "the most that the model accepts)")
    add_held_out_option(command, "examples in the form of the training data")
    add_step_options(command, steps=500, batch=32, lr=3e-4, kind="example")


def add_loss_options(command):
    """Add --loss and the settings of the losses."""
    option = command.add_argument
    defaults = ", ".join(f"{losses[0]} for --{kind}" for kind, losses in LOSSES.items())
    option("--loss", type=loss_among(LOSSES),
           help="what is minimised: cross-entropy, of the positive among the candidates of its "
                "query, or with --scored of classes 0, 1 ...; bce, the binary cross-entropy of "
                "each pair alone, with a label from 0 to 1; mse, the squared difference from the "
                f"scores of --scored (default: {defaults})")
    option("--negatives", type=whole(0), metavar="N",
           help="with --pairs: add N positives of other queries, drawn at random, to each query's "
                "negatives (default: 4 if the file has no hard negatives, else 0)")
    option("--pos-weight", type=positive, metavar="W",
           help="with --loss bce: the weight of a positive, such as the number of negatives per "
                "positive (default: 1)")
    option("--max-score", type=positive, metavar="S",
           help="with --scored and --loss bce: scores are from 0 to S (default: 1)")


def check_usage(arguments):
    """Exit with code 2 if options contradict each other; fill in the loss."""
    check_resume(arguments)
    check_loss(arguments, LOSSES)
    error, loss = arguments.usage_error, arguments.loss
    if arguments.negatives is not None and arguments.pairs is None:
        error("--negatives goes with --pairs, whose positives it draws from: leave it out")
    if arguments.pos_weight is not None and loss != "bce":
        error(f"--pos-weight belongs to bce, not to {loss}: leave it out")
    if arguments.max_score is not None and (arguments.scored is None or loss != "bce"):
        error("--max-score goes with --scored and --loss bce: leave it out")


# ---- the run -------------------------------------------------------------------------------------

def run_cross_encoder(arguments):
    """Read, train, save, measure; messages go to stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.sentences.cross_encoder_training import train
    require_other_folder(arguments.output, arguments.model, sentences=True)
    optim = Optim(arguments.lr, arguments.warmup_ratio, weight_decay=0.0)
    settings = dict(batch_size=arguments.batch_size, dropout=arguments.dropout)
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(arguments, kind_of_data(arguments, LOSSES)[1], **settings, **steps,
                                 workers=arguments.workers, **optim._asdict())
    examples = read_examples(arguments)
    held_out = read_held_out(arguments, examples)
    start = read_start(arguments, examples)
    pairs = start.tokenize(examples.pairs)
    report_truncated(start, len(examples.pairs))
    trained = train(pairs, examples.targets, start, loss_of(arguments),
                    steps_of(arguments, len(examples.targets), "example"), optim=optim,
                    options=run_options(arguments, checkpoint), **settings)
    trained.encoder.save(arguments.output)
    chance = ""
    if arguments.pairs and arguments.loss == "cross-entropy":
        chance = in_words_of_chance(trained.losses, math.log(len(examples.columns) - 1))
    size = trained.encoder.model.p.flat.size
    say(f"{mean_loss(trained.losses)}{chance}; wrote {arguments.output}, "
        f"{saved_size(size, size)}")
    report_result(arguments, trained.encoder, start, examples, held_out)


def read_start(arguments, examples):
    """The CrossEncoder before training: --model, with a new head unless it is a cross-encoder.

    The activation of its scores is that of the loss.  Raises ValueError for a cross-encoder with
    another number of labels, and for a --max-length that the model does not accept.
    """
    from scratch_embed.numerics.functions import sigmoid
    from scratch_embed.sentences.cross_encoder import CrossEncoder
    from scratch_embed.sentences.cross_encoder_settings import identity
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.transformer.classification import has_classifier
    folder, labels = arguments.model, examples.labels
    require_model(folder)
    if has_classifier(folder):
        start = CrossEncoder.load(folder)
        if len(start.settings.labels) != labels:
            raise ValueError(f"{folder}: expected a cross-encoder with {labels} scores per pair, "
                             f"as this training needs, got {len(start.settings.labels)}; start "
                             "from another model")
    else:
        encoder = SentenceEncoder.load(folder)
        start = CrossEncoder.warm_start(encoder, tuple(f"LABEL_{n}" for n in range(labels)),
                                        arguments.seed)
        say(f"{folder} gets a new head with {labels} score{'s' * (labels > 1)} per pair")
        if any(encoder.recipe.prompts.values()):
            say(f"the prompts of {folder} are not used: a cross-encoder reads two texts as one "
                "input, and so knows which is the query")
    require_training_memory(start.model.p.flat.size, arguments.workers)
    require_savable(start.tokenizer)
    length = arguments.max_length or start.settings.max_seq_length
    if length > start.model.max_length:
        raise ValueError(f"--max-length: the model accepts at most {start.model.max_length} "
                         f"tokens, got {length}")
    activation = sigmoid if arguments.loss == "bce" else identity
    settings = start.settings._replace(activation=activation, max_seq_length=length)
    return CrossEncoder(start.tokenizer, start.model, settings)


def report_truncated(encoder, pairs):
    """Print how many pairs the encoder has truncated since the last call, if any."""
    if encoder.truncated:
        say(f"{encoder.truncated:,} of {pairs:,} pairs have more than "
            f"{encoder.settings.max_seq_length} tokens and were truncated")
        encoder.truncated = 0


# ---- the verdict ---------------------------------------------------------------------------------

def report_result(arguments, trained, start, examples, held_out):
    """Report whether training has helped, on --held-out or on the training examples."""
    from scratch_embed.sentences import cross_encoder_verdict as verdict
    from scratch_embed.sentences.verdict import MORE_PAIRS
    encoders, seed = (trained, start), arguments.seed
    where, found = arguments.held_out or "the training data", held_out or examples
    if arguments.pairs:
        result = verdict.of_candidates(*encoders, found.columns[0], found.columns[1:], seed)
        report_search(result, f"the positives of {where}", MORE_PAIRS, MORE_PAIRS)
        if result and result.learned:
            say(NOT_A_SEARCH)
    elif arguments.loss == "cross-entropy":
        result = verdict.of_classes(*encoders, *found.columns, found.targets, examples.targets,
                                    seed)
        report(result, ("pair", f"of {where}"), arguments.held_out, "class frequencies",
               MORE_PAIRS)
        return
    else:
        result = verdict.of_scored_pairs(*encoders, *found.columns, found.targets, seed)
        report_scores(result, where, "score and label")
    if result and result.learned and not held_out:
        say(KNOWN_BY_HEART)
