"""The two parts of the tour that train a transformer: word senses, and SimCSE."""
from scratch_embed.cli.printing import heading, paragraph, say_difference, show_intervals

SEEDS = (1, 2, 3)
UNTRAINED = "untrained, mean"


# ---- senses -------------------------------------------------------------------------------------

def run_senses(arguments):
    """Compare contextual vectors of ambiguous words with one vector per word."""
    from scratch_embed.why import contextual_tour
    from scratch_embed.why.contextual_tour import (
        AROUND,
        BERT,
        MODEL,
        PARTS,
        SIZES,
        compute_states,
        same_word_cosines,
        sense_accuracies,
        train_bert,
        upper_bound,
    )
    from scratch_embed.why.seeds import over_seeds, per_seed
    heading("13  One word, two senses: a vector for each occurrence")
    paragraph("'bank' occurs in sentences about money and in others about a river; the text has "
              "six such words, and each sentence has one topic.  BERT is trained on this text to "
              "predict masked tokens; the senses are not labelled.  "
              f"{SIZES['layers']} layers of {SIZES['dim']}, {BERT['steps']:,} steps of "
              f"{BERT['batch_size']} sentences.  Cosines of 'bank' in two sentences, last layer:")
    models = per_seed(train_bert, SEEDS)
    states = {seed: compute_states(models[seed]) for seed in SEEDS}
    for one, other, cosine in same_word_cosines(models[SEEDS[0]], states[SEEDS[0]]):
        print(f"    {cosine:5.2f}  {one}\n           {other}")
    print()
    paragraph("A sense is predicted by the nearer of two means, one per sense, of the word's "
              "hidden states in half of the sentences; the other half is the test.  % correct, "
              f"mean of {len(SEEDS)} seeds (texts and initial weights).  In the three columns the "
              "topic's words are anywhere, only before the word, or only after it.  A single "
              "vector per word is the same in both senses; such a tie counts as half correct.  "
              "The upper bound knows the probabilities from which the sentences were drawn; with "
              "the left context, only of the words before; (exact) is its expectation over all "
              "texts.  An interval of three seeds that differ much can exceed 100.")
    scores = over_seeds(lambda seed: sense_accuracies(models[seed], states[seed]), SEEDS)
    show_intervals(scores, PARTS)
    print(f"    {'upper bound (exact)':26}{upper_bound():9.1f}")
    anywhere = {name: rows[:, 0] for name, rows in scores.items()}
    say_difference("anywhere", MODEL, contextual_tour.UNTRAINED, anywhere)
    say_difference("anywhere", MODEL, AROUND, anywhere)
    paragraph("The table shows that BERT's vector of a word has taken up the information of its "
              "sentence, which one vector per word cannot have.  A mean of the other words' "
              "vectors has it, too, because the words of these sentences are drawn independently, "
              "so that their order says nothing.", "    ")


# ---- sentences ----------------------------------------------------------------------------------

def run_simcse(arguments):
    """Compare the sentence vectors of a masked LM before and after SimCSE."""
    from scratch_embed.why.seeds import over_seeds
    from scratch_embed.why.sentences import BERT, SIMCSE, SIZES
    from scratch_embed.why.simcse_tour import AFTER, BEFORE, before_and_after
    heading("14  Sentences: SimCSE, before and after")
    paragraph("A BERT is trained to predict masked tokens in the text of part 8's world; the mean "
              "of its last layer is a sentence's vector.  SimCSE trains it further: the positive "
              "of a sentence is itself under another dropout mask, the negatives are the other "
              "sentences of the batch.  "
              f"{SIZES['layers']} layers of {SIZES['dim']}; {BERT['steps']:,} steps of the masked "
              f"LM, {SIMCSE['steps']:,} of SimCSE.  Mean of {len(SEEDS)} seeds with its 95% "
              "interval.")
    paragraph("Columns: nDCG@10 of 300 queries in other words and STS (Spearman's rho), both in %, "
              "more is better; alignment of paraphrases and uniformity of all documents, less is "
              "better; mean cosine of all documents: near 1, all vectors lie in a narrow cone, so "
              "that cosines distinguish little.")
    scores = over_seeds(before_and_after, SEEDS)
    show_scores(scores)
    for index, what in enumerate(("nDCG@10", "STS")):
        column = {name: rows[:, index] for name, rows in scores.items()}
        print(f"    {what}: " + ", ".join(f"{name} {column[name].mean():.1f}" for name in
                                          (UNTRAINED, BEFORE, AFTER)))
        for other in (BEFORE, UNTRAINED, "word2vec, SIF"):
            say_difference(what, AFTER, other, column)
    say_geometry(BEFORE, AFTER, scores)
    paragraph("The table shows what SimCSE can change and what it cannot: two dropout masks of one "
              "sentence have the same words, so they do not teach which words mean the same.  "
              "Labelled pairs do (part 10).", "    ")


def show_scores(scores):
    """Print the five scores of each model.  scores: {name: (seeds, 5)}; nan: not defined for it."""
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
    """Print how uniformity, alignment and the mean cosine changed, paired by seed.

    "SimCSE opens the cone of the vectors" is printed only if their mean cosine falls significantly.
    """
    from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT, paired_difference
    changes = {}
    for index, name in ((3, "uniformity"), (2, "alignment"), (4, "mean cosine")):
        old, new = (scores[model][:, index] for model in (before, after))
        mean, half = changes[name] = paired_difference(new, old)
        verdict = changes[name].verdict
        print(f"    {name}: {old.mean():.2f} before SimCSE, {new.mean():.2f} after, "
              f"{mean:+.2f} ± {half:.2f}, "
              f"{NOT_SIGNIFICANT if verdict == NOT_SIGNIFICANT else 'significant'}")
    paragraph({HURTS: "SimCSE opens the cone in which the vectors lie: their mean cosine falls.",
               HELPS: "SimCSE narrows the cone in which the vectors lie: their mean cosine rises.",
               NOT_SIGNIFICANT: "These seeds do not show that SimCSE opens the cone in which the "
               "vectors lie: the change of their mean cosine is not significant."}[
                   changes["mean cosine"].verdict], "    ")
