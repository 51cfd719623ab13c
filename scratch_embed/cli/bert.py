"""train bert: from a text to a folder with a BERT and its tokenizer, as transformers reads it."""
from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    check_folder,
    check_memory,
    lines_of,
    open_run,
    require_savable,
    steps_of,
)
from scratch_embed.cli.parsing import add_command, below_one, whole
from scratch_embed.cli.training import say

VOCAB_SIZE = 30_000                # BERT's


def add_training(methods):
    """Add `train bert`."""
    command = add_command(
        methods, "bert", "a BERT and its WordPiece vocabulary, by guessing masked tokens (Devlin "
        "et al. 2019)",
        "scratch-embed train bert corpus.txt.gz -o bert --vocab-size 8000 --epochs 3", run=run_bert)
    option = command.add_argument
    option("corpus", help='text, plain or gzip, a sentence a line; "-" is stdin')
    add_output_options(command, "config.json, model.safetensors, vocab.txt and the tokenizer's "
                                "other files, which transformers loads")
    option("--vocab-size", type=whole(1), metavar="N",
           help=f"pieces to learn, at most ({VOCAB_SIZE})")
    option("--cased", action="store_true", help="keep capitals and accents")
    option("--tokenizer", metavar="FOLDER", help="take its WordPiece vocabulary and learn none")
    for name, value, help in (
            ("--dim", 128, "numbers in a token's vector"), ("--layers", 2, "layers"),
            ("--heads", 2, "heads of attention, a divisor of dim"),
            ("--ff", 512, "width of the feed-forward half of a layer"),
            ("--max-length", 128, "tokens of the longest sequence that the model can read; longer "
                                  "lines are cut into several")):
        option(name, type=whole(1), default=value, metavar="N", help=f"{help} ({value})")
    option("--mask-share", type=below_one, default=0.15, metavar="SHARE",
           help="of a sequence's tokens, at least one, to be guessed (%(default)s)")
    option("--next-sentence", action="store_true",
           help="learn from pairs of neighbouring lines, too, and tell them from chance ones; a "
                "blank line ends a document")
    add_step_options(command, steps=1000, batch=32, lr=1e-3)


def run_bert(arguments):
    """Read, learn the pieces, train, save; say what was done on stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.training.session import RunOptions
    from scratch_embed.transformer.bert import Config, head_tensors, tensors
    from scratch_embed.transformer.masked_lm import Masking, train
    check_usage(arguments)
    check_folder(arguments.output, sentences=False)
    checkpoint = open_run(arguments, arguments.corpus)
    lines = lines_of(arguments.corpus, arguments.errors)
    tokenizer = chosen_tokenizer(arguments, lines)
    corpus, follows = sequences(arguments, lines, tokenizer)
    config = Config(len(tokenizer), arguments.dim, arguments.layers, arguments.heads, arguments.ff,
                    arguments.max_length)
    check_memory(tensors(config) | head_tensors(config), arguments.workers)
    masking = Masking(tokenizer.token_to_id("[MASK]"), never_masked(tokenizer),
                      arguments.mask_share)
    trained = train(corpus, config, masking, follows, steps_of(arguments, len(corpus.offsets) - 1),
                    arguments.batch, Optim(arguments.lr, arguments.warm_up), arguments.dropout,
                    RunOptions(arguments.workers, arguments.seed, checkpoint, progress=True))
    write(arguments, trained.model, tokenizer)
    last = trained.losses[-100:]
    say(f"loss {sum(last) / len(last):.4f}, the mean of the last {len(last)} steps; wrote "
        f"{arguments.output}")


def check_usage(arguments):
    """Ends with 2 where the options do not fit."""
    if arguments.dim % arguments.heads:
        arguments.usage_error(f"--heads {arguments.heads}: expected a divisor of --dim "
                              f"{arguments.dim}, for the heads share it evenly")
    if arguments.tokenizer and (arguments.vocab_size or arguments.cased):
        arguments.usage_error("--tokenizer is in place of --vocab-size and --cased")
    least = 5 if arguments.next_sentence else 3
    if arguments.max_length < least:
        arguments.usage_error(f"--max-length {arguments.max_length}: expected {least} or more, for "
                              "[CLS], [SEP] and a token")


# ---- text to numbers ----------------------------------------------------------------------------

def chosen_tokenizer(arguments, lines):
    """The tokenizer of --tokenizer, or one that is learnt; checked to be one that can be saved."""
    from scratch_embed.text.wordpiece_files import load
    tokenizer = load(arguments.tokenizer) if arguments.tokenizer else learnt(arguments, lines)
    if tokenizer.index.get("[MASK]") is None and not any(
            token.content == "[MASK]" for token in tokenizer.added):
        raise ValueError(f"{arguments.tokenizer}: its vocabulary has no [MASK], which stands for "
                         "the tokens to be guessed")
    require_savable(tokenizer)
    return tokenizer


def learnt(arguments, lines):
    """A WordPiece of the text's own pieces."""
    from tqdm import tqdm

    from scratch_embed.numerics.errors import FormatError
    from scratch_embed.text.basic_tokenizer import CASED, UNCASED
    from scratch_embed.text.wordpiece import WordPiece
    from scratch_embed.text.wordpiece_training import learn_pieces
    normalizer = CASED if arguments.cased else UNCASED
    try:
        pieces = learn_pieces(tqdm(lines(), unit="line", desc="learning pieces", disable=None),
                              arguments.vocab_size or VOCAB_SIZE, normalizer)
    except FormatError:
        raise
    except ValueError as error:
        raise ValueError(f"{arguments.corpus}: {error}") from None
    say(f"learnt {len(pieces):,} pieces")
    return WordPiece(pieces, normalizer)


def sequences(arguments, lines, tokenizer):
    """(Packed, follows or None); say what is in the text."""
    from tqdm import tqdm

    from scratch_embed.text.sequences import encode_lines, line_sequences, next_sentence_pairs
    text = encode_lines(tqdm(lines(), unit="line", desc="numbering", disable=None),
                        tokenizer.token_ids)
    if not len(text.ids):
        raise ValueError(f"{arguments.corpus}: expected a sentence a line, found no word")
    if arguments.next_sentence:
        corpus, follows = next_sentence_pairs(text, tokenizer.template, arguments.max_length,
                                              arguments.seed)
        what = f"{int((follows == 0).sum()):,} true and {int(follows.sum()):,} false pairs"
    else:
        corpus, follows = line_sequences(text, tokenizer.template, arguments.max_length), None
        what = f"{len(corpus.offsets) - 1:,} sequences"
    unknown = (text.ids == tokenizer.index[tokenizer.unk]).mean()
    if unknown == 1:
        raise ValueError(f"{arguments.corpus}: no token of it is known to the tokenizer of "
                         f"{arguments.tokenizer}: are they of one language?")
    say(f"{len(text.ids):,} tokens in {len(text.starts_document):,} lines, {100 * unknown:.2g}% of "
        f"them unknown: {what}")
    return corpus, follows


def never_masked(tokenizer):
    """The ids that stand for no word of a text: special tokens, and the template's."""
    return tuple(sorted({token.id for token in tokenizer.added if token.special}
                        | {number for part in tokenizer.template.pair for number in part.ids}))


# ---- numbers to files ---------------------------------------------------------------------------

def write(arguments, model, tokenizer):
    """The folder; without --next-sentence the heads that learnt nothing are left out."""
    from scratch_embed.numerics.folders import replaced_together
    from scratch_embed.text.wordpiece_files import save
    if not arguments.next_sentence:
        model = model.with_params(model.p.only(
            name for name in model.p if not name.startswith(("pooler.", "next_sentence."))))
    with replaced_together(arguments.output, "config.json") as room:
        model.save(room)
        save(room, tokenizer, arguments.max_length)
