"""What `train simcse` takes over from the folder that it starts from: its recipe.

A sentence encoder is trained with the pooling, the length, the default prompt and the lower-casing
that it is used with, and its Normalize, prompts and similarity function are kept.  An option that
replaces one of these is said.
"""
from typing import Any, NamedTuple

from scratch_embed.cli.models import require_model
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
    from scratch_embed.sentences.folder import has_modules
    from scratch_embed.transformer import pooling
    folder = arguments.model
    require_model(folder)
    encoder = SentenceEncoder.load(folder)
    model, recipe = encoder.model, encoder.recipe
    if not has_modules(folder):                            # a BERT has no pooling of its own
        recipe = recipe._replace(poolings=(getattr(pooling, arguments.pooling or "cls"),))
    say(f"{folder}: {described(recipe)}")
    recipe = with_options(arguments, recipe, model)
    model, recipe = with_head(arguments, model, recipe)
    encoder = SentenceEncoder(encoder.tokenizer, model.without_heads(), recipe)
    prompt = recipe.prompts.get(recipe.default_prompt_name, "")
    if prompt:
        say(f"the default prompt {prompt!r} is put before each text")
    skip = 0 if recipe.include_prompt else encoder.prompt_tokens(prompt)
    return Start(encoder, model, trained_pooling(recipe.poolings, skip),
                 trained_pooling(recipe.poolings, 0), prompt,
                 arguments.keep_head or bool(recipe.dense))


def described(recipe):
    """The parts of a recipe that training uses, as text."""
    names = " and ".join(pool.__name__.strip("_") for pool in recipe.poolings)
    return (f"pooling {names}{', Dense' * len(recipe.dense)}{', normalized' * recipe.normalize}, "
            f"at most {recipe.max_seq_length} tokens")


def with_options(arguments, recipe, model):
    """The recipe with --pooling and --max-length; prints what they replace."""
    from scratch_embed.transformer import pooling
    if arguments.pooling and recipe.poolings != (getattr(pooling, arguments.pooling),):
        say(f"--pooling {arguments.pooling} replaces the pooling of {arguments.model}")
        recipe = recipe._replace(poolings=(getattr(pooling, arguments.pooling),))
    length = arguments.max_length
    if length and length > model.max_length:
        raise ValueError(f"--max-length: the model accepts at most {model.max_length} tokens, got "
                         f"{length}")
    if length and length != recipe.max_seq_length:
        say(f"--max-length {length} replaces the {recipe.max_seq_length} of {arguments.model}")
        recipe = recipe._replace(max_seq_length=length)
    return recipe


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
    if encoder.truncated:
        say(f"{encoder.truncated:,} of {sum(map(len, views)):,} texts have more than --max-length "
            f"{encoder.recipe.max_seq_length} tokens and were truncated")
        encoder.truncated = 0
    return packed
