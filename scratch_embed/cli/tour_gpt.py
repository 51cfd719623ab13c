"""The part of the tour on causal models: GPT against BERT, and a GPT's sentence vectors."""
from scratch_embed.cli.printing import heading, paragraph, say_difference, show_intervals

SEEDS = (1, 2, 3)


def run_gpt(arguments):
    """Compare the states of a GPT and of a BERT; compare poolings of a GPT's states."""
    show_states()
    show_poolings()


def show_states():
    """Print where a causal and a bidirectional model know the sense of a word."""
    from scratch_embed.why import causal_tour
    from scratch_embed.why.causal_tour import BERT_WORD, GPT, GPT_END, GPT_LAST, GPT_WORD, SIZES
    from scratch_embed.why.contextual_tour import PARTS, train_bert
    from scratch_embed.why.seeds import over_seeds
    heading("15  GPT against BERT: which states know the sense of a word?")
    paragraph("The text of part 13: in its three columns the words that show the sense of an "
              "ambiguous word are anywhere, only before it, or only after it.  BERT is trained on "
              "masked words, GPT to predict the next word, in sequences of two sentences about one "
              f"topic.  {SIZES['layers']} layers of {SIZES['dim']}, {GPT['steps']:,} steps of "
              f"{2 * GPT['batch_size']} sentences.  The sense is predicted from a state of the "
              "last layer, as in part 13: the state of the ambiguous word, of the last word, of "
              "the token that ends the sentence.  % correct, mean of "
              f"{len(SEEDS)} seeds (texts and initial weights); chance is 50.")
    scores = over_seeds(lambda seed: causal_tour.sense_accuracies(train_bert(seed)), SEEDS)
    show_intervals(scores, PARTS)
    after = {name: rows[:, -1] for name, rows in scores.items()}
    say_difference("only after", BERT_WORD, GPT_WORD, after)
    say_difference("only after", GPT_END, GPT_WORD, after)
    say_difference("only after", GPT_END, GPT_LAST, after)
    say_difference("only after", GPT_END, f"untrained {GPT_END}", after)
    paragraph("The table shows that a causal state knows nothing of what comes after it; a later "
              "state can.  Training keeps the topic in the end token's state, because the model "
              "predicts the next sentence from it.  The last word is always followed by the end "
              "token, so its state need not have the topic, although it has read the whole "
              "sentence.  The untrained rows show what reading alone gives: attention with initial "
              "weights is nearly a mean over the words so far.", "    ")


def show_poolings():
    """Print the scores of a GPT's sentence vectors, by pooling."""
    from scratch_embed.why import causal_tour
    from scratch_embed.why.causal_tour import SMALL, TEXT
    from scratch_embed.why.seeds import over_seeds
    heading("16  One vector for a text: last token, mean or weighted mean?")
    paragraph("A GPT is trained on the text of part 8's world.  A text's vector is the mean of its "
              "tokens' states, their mean with weights 1, 2, 3 ... (later tokens have read more), "
              "or the last state, which is the only one that has read all.  "
              f"{SMALL['layers']} layers of {SMALL['dim']}, {TEXT['steps']:,} steps of "
              f"{TEXT['batch_size']} sentences.  nDCG@10 of 300 queries in other words, and STS "
              f"(Spearman's rho), both in %; mean of {len(SEEDS)} seeds.")
    scores = over_seeds(causal_tour.sentence_scores, SEEDS)
    show_intervals(scores, ("nDCG@10", "STS"))
    for index, what in enumerate(("nDCG@10", "STS")):
        column = {name: rows[:, index] for name, rows in scores.items()}
        say_difference(what, "GPT, weighted", "GPT, mean", column)
        say_difference(what, "GPT, weighted", "GPT, last token", column)
        say_difference(what, "GPT, weighted", "untrained, weighted", column)
    paragraph("The table shows that predicting words is not enough for good sentence vectors: a "
              "mean of word2vec's vectors is better.  A loss on sentences is needed, as in part "
              "10.", "    ")
