"""mine: find hard negatives for pairs of texts, for `train sbert --triplets`."""
import os
from functools import partial

from scratch_embed.cli.loading import MODELS, add_encoder_options, chosen_sif, load_encoder
from scratch_embed.cli.messages import say_of
from scratch_embed.cli.parsing import (
    add_command,
    add_errors,
    below_one,
    non_negative,
    require_writable,
    whole,
)
from scratch_embed.cli.phrases import open_output
from scratch_embed.cli.prompts import add_document_prompt, add_query_prompts, chosen_prompts
from scratch_embed.cli.tokenizing import chosen_tokenizer, say_known
from scratch_embed.cli.training import say
from scratch_embed.numerics.wording import counted

STRATEGIES = "top", "random"


def add_commands(commands):
    """Add `mine`."""
    command = add_command(
        commands, "mine", "find hard negatives for pairs of texts, to train with",
        "scratch-embed mine pairs.tsv --corpus documents.txt -o triplets.tsv",
        run=run_mine, check=check_usage,
        details="A hard negative is a document that BM25 or a model ranks high for a query, but "
                "that is not one of the query's positives.  Many documents that a good model "
                "ranks above the positive are relevant too; as negatives they do harm.  A margin "
                "leaves them out.  `train sbert --triplets` reads the result.")
    command.add_argument("pairs", metavar="TEXT", help='lines of query <tab> positive, plain or '
                         'gzip; a query on several lines has several positives; "-" is stdin')
    add_search_options(command)
    add_choice_options(command)
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write "
                         "lines of query <tab> positive <tab> hard negative, one for each "
                         'negative; compressed if the name ends in .gz; "-" is stdout')
    add_errors(command)


def add_search_options(command):
    """Add the options about where negatives are searched, and how."""
    option = command.add_argument
    option("--corpus", metavar="FILE", help="documents, one per line, plain or gzip; the positives "
           "are added to them (default: the positives of all pairs)")
    option("--model", metavar="MODEL", help=f"search by the cosine of the vectors of {MODELS} "
                                            "(default: search with BM25)")
    add_encoder_options(command, bm25=True)
    add_query_prompts(command)
    add_document_prompt(command)


def add_choice_options(command):
    """Add the options about which of the documents that are found become negatives."""
    option = command.add_argument
    option("--num-negatives", type=whole(1), default=3, metavar="N",
           help="largest number of negatives for each pair (default: %(default)s)")
    option("--absolute-margin", type=non_negative, metavar="X",
           help="leave out documents that score more than the positive's score - X; for cosines "
                "(default: leave out none)")
    option("--relative-margin", type=below_one, metavar="SHARE",
           help="leave out documents that score more than s - SHARE * |s|, s the positive's score; "
                "0.05 is usual (default: leave out none)")
    option("--range-min", type=whole(0), default=0, metavar="N",
           help="skip the best N of the documents that the margins leave (default: %(default)s)")
    option("--range-max", type=whole(1), metavar="N",
           help="consider only the best N documents that are not positives of the query "
                "(default: --range-min + 10 times --num-negatives)")
    option("--sampling-strategy", choices=STRATEGIES, default="top",
           help="take the best documents of the range, or a random sample of it "
                "(default: %(default)s)")
    option("--seed", type=whole(0), default=1, metavar="N",
           help="seed of the random sample (default: %(default)s)")


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    for_model = (arguments.sif, arguments.prompt_name, arguments.query_prompt,
                 arguments.document_prompt)
    if not arguments.model and for_model != (None,) * 4:
        arguments.usage_error("--sif and the prompts are for --model: leave them out")
    if not arguments.model and arguments.absolute_margin is not None:
        arguments.usage_error("--absolute-margin is for cosines, and BM25's scores have no common "
                              "scale: give --relative-margin")


def run_mine(arguments):
    """Read, search, choose, write; messages go to stderr."""
    from scratch_embed.numerics.endings import require_text_ending
    from scratch_embed.sentences.hard_negatives import (
        Mining,
        at_random,
        check,
        mine_hard_negatives,
        top,
    )
    from scratch_embed.text.columns import read_columns
    if arguments.output != "-":
        for path in (arguments.pairs, arguments.corpus):
            require_writable(arguments.output, path)
        require_text_ending(arguments.output)
    mining = Mining(arguments.num_negatives, arguments.range_min, arguments.range_max,
                    arguments.absolute_margin, arguments.relative_margin,
                    top if arguments.sampling_strategy == "top" else at_random(arguments.seed))
    check(mining)
    queries, positives = read_columns(arguments.pairs, errors=arguments.errors,
                                      note=say_of(arguments.pairs))
    corpus = documents_of(arguments.corpus, arguments.errors) if arguments.corpus else None
    score, encoder = scorer_of(arguments)
    mined = mine_hard_negatives(queries, positives, score, corpus, mining)
    if encoder is not None:
        say_known(encoder, os.path.basename(arguments.model), "texts")
    report(mined, arguments.num_negatives)
    with open_output(arguments.output) as file:
        for triplet in zip(*mined.triplets()):
            file.write("\t".join(triplet).encode() + b"\n")
    say(f"wrote {counted(mined.found.sum(), 'triplet')} to "
        f"{'standard output' if arguments.output == '-' else arguments.output}")


def documents_of(path, errors):
    """The lines of a text without blank ones.  ValueError for a line with a tab."""
    from scratch_embed.numerics.errors import FormatError
    from scratch_embed.text.corpus import read_lines, strip
    documents = []
    for number, line in enumerate(read_lines(path, errors), 1):
        if text := strip(line):
            if "\t" in text:
                raise FormatError(path, f"line {number}", "expected one document, found texts with "
                                                          "a tab between them")
            documents.append(text)
    return documents


def scorer_of(arguments):
    """(the function that scores documents for queries, the encoder or None)."""
    from scratch_embed.sentences.hard_negatives import bm25, cosines
    from scratch_embed.text.word_tokenizer import WORDS
    tokenizer = chosen_tokenizer(arguments)
    if not arguments.model:
        return bm25(tokenizer or WORDS), None
    encoder = load_encoder(arguments.model, chosen_sif(arguments, arguments.model), tokenizer)
    prompts = chosen_prompts(encoder, os.path.basename(arguments.model), arguments.query_prompt,
                             arguments.document_prompt, arguments.prompt_name)
    return cosines(partial(encoder.encode, prompt=prompts.query, show_progress_bar=True),
                   partial(encoder.encode, prompt=prompts.document, show_progress_bar=True)
                   ), encoder


def report(mined, num_negatives):
    """Print what was found and what was left out.  ValueError if there is no negative at all."""
    import numpy as np
    reasons = [f"{n:,} {reason.replace('range_min', '--range-min')}"
               for reason, n in mined.excluded.items() if n]
    say(f"{counted(len(mined.queries), 'pair')} of {len(set(mined.queries)):,} queries, "
        f"{counted(len(mined.documents), 'document')}; left out: {', '.join(reasons) or 'none'}")
    unfound = np.isinf(mined.positive_scores).sum()
    if unfound:
        say(f"BM25 does not find the positive of {counted(unfound, 'pair')}: it has no word of "
            "the query")
    n = mined.found
    if not n.any():
        raise ValueError("no hard negatives: no document is left for any query; give a larger "
                         "--range-max, a smaller margin or a larger corpus")
    full, none = np.count_nonzero(n == num_negatives), np.count_nonzero(n == 0)
    say(f"{counted(full, 'pair')} with {counted(num_negatives, 'negative')}, "
        f"{counted(len(n) - full - none, 'pair')} with fewer, {counted(none, 'pair')} with none "
        "(not written)")
    scores, positive = mined.scores[mined.scores > -np.inf], mined.positive_scores
    say(f"mean score of the positives {positive[positive > -np.inf].mean():.3f}, of the negatives "
        f"{scores.mean():.3f} ({scores.min():.3f} to {scores.max():.3f})"
        if unfound < len(n) else f"mean score of the negatives {scores.mean():.3f}")
