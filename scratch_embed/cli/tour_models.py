"""The parts of the tour that need a Transformer: senses in context, and sentences contrasted."""
from scratch_embed.cli.printing import heading, paragraph, say_difference, show_intervals

SEEDS = (1, 2, 3)


# ---- senses -------------------------------------------------------------------------------------

def run_senses(arguments):
    """An ambiguous word's vector in each place where it stands, beside its one vector."""
    from scratch_embed.why.contextual_tour import (
        AROUND,
        BERT,
        MODEL,
        PARTS,
        SIZES,
        UNTRAINED,
        compute_states,
        same_word_cosines,
        sense_accuracies,
        train_bert,
        upper_bound,
    )
    from scratch_embed.why.retrieval_tour import over_seeds, per_seed
    heading("11  One word, two meanings: a vector for each place where it stands")
    paragraph("Bank stands in sentences about money and in others about a river; the text, of "
              "whole sentences on one topic, has six such words.  BERT learns from this text alone "
              "by filling gaps: nobody tells it that there are two.  "
              f"{SIZES['layers']} layers of {SIZES['dim']}, {BERT['steps']:,} steps of "
              f"{BERT['batch_size']} sentences.  Cosines of 'bank' in two sentences, last layer:")
    known = per_seed(train_bert, SEEDS)
    seen = {seed: compute_states(known[seed]) for seed in SEEDS}
    for one, other, cosine in same_word_cosines(known[SEEDS[0]], seen[SEEDS[0]]):
        print(f"    {cosine:5.2f}  {one}\n           {other}")
    print()
    paragraph("Which is meant?  The nearer of two means, each of a word's states in one sense, "
              "taken from half of the sentences and asked of the other half.  % right, mean of "
              f"{len(SEEDS)} seeds (texts and starting weights); cues stand anywhere, only before "
              "the word, or only behind it.  One vector a word has nothing to go by, and a tie is "
              "right by half.")
    scores = over_seeds(lambda seed: sense_accuracies(known[seed], seen[seed]), list(SEEDS))
    show_intervals(scores, PARTS)
    print(f"    {'the best, exactly':26}{upper_bound():9.1f}")
    anywhere = {who: rows[:, 0] for who, rows in scores.items()}
    say_difference("anywhere", MODEL, UNTRAINED, anywhere)
    say_difference("anywhere", MODEL, AROUND, anywhere)
    paragraph("The words of these sentences are drawn each on its own, so a mean of the others' "
              "vectors can tell as much as can be told.  BERT's is the word's own state, in which "
              "the sentence has left its mark.", "    ")


# ---- sentences ----------------------------------------------------------------------------------

def run_simcse(arguments):
    """Sentence vectors of a masked LM, before SimCSE and after."""
    from scratch_embed.why.retrieval_tour import over_seeds
    from scratch_embed.why.sentences import BERT, SIMCSE, SIZES
    from scratch_embed.why.simcse_tour import AFTER, BEFORE, before_and_after
    heading("12  Sentences: SimCSE, before and after")
    paragraph("A masked LM fills gaps in the text of a world of reports (part 8); the mean of its "
              "last layer is a sentence's vector.  SimCSE then asks that a sentence find itself "
              "under another dropout mask, among the others of a batch.  "
              f"{SIZES['layers']} layers of {SIZES['dim']}; {BERT['steps']:,} steps of filling, "
              f"{SIMCSE['steps']:,} of contrast.  Mean of {len(SEEDS)} seeds.")
    paragraph("nDCG@10 of 300 questions in other words, STS (Spearman's rho, both in %, more is "
              "better); alignment of paraphrases, uniformity of all reports (less is better), "
              "their mean cosine.")
    scores = over_seeds(before_and_after, list(SEEDS))
    show_scores(scores)
    for place, what in enumerate(("nDCG@10", "STS")):
        column = {name: rows[:, place] for name, rows in scores.items()}
        for other in (BEFORE, "untrained, mean", "word2vec, SIF"):
            say_difference(what, AFTER, other, column)
    say_geometry(BEFORE, AFTER, scores)


def show_scores(scores):
    """A table of Scores.  scores: {name: (seeds, 5)}; nan where there is nothing to say."""
    from scratch_embed.why.effects import interval
    print(f"    {'':18}" + "".join(f"{name:>14}" for name in (
        "nDCG@10", "STS", "alignment", "uniformity", "mean cosine")).rstrip())
    for name, rows in scores.items():
        cells = [interval(column) for column in rows.T]
        print(f"    {name:18}" + "".join(
            f"{'-':>7}{'':7}" if mean != mean else
            f"{mean:8.{digits}f} ±{half:4.{digits}f}" for (mean, half), digits in
            zip(cells, (1, 1, 2, 2, 2))).rstrip(), flush=True)


def say_geometry(before, after, scores):
    """What became of uniformity, alignment and the mean cosine, seed by seed."""
    from scratch_embed.why.effects import paired_difference
    parts = []
    for place, name in ((3, "uniformity"), (2, "alignment"), (4, "the mean cosine")):
        one, other = (scores[who][:, place] for who in (before, after))
        mean, half = paired_difference(other, one)
        parts.append(f"{name} went from {one.mean():.2f} to {other.mean():.2f} "
                     f"({mean:+.2f} ± {half:.2f})")
    paragraph("With SimCSE " + "; ".join(parts) + ".", "    ")
