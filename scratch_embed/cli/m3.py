"""train m3: train BGE-M3, whose one transformer gives dense, sparse and multi-vector encodings."""
import os

from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    mean_loss,
    require_other_folder,
    steps_of,
)
from scratch_embed.cli.new_model import SIZES, add_size_options, add_vocabulary_options
from scratch_embed.cli.parsing import add_command, positive, whole
from scratch_embed.cli.recipes import report_truncated
from scratch_embed.cli.sbert_data import kind_of_data, read_examples, read_held_out
from scratch_embed.cli.sbert_start import check_start, prompts_of, read_start
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options, say
from scratch_embed.cli.verdicts import KNOWN_BY_HEART, add_held_out_option, report_search

REQUIRED = "--pairs or --triplets is required (default: none)"
# options of `train sbert` that this command lacks; the functions that both use read them
UNUSED = dict(loss=None, matryoshka=None, pooling=None, prompts=None, scored=None,
              word_vectors=None)
PAIRED = {"pairs": (), "triplets": ()}             # kinds of training data, with the same loss
KINDS = {"dense": "dense", "sparse": "sparse", "multi": "multi-vector", "hybrid": "hybrid"}


def add_training(methods):
    """Add `train m3`."""
    command = add_command(
        methods, "m3", "train three encodings of a text at once (BGE-M3)",
        "scratch-embed train m3 --pairs pairs.tsv -o m3 --steps 1000", run=run_m3,
        check=check_usage,
        details="One transformer has three heads: the vector of [CLS], a weight for each token, "
                "and a vector for each token.  A new transformer is trained, unless --model names "
                "one to start from.  `index` and `search` use all three encodings, and in Python "
                "se.BgeM3.load(FOLDER); every other command uses the dense vectors.")
    command.set_defaults(**UNUSED)
    data = command.add_mutually_exclusive_group(required=True)
    data.add_argument("--pairs", metavar="FILE", help=f"lines of text <tab> positive; {REQUIRED}")
    data.add_argument("--triplets", metavar="FILE",
                      help=f"lines of text <tab> positive <tab> hard negative; {REQUIRED}")
    add_output_options(command, "the folder to write, created if it is missing; "
                                "sentence-transformers loads its dense part")
    option = command.add_argument
    option("--model", metavar="MODEL", help="a folder to start from: of BGE-M3, or a transformer "
           "or a sentence encoder, to which new heads are added (default: a new model)"
           ).read_as = "transformer"
    add_vocabulary_options(command)
    add_size_options(command, "truncate texts to N tokens; a new model accepts no more (default: "
                              f"{SIZES['max_length']} for a new model, else that of --model)")
    option("--token-dim", type=whole(1), metavar="N", help="dimensions of a token's vector in the "
           "multi-vector head (default: those of the transformer)")
    option("--tau", type=positive, default=0.02, metavar="T", help="temperature of the three "
           "scores (default: %(default)s)")
    option("--no-self-distillation", action="store_true", help="train on the labels alone; else "
           "the three scores also learn from their sum")
    add_held_out_option(command, "examples in the form of the training data")
    add_step_options(command, steps=500, batch=64, lr=3e-4, kind="example")
    command.set_defaults(dropout=0.0)              # as train() of sentences/bge_m3_training.py


def check_usage(arguments):
    """Exit with code 2 if options contradict each other; fill in the sizes of a new model."""
    check_resume(arguments)
    check_start(arguments)
    if arguments.batch_size < 2:
        arguments.usage_error("--batch-size: expected 2 or more, because the other texts of a "
                              f"batch are the negatives, got {arguments.batch_size}")


def run_m3(arguments):
    """Read, train, save, measure; messages go to stderr."""
    from scratch_embed.losses.false_negatives import text_numbers
    from scratch_embed.nn.optim import Optim
    from scratch_embed.sentences.bge_m3_training import train
    from scratch_embed.sentences.sbert import tokenize
    require_other_folder(arguments.output, arguments.model, sentences=True)
    optim = Optim(arguments.lr, arguments.warmup_ratio, weight_decay=0.0)
    settings = dict(batch_size=arguments.batch_size, dropout=arguments.dropout, tau=arguments.tau,
                    distil_from=None if arguments.no_self_distillation else 0)
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(arguments, kind_of_data(arguments, PAIRED)[1], **settings, **steps,
                                 **optim._asdict())
    examples = read_examples(arguments)
    held_out = read_held_out(arguments, examples)
    start = start_of(arguments, examples.columns)
    prompts = prompts_of(arguments, start.encoder)
    views = [tokenize(start.encoder, column, prompt) for column, prompt in zip(
        examples.columns, [prompts.first, *[prompts.others] * len(examples.columns)])]
    report_truncated(start.encoder, views[0].N * len(views))
    trained = train(views, start, steps_of(arguments, views[0].N, "example"), optim=optim,
                    texts=text_numbers(*examples.columns),
                    options=run_options(arguments, checkpoint), **settings)
    trained.model.save(arguments.output)
    size = trained.model.encoder.model.p.flat.size + trained.model.heads.flat.size
    say(f"{mean_loss(trained.losses)}; wrote {arguments.output}, {size:,} parameters")
    report_m3(arguments, trained.model, start, (held_out or examples).columns, prompts)


def start_of(arguments, columns):
    """The BgeM3 before training: --model with its heads or new ones, or a new model.

    Raises ValueError if --token-dim is not that of the folder's heads.
    """
    from scratch_embed.sentences.bge_m3 import BgeM3
    from scratch_embed.sentences.bge_m3_folder import FILES
    from scratch_embed.transformer.pooling import cls
    encoder, folder = read_start(arguments, columns), arguments.model
    if not folder or not any(os.path.exists(os.path.join(folder, name + ending))
                             for name in FILES.values() for ending in (".safetensors", ".pt")):
        new = BgeM3.new(encoder, arguments.seed, arguments.token_dim)
        if folder and encoder.recipe.poolings != (cls,):
            say(f"{folder}: its pooling is replaced by the vector of [CLS]")
        if encoder.recipe.dense:
            say(f"{folder}: its Dense layers are left out")
        return new
    m3 = BgeM3.load(folder)
    dim = len(m3.heads["multi.weight"])
    if arguments.token_dim not in (None, dim):
        raise ValueError(f"--token-dim: the head of {folder} has {dim} dimensions, got "
                         f"{arguments.token_dim}")
    say(f"{folder}: the weights of its two heads are kept")
    return BgeM3(encoder, m3.heads)


def report_m3(arguments, trained, start, columns, prompts):
    """Report whether training has helped, on --held-out or on the training examples."""
    from scratch_embed.sentences.bge_m3_verdict import of_pairs
    from scratch_embed.sentences.verdict import MORE_PAIRS
    where = arguments.held_out or "the training data"
    found = of_pairs(trained, start, *columns[:2], prompts, arguments.seed)
    verdict, mrr = found or (None, {})
    if mrr:
        say("MRR by each score: " + ", ".join(
            f"{KINDS[kind]} {value:.4f}" for kind, value in mrr.items()))
    report_search(verdict, f"the positives of {where}", MORE_PAIRS, MORE_PAIRS)
    if verdict and verdict.learned and not arguments.held_out:
        say(KNOWN_BY_HEART)
