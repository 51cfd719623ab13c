"""--hard-negatives of `train sbert`: they are found among the positives of the training pairs."""
from functools import partial

from scratch_embed.cli.training import say
from scratch_embed.numerics.wording import counted

MARGIN = 0.05                      # a hard negative scores so much lower than its positive


def with_hard_negatives(arguments, examples, start, prompts):
    """The Examples of pairs, with N columns of negatives.

    A pair that has fewer than N hard ones keeps its place: positives of other pairs, drawn at
    random, fill it up.  They are no harder than the other texts of a batch.
    Raises ValueError if no pair has a hard negative, or there are too few different positives.
    """
    from scratch_embed.sentences.cross_encoder_training import random_negatives
    from scratch_embed.sentences.hard_negatives import Mining, bm25, cosines, mine_hard_negatives
    by, count = bm25(start.tokenizer.tokenize), arguments.hard_negatives
    if arguments.model:
        by = cosines(*(partial(start.encode, prompt=prompt) for prompt in prompts))
    mined = mine_hard_negatives(*examples.columns, by, mining=Mining(count,
                                                                     relative_margin=MARGIN))
    if not mined.found.any():
        advice = ("; use `scratch-embed mine` with another margin" if arguments.model else
                  ", because it looks for common words; give --model, or leave it out")
        raise ValueError(f"--hard-negatives: {arguments.model or 'BM25'} finds no text that scores "
                         f"{MARGIN:.0%} below the positive of a pair{advice}")
    try:
        at_random = random_negatives(*examples.columns, count, arguments.seed)
    except ValueError as error:
        raise ValueError(f"--hard-negatives: {error}") from None
    report(mined, count, arguments.model)
    return examples._replace(columns=mined.tuples(at_random))


def report(mined, count, model):
    """Print how many pairs have `count` hard negatives, and why others have fewer."""
    pairs, fewer = len(mined.found), int((mined.found < count).sum())
    say(f"{counted(count, 'hard negative')} for {pairs - fewer:,} of {pairs:,} pairs, found by "
        f"{model or 'BM25'}")
    if not fewer:
        return
    unfound = 0 if model else int((mined.positive_scores < 0).sum())
    why = (f"; of {unfound:,} of them BM25 does not find the positive, which has no word of the "
           "first text, so that no text scores lower" if unfound else "")
    advice = "`scratch-embed mine` with another margin finds more" if model else (
        "--model, or `scratch-embed mine`, finds more")
    say(f"{counted(fewer, 'pair')} with fewer: positives of other pairs, drawn at random, take "
        f"their place{why}; {advice}")
