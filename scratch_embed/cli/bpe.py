"""train bpe: train a byte-level BPE tokenizer on a text; transformers can load the result."""
import os

from scratch_embed.cli.messages import say
from scratch_embed.cli.parsing import add_command, add_errors, whole
from scratch_embed.cli.texts import NO_WORDS
from scratch_embed.numerics.wording import counted

VOCAB_SIZE = 30_000                # GPT-2's is 50,257


def add_training(methods):
    """Add `train bpe`."""
    command = add_command(
        methods, "bpe", "train a byte-level BPE tokenizer (Sennrich et al. 2016)",
        "scratch-embed train bpe corpus.txt.gz -o tokenizer --vocab-size 8000", run=run_bpe,
        details="GPT-2's kind of tokenizer: it splits words into bytes, then joins the most "
                "frequent pair of tokens again and again.  Its vocabulary begins with "
                "<|endoftext|> and the 256 bytes.")
    command.add_argument("corpus", metavar="TEXT",
                         help='text, plain or gzip, one sentence per line; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FOLDER",
                         help="the folder to write, created if it is missing, with tokenizer.json, "
                              "tokenizer_config.json and special_tokens_map.json; transformers "
                              "loads it")
    command.add_argument("--vocab-size", type=whole(1), metavar="N",
                         help="largest number of tokens in the vocabulary (default: "
                              f"{VOCAB_SIZE:,})")
    command.add_argument("--min-count", type=whole(0), default=2, metavar="N",
                         help="do not join pairs that occur fewer than N times (default: "
                              "%(default)s)")
    add_errors(command)


def run_bpe(arguments):
    """Learn the merges, save the tokenizer, show how it splits a line; messages go to stderr."""
    from tqdm import tqdm

    from scratch_embed.cli.models import check_folder, lines_of
    from scratch_embed.numerics.folders import replaced_together
    from scratch_embed.text.bpe_training import train_bpe
    from scratch_embed.text.tokenizer_files import save
    from scratch_embed.text.tokenizer_settings import CONFIG
    check_folder(arguments.output, sentences=False)
    if os.path.exists(os.path.join(arguments.output, "config.json")):
        raise ValueError(f"cannot write {arguments.output}: it holds a model, and another "
                         "tokenizer would give its tokens other ids; name another folder")
    first = []

    def lines():
        for line in tqdm(lines_of(arguments.corpus, arguments.errors)(), unit="line",
                         desc="counting words", disable=None):
            if not first and line.strip():
                first.append(line)
            yield line
    bpe = train_bpe(lines(), arguments.vocab_size or VOCAB_SIZE, min_frequency=arguments.min_count)
    if not first:
        raise ValueError(f"{arguments.corpus}: {NO_WORDS}")
    with replaced_together(arguments.output, CONFIG) as folder:
        save(folder, bpe)
    pieces = bpe.tokenize(first[0][:60])
    say(f"the first line begins {' '.join(pieces)} (Ġ: a space)")
    size = arguments.vocab_size
    why = "" if size is None or len(bpe) >= size else (
        f", fewer than --vocab-size {size:,}, because no other pair of tokens within a word occurs "
        f"at least {counted(max(arguments.min_count, 1), 'time')} (--min-count)")
    say(f"learnt {counted(len(bpe.merges), 'merge')}; wrote {arguments.output}, "
        f"{counted(len(bpe), 'token')}{why}")
