"""train bert: train a BERT and its tokenizer on a text; transformers can load the result."""
from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    lines_of,
    mean_loss,
    report_size,
    require_other_folder,
    require_savable,
    saved_size,
    steps_of,
)
from scratch_embed.cli.new_model import (
    SIZES,
    add_size_options,
    add_vocabulary_options,
    check_heads,
    check_sizes,
    config_of,
    count_parameters,
    known_sizes,
    model_to_continue,
    new_tokenizer,
)
from scratch_embed.cli.parsing import add_command, below_one, refuse_old_names
from scratch_embed.cli.texts import NO_WORDS
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options, say
from scratch_embed.cli.verdicts import add_held_out_option, report
from scratch_embed.numerics.wording import counted


def add_training(methods):
    """Add `train bert`."""
    command = add_command(
        methods, "bert", "train a BERT and its vocabulary (Devlin et al. 2019)",
        "scratch-embed train bert corpus.txt.gz -o bert --vocab-size 8000 --epochs 3", run=run_bert,
        check=check_usage,
        details="It learns a WordPiece vocabulary from the text, then predicts masked tokens.")
    option = command.add_argument
    option("corpus", metavar="TEXT",
           help='text, plain or gzip, one sentence per line; "-" is stdin')
    add_output_options(command, "the folder to write, created if it is missing, with config.json, "
                                "model.safetensors, vocab.txt and the tokenizer's other files; "
                                "transformers loads it")
    add_vocabulary_options(command)
    option("--model", metavar="MODEL",
           help="a folder with a BERT, of `train bert` or transformers: continue with its weights "
                "and tokenizer instead of new ones; leave out the options for sizes and the "
                "tokenizer then (default: new weights)")
    add_size_options(command, "tokens of the longest sequence that the model accepts; longer lines "
                              f"are split (default: {SIZES['max_length']})")
    option("--mlm-probability", type=below_one, default=0.15, metavar="SHARE",
           help="share of a sequence's tokens to mask; at least one token is masked "
                "(default: %(default)s)")
    refuse_old_names(command, "--mask-share")
    option("--next-sentence", action="store_true",
           help="also learn next-sentence prediction: whether the second of two lines followed the "
                "first; a blank line ends a document")
    add_held_out_option(command)
    add_step_options(command, steps=1000, batch=32, lr=1e-3)


def run_bert(arguments):
    """Read the text, learn the vocabulary, train, save, measure; messages go to stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.transformer.bert import Bert, Config
    from scratch_embed.transformer.masked_lm import Masking, train
    require_other_folder(arguments.output, arguments.model, sentences=False)
    optim = Optim(arguments.lr, arguments.warmup_ratio)
    settings = dict(batch_size=arguments.batch_size, dropout=arguments.dropout)
    checkpoint = open_checkpoint(arguments, arguments.corpus, **settings, **optim._asdict(),
                                 workers=arguments.workers, **known_sizes(arguments, Bert, Config))
    lines = lines_of(arguments.corpus, arguments.errors)
    tokenizer, start = start_model(arguments, lines)
    corpus, follows = sequences(arguments, lines, tokenizer)
    held_out = held_out_sequences(arguments, tokenizer)
    steps = steps_of(arguments, len(corpus.offsets) - 1)
    masking = Masking(tokenizer.token_to_id("[MASK]"), never_masked(tokenizer),
                      arguments.mlm_probability)
    trained = train(corpus, start.config, masking, follows, steps, **settings, optim=optim,
                    options=run_options(arguments, checkpoint), p=start.p)
    sizes = saved_size(write(arguments, trained.model, tokenizer), trained.model.p.flat.size)
    say(f"{mean_loss(trained.losses)}; wrote {arguments.output}, {sizes}")
    report_bert(arguments, trained.model, start, corpus, masking, steps, held_out)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other; fill in the sizes of a new model."""
    check_resume(arguments)
    check_sizes(arguments)
    check_heads(arguments)
    least = 5 if arguments.next_sentence else 3
    if arguments.max_length and arguments.max_length < least:
        arguments.usage_error(f"--max-length: expected {least} or more, for [CLS], [SEP] and a "
                              f"token, got {arguments.max_length}")


def start_model(arguments, lines):
    """(tokenizer, Bert before training): of --model, or new ones, of this text."""
    from scratch_embed.nn.params import init_params, join
    from scratch_embed.transformer.bert import Bert, Config, head_tensors, tensors
    if arguments.model:
        model, tokenizer = model_to_continue(arguments, Bert, "a BERT")
        require_mask(tokenizer, arguments.model)
        heads = head_tensors(model.config)
        missing = {name: heads[name] for name in heads if name not in model.p}
        if missing:
            names = sorted({name.split(".")[0] for name in missing})
            say(f"{arguments.model} has no {' and no '.join(names)} head: new weights are drawn")
        report_size(count_parameters(model.config, Bert), arguments.workers)
        return tokenizer, model.with_params(join(model.p, init_params(missing, arguments.seed)))
    tokenizer = new_tokenizer(arguments, lines, arguments.corpus)
    require_mask(tokenizer, arguments.tokenizer)
    config = config_of(arguments, len(tokenizer), Config)
    report_size(count_parameters(config, Bert), arguments.workers)
    return tokenizer, Bert(config, init_params(tensors(config) | head_tensors(config),
                                               arguments.seed))


# ---- text to numbers ----------------------------------------------------------------------------

def require_mask(tokenizer, folder):
    """Raise ValueError if the tokenizer of a folder has no [MASK], or cannot be saved."""
    if tokenizer.index.get("[MASK]") is None and not any(
            token.content == "[MASK]" for token in tokenizer.added):
        raise ValueError(f"{folder}: its vocabulary has no [MASK], the token that replaces masked "
                         "tokens")
    require_savable(tokenizer)


def sequences(arguments, lines, tokenizer):
    """(Packed sequences, next-sentence labels or None).  Prints how many tokens and sequences."""
    from tqdm import tqdm

    from scratch_embed.text.sequences import encode_lines, line_sequences, next_sentence_pairs
    text = encode_lines(tqdm(lines(), unit="line", desc="tokenising", disable=None),
                        tokenizer.token_ids)
    if not len(text.ids):
        raise ValueError(f"{arguments.corpus}: {NO_WORDS}")
    if arguments.next_sentence:
        corpus, follows = next_sentence_pairs(text, tokenizer.template, arguments.max_length,
                                              arguments.seed)
        what = (f"{counted(int((follows == 0).sum()), 'pair')} of consecutive lines, "
                f"{int(follows.sum()):,} of random lines")
    else:
        corpus, follows = line_sequences(text, tokenizer.template, arguments.max_length), None
        what = counted(len(corpus.offsets) - 1, "sequence")
    unknown = (text.ids == tokenizer.index[tokenizer.unk]).mean()
    if unknown == 1:
        raise ValueError(f"{arguments.corpus}: all of its tokens are unknown to the tokenizer of "
                         f"{arguments.tokenizer}; use a tokenizer of the text's language")
    say(f"{counted(len(text.ids), 'token')} in {counted(len(text.starts_document), 'line')}, "
        f"{100 * unknown:.2g}% of them unknown: {what}")
    return corpus, follows


def held_out_sequences(arguments, tokenizer):
    """The sequences of --held-out, or None."""
    from scratch_embed.text.sequences import encode_lines, line_sequences
    if not arguments.held_out:
        return None
    text = encode_lines(lines_of(arguments.held_out, arguments.errors)(), tokenizer.token_ids)
    if not len(text.ids):
        raise ValueError(f"{arguments.held_out}: {NO_WORDS}")
    return line_sequences(text, tokenizer.template, arguments.max_length)


def never_masked(tokenizer):
    """The token ids that are never masked: special tokens, among them [CLS] and [SEP]."""
    return tuple(sorted({token.id for token in tokenizer.added if token.special}
                        | {id for part in tokenizer.template.pair for id in part.ids}))


# ---- the verdict --------------------------------------------------------------------------------

def report_bert(arguments, model, start, corpus, masking, steps, held_out):
    """Report on masked tokens: of --held-out, of sequences that no step used, or of any."""
    import numpy as np

    from scratch_embed.text.packed import take
    from scratch_embed.training.batches import unused
    from scratch_embed.transformer.verdict import FEW, of_masked_lm
    N = len(corpus.offsets) - 1
    counts = np.bincount(corpus.ids, minlength=model.config.vocab).astype(float)
    counts[list(masking.special)] = 0
    left = unused(N, arguments.batch_size, steps, arguments.seed)
    sample, source = corpus, "of the training text, masked anew"
    if held_out:
        sample = held_out
    elif len(left) >= FEW:
        sample, source = take(corpus, left), "of sequences that no step has used"
    read = steps * min(arguments.batch_size, N) * len(corpus.ids) / N
    report(of_masked_lm(model, start, sample, counts, masking, read, arguments.seed),
           ("masked token", source), arguments.held_out, "token frequencies",
           "train for more --steps, or on more text", seen=sample is corpus,
           start="before training" if arguments.model else "untrained")


# ---- numbers to files ---------------------------------------------------------------------------

def write(arguments, model, tokenizer):
    """Write the folder.  Without --next-sentence omit the untrained pooler and NSP head.

    -> the number of parameters that were written
    """
    from scratch_embed.numerics.folders import replaced_together
    from scratch_embed.text.tokenizer_files import save
    if not arguments.next_sentence:
        model = model.with_params(model.p.only(
            name for name in model.p if not name.startswith(("pooler.", "next_sentence."))))
    with replaced_together(arguments.output, "config.json") as folder:
        model.save(folder)
        save(folder, tokenizer, arguments.max_length)
    return model.p.flat.size
