"""What training takes over from the folder of --model: its recipe, and the options that replace it.

A sentence encoder is trained with the pooling, the length, the prompts and the lower-casing that it
is used with, and its Normalize and similarity function are kept.  If an option replaces one of
these, a message says so.
"""
from scratch_embed.cli.models import require_model
from scratch_embed.cli.training import say


def read_start(arguments, pooling):
    """(tokenizer, model, Recipe) of --model, with --pooling and --max-length applied.

    pooling: the name of the pooling for a folder that has none of its own.  Prints the recipe, and
    what the options replace.  Raises ValueError for a --max-length that the model does not accept.
    """
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.sentences.folder import has_modules
    from scratch_embed.sentences.modules import BY_NAME
    from scratch_embed.transformer.pooling import mean
    folder = arguments.model
    require_model(folder)
    encoder = SentenceEncoder.load(folder)
    recipe = encoder.recipe
    if not has_modules(folder) and recipe.poolings == (mean,):     # a transformer alone
        recipe = recipe._replace(poolings=(BY_NAME[arguments.pooling or pooling],))
    say(f"{folder}: {described(recipe)}")
    return encoder.tokenizer, encoder.model, with_options(arguments, recipe, encoder.model)


def described(recipe):
    """The parts of a recipe that training uses, as text."""
    names = " and ".join(pool.__name__.strip("_") for pool in recipe.poolings)
    return (f"pooling {names}{', Dense' * len(recipe.dense)}{', normalized' * recipe.normalize}, "
            f"at most {recipe.max_seq_length} tokens")


def with_options(arguments, recipe, model):
    """The recipe with --pooling and --max-length; prints what they replace."""
    from scratch_embed.sentences.modules import BY_NAME
    if arguments.pooling and recipe.poolings != (BY_NAME[arguments.pooling],):
        say(f"--pooling {arguments.pooling} replaces the pooling of {arguments.model}")
        recipe = recipe._replace(poolings=(BY_NAME[arguments.pooling],))
    length = arguments.max_length
    if length and length > model.max_length:
        raise ValueError(f"--max-length: the model accepts at most {model.max_length} tokens, got "
                         f"{length}")
    if length and length != recipe.max_seq_length:
        say(f"--max-length {length} replaces the {recipe.max_seq_length} of {arguments.model}")
        recipe = recipe._replace(max_seq_length=length)
    return recipe


def report_truncated(encoder, texts):
    """Print how many of the texts the encoder has truncated since the last call, if any."""
    if encoder.truncated:
        say(f"{encoder.truncated:,} of {texts:,} texts have more than --max-length "
            f"{encoder.recipe.max_seq_length} tokens and were truncated")
        encoder.truncated = 0
