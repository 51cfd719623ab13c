"""train simcse: from a BERT and a text, or pairs of texts, to a sentence encoder."""
import os

from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    check_folder,
    check_memory,
    open_run,
    read_model,
    require_savable,
    steps_of,
)
from scratch_embed.cli.parsing import add_command, positive, whole
from scratch_embed.cli.training import say

POOLINGS = "cls", "mean"


def add_training(methods):
    """Add `train simcse`."""
    command = add_command(
        methods, "simcse", "a sentence encoder by SimCSE (Gao et al. 2021), from a BERT",
        "scratch-embed train simcse corpus.txt.gz -o encoder --model bert --pooling mean",
        run=run_simcse)
    option = command.add_argument
    option("corpus", nargs="?", help='text, plain or gzip, a sentence a line, each of which is its '
                                     'own partner under another dropout mask; "-" is stdin')
    option("--pairs", metavar="FILE", help="instead of a text: text <tab> partner a line, or text "
                                           "<tab> partner <tab> hard negative")
    add_output_options(command, "a folder that sentence-transformers loads")
    option("--model", required=True, metavar="FOLDER",
           help="the BERT to begin with, of `train bert` or of transformers")
    option("--pooling", choices=POOLINGS, default="cls",
           help="one vector of a text's: that of [CLS], or the mean of all (%(default)s)")
    option("--tau", type=positive, default=0.05, metavar="T",
           help="temperature; a smaller one looks at the nearest negatives alone (%(default)s)")
    head = command.add_mutually_exclusive_group()
    head.add_argument("--keep-head", action="store_true",
                      help="keep the layer on top that was trained with it, as for pairs its "
                           "authors do")
    head.add_argument("--headless", action="store_true", help="train without such a layer")
    option("--max-length", type=whole(1), metavar="N",
           help="tokens of a text that are read (as many as the model has positions)")
    option("--held-out", metavar="FILE", help="lines of text <tab> partner: print as it trains how "
           "near they are (alignment) and how far all are from each other (uniformity); smaller "
           "is better")
    option("--every", type=whole(1), default=50, metavar="N",
           help="steps between two such lines (%(default)s)")
    add_step_options(command, steps=500, batch=64, lr=3e-4)


def run_simcse(arguments):
    """Read, train, save; say what was done on stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.sentences.recipe import Recipe
    from scratch_embed.sentences.simcse import geometry, head_tensors, train, without_head
    from scratch_embed.training.session import RunOptions
    from scratch_embed.transformer import pooling
    check_usage(arguments)
    require_other_folder(arguments.output, arguments.model)
    checkpoint = open_run(arguments, arguments.corpus or arguments.pairs)
    model, tokenizer = read_model(arguments.model)
    require_savable(tokenizer)
    length = chosen_length(arguments, model)
    views = numbered(texts_of(arguments), tokenizer, length)
    held_out = pairs_held_out(arguments, tokenizer, length)
    check_memory({**model.p.tensors, **head_tensors(model.dim)}, arguments.workers)
    pool = getattr(pooling, arguments.pooling)
    if held_out:
        say("before: alignment {:.4f}, uniformity {:.4f}".format(
            *geometry(held_out, model, pool)))
    steps = steps_of(arguments, len(views[0].offsets) - 1)
    trained = train(views, model, pool, arguments.tau, steps, arguments.batch,
                    Optim(arguments.lr, arguments.warm_up, weight_decay=0.0), arguments.dropout,
                    arguments.headless, held_out,
                    RunOptions(arguments.workers, arguments.seed, checkpoint, progress=True))
    recipe = Recipe((pool,), dense=head_of(trained.model.p) if arguments.keep_head else (),
                    normalize=False, max_seq_length=length)
    SentenceEncoder(tokenizer, without_head(trained.model), recipe).save(arguments.output)
    if held_out and steps % arguments.every:                 # else the last line has said it
        say("after: alignment {:.4f}, uniformity {:.4f}".format(
            *geometry(held_out, trained.model, pool)))
    last = trained.losses[-100:]
    say(f"loss {sum(last) / len(last):.4f}, the mean of the last {len(last)} steps; wrote "
        f"{arguments.output}")


def check_usage(arguments):
    """Ends with 2 where the options do not fit."""
    if (arguments.corpus is None) == (arguments.pairs is None):
        arguments.usage_error("name a text, or --pairs FILE; one of them")
    if arguments.batch < 2:
        arguments.usage_error("--batch: one text has nothing to be told from; expected 2 or more")


def require_other_folder(output, model):
    """Raise OSError or ValueError unless `output` can be written and is not the model's folder."""
    check_folder(output, sentences=True)
    if os.path.exists(model) and os.path.exists(output) and os.path.samefile(model, output):
        raise ValueError(f"{output} is the model itself; write to another folder")


# ---- text to numbers ----------------------------------------------------------------------------

def texts_of(arguments):
    """The views as lists of str: the texts alone, or with partners, or with hard negatives too."""
    from scratch_embed.text.columns import read_columns
    from scratch_embed.text.corpus import read_lines
    if arguments.pairs:
        views = read_columns(arguments.pairs, 2, 3, arguments.errors)
    else:
        views = [[line for line in read_lines(arguments.corpus, arguments.errors) if line.strip()]]
    if len(views[0]) < 2:
        raise ValueError(f"{arguments.corpus or arguments.pairs}: expected at least 2 texts, to be "
                         f"told from each other, found {len(views[0])}")
    what = ["texts", "texts and partners", "texts, partners and hard negatives"][len(views) - 1]
    say(f"{len(views[0]):,} {what}")
    return views


def chosen_length(arguments, model):
    """How many tokens of a text are read."""
    if arguments.max_length and arguments.max_length > model.max_length:
        raise ValueError(f"--max-length {arguments.max_length}: the model reads at most "
                         f"{model.max_length} tokens")
    return arguments.max_length or model.max_length


def numbered(views, tokenizer, length):
    """Each view packed; say how many texts were cut."""
    import numpy as np
    packed, cut = [tokenizer.encode_batch(view, max_length=length) for view in views], 0
    for view, batch in zip(views, packed):
        full = [view[i] for i in np.flatnonzero(np.diff(batch.offsets) == length)]
        cut += int((np.diff(tokenizer.encode_batch(full).offsets) > length).sum())
    if cut:
        say(f"{cut:,} of {sum(map(len, views)):,} texts have more than --max-length {length} "
            "tokens: what is beyond is not read")
    return packed


def pairs_held_out(arguments, tokenizer, length):
    """A HeldOut, or None."""
    from scratch_embed.sentences.simcse import HeldOut
    from scratch_embed.text.columns import read_columns
    if not arguments.held_out:
        return None
    return HeldOut(*numbered(read_columns(arguments.held_out, errors=arguments.errors), tokenizer,
                             length), arguments.every)


# ---- numbers to files ---------------------------------------------------------------------------

def head_of(p):
    """The head that was trained, as the Dense of a folder."""
    from scratch_embed.nn.params import Params
    from scratch_embed.sentences.recipe import Dense
    ours = {f"linear.{kind}": p[f"head.{kind}"] for kind in ("weight", "bias")}
    head = Params({name: view.shape for name, view in ours.items()})
    for name, view in ours.items():
        head[name][...] = view
    return (Dense(head),)
