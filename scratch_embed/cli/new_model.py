"""A new transformer and its vocabulary: the options for their sizes, and how they are made."""
from scratch_embed.cli.parsing import whole
from scratch_embed.cli.training import say
from scratch_embed.numerics.wording import counted

SIZES = {"dim": 128, "layers": 2, "heads": 2, "ff": 512, "max_length": 128}
VOCAB_SIZE = 30_000                # BERT's is 30,522


# ---- options ------------------------------------------------------------------------------------

def add_vocabulary_options(command, kind="WordPiece vocabulary", cased=True):
    """Add --vocab-size, --tokenizer-folder and, if `cased`, --cased.

    kind: what --tokenizer-folder reads; cased: whether the tokenizer can drop capitals
    """
    option = command.add_argument
    option("--vocab-size", type=whole(1), metavar="N",
           help=f"largest number of tokens in the vocabulary (default: {VOCAB_SIZE:,})")
    if cased:
        option("--cased", action="store_true", help="keep capitals and accents")
    option("--tokenizer-folder", dest="tokenizer", metavar="FOLDER",
           help=f"use the {kind} of this folder (default: learn one)").read_as = "any"
    command.set_defaults(cased=False)


def add_size_options(command, max_length):
    """Add --dim, --layers, --heads, --ff and --max-length.  max_length: the help of the last."""
    for name, help in (
            ("dim", "dimensions of a token's vector"), ("layers", "layers"),
            ("heads", "attention heads, a divisor of --dim"),
            ("ff", "width of the feed-forward sublayer")):
        command.add_argument(f"--{name}", type=whole(1), metavar="N",
                             help=f"{help} (default: {SIZES[name]})")
    command.add_argument("--max-length", type=whole(1), metavar="N", help=max_length)


def check_sizes(arguments):
    """Exit with code 2 if options contradict each other; fill in the sizes of a new model."""
    new = {"--dim": arguments.dim, "--layers": arguments.layers, "--heads": arguments.heads,
           "--ff": arguments.ff, "--tokenizer-folder": arguments.tokenizer,
           "--vocab-size": arguments.vocab_size, "--cased": arguments.cased}
    if arguments.model and any(new.values()):
        given = next(option for option, value in new.items() if value)
        arguments.usage_error(f"--model has a size and a tokenizer of its own: leave out {given}")
    if not arguments.model:
        for name, value in SIZES.items():
            setattr(arguments, name, getattr(arguments, name) or value)
    if arguments.tokenizer and (arguments.vocab_size or arguments.cased):
        arguments.usage_error("--tokenizer-folder replaces --vocab-size and --cased: leave them "
                              "out")


def check_heads(arguments):
    """Exit with code 2 unless --heads divides --dim, if a new model is made."""
    if not arguments.model and arguments.dim % arguments.heads:
        arguments.usage_error(f"--heads: expected a divisor of --dim {arguments.dim}, because "
                              f"the heads share it evenly, got {arguments.heads}")


# ---- the model ----------------------------------------------------------------------------------

def config_of(arguments, vocab, config):
    """The Config of a new model.  config: the class, of transformer/bert.py or gpt2.py"""
    return config(vocab, arguments.dim, arguments.layers, arguments.heads, arguments.ff,
                  arguments.max_length)


def known_sizes(arguments, family, config):
    """The settings of a run that are known before its text is read, besides the optimiser's.

    family, config: the class of the model and of its Config
    Raises MemoryError for a new model that would not fit, whatever its vocabulary is.
    """
    from scratch_embed.cli.models import require_training_memory
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    if arguments.model:
        return steps
    sizes = config_of(arguments, 1, config)
    require_training_memory(count_parameters(sizes, family), arguments.workers)
    return {**steps, **{name: value for name, value in sizes._asdict().items() if name != "vocab"}}


def model_to_continue(arguments, family, name):
    """(the model of --model, its tokenizer); fills in --max-length.  name: "a BERT", for messages

    Raises ValueError for a model of another family, or a --max-length that it does not accept.
    """
    from scratch_embed.cli.models import read_model
    model, tokenizer = read_model(arguments.model)
    if not isinstance(model, family):
        raise ValueError(f"{arguments.model}: expected {name}, got {model!r}")
    if (arguments.max_length or 0) > model.max_length:
        raise ValueError(f"--max-length: the model accepts at most {model.max_length} tokens, "
                         f"got {arguments.max_length}")
    arguments.max_length = arguments.max_length or min(SIZES["max_length"], model.max_length)
    return model, tokenizer


def count_parameters(config, family):
    """The number of parameters of a model with its heads, without listing the tensors of layers.

    family: a subclass of Transformer, such as Bert
    """
    import math

    def size(tensors):
        return sum(math.prod(tensor.shape) for tensor in tensors.values())
    tensors, head_tensors = family.architecture.tensors, family.architecture.head_tensors
    one, two = (size(tensors(config._replace(layers=n))) for n in (1, 2))
    return one + (config.layers - 1) * (two - one) + size(head_tensors(config))


# ---- the vocabulary ------------------------------------------------------------------------------

def new_tokenizer(arguments, lines, source):
    """The tokenizer of --tokenizer-folder, or one whose vocabulary is learnt from a text.

    lines: a function that returns an iterator over its lines; source: its name, for messages
    """
    from scratch_embed.text.tokenizer_files import load
    return load(arguments.tokenizer) if arguments.tokenizer else learnt(arguments, lines, source)


def learnt(arguments, lines, source):
    """A WordPiece whose vocabulary is learnt from the text."""
    from tqdm import tqdm

    from scratch_embed.numerics.errors import FormatError
    from scratch_embed.text.basic_tokenizer import CASED, UNCASED
    from scratch_embed.text.wordpiece import WordPiece
    from scratch_embed.text.wordpiece_training import learn_pieces
    normalizer = CASED if arguments.cased else UNCASED
    try:
        bar = tqdm(lines(), unit="line", desc="learning the vocabulary", disable=None)
        pieces = learn_pieces(bar, arguments.vocab_size or VOCAB_SIZE, normalizer)
    except FormatError:
        raise
    except ValueError as error:
        problem = str(error).removeprefix("sentences: ")
        raise ValueError(f"{source}: {problem}") from None
    say(f"learnt a vocabulary of {counted(len(pieces), 'token')}")
    return WordPiece(pieces, normalizer)
