"""Known-item search in a raw text: the defaults against the best options of the tokenizer and SIF.

    python bench/retrieve/known_item.py english.txt.gz
    python bench/retrieve/known_item.py english.txt.gz --seeds 1 --lines 20000

The text has one sentence per line, lower-cased and without punctuation (.gz or not), and at least
190,000 lines; it becomes a raw text with capitals and punctuation.  300 documents, like short news,
are made of templates with names and places, many with accents, and of up to three lines from the
rest of the text.  The query of a document has up to three words of these lines, of more than five
letters, and a place, a name, or a paraphrase of who acted or of what happened; case and punctuation
differ.  Only that document is relevant.

word2vec is trained on the first 70,000 lines (--lines) and the documents, once for each tokenizer.
The table has the mean nDCG@10, over the seeds, of the vectors, of BM25 and of two hybrids: split at
white space with equal weights (the defaults of version 0.1); with the defaults; and with the best
of 16 settings, each tokenizer with each a of SIF.
"""
import argparse
import contextlib
import gzip
import io
import json
import os
import random
import tempfile

from scratch_embed.cli.main import main

WHO = [("the police", "officers"), ("the mayor", "city officials"), ("a doctor", "physicians"),
       ("the minister", "the government"), ("the director", "a filmmaker"),
       ("a judge", "the court"), ("firefighters", "rescue workers"), ("the teacher", "a school"),
       ("the bank", "lenders"), ("a scientist", "researchers"), ("the coach", "the team"),
       ("farmers", "growers")]
WHAT = [("arrested a thief", "caught a robber"), ("opened a hospital", "started a clinic"),
        ("closed a factory", "shut a plant"), ("won the match", "beat its rivals"),
        ("put out a fire", "stopped a blaze"), ("made a film", "shot a movie"),
        ("built a bridge", "constructed a crossing"), ("saved a child", "rescued a boy"),
        ("wrote a book", "published a novel"), ("bought a car", "acquired an automobile"),
        ("attacked a village", "raided a town"), ("ended the strike", "settled the dispute")]
PLACES = ("Málaga", "São Paulo", "Zürich", "Orléans", "Kraków", "Reykjavík", "Córdoba", "Genève",
          "Malmö", "Århus", "Besançon", "Łódź", "Cádiz", "London", "Paris", "Berlin", "Boston")
NAMES = ("José Álvarez", "Renée Dupont", "Zoë Müller", "Søren Holm", "Anaïs Lefèvre", "Inés Peña",
         "Jürgen Groß", "Łukasz Nowak", "John Smith", "Peter O'Brien", "Anne D'Arcy", "Noël Roux")
WHEN = ("on Monday", "on Tuesday", "after the storm", "before the election", "last winter")
ENDS = ("“We didn't expect that,” said {name}.", "“It's a great day for {place}!” {name} said.",
        "{name}'s family couldn't be reached.", "Isn't this what people wanted? {name} thinks so.",
        "The inquiry (the second in {place}) goes on.")
TOKENIZERS = [], ["--apostrophes", "split"], ["--keep-case"], ["--tokenizer", "spaces"]
WEIGHTS = [], ["--sif", "0"], ["--sif", "0.0001"], ["--sif", "0.01"]
VERSION_0_1 = "--tokenizer spaces --sif 0"


def capitalised(text):
    """The text with a capital as its first letter."""
    return text[0].upper() + text[1:]


def as_raw_text(line, rng):
    """A line as someone would write it: a capital, commas, and a mark at its end."""
    words = [word + "," * (rng.random() < 0.05) for word in line.split()]
    return capitalised(" ".join(words)) + rng.choice(".....!?")


def documents(lines, rng, n=300):
    """n documents and the query of each.  -> two lists of str"""
    texts, queries = [], []
    for start in range(0, 400 * n, 400):
        who, what = rng.sample(rng.choice(WHO), 2), rng.sample(rng.choice(WHAT), 2)
        place, name = rng.choice(PLACES), rng.choice(NAMES)
        story = [line for line in lines[start:start + 60] if 8 < len(line.split()) < 30][:3]
        first = f"{capitalised(who[0])} {what[0]} in {place} {rng.choice(WHEN)}."
        texts.append(" ".join([first, rng.choice(ENDS).format(name=name, place=place),
                               *(as_raw_text(line, rng) for line in story)]))
        long_words = sorted({word for line in story for word in line.split() if len(word) > 5})
        chosen = " ".join(rng.sample(long_words, min(3, len(long_words))))
        queries.append(rng.choice([f"{capitalised(chosen)}: {place}", f"{who[1]} {chosen}?",
                                   f"{chosen.upper()} {name}",
                                   f"{capitalised(what[1])}, {chosen}!"]))
    return texts, queries


def write_files(lines, trained, seed):
    """Write raw.txt, corpus.tsv, queries.tsv and qrels.tsv to the current folder."""
    rng = random.Random(seed)
    texts, queries = documents(lines[trained:], rng)
    with open("raw.txt", "w", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for text in [
            *(as_raw_text(line, rng) for line in lines[:trained] if line), *texts])
    for name, rows in ("corpus", texts), ("queries", queries):
        with open(f"{name}.tsv", "w", encoding="utf-8") as file:
            file.writelines(f"{number}\t{text}\n" for number, text in enumerate(rows))
    with open("qrels.tsv", "w", encoding="utf-8") as file:
        file.writelines(f"{number}\t{number}\t1\n" for number in range(len(texts)))


def command(*arguments):
    """Run a command of scratch-embed.  -> the text that it prints"""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as err:
        if main(list(arguments)):
            raise SystemExit(err.getvalue())
    return out.getvalue()


def measure():
    """{options: {system: nDCG@10}} of the files in the current folder."""
    found = {}
    for tokenizer in TOKENIZERS:
        command("train", "word2vec", "raw.txt", "-o", "words.vec", *tokenizer)
        for sif in WEIGHTS:
            out = command("evaluate", "retrieval", "words.vec", "--corpus", "corpus.tsv",
                          "--queries", "queries.tsv", "--qrels", "qrels.tsv", "--depth", "100",
                          "--json", *tokenizer, *sif)
            found[" ".join(tokenizer + sif)] = {
                system: row["nDCG@10"]["value"] for system, row in json.loads(out).items()}
    return found


def report():
    """Print a line for each system."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lines", type=int, default=70_000, help="lines to train on")
    arguments = parser.parse_args()
    opener = gzip.open if arguments.text.endswith(".gz") else open
    with opener(arguments.text, "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    if len(lines) < arguments.lines + 120_000:
        raise SystemExit(f"{arguments.text}: expected at least {arguments.lines + 120_000:,} lines,"
                         f" got {len(lines):,}; give a longer text, or fewer --lines")
    runs = []
    for seed in range(1, arguments.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            write_files(lines, arguments.lines, seed)
            runs.append(measure())
            os.chdir(os.path.dirname(folder))
    print(f"{'system':22}{'0.1':>7}{'default':>9}{'best':>7}{'ratio':>7}  best options")
    for system in runs[0][""]:
        mean = {options: sum(run[options][system] for run in runs) / len(runs)
                for options in runs[0]}
        best = max(mean, key=mean.get)
        print(f"{system:22}{mean[VERSION_0_1]:7.3f}{mean['']:9.3f}{mean[best]:7.3f}"
              f"{mean[''] / mean[best]:7.3f}  {best or 'the defaults'}")


if __name__ == "__main__":
    report()
