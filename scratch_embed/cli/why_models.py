"""why bert, why gpt2, why simcse: ablations of the methods that train a transformer."""
import sys

from scratch_embed.cli.printing import heading, listed, paragraph, show_effects


def run_bert(arguments):
    """Print the ablations of the masked LM, predictions first."""
    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.bert import (
        ABLATIONS,
        BASE,
        OTHERS,
        measures,
        toy_text,
        trained,
        upper_bound,
    )
    say_wait()
    texts = [toy_text(seed, arguments.sentences) for seed in range(1, arguments.seeds + 1)]
    heading("1  Ablations of the masked LM")
    paragraph("% of ambiguous words whose sense is correct (worlds/senses.py; upper bound "
              f"{upper_bound():.1f}), mean of {len(texts)} seeds, each with a text of "
              f"{arguments.sentences:,} sentences and initial weights; the difference, with - "
              "without, is paired by seed and has its 95% interval.  The line below each is the "
              "difference in the loss of held-out masked tokens (nats; less is better).  "
              f"{listed(BASE)}.")
    show_effects(ABLATIONS, measure_ablations(ABLATIONS, texts, trained, progress=True,
                                              score=measures), OTHERS)


def run_gpt2(arguments):
    """Print the ablations of the causal LM, predictions first, and those of pooling."""
    import numpy as np

    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.gpt2 import (
        ABLATIONS,
        BASE,
        DEEP,
        OTHERS,
        POOLINGS,
        Learned,
        measures,
        pooled,
        toy_text,
        trained,
    )
    from scratch_embed.why.seeds import for_seeds
    say_wait()
    texts = [toy_text(seed, arguments.sentences) for seed in range(1, arguments.seeds + 1)]
    heading("1  Ablations of the causal LM")
    bigrams = np.mean([100 * (1 - text.bigrams / text.unigrams) for text in texts])
    paragraph("How much lower the loss of held-out next tokens is than that of token frequencies, "
              f"in %; frequencies have 0, bigrams {bigrams:.1f}.  Each token is predicted from the "
              f"tokens before it alone.  Mean of {len(texts)} seeds, each with a text of "
              f"{arguments.sentences:,} sentences (worlds/facts.py) and initial weights; the "
              "difference, with - without, is paired by seed and has its 95% interval.  The line "
              "below each is the difference in the loss as it is computed in training (nats; less "
              f"is better) and in STS of weighted means (in %).  {listed(BASE)}; eight layers: "
              f"steps {DEEP['steps']}, lr {DEEP['lr']}.")
    show_effects(ABLATIONS, measure_ablations(ABLATIONS, texts, trained, progress=True,
                                              score=measures), OTHERS)
    heading("2  Which pooling?")
    paragraph("STS in %: Spearman's rho of the cosines of two sentences with the number of facts "
              "that they share; the model of part 1.")
    learned = for_seeds(lambda text: Learned(text, trained(BASE, text)), texts, progress=True)
    show_effects(POOLINGS, measure_ablations(POOLINGS, learned, pooled, score=lambda _, x: x))


def run_simcse(arguments):
    """Print the ablations of SimCSE, predictions first."""
    from scratch_embed.why.ablations import measure, measure_ablations
    from scratch_embed.why.seeds import for_seeds
    from scratch_embed.why.sentences import BERT, SIZES, pretrain
    from scratch_embed.why.simcse import ABLATIONS, BASE, OTHERS, measures, trained, without_simcse
    say_wait()
    encoders = for_seeds(lambda seed: pretrain(seed, arguments.documents, arguments.sentences),
                         range(1, arguments.seeds + 1))
    heading("1  Ablations of SimCSE")
    queries, documents = encoders[0].search.gains.shape
    paragraph(f"nDCG@10 in % of {queries} queries in other words on {documents:,} documents "
              f"(worlds/facts.py), mean of {len(encoders)} seeds; the difference, with - without, "
              "is paired by seed and has its 95% interval.  The line below each is the difference "
              "in STS (Spearman's rho in %), in alignment of paraphrases and in uniformity of the "
              f"documents (less is better).  The masked LM: {listed(SIZES | BERT)}.  SimCSE: "
              f"{listed(BASE)}.")
    before = measure([without_simcse], encoders, progress=True, score=measures)[0].mean(axis=0)
    print("\nbefore SimCSE: " + ", ".join(f"{name} {x:.2f}" for name, x in
                                          zip(("nDCG@10", *OTHERS), before)))
    show_effects(ABLATIONS, measure_ablations(ABLATIONS, encoders, trained, progress=True,
                                              score=measures), OTHERS)


def say_wait():
    """Print to stderr what the command is doing before its first result."""
    print("(making the toy worlds; the first run also compiles, for some seconds)",
          file=sys.stderr)
