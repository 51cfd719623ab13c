"""train gpt2: train a GPT-2 and its tokenizer on a text; transformers can load the result."""
import os

from scratch_embed.cli.messages import say
from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    lines_of,
    mean_loss,
    report_size,
    require_other_folder,
    require_savable,
    steps_of,
)
from scratch_embed.cli.new_model import (
    SIZES,
    VOCAB_SIZE,
    add_size_options,
    add_vocabulary_options,
    check_heads,
    check_sizes,
    config_of,
    count_parameters,
    known_sizes,
    model_to_continue,
)
from scratch_embed.cli.parsing import add_command
from scratch_embed.cli.texts import NO_WORDS
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options
from scratch_embed.cli.verdicts import KNOWN_BY_HEART, add_held_out_option
from scratch_embed.numerics.wording import counted

END = "<|endoftext|>"              # GPT-2's only special token: before a text and after it
SHOWN = 30                         # tokens of the text that the model writes


def add_training(methods):
    """Add `train gpt2`."""
    command = add_command(
        methods, "gpt2", "train a GPT-2 and its vocabulary (Radford et al. 2019)",
        "scratch-embed train gpt2 corpus.txt.gz -o gpt2 --vocab-size 8000 --epochs 3",
        run=run_gpt2, check=check_usage,
        details="It learns a byte-level BPE vocabulary from the text, then predicts each next "
                "token.")
    option = command.add_argument
    option("corpus", metavar="TEXT",
           help='text, plain or gzip, one text per line; "-" is stdin')
    add_output_options(command, "the folder to write, created if it is missing, with config.json, "
                                "model.safetensors and the tokenizer's files; transformers loads "
                                "it as GPT2LMHeadModel")
    add_vocabulary_options(command, "tokenizer", cased=False)
    option("--model", metavar="MODEL",
           help="a folder with a GPT-2, of `train gpt2` or transformers: continue with its weights "
                "and tokenizer instead of new ones; leave out the options for sizes and the "
                "tokenizer then (default: new weights)")
    add_size_options(command, "tokens of the longest sequence that the model accepts; longer lines "
                              f"are split (default: {SIZES['max_length']})")
    add_held_out_option(command)
    add_step_options(command, steps=1000, batch=32, lr=1e-3)


def run_gpt2(arguments):
    """Read the text, learn the vocabulary, train, save, measure; messages go to stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.transformer.causal_lm import train
    from scratch_embed.transformer.gpt2 import Config, Gpt2
    require_other_folder(arguments.output, arguments.model, sentences=False)
    optim = Optim(arguments.lr, arguments.warmup_ratio)
    settings = dict(batch_size=arguments.batch_size, dropout=arguments.dropout)
    checkpoint = open_checkpoint(arguments, arguments.corpus, **settings, **optim._asdict(),
                                 workers=arguments.workers, **known_sizes(arguments, Gpt2, Config))
    lines = lines_of(arguments.corpus, arguments.errors)
    tokenizer, start = start_model(arguments, lines)
    corpus = sequences(arguments, arguments.corpus, lines, tokenizer, "tokenising")
    held_out = None
    if arguments.held_out:
        held_out = sequences(arguments, arguments.held_out,
                             lines_of(arguments.held_out, arguments.errors), tokenizer)
    steps = steps_of(arguments, len(corpus.offsets) - 1)
    trained = train(corpus, start, steps, **settings, optim=optim,
                    options=run_options(arguments, checkpoint))
    write(arguments, trained.model, tokenizer)
    say(f"{mean_loss(trained.losses)}; wrote {arguments.output}, {trained.model.p.flat.size:,} "
        "parameters")
    report_gpt2(arguments, trained.model, start, corpus, steps, held_out)
    show_text(trained.model, tokenizer)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other; fill in the sizes of a new model."""
    check_resume(arguments)
    check_sizes(arguments)
    check_heads(arguments)
    if arguments.max_length and arguments.max_length < 3:
        arguments.usage_error(f"--max-length: expected 3 or more, for a token between {END} and "
                              f"{END}, got {arguments.max_length}")


def start_model(arguments, lines):
    """(tokenizer, Gpt2 before training): of --model, or new ones, of this text."""
    from scratch_embed.nn.params import init_params
    from scratch_embed.text.tokenizer_files import load
    from scratch_embed.transformer.gpt2 import Config, Gpt2, tensors
    if arguments.model:
        model, tokenizer = model_to_continue(arguments, Gpt2, "a GPT-2")
        report_size(count_parameters(model.config, Gpt2), arguments.workers, heads="")
        return tokenizer, model
    tokenizer = load(arguments.tokenizer) if arguments.tokenizer else learnt(arguments, lines)
    tokenizer = with_beginning(tokenizer)
    require_savable(tokenizer)
    config = config_of(arguments, len(tokenizer), Config)
    report_size(count_parameters(config, Gpt2), arguments.workers, heads="")
    return tokenizer, Gpt2(config, init_params(tensors(config), arguments.seed))


# ---- text to numbers ----------------------------------------------------------------------------

def learnt(arguments, lines):
    """A BPE whose vocabulary is learnt from the text."""
    from tqdm import tqdm

    from scratch_embed.numerics.errors import FormatError
    from scratch_embed.text.bpe_training import train_bpe
    try:
        bar = tqdm(lines(), unit="line", desc="learning the vocabulary", disable=None)
        tokenizer = train_bpe(bar, arguments.vocab_size or VOCAB_SIZE)
    except FormatError:
        raise
    except ValueError as error:
        raise ValueError(f"{arguments.corpus}: {error}") from None
    say(f"learnt a vocabulary of {counted(len(tokenizer), 'token')}")
    return tokenizer


def has_end(tokenizer):
    """Whether END is one of the tokens."""
    return END in {token.content for token in tokenizer.added} or END in tokenizer.index


def with_beginning(tokenizer):
    """The tokenizer with END before a text, if it has END and adds no special tokens.

    In training END is before and after each text, so it is the first token of every sequence; a
    text that is encoded later begins with it, too.
    """
    from scratch_embed.text.tokenizer import Part, Template
    if not has_end(tokenizer) or any(part.text is None for part in tokenizer.template.single):
        return tokenizer
    begin = (Part(None, (tokenizer.token_to_id(END),), 0), Part(0, (), 0))
    roles = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END)
    return tokenizer.with_tokens(
        tokenizer.added, Template(begin, (*begin, Part(1, (), 0))), tokenizer.truncation_side,
        {**roles, **tokenizer.roles}, has_types=False)


def sequence_template(tokenizer):
    """The template of a training sequence: the tokenizer's, with END where it has no special token.

    A tokenizer without END, whose template has no special tokens, gets none.
    """
    from scratch_embed.text.tokenizer import Part, Template
    parts = tokenizer.template.single
    if has_end(tokenizer):
        end = (Part(None, (tokenizer.token_to_id(END),), 0),)
        parts = (*end * (parts[0].text is not None), *parts, *end * (parts[-1].text is not None))
    return Template(parts, tokenizer.template.pair)


def sequences(arguments, path, lines, tokenizer, label=None):
    """Packed sequences of the lines of a text.  label: of a bar; then prints their number, too."""
    from tqdm import tqdm

    from scratch_embed.text.sequences import encode_lines, line_sequences
    text = encode_lines(tqdm(lines(), unit="line", desc=label, disable=None if label else True),
                        tokenizer.token_ids)
    if not len(text.ids):
        raise ValueError(f"{path}: {NO_WORDS}")
    corpus = line_sequences(text, sequence_template(tokenizer), arguments.max_length)
    if label:
        say(f"{counted(len(text.ids), 'token')} in {counted(len(text.starts_document), 'line')}: "
            f"{counted(len(corpus.offsets) - 1, 'sequence')}")
    return corpus


# ---- the verdict --------------------------------------------------------------------------------

def report_gpt2(arguments, model, start, corpus, steps, held_out):
    """Report on next tokens: of --held-out, of sequences that no step used, or of any."""
    import numpy as np

    from scratch_embed.text.packed import take
    from scratch_embed.training.batches import unused
    from scratch_embed.transformer.causal_verdict import FEW, of_causal_lm
    N = len(corpus.offsets) - 1
    left = unused(N, arguments.batch_size, steps, arguments.seed)
    sample, text, source = corpus, corpus, "of the training text"
    if held_out:
        sample, source = held_out, f"of {arguments.held_out}, which is held out"
    elif len(left) >= FEW:
        sample, text = take(corpus, left), take(corpus, np.setdiff1d(np.arange(N), left))
        source = "of sequences that no step has used"
    read = steps * min(arguments.batch_size, N) * len(corpus.ids) / N
    found = of_causal_lm(model, start, sample, text, read, arguments.seed)
    verdict, baseline = found.hardest
    say("perplexity of {} {}: {:.4g}; with bigrams, the token before alone, {:.4g}; with token "
        "frequencies alone {:.4g}; {} {:.4g}".format(
            counted(verdict.examples, "next token"), source, *np.exp(
                [verdict.trained, found.bigrams.baseline, found.unigrams.baseline]),
            "before training" if arguments.model else "untrained", np.exp(verdict.untrained)))
    say(verdict.sentence(baseline, "train for more --steps, or on more text"))
    if verdict.learned and sample is corpus:
        say(KNOWN_BY_HEART)


def show_text(model, tokenizer):
    """Print what the model writes after END: the most probable token, again and again."""
    from scratch_embed.transformer.causal_lm import continue_greedily
    first = [number for part in sequence_template(tokenizer).single[:1] for number in part.ids]
    if first:
        ids = continue_greedily(first, model, SHOWN, end=first[-1])
        say(f"the most probable text, word by word: {' '.join(tokenizer.decode(ids).split())!r}")


# ---- numbers to files ---------------------------------------------------------------------------

def write(arguments, model, tokenizer):
    """Write the folder, and for transformers' generate() the token at which a text ends."""
    from scratch_embed.numerics.folders import replaced_together
    from scratch_embed.numerics.json_files import write_json
    from scratch_embed.text.tokenizer_files import save
    end = sequence_template(tokenizer).single[-1].ids
    with replaced_together(arguments.output, "config.json") as folder:
        model.save(folder)
        save(folder, tokenizer, arguments.max_length)
        if end:
            write_json(os.path.join(folder, "generation_config.json"), {
                "bos_token_id": end[0], "eos_token_id": end[0], "pad_token_id": end[0]})
