"""why: print ablations, which change one part of a method at a time and measure the effect.

Each prediction is printed before its measurement.  Each effect has a 95% interval over seeds; "not
significant" means that the interval contains 0.
"""
import sys

from scratch_embed.cli.parsing import add_command, whole
from scratch_embed.cli.printing import heading, listed, paragraph, show_effects
from scratch_embed.cli.why_clip import run_clip
from scratch_embed.cli.why_e5 import run_e5
from scratch_embed.cli.why_lora import run_lora
from scratch_embed.cli.why_m3 import run_m3
from scratch_embed.cli.why_matryoshka import run_matryoshka
from scratch_embed.cli.why_models import run_bert, run_gpt2, run_simcse
from scratch_embed.cli.why_rerank import run_rerank
from scratch_embed.cli.why_sbert import run_sbert


def add_commands(commands):
    """Add `why` and the methods that have ablations."""
    why = add_command(commands, "why", "measure the effect of each part of a method by ablation",
                      "scratch-embed why word2vec")
    methods = why.add_subparsers(metavar="METHOD", required=True)
    for name, what, run, sentences in [
            ("word2vec", "word2vec", run_word2vec, 10_000), ("glove", "GloVe", run_glove, 10_000),
            ("fasttext", "FastText", run_fasttext, 10_000), ("bert", "BERT", run_bert, 8_000),
            ("gpt2", "GPT-2", run_gpt2, 12_000), ("simcse", "SimCSE", run_simcse, 12_000),
            ("sbert", "Sentence-BERT", run_sbert, 12_000),
            ("matryoshka", "Matryoshka and other short vectors", run_matryoshka, None),
            ("e5", "E5: negatives, instructions, teachers", run_e5, 12_000),
            ("m3", "BGE-M3's three scores", run_m3, None),
            ("lora", "LoRA and E5-Mistral", run_lora, None),
            ("rerank", "the cross-encoder that reranks", run_rerank, None),
            ("clip", "CLIP, images and captions", run_clip, None),
            ("retrieval", "BM25, SIF, hybrids and compression", run_retrieval, 12_000)]:
        method = add_command(methods, name, f"print ablations of {what}",
                             f"scratch-embed why {name} --seeds 10", run=run,
                             details="An ablation changes one part of a method and measures the "
                                     "effect, here on toy data.")
        method.add_argument("--seeds", type=whole(2), default=5, metavar="N",
                            help="number of runs to average over; each has its own text and "
                                 "initial weights (default: %(default)s)")
        if sentences is None:
            steps = {run_rerank: 6000, run_m3: 400, run_lora: 800, run_clip: 800}.get(run, 300)
            method.add_argument("--steps", type=whole(1), default=steps, metavar="N",
                                help="steps of each training (default: %(default)s)")
            continue
        method.add_argument("--sentences", type=whole(100), default=sentences, metavar="N",
                            help="sentences of each text (default: %(default)s)")
        if run in (run_simcse, run_sbert, run_e5, run_retrieval):
            method.add_argument("--documents", type=whole(40), default=2000, metavar="N",
                                help="documents of the collection, with 3 queries per 20 documents "
                                     "(default: %(default)s)")


def run_word2vec(arguments):
    """Print the ablations, predictions first; a comparison of methods; the optimum of u·v."""
    from scratch_embed.why.word2vec import ABLATIONS, CBOW, LONG, SKIPGRAM, trained
    texts = toy_texts(arguments)
    show_ablations(texts, ABLATIONS, trained, f"Skip-gram: {listed(SKIPGRAM)}; CBOW: the same "
                   f"with lr {CBOW['lr']}; long training: with dim {LONG['dim']}, epochs "
                   f"{LONG['epochs']}.")
    show_methods(texts)
    show_closed_form([text.seed for text in texts], 2 * arguments.sentences)


def run_glove(arguments):
    """Print the ablations, predictions first; how close w·u + b + c comes to log X."""
    from scratch_embed.why.glove import ABLATIONS, GLOVE, trained
    texts = toy_texts(arguments)
    show_ablations(texts, ABLATIONS, trained, f"GloVe: {listed(GLOVE)}.")
    show_log_x([text.seed for text in texts], 2 * arguments.sentences)


def run_fasttext(arguments):
    """Print the ablations, predictions first; how many n-grams share a row."""
    from scratch_embed.why.fasttext import ABLATIONS, FASTTEXT, trained
    texts = toy_texts(arguments)
    show_ablations(texts, ABLATIONS, trained, f"FastText: {listed(FASTTEXT)}.")
    show_collisions(texts[0])


def run_retrieval(arguments):
    """Print ablations of search, hybrids and compression, predictions first; the effect of ties."""
    from scratch_embed.why.compression import ABLATIONS as CODES
    from scratch_embed.why.retrieval import ABLATIONS, HYBRID_ABLATIONS
    from scratch_embed.why.searches import WORD2VEC
    searches, coded = toy_searches(arguments)
    queries, documents = searches[0].gains.shape
    heading("1  Ablations of BM25 and of word vectors")
    paragraph(f"nDCG@10 in %, mean of {len(searches)} seeds, each with a world of {documents:,} "
              f"documents and {queries} queries in other words, and initial weights; the "
              "difference, with - without, is paired by seed and has its 95% interval.  A text's "
              f"vector is the SIF-weighted mean of word2vec's vectors: {listed(WORD2VEC)}.")
    counts = [show_searches(searches, ABLATIONS)]
    heading("2  Ablations of hybrids")
    paragraph("The same documents, each with a unique code, such as kx-417; half of the queries "
              "name a code, half are the queries above.")
    counts.append(show_searches(coded, HYBRID_ABLATIONS))
    heading("3  Compression of the vectors")
    counts.append(show_searches(searches, CODES))
    show_forms(searches)
    counts.append(show_ties(searches))
    print()
    paragraph("In total {} of {} predictions held.".format(*map(sum, zip(*counts))))


def toy_searches(arguments):
    """(a Search for each seed, the same with unique codes, which half of the queries name)."""
    from scratch_embed.why.searches import search_codes, search_facts
    from scratch_embed.worlds.facts import facts
    print("(making the toy worlds; the first run also compiles, for some seconds)", file=sys.stderr)
    worlds = [facts(seed, arguments.documents, arguments.documents * 3 // 20,
                    sentences=arguments.sentences, pairs=0)
              for seed in range(1, arguments.seeds + 1)]
    searches = [search_facts(world, seed) for seed, world in enumerate(worlds, 1)]
    return searches, [search_codes(*both)[0] for both in zip(searches, worlds)]


def toy_texts(arguments):
    """A hard Text for each seed."""
    from scratch_embed.why.ablations import toy_text
    print("(making the toy texts; the first run also compiles, for some seconds)", file=sys.stderr)
    return [toy_text(seed, arguments.sentences) for seed in range(1, arguments.seeds + 1)]


def show_ablations(texts, ablations, trained, settings):
    """Print each ablation on texts: the prediction, then the effect."""
    from scratch_embed.why.ablations import measure_ablations
    heading("1  Ablations")
    words = sum(len(text.corpus.ids) for text in texts) / len(texts)
    paragraph(f"% of analogies correct, mean of {len(texts)} seeds, each with a text (hard, "
              f"{words:,.0f} words) and initial weights; the difference, with - without, is "
              f"paired by seed and has its 95% interval.  {settings}")
    show_effects(ablations, measure_ablations(ablations, texts, trained, progress=True))


def show_searches(searches, ablations):
    """Print each ablation on searches.  -> (predictions that held, number of predictions)"""
    from scratch_embed.why.ablations import measure_ablations
    from scratch_embed.why.retrieval import found
    from scratch_embed.why.searches import ndcg_percent
    return show_effects(ablations, measure_ablations(ablations, searches, found, progress=True,
                                                     score=ndcg_percent))


def show_methods(texts):
    """Print the score of each method, and the methods that do not differ significantly from it."""
    from scratch_embed.why.ablations import measure, not_distinguished
    from scratch_embed.why.effects import interval
    from scratch_embed.why.word2vec import METHODS
    heading("2  The methods compared on the same texts")
    scores = measure(list(METHODS.values()), texts, progress=True)
    print("    " + " " * 38 + "%            no significant difference from")
    alike = not_distinguished(scores)
    for number, (name, row, others) in enumerate(zip(METHODS, scores, alike), 1):
        mean, half = interval(row)
        print(f"    {number}  {name:32} {mean:5.1f} ± {half:4.1f}   "
              + (" ".join(str(other + 1) for other in others) or "none"), flush=True)


def show_closed_form(seeds, sentences):
    """Print how close u·v of trained vectors comes to its optimum."""
    from scratch_embed.why.effects import interval, paired_difference
    from scratch_embed.why.word2vec import OFTEN, WORLDS, closed_forms
    heading("3  The closed form: the optimum of u·v")
    paragraph(f"Texts of {sentences:,} sentences; more dimensions than words, so that every u·v "
              "can take any value.  Prediction: u·v is close to the optimum of Levy & Goldberg "
              "2014 (second row), and closer to the first row, which leaves out negatives that "
              "equal the target, as the code does.  Counts of rare pairs are noisy; 'frequent' "
              f"is the correlation over pairs that are expected {OFTEN} times or more; the RMS "
              "error is weighted by P(m,n).")
    forms = {"log P(m,n)/(K Pneg(m)(P(n) - P(m,n)))": 0, "log P(m,n)/(K Pneg(m) P(n))": 1}
    print(f"    {'':39}  correlation       frequent          RMS error")
    for world in WORLDS:
        found = closed_forms(world, seeds, sentences)
        print(f"  {world}")
        for name, form in forms.items():
            r, often, error = (interval([getattr(pair[form], part) for pair in found])
                             for part in ("correlation", "often", "rms_error"))
            print(f"    {name:39}  {r.mean:.4f} ± {r.half:.4f}   {often.mean:.4f} ± "
                  f"{often.half:.4f}   {error.mean:.3f} ± {error.half:.3f}", flush=True)
        gain = paired_difference(*([pair[form].correlation for pair in found] for form in (0, 1)))
        print(f"    {'difference, first - second':39} {gain.mean:+.4f} ± {gain.half:.4f}   "
              f"the correction {gain.verdict}")


def show_log_x(seeds, sentences):
    """Print how close GloVe's w·u + b + c comes to log X, with enough dimensions and too few."""
    from scratch_embed.why.effects import interval
    from scratch_embed.why.glove import closed_form
    heading("2  The optimum of w·u + b + c: log X")
    paragraph(f"Tiny texts of {sentences:,} sentences and 41 words; all cells; 200 epochs.  "
              "Prediction: with more dimensions than words the fit is exact in every cell; with "
              "5 dimensions it is a low-rank approximation.")
    print(f"    {'':14}  correlation       RMS error         standard deviation of log X")
    for dim in (48, 5):
        found = [closed_form(seed, dim, sentences) for seed in seeds]
        r, error, spread = (interval([getattr(closed, part) for closed in found])
                          for part in ("correlation", "rms_error", "spread"))
        print(f"    {dim:3} dimensions  {r.mean:.4f} ± {r.half:.4f}   {error.mean:.4f} ± "
              f"{error.half:.4f}   {spread.mean:.3f}", flush=True)


def show_collisions(text):
    """Print how many n-grams share a row, by the number of buckets."""
    from scratch_embed.why.fasttext import collisions
    heading("2  Hashing: how many n-grams share a row?")
    print(f"    the n-grams of 3 to 6 characters of {len(text.vocab)} words;\n"
          "    sharing: n-grams that share their row with another n-gram")
    print(f"    {'buckets':>12}{'n-grams':>10}{'rows':>10}{'sharing, %':>12}")
    for buckets in (2_000_000, 20_000, 2_000, 200, 20):
        found = collisions(text.vocab, buckets)
        print(f"    {buckets:12,}{found.ngrams:10,}{found.rows:10,}{100 * found.shared:12.1f}")


def show_forms(searches):
    """Print the bytes per vector and the nDCG@10 of each form of compression."""
    from functools import partial

    from scratch_embed.why.ablations import measure
    from scratch_embed.why.compression import by_codes, forms, stored_bytes
    from scratch_embed.why.effects import interval, paired_difference
    from scratch_embed.why.searches import ndcg_percent
    dim = searches[0].words.vectors.shape[1]
    table = forms(dim)
    scores = measure([partial(by_codes, form=form) for form in table.values()], searches,
                     progress=True, score=ndcg_percent)
    print(f"\n    {'':26} bytes   nDCG@10, %     minus float32")
    for (name, form), row in zip(table.items(), scores):
        mean, half = interval(row)
        lost = paired_difference(row, scores[0])
        print(f"    {name:26}{stored_bytes(form, dim):6}   {mean:5.1f} ± {half:4.1f}"
              f"{lost.mean:+8.1f} ± {lost.half:.1f}", flush=True)


def show_ties(searches):
    """Print the effect of the order of equal scores, and whether it is as predicted.

    -> (number of predictions that held, number of predictions)
    """
    from scratch_embed.why.effects import interval
    from scratch_embed.why.retrieval import CLAIMS, SCORERS, chance_mrr, shared, ties
    heading("4  Ties: the effect of the order of equal scores")
    print("Predictions:")
    for claim in CLAIMS:
        print(f"    {claim}")
    found = {name: [ties(search, scorer) for search in searches]
             for name, scorer in SCORERS.items()}
    chance = [chance_mrr(search) for search in searches]
    print(f"\n    {'':22}{'%':>6}    nDCG@10, relevant ones     MRR@10, relevant ones\n"
          f"    {'':22}{'tied':>6}  " + "   first  last by name" * 2)
    for name, rows in found.items():
        cells = [[interval([getattr(row, order)[measure] for row in rows]).mean
                  for order in ("first", "last", "by_id")] for measure in (0, 1)]
        print(f"    {name:22}{shared(rows):6.2f}  "
              + "".join(f"{first:8.1f}{last:6.1f}{by:8.1f}" for first, last, by in cells))
    print(f"    {'chance (exact)':28}  {'':22}{'':14}{interval(chance).mean:8.1f}\n")
    held = {claim: bool(check(found, chance)) for claim, check in CLAIMS.items()}
    for claim, right in held.items():
        print(f"    {'held: ' if right else 'failed: '}{claim}")
    return sum(held.values()), len(held)
