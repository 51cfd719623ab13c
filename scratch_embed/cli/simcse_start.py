"""What `train simcse` starts from: the recipe of --model, its default prompt, its head."""
from typing import Any, NamedTuple

from scratch_embed.cli import recipes
from scratch_embed.cli.training import say


class Start(NamedTuple):
    """A model before training, and what its texts and vectors are made with."""

    encoder: Any                   # SentenceEncoder: model, tokenizer and recipe
    model: Any                     # its model, with the recipe's Dense as SimCSE's head, if any
    pool: Any                      # the pooling, without the prompt's tokens if the recipe says so
    pool_of_all: Any               # the pooling of all tokens, for texts without a prompt
    prompt: str                    # put before each text: the recipe's default prompt
    keep_head: bool                # whether the head is part of the encoder


def read_start(arguments):
    """The Start of --model, with --pooling, --max-length, --keep-head and --no-head applied.

    Raises ValueError for a --max-length that the model does not accept, and for a Dense that is not
    SimCSE's head.
    """
    from scratch_embed.sentences.encoder import SentenceEncoder
    tokenizer, model, recipe = recipes.read_start(arguments, pooling="cls")
    model, recipe = with_head(arguments, model, recipe)
    encoder = SentenceEncoder(tokenizer, model.without_heads(), recipe)
    prompt = recipe.prompts.get(recipe.default_prompt_name, "")
    if prompt:
        say(f"the default prompt {prompt!r} is put before each text")
    skip = 0 if recipe.include_prompt else encoder.prompt_tokens(prompt)
    return Start(encoder, model, trained_pooling(recipe.poolings, skip),
                 trained_pooling(recipe.poolings, 0), prompt,
                 arguments.keep_head or bool(recipe.dense))


def with_head(arguments, model, recipe):
    """(the model with the recipe's Dense as SimCSE's head, the recipe).

    With --no-head the Dense is left out, and this is printed.
    """
    from scratch_embed.nn.activations import tanh
    from scratch_embed.nn.params import Params, join
    from scratch_embed.sentences.simcse import HEAD
    if not recipe.dense:
        return model, recipe
    if arguments.no_head:
        say(f"--no-head leaves out the Dense of {arguments.model}")
        return model, recipe._replace(dense=())
    (p, activation), *others = recipe.dense
    width = model.dim * len(recipe.poolings)
    if others or p["linear.weight"].shape != (width, width) or activation is not tanh:
        raise ValueError(f"{arguments.model}: expected no Dense, or one of {width} x {width} with "
                         "tanh, which SimCSE trains as its head; leave it out with --no-head")
    head = Params({HEAD: (width, width), "head.bias": (width,)}, model.p.flat.dtype)
    for name, view in p.items():                         # linear.weight, and linear.bias if any
        head[name.replace("linear", "head")][...] = view
    return model.with_params(join(model.without_heads().p, head)), recipe


def trained_pooling(poolings, skip):
    """The pooling (x, offsets) of a recipe, which leaves out the first `skip` tokens."""
    from scratch_embed.numerics.settings import saved_as
    from scratch_embed.transformer.pooling import concat_poolings
    pool = poolings[0] if len(poolings) == 1 else concat_poolings(*poolings)
    if not skip:
        return pool
    return saved_as(f"{pool.saved_as} without {skip} tokens")(
        lambda x, offsets: pool(x, offsets, skip))


def tokenize(views, start):
    """A Packed for each list of texts.  Prints how many texts were truncated."""
    encoder = start.encoder
    packed = [encoder.tokenize([start.prompt + text for text in view]) for view in views]
    recipes.report_truncated(encoder, sum(map(len, views)))
    return packed
