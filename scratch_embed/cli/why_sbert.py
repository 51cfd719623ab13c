"""why sbert: the bi-encoder beside other searches, its ablations, and where it ends."""
import math

from scratch_embed.cli.printing import (
    heading,
    listed,
    paragraph,
    say_difference,
    show_effects,
    show_intervals,
)
from scratch_embed.cli.why_models import say_wait


def run_sbert(arguments):
    """Print the scores of searches, ablations with predictions first, and the plateau at log N."""
    from scratch_embed.why.seeds import for_seeds
    from scratch_embed.why.sentences import pretrain
    say_wait()
    encoders = for_seeds(lambda seed: pretrain(seed, arguments.documents, arguments.sentences),
                         range(1, arguments.seeds + 1))
    show_searches(encoders)
    show_new_words(encoders)
    held = show_trained(encoders)
    show_plateau(encoders)
    print()
    paragraph("In total {} of {} predictions held.".format(*held))


def show_searches(encoders):
    """Print nDCG@10 of the bi-encoder and of other searches, then with codes."""
    from scratch_embed.why.generalisation import search_coded
    from scratch_embed.why.learned import BI_ENCODER, LABELLED, ndcgs, train_bi_encoder
    from scratch_embed.why.retrieval_tour import PARTS
    from scratch_embed.why.seeds import for_seeds, stack
    from scratch_embed.why.sentences import SIZES, encode_by, train_simcse
    heading("1  A bi-encoder beside other searches")
    queries, documents = encoders[0].search.gains.shape
    paragraph(f"nDCG@10 in % of {queries} queries in other words on {documents:,} documents "
              f"(worlds/facts.py), mean of {len(encoders)} seeds with its 95% interval.  The "
              f"bi-encoder is trained on queries with reports about {LABELLED:,} new facts; no "
              f"query of the evaluation is among them.  {listed(SIZES | BI_ENCODER)}.")

    def searches(encoder):
        trained = train_bi_encoder(encoder)
        return ndcgs(encoder, {"SimCSE": encode_by(encoder, train_simcse(encoder).model),
                               "bi-encoder": trained.encode}), search_coded(encoder, trained.encode)
    rows, coded = zip(*for_seeds(searches, encoders))
    show_intervals({name: row[:, None] for name, row in stack(rows).items()}, ["nDCG@10"])
    say_difference("nDCG@10", "bi-encoder", "word2vec, SIF", stack(rows))
    print()
    paragraph("Each document with a rare code, such as kx-417, that half of the queries name.  "
              "'scores' is the sum of the scaled scores, 0.3 of the vectors' and 0.7 of BM25's.")
    coded = stack(coded)
    show_intervals(coded, PARTS)
    both = {name: row[:, -1] for name, row in coded.items()}
    for other in ("BM25", "bi-encoder"):
        say_difference("both", "BM25 + bi-encoder, scores", other, both)


def show_new_words(encoders):
    """Print nDCG@10 of bi-encoders whose training pairs lack a quarter of the words."""
    from scratch_embed.why.generalisation import WORD_PARTS, search_new_words
    from scratch_embed.why.seeds import for_seeds, stack
    heading("2  Words that occur in no training pair")
    paragraph("One word of each value, a quarter of all, is replaced by a synonym in the training "
              "pairs; it still occurs in the unlabelled text.  nDCG@10 in % of queries without "
              "such a word, with one or more, and of all.  Prediction, after trials on one or "
              "two seeds: from initial weights the new words are noise; word vectors of the "
              "unlabelled text know their synonyms.")
    scores = stack(for_seeds(search_new_words, encoders))
    show_intervals(scores, WORD_PARTS)
    new = {name: row[:, 1] for name, row in scores.items()}
    say_difference("new words", "from word vectors", "from initial weights", new)
    say_difference("new words", "from word vectors", "word2vec, SIF", new)


def show_trained(encoders):
    """Print the ablations.  -> (predictions that held, number of predictions)"""
    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.sbert import ABLATIONS, BASE, MEMORISING, OTHERS, measures, trained
    held = []
    for number, title, ablations in ((3, "Ablations", ABLATIONS),
                                     (4, "Why more training can make it worse", MEMORISING)):
        heading(f"{number}  {title}")
        if number == 3:
            shown = {name: BASE[name] for name in ("steps", "batch_size", "dropout", "lr")}
            paragraph("A third as many steps as above, so that there is room above the score; the "
                      "line below each is the difference in STS (Spearman's rho in %).  "
                      f"{listed(shown)}.")
        else:
            paragraph("These predictions followed trials on one or two of the seeds; those of "
                      "part 3 were written down before any measurement.")
        held.append(show_effects(ablations, measure_ablations(
            ablations, encoders, trained, progress=True, score=measures), OTHERS))
    return [sum(x) for x in zip(*held)]


def show_plateau(encoders):
    """Print how the loss falls from different starts, and whether it stays at log N."""
    from scratch_embed.why.learned import BI_ENCODER
    from scratch_embed.why.plateau import STEPS, loss_curves
    from scratch_embed.why.seeds import for_seeds, stack
    N = BI_ENCODER["batch_size"]
    heading("5  A loss that stays at log N")
    paragraph(f"The loss of the first step, at half of {STEPS} steps, and at the end, by the "
              f"start.  If all vectors of a batch are equal, the loss is log {N} = "
              f"{math.log(N):.2f} and its gradient is zero.  Prediction, after trials on one or "
              "two seeds: a start whose loss is above log N falls to it, because equal vectors "
              "are the fastest way down, and stays for a while; a start near log N goes on "
              "falling.")
    scores = stack(for_seeds(loss_curves, encoders))
    show_intervals(scores, ["loss at first", "at half", "at the end", "nDCG@10"],
                   digits=(2, 2, 2, 1))
