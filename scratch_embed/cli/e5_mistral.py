"""train e5-mistral: fine-tune a decoder as a sentence encoder, with instructions and LoRA."""
import math
import os

from scratch_embed.cli.models import (
    add_output_options,
    add_step_options,
    in_words_of_chance,
    mean_loss,
    require_other_folder,
    require_savable,
    require_training_memory,
    steps_of,
)
from scratch_embed.cli.new_model import (
    SIZES,
    add_size_options,
    add_vocabulary_options,
    check_heads,
    check_sizes,
    new_tokenizer,
)
from scratch_embed.cli.parsing import add_command, positive, whole
from scratch_embed.cli.recipes import read_start, report_truncated
from scratch_embed.cli.sbert_data import kind_of_data, read_examples, read_held_out
from scratch_embed.cli.training import check_resume, open_checkpoint, run_options, say
from scratch_embed.cli.verdicts import KNOWN_BY_HEART, add_held_out_option, report_search

REQUIRED = "--pairs or --triplets is required (default: none)"
TASK = "Given a web search query, retrieve relevant passages that answer the query"     # E5's
# options of `train sbert` that this command lacks; the functions that both use read them
UNUSED = dict(loss="infonce", matryoshka=None, pooling=None, prompts=None, scored=None,
              word_vectors=None)
PAIRED = {"pairs": (), "triplets": ()}             # kinds of training data, with the same loss
RANK = 16                          # of LoRA
PRETRAINING = dict(steps=500, batch_size=32, lr=3e-3)


def add_training(methods):
    """Add `train e5-mistral`."""
    command = add_command(
        methods, "e5-mistral", "fine-tune a decoder with LoRA (E5-Mistral)",
        "scratch-embed train e5-mistral --pairs pairs.tsv -o encoder --model mistral",
        run=run_e5_mistral, check=check_usage,
        details="A text's vector is that of its end token.  An instruction stands before each "
                "query.  --model names a Mistral, a Llama or a GPT-2; without it, a new Mistral is "
                "trained as a language model on the texts first.")
    command.set_defaults(**UNUSED)
    data = command.add_mutually_exclusive_group(required=True)
    data.add_argument("--pairs", metavar="FILE", help=f"lines of query <tab> positive; {REQUIRED}")
    data.add_argument("--triplets", metavar="FILE",
                      help=f"lines of query <tab> positive <tab> hard negative; {REQUIRED}")
    add_output_options(command, "the folder to write, created if it is missing; "
                                "sentence-transformers loads it")
    option = command.add_argument
    option("--model", metavar="MODEL", help="a folder with a decoder to start from (default: a new "
           "model)").read_as = "transformer"
    add_vocabulary_options(command)
    add_size_options(command, "truncate texts to N tokens; a new model accepts no more (default: "
                              f"{SIZES['max_length']} for a new model, else that of --model)")
    option("--task", default=TASK, metavar="STRING", help="the instruction, which is put before "
           "each query; the folder stores it, and `search` uses it (default: %(default)s)")
    option("--rank", type=whole(1), metavar="N",
           help=f"rank of the matrices that LoRA adds (default: {RANK})")
    option("--alpha", type=positive, metavar="A", help="what LoRA adds is multiplied by A divided "
           "by --rank (default: twice --rank)")
    option("--targets", type=names, metavar="NAMES", help="the matrices to which LoRA adds, such "
           "as attn.q,attn.v (default: all in the layers)")
    option("--adapter-out", metavar="FOLDER", help="also write what LoRA adds to --model alone, as "
           "a folder that peft reads (default: only the model with the sum)")
    option("--full", action="store_true", help="train all parameters, without LoRA")
    option("--tau", type=positive, default=0.02, metavar="T", help="temperature; the smaller it "
           "is, the more the nearest negatives count (default: %(default)s)")
    option("--pretraining-steps", type=whole(0), metavar="N", help="steps in which a new model "
           "learns to predict the next token of the training texts (default: "
           f"{PRETRAINING['steps']})")
    add_held_out_option(command, "examples in the form of the training data")
    add_step_options(command, steps=500, batch=64, lr=1e-3, kind="example")
    command.set_defaults(dropout=0.0)


def check_usage(arguments):
    """Exit with code 2 if options contradict each other; fill in defaults."""
    check_resume(arguments)
    check_sizes(arguments)
    check_heads(arguments)
    if not arguments.model and arguments.dim // arguments.heads % 2:
        arguments.usage_error("--heads: expected --dim / --heads to be even, because rotary "
                              "positions turn pairs of numbers, got "
                              f"{arguments.dim} / {arguments.heads}")
    if arguments.model and arguments.pretraining_steps is not None:
        arguments.usage_error("--pretraining-steps belongs to a new model: leave it out")
    for name in ("alpha", "rank", "targets", "adapter_out"):
        if arguments.full and getattr(arguments, name):
            name = name.replace("_", "-")
            arguments.usage_error(f"--{name} belongs to LoRA, and --full trains without it: leave "
                                  "it out")
    if arguments.adapter_out and not arguments.model:
        arguments.usage_error("--adapter-out: expected --model too, because an adapter belongs to "
                              "the model that it is added to, and a new one is not kept")
    if arguments.batch_size < 2:
        arguments.usage_error("--batch-size: expected 2 or more, because the other texts of a "
                              f"batch are the negatives, got {arguments.batch_size}")
    if arguments.targets and not arguments.model:
        check_new_targets(arguments)


def check_new_targets(arguments):
    """Exit with code 2 for a name in --targets that a new model lacks, before its tokenizer."""
    from scratch_embed.nn.params import Params
    from scratch_embed.transformer.mistral import tensors
    check_targets(arguments, Params(tensors(config_of(arguments, vocab=1))), lora_of(arguments))


def names(text):
    """An argparse type: names, with commas between them."""
    return tuple(text.split(","))


# ---- the run -------------------------------------------------------------------------------------

def run_e5_mistral(arguments):
    """Read, train, save, measure; messages go to stderr."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.sentences.e5_mistral import Stage, train, with_merged
    from scratch_embed.transformer.adapter_folder import save_adapter
    require_other_folder(arguments.output, arguments.model, sentences=True)
    if arguments.adapter_out:
        check_adapter_out(arguments)
    optim, lora = Optim(arguments.lr, arguments.warmup_ratio, weight_decay=0.0), lora_of(arguments)
    steps = {} if arguments.epochs else {"steps": arguments.steps}
    checkpoint = open_checkpoint(
        arguments, kind_of_data(arguments, PAIRED)[1], batch_size=arguments.batch_size,
        dropout=arguments.dropout, workers=arguments.workers, **steps, **optim._asdict())
    examples = read_examples(arguments)
    held_out = read_held_out(arguments, examples)
    start, columns = start_of(arguments, examples.columns, lora), examples.columns
    stage = Stage(steps_of(arguments, len(columns[0]), "example"), arguments.batch_size, optim,
                  arguments.dropout, run_options(arguments, checkpoint))
    trained = train([arguments.task] * len(columns[0]), columns, start, lora, arguments.tau, stage)
    report_truncated(start, len(columns[0]) * len(columns))
    say_trained(trained, lora)
    encoder = with_merged(trained.encoder)
    encoder.save(arguments.output)
    if arguments.adapter_out:
        save_adapter(trained.encoder.model, arguments.adapter_out)
        say(f"wrote {arguments.adapter_out}: what was added to {arguments.model}")
    keys = min(arguments.batch_size, len(columns[0])) * (len(columns) - 1)
    say(f"{mean_loss(trained.losses)}{in_words_of_chance(trained.losses, math.log(keys))}; wrote "
        f"{arguments.output}, {encoder.model.p.flat.size:,} parameters")
    report_found(arguments, encoder, start, (held_out or examples).columns)


def lora_of(arguments):
    """The Lora of --rank, --alpha and --targets; None with --full."""
    from scratch_embed.transformer.lora import ALL, Lora
    rank = arguments.rank or RANK
    return None if arguments.full else Lora(rank, arguments.alpha or 2 * rank,
                                            arguments.targets or ALL)


def check_adapter_out(arguments):
    """Raise ValueError if an adapter in --adapter-out would be added to another model.

    Readers add it to the weights of the folder in which it is.  If --model had an adapter too,
    it would be the start with that one, and peft adds the new one to the weights without.
    """
    from scratch_embed.sentences.folder import encoder_folder
    from scratch_embed.transformer.model_folder import has_adapter
    folder = arguments.adapter_out
    if os.path.realpath(folder) == os.path.realpath(arguments.output):
        raise ValueError(f"--adapter-out {folder}: expected another folder than -o, whose weights "
                         "contain the adapter already")
    if any(os.path.exists(os.path.join(folder, name)) for name in ("config.json", "modules.json")):
        raise ValueError(f"--adapter-out {folder}: expected a folder without a model, because the "
                         "adapter would be added to its weights; name another folder")
    if os.path.isdir(arguments.model) and has_adapter(encoder_folder(arguments.model)):
        raise ValueError(f"{arguments.model}: expected a model without an adapter of its own, "
                         "because --adapter-out writes only what is added here; merge it first "
                         "with peft's merge_and_unload()")


def check_targets(arguments, p, lora):
    """Exit with code 2 for a name in --targets that no layer has.  p: the model's Params"""
    from scratch_embed.transformer.lora import find_targets
    try:
        find_targets(p, lora.targets if lora else ())
    except ValueError as error:
        arguments.usage_error(f"--{error}")


def report_rank(p, lora):
    """Say if the rank of `lora` is more than a matrix W (O, I) can have: min(O, I)."""
    from scratch_embed.transformer.lora import find_targets
    shapes = {name: p[name + ".weight"].shape for name in find_targets(p, lora.targets)}
    name = min(shapes, key=lambda name: min(shapes[name]))
    most = min(shapes[name])
    if lora.rank > most:
        say(f"--rank {lora.rank}: {name} has {shapes[name][0]} x {shapes[name][1]} numbers, so "
            f"what is added to it has rank {most} at most; more only costs time and memory")


def require_decoder(folder, model):
    """Raise ValueError for an encoder, such as a BERT."""
    from scratch_embed.transformer.model import CausalModel
    if not isinstance(model, CausalModel):
        raise ValueError(f"--model {folder}: expected a decoder (a Mistral, a Llama or a GPT-2), "
                         f"got {model!r}, which is an encoder; `train sbert --model` fine-tunes "
                         "such models")


def say_trained(trained, lora):
    """Say how many of the parameters were trained."""
    p = trained.encoder.model.p
    frozen = sum(p[name].size for name in p.frozen if not name.endswith(".lora_scale"))
    say(f"trained {p.flat.size:,} parameters" + (
        f" of LoRA, of rank {lora.rank}, beside {frozen:,} frozen ones, to which they are added"
        if lora else ""))


def start_of(arguments, columns, lora):
    """The SentenceEncoder before training: that of --model, or a new one, with --task as prompt.

    lora: a Lora or None; exits with code 2 if the model lacks one of its targets.
    Raises ValueError for an encoder.
    """
    from scratch_embed.sentences.e5_mistral import with_end_token, with_last_token
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.transformer.pooling import last_token
    if arguments.model:
        tokenizer, model, recipe = read_start(arguments, "lasttoken")
        require_decoder(arguments.model, model)
        if recipe.poolings != (last_token,):
            say(f"{arguments.model}: its pooling is replaced by the vector of the last token")
        if recipe.prompts:
            say(f"{arguments.model}: --task replaces its prompts, {', '.join(recipe.prompts)}")
        model = model.without_heads()
        check_targets(arguments, model.p, lora)
        require_training_memory(model.p.flat.size, arguments.workers)
    else:
        tokenizer, model, recipe = new_start(arguments, columns)
    if lora:
        report_rank(model.p, lora)
    encoder = with_end_token(SentenceEncoder(tokenizer, model, recipe))
    if encoder.tokenizer is not tokenizer:
        say(f"{arguments.model}: its tokenizer now ends a text with "
            f"{encoder.tokenizer.roles['eos_token']}")
    require_savable(encoder.tokenizer)
    say(f"the model has {model.p.flat.size:,} parameters")
    return with_last_token(encoder, {"query": arguments.task})


def config_of(arguments, vocab):
    """The Config of a new model with `vocab` tokens."""
    from scratch_embed.transformer.mistral import Config
    heads = arguments.heads
    return Config(vocab, arguments.dim, arguments.layers, heads, heads, arguments.dim // heads,
                  arguments.ff, arguments.max_length)


def new_start(arguments, columns):
    """(tokenizer, Mistral, Recipe) of a new model, pre-trained on the texts."""
    from scratch_embed.nn.optim import Optim
    from scratch_embed.nn.params import init_params
    from scratch_embed.numerics.interrupt import HeldInterrupt
    from scratch_embed.sentences.e5 import instruct
    from scratch_embed.sentences.recipe import Recipe
    from scratch_embed.training.session import RunOptions
    from scratch_embed.transformer import causal_lm
    from scratch_embed.transformer.mistral import Mistral, head_tensors, tensors
    texts = [instruct(arguments.task), *(text for column in columns for text in column)]
    _, path = kind_of_data(arguments, PAIRED)
    tokenizer = new_tokenizer(arguments, lambda: iter(texts), path)
    config = config_of(arguments, len(tokenizer))
    model = Mistral(config, init_params(tensors(config) | head_tensors(config), arguments.seed))
    require_training_memory(model.p.flat.size, arguments.workers)
    corpus = tokenizer.encode_batch(texts, max_length=arguments.max_length)
    steps = arguments.pretraining_steps
    steps = PRETRAINING["steps"] if steps is None else steps
    if steps:
        try:
            trained = causal_lm.train(
                corpus, model, steps, PRETRAINING["batch_size"],
                Optim(PRETRAINING["lr"], weight_decay=0.0), dropout=0.0,
                options=RunOptions(arguments.workers, arguments.seed, progress=True))
        except HeldInterrupt:                          # --checkpoint does not save this part
            raise KeyboardInterrupt from None
        say(f"pre-trained for {steps} steps: {mean_loss(trained.losses)}")
        model = trained.model
    return tokenizer, model.without_heads(), Recipe(max_seq_length=arguments.max_length)


# ---- the verdict ---------------------------------------------------------------------------------

def report_found(arguments, encoder, start, columns):
    """Report whether training has helped, on --held-out or on the training examples."""
    from scratch_embed.cli.sbert_start import Prompts
    from scratch_embed.sentences import verdict
    first, second, *_ = columns
    where = arguments.held_out or "the training data"
    found = verdict.of_text_pairs(encoder, start, first, second,
                                  Prompts(encoder.recipe.prompts["query"], ""), arguments.seed)
    report_search(found, f"the positives of {where}", verdict.MORE_PAIRS, verdict.MORE_PAIRS)
    if found and found.learned and not arguments.held_out:
        say(KNOWN_BY_HEART)
