"""How the files fasttext-* were made: by the original, fasttext 0.9.3, from these texts.

    pip install fasttext
    python tests/golden/make_fasttext.py                uses the Python package
    python tests/golden/make_fasttext.py path/fasttext  and the command, for fasttext-command.*

fasttext-*.bin       tiny models: 5 or 6 dimensions, 0 to 80 buckets
fasttext-*.ftz       two quantised models, which this package refuses to read
fasttext-command.*   .bin and .vec of one training
fasttext.json        the answers of fasttext for each .bin.  Numbers are float32 (in "test"
                     float64) and written by float.hex, so they are not rounded.
                     In "predict" and "test" fasttext reads a line end, "</s>", after each text.

Training uses twelve threads, the default of the command, so every run makes different files.  Fewer
threads do not work: each thread fills a tenth of the input table, so with fewer than eleven the
rest of the table is uninitialised memory, sometimes nan (densematrix.cc, aligned.h).

"ns" and "ova" look up the sigmoid in a table of 512 cells, so probabilities can be equal.  Labels
of equal probability are in the order of fasttext's heap.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent

LINES = """where is the naïve king of the sea
où est le roi de la mer où est la reine
the queen knows where the king sleeps and where the sea sleeps
日本語 の 王 は どこ 日本 の 海
🙂 is the sign of the naïve queen 🙂
la reine sait où le roi dort et où dort la mer
日本語 は 日本 の 言葉 </s> the queen sleeps
once only"""

LABELLED = """__label__english where is the naïve king of the sea
__label__english the queen knows where the king sleeps
__label__english the sea sleeps
__label__english 🙂 is the sign of the queen
__label__français où est le roi de la mer
__label__français la reine sait où le roi dort 🙂
__label__français où est la reine de la mer
__label__français __label__short la mer dort
__label__日本語 日本語 の 王 は どこ
__label__日本語 日本 の 海
__label__日本語 __label__short 言葉 は 日本
__label__short 🙂 🙂"""

HELD_OUT = """__label__english the reine of the sea
__label__français où est the king
__label__日本語 __label__short 王 の reine
__label__日本語 où dort
__label__unheard where is the mer
no label 🙂
__label__short
__label__short __label__english 🙂 where"""

WORDS = ["where", "où", "日本語", "🙂", "naïve", "king", "sea", "</s>",       # in the vocabulary
         "wherever", "oùest", "日本人", "naïf", "🙂🙂", "x", "é", "日", "the-longest-word"]

SENTENCES = ["where is the king", "où est le  roi\tde la 日本語 🙂", "unheard of words",
             "the </s> king", "the", ""]

TEXTS = [*SENTENCES, "the king the king the king", "la reine de la mer", "日本 の 言葉",
         "__label__short where dort", "__label__unheard où"]

UNSUPERVISED = {                                   # without n-grams, and from 2 to 4 letters
    "skipgram": dict(model="skipgram", dim=6, minn=2, maxn=4, bucket=80, minCount=2),
    "cbow": dict(model="cbow", dim=5, minn=3, maxn=6, bucket=50, minCount=1),
    "hs": dict(model="skipgram", dim=6, minn=1, maxn=3, bucket=60, minCount=1, loss="hs"),
    "words": dict(model="cbow", dim=5, minn=0, maxn=0, minCount=1),
    "softmax": dict(model="skipgram", dim=5, minn=3, maxn=3, bucket=7, minCount=1, loss="softmax"),
}
SUPERVISED = {
    "softmax": dict(wordNgrams=1),                 # neither kind of n-gram: no buckets
    "softmax-bigrams": dict(wordNgrams=2, bucket=60, loss="softmax"),
    "ns": dict(wordNgrams=2, bucket=60, loss="ns", neg=2),
    "hs": dict(wordNgrams=1, bucket=50, minn=2, maxn=4, loss="hs"),
    "ova": dict(wordNgrams=2, bucket=70, minn=2, maxn=3, loss="ova"),
    "ova-words": dict(wordNgrams=1, loss="ova", minCount=2),
    "hs-trigrams": dict(wordNgrams=3, bucket=40, loss="hs"),
}


def exact(numbers):
    """Each number as hexadecimal text, without rounding."""
    return [float(number).hex() for number in numbers]


def answers_on_words(model):
    """{word: its vector}, {word: [n-grams, rows]}, {sentence: its vector}."""
    subwords = {word: model.get_subwords(word) for word in WORDS}
    return {"words": model.get_words(), "counts": model.get_words(include_freq=True)[1].tolist(),
            "vectors": {word: exact(model.get_word_vector(word)) for word in WORDS},
            "subwords": {word: [ngrams, rows.tolist()] for word, (ngrams, rows)
                         in subwords.items()},
            "sentences": {text: exact(model.get_sentence_vector(text)) for text in SENTENCES}}


def answers_on_texts(model, held_out):
    """predict: [text, k, threshold, labels, probabilities]; test: {k: [n, precision, recall]}."""
    queries = [(text, k, threshold) for text in TEXTS
               for k, threshold in [(1, 0), (9, 0), (9, 0.2)]]
    predicted = []
    for text, k, threshold in queries:
        pairs = model.f.predict(text + "\n", k, threshold, "strict")
        predicted.append([text, k, threshold, [label for _, label in pairs],
                          exact(probability for probability, _ in pairs)])
    labels, counts = model.get_labels(include_freq=True)
    tests = {}
    for k in (1, 2, 4):
        n, precision, recall = model.test(held_out, k)
        tests[k] = [n, *exact([precision, recall])]
    return {"labels": labels, "label_counts": counts.tolist(), "predict": predicted, "test": tests}


def save_quantised(fasttext, labelled):
    """Save two .ftz: one keeps all rows, one the 256 rows of largest norm (the minimum)."""
    for name, options in [("quantised", {}), ("pruned", {"cutoff": 256})]:
        model = fasttext.train_supervised(labelled, dim=4, bucket=300, wordNgrams=2, thread=12,
                                          verbose=0)
        model.quantize(**options)
        model.save_model(str(FOLDER / f"fasttext-{name}.ftz"))


def main():
    import fasttext
    answers = {}
    with tempfile.TemporaryDirectory() as folder:
        lines, labelled, held_out = (Path(folder) / name for name in ("lines", "labelled", "test"))
        for path, text in (lines, LINES), (labelled, LABELLED), (held_out, HELD_OUT):
            path.write_text(text + "\n", "utf-8")
        for name, options in UNSUPERVISED.items():
            path = str(FOLDER / f"fasttext-{name}.bin")
            fasttext.train_unsupervised(str(lines), epoch=40, lr=0.05, t=0.05, thread=12,
                                        verbose=0, **options).save_model(path)
            answers[name] = answers_on_words(fasttext.load_model(path))
        for name, options in SUPERVISED.items():
            path = FOLDER / f"fasttext-supervised-{name}.bin"
            fasttext.train_supervised(str(labelled), epoch=150, lr=0.3, dim=5, thread=12,
                                      verbose=0, **options).save_model(str(path))
            model = fasttext.load_model(str(path))
            answers[f"supervised-{name}"] = {**answers_on_words(model),
                                             **answers_on_texts(model, str(held_out))}
        save_quantised(fasttext, str(labelled))
        if len(sys.argv) > 1:
            subprocess.run([sys.argv[1], "skipgram", "-input", lines, "-dim", "5", "-minn", "2",
                            "-maxn", "3", "-bucket", "30", "-minCount", "2", "-epoch", "40", "-lr",
                            "0.05", "-t", "0.05", "-thread", "12", "-verbose", "0",
                            "-output", FOLDER / "fasttext-command"], check=True)
            answers["command"] = answers_on_words(
                fasttext.load_model(str(FOLDER / "fasttext-command.bin")))
    text = ",\n".join(f"{json.dumps(name)}: " + "{\n" + ",\n".join(
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in answer.items()) + "}" for name, answer in answers.items())
    (FOLDER / "fasttext.json").write_text("{" + text + "}\n", "utf-8")


if __name__ == "__main__":
    main()
