"""train bert: train a BERT and its tokenizer on a text; transformers can load the result."""
from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    check_folder,
    check_memory,
    lines_of,
    require_savable,
    steps_of,
)
from scratch_embed.cli.parsing import add_command, below_one, refuse_old_names, whole
from scratch_embed.cli.training import open_checkpoint, run_options, say

VOCAB_SIZE = 30_000                # BERT's is 30,522


def add_training(methods):
    """Add `train bert`."""
    command = add_command(
        methods, "bert", "train a BERT and its vocabulary (Devlin et al. 2019)",
        "scratch-embed train bert corpus.txt.gz -o bert --vocab-size 8000 --epochs 3", run=run_bert,
        details="It learns a WordPiece vocabulary from the text, then predicts masked tokens.")
    option = command.add_argument
    option("corpus", metavar="TEXT",
           help='text, plain or gzip, one sentence per line; "-" is stdin')
    add_output_options(command, "config.json, model.safetensors, vocab.txt and the tokenizer's "
                                "other files, which transformers loads")
    option("--vocab-size", type=whole(1), metavar="N",
           help=f"largest number of tokens in the vocabulary (default: {VOCAB_SIZE})")
    option("--cased", action="store_true", help="keep capitals and accents")
    option("--tokenizer-folder", dest="tokenizer", metavar="FOLDER",
           help="use the WordPiece vocabulary of this folder (default: learn one)")
    for name, value, help in (
            ("--dim", 128, "dimensions of a token's vector"), ("--layers", 2, "layers"),
            ("--heads", 2, "attention heads, a divisor of --dim"),
            ("--ff", 512, "width of the feed-forward sublayer"),
            ("--max-length", 128, "tokens of the longest sequence that the model accepts; longer "
                                  "lines are split")):
        option(name, type=whole(1), default=value, metavar="N", help=f"{help} (default: {value})")
    option("--mlm-probability", type=below_one, default=0.15, metavar="SHARE",
           help="share of a sequence's tokens to mask; at least one token is masked "
                "(default: %(default)s)")
    refuse_old_names(command, "--mask-share")
    option("--next-sentence", action="store_true",
           help="also learn next-sentence prediction: whether the second of two lines followed the "
                "first; a blank line ends a document")
    add_step_options(command, steps=1000, batch=32, lr=1e-3)


def run_bert(arguments):
    """Read the text, learn the vocabulary, train, save; messages go to stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.transformer.bert import Config, head_tensors, tensors
    from scratch_embed.transformer.masked_lm import Masking, train
    check_usage(arguments)
    check_folder(arguments.output, sentences=False)
    checkpoint = open_checkpoint(arguments, arguments.corpus)
    lines = lines_of(arguments.corpus, arguments.errors)
    tokenizer = chosen_tokenizer(arguments, lines)
    corpus, follows = sequences(arguments, lines, tokenizer)
    config = Config(len(tokenizer), arguments.dim, arguments.layers, arguments.heads, arguments.ff,
                    arguments.max_length)
    check_memory(tensors(config) | head_tensors(config), arguments.workers)
    masking = Masking(tokenizer.token_to_id("[MASK]"), never_masked(tokenizer),
                      arguments.mlm_probability)
    trained = train(corpus, config, masking, follows, steps_of(arguments, len(corpus.offsets) - 1),
                    arguments.batch_size, Optim(arguments.lr, arguments.warmup_ratio),
                    arguments.dropout, run_options(arguments, checkpoint))
    write(arguments, trained.model, tokenizer)
    last = trained.losses[-100:]
    say(f"loss {sum(last) / len(last):.4f}, the mean of the last {len(last)} steps; wrote "
        f"{arguments.output}")


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    if arguments.dim % arguments.heads:
        arguments.usage_error(f"--heads: expected a divisor of --dim {arguments.dim}, because the "
                              f"heads share it evenly, got {arguments.heads}")
    if arguments.tokenizer and (arguments.vocab_size or arguments.cased):
        arguments.usage_error("--tokenizer-folder replaces --vocab-size and --cased: leave them "
                              "out")
    least = 5 if arguments.next_sentence else 3
    if arguments.max_length < least:
        arguments.usage_error(f"--max-length: expected {least} or more, for [CLS], [SEP] and a "
                              f"token, got {arguments.max_length}")


# ---- text to numbers ----------------------------------------------------------------------------

def chosen_tokenizer(arguments, lines):
    """The tokenizer of --tokenizer-folder, or a tokenizer learnt from the text.

    Raises ValueError if the tokenizer has no [MASK] or cannot be saved.
    """
    from scratch_embed.text.wordpiece_files import load
    tokenizer = load(arguments.tokenizer) if arguments.tokenizer else learnt(arguments, lines)
    if tokenizer.index.get("[MASK]") is None and not any(
            token.content == "[MASK]" for token in tokenizer.added):
        raise ValueError(f"{arguments.tokenizer}: its vocabulary has no [MASK], the token that "
                         "replaces masked tokens")
    require_savable(tokenizer)
    return tokenizer


def learnt(arguments, lines):
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
        raise ValueError(f"{arguments.corpus}: {error}") from None
    say(f"learnt a vocabulary of {len(pieces):,} tokens")
    return WordPiece(pieces, normalizer)


def sequences(arguments, lines, tokenizer):
    """(Packed sequences, next-sentence labels or None).  Prints how many tokens and sequences."""
    from tqdm import tqdm

    from scratch_embed.text.sequences import encode_lines, line_sequences, next_sentence_pairs
    text = encode_lines(tqdm(lines(), unit="line", desc="tokenising", disable=None),
                        tokenizer.token_ids)
    if not len(text.ids):
        raise ValueError(f"{arguments.corpus}: expected one sentence per line, found no word")
    if arguments.next_sentence:
        corpus, follows = next_sentence_pairs(text, tokenizer.template, arguments.max_length,
                                              arguments.seed)
        what = (f"{int((follows == 0).sum()):,} pairs of consecutive lines, "
                f"{int(follows.sum()):,} of random lines")
    else:
        corpus, follows = line_sequences(text, tokenizer.template, arguments.max_length), None
        what = f"{len(corpus.offsets) - 1:,} sequences"
    unknown = (text.ids == tokenizer.index[tokenizer.unk]).mean()
    if unknown == 1:
        raise ValueError(f"{arguments.corpus}: all of its tokens are unknown to the tokenizer of "
                         f"{arguments.tokenizer}; use a tokenizer of the text's language")
    say(f"{len(text.ids):,} tokens in {len(text.starts_document):,} lines, {100 * unknown:.2g}% of "
        f"them unknown: {what}")
    return corpus, follows


def never_masked(tokenizer):
    """The token ids that are never masked: special tokens, among them [CLS] and [SEP]."""
    return tuple(sorted({token.id for token in tokenizer.added if token.special}
                        | {id for part in tokenizer.template.pair for id in part.ids}))


# ---- numbers to files ---------------------------------------------------------------------------

def write(arguments, model, tokenizer):
    """Write the folder.  Without --next-sentence omit the untrained pooler and NSP head."""
    from scratch_embed.numerics.folders import replaced_together
    from scratch_embed.text.wordpiece_files import save
    if not arguments.next_sentence:
        model = model.with_params(model.p.only(
            name for name in model.p if not name.startswith(("pooler.", "next_sentence."))))
    with replaced_together(arguments.output, "config.json") as folder:
        model.save(folder)
        save(folder, tokenizer, arguments.max_length)
