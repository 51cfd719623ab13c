"""The parts of the tour that learn from pairs: search, reranking, and a second language."""
from scratch_embed.cli.printing import heading, paragraph, say_difference, show_intervals

SEEDS = (1, 2, 3)
RERANKED = (1, 2)                  # fewer: a seed takes longer


def run_learned(arguments):
    """Compare searches that learned from nothing, from text, and from pairs."""
    from scratch_embed.why.learned import BI_ENCODER, LABELLED
    from scratch_embed.why.learned_tour import AS_LONG, HARD, LATER_LR, MORE, TRAINED, searches
    from scratch_embed.why.seeds import over_seeds
    heading("10  Search that learned")
    paragraph("The queries and documents of part 8; nDCG@10 in %, mean of "
              f"{len(SEEDS)} seeds with its 95% interval.  BM25 has learned nothing.  word2vec and "
              "SimCSE have learned from the text of the world, without labels.  The bi-encoder, "
              "the network of SimCSE with other training, has learned from queries with relevant "
              f"reports about {LABELLED:,} other facts, in {BI_ENCODER['steps']} steps.  A hard "
              f"negative is a report that is wrong in one thing; {MORE} more steps at a learning "
              f"rate of {LATER_LR} have one for each query.")
    scores = over_seeds(searches, SEEDS)
    show_intervals(scores, ["nDCG@10"])
    column = {name: rows[:, 0] for name, rows in scores.items()}
    for one, other in ((TRAINED, "word2vec, SIF"), (TRAINED, "SimCSE"), (HARD, TRAINED),
                       (HARD, AS_LONG)):
        say_difference("nDCG@10", one, other, column)
    paragraph("The table shows what labels are worth: the network that fails without them finds "
              "nearly everything after training on pairs for a few seconds.  The last difference "
              "is the effect of hard negatives alone, without that of more steps.", "    ")


def run_reranked(arguments):
    """Compare a bi-encoder with a cross-encoder that reranks its candidates, at each depth."""
    from scratch_embed.why.learned_tour import reranked
    from scratch_embed.why.seeds import per_seed
    heading("11  Who did what: a cross-encoder on top")
    paragraph("Documents come in groups of three with the same words: who did what to which thing "
              "differs.  A query names who, act and thing, in other words.  nDCG@10 in %, two "
              "worlds.  The cross-encoder reads the query and a document together, starts from "
              "the bi-encoder, and orders the bi-encoder's first documents, as many as the depth.  "
              "A pass is one text, or one pair, through a transformer, per query; the documents' "
              "vectors are computed before.")
    found = per_seed(reranked, RERANKED)
    print(f"    {'':30}" + "".join(f"{f'seed {seed}':>9}" for seed in RERANKED))
    for name in found[RERANKED[0]]:
        print(f"    {name:30}" + "".join(f"{found[seed][name]:9.1f}" for seed in RERANKED),
              flush=True)
    paragraph("The table shows what a single vector for a document lacks, and what reading the "
              "pair costs: a pass for each candidate.  `scratch-embed why rerank` has intervals, "
              "milliseconds and ablations.", "    ")


def run_languages(arguments):
    """Match sentences with translations, and search across languages, without pairs and with."""
    from scratch_embed.why.generalisation import LANGUAGE_PARTS, search_across_languages
    from scratch_embed.why.learned import LABELLED
    from scratch_embed.why.retrieval_tour import SENTENCES, match_translations
    from scratch_embed.why.seeds import over_seeds
    heading(f"12  A second language: which of {SENTENCES} sentences is the translation?")
    paragraph("The second language is a cipher of the first, with its words in reverse order.  "
              "A translation is the nearest sentence by the mean of its word vectors, which are "
              "trained on a text in each language ('each language alone') or on both texts "
              "together; no sentence of one is translated in the other.  F1 and accuracy, in %.")
    show_intervals({name: 100 * rows[:, [0, 3]] for name, rows in
                    over_seeds(match_translations, SEEDS).items()}, ("F1", "accuracy"))
    print(f"    {'chance (exact)':26}{'':18}{100 / SENTENCES:7.1f}")
    paragraph("The table shows that without a single pair the two languages have nothing in "
              "common: vectors of one say nothing about the other.  'The cipher undone' shows that "
              "the mean of word vectors would suffice within one language.", "    ")
    print()
    paragraph(f"Now with pairs, {LABELLED:,} of each kind: English queries with English reports, "
              "and sentences with their translations, none of them in the evaluation.  One "
              "bi-encoder reads both languages.  F1 of the translations, and nDCG@10 of English "
              "queries on foreign documents and on English ones, in %.")
    scores = over_seeds(search_across_languages, SEEDS)
    show_intervals(scores, LANGUAGE_PARTS)
    foreign = {name: rows[:, 1] for name, rows in scores.items()}
    for other in "pairs in English", "translations":
        say_difference("nDCG, foreign", "both", other, foreign)
    paragraph("The table shows that the two kinds of pairs add up: no query was ever trained with "
              "a foreign document, but a query is near its report, and the report near its "
              "translation.", "    ")
