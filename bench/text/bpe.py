"""Byte-level BPE compared with the tokenizers library: seconds to learn, tokens encoded per second.

    python bench/text/bpe.py english.txt
    python bench/text/bpe.py english.txt --size 8000 --runs 5

Each line of the file is a text; longer ones are cut after 1,000 characters.  First each side learns
`size` pieces; the script stops if they differ.  Then each side encodes all lines with the pieces
that our side learned, which the library loads from our tokenizer.json; the script stops if ids
differ.  The library is timed with one text per call and with all texts in one call, for which it
uses several threads (one with TOKENIZERS_PARALLELISM=false); "fast" computes no offsets.  Each of
our runs begins with an empty cache of words.  Then a word of up to 250,000 letters is encoded, and
one of twice and four times that length: with n log n the time is a little more than doubled.  The
runs of all sides take turns, A B A B ..., and medians are printed.
Needs: python -m pip install tokenizers
"""
import argparse
import copy
import json
import os
import sys
from pathlib import Path

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import median, read_bytes, take_turns
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from scratch_embed.text.bpe_json import to_json
from scratch_embed.text.bpe_training import END_OF_TEXT, train_bpe
from scratch_embed.text.word_cache import WordCache

LONGEST = 1000


def read_lines(path):
    """The lines of a file, plain or gzip, in parts of at most LONGEST characters."""
    return [line[i:i + LONGEST] for line in read_bytes(path).decode().splitlines()
            for i in range(0, len(line), LONGEST)]


def train_theirs(lines, size):
    """Train the library's BPE with the settings that train_bpe has by default."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[END_OF_TEXT], show_progress=False))
    return tokenizer


def with_empty_cache(bpe):
    """The same tokenizer, which has seen no word."""
    new = copy.copy(bpe)
    new._cache = WordCache()
    return new


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path, help="a file with one text per line, or such a .gz")
    parser.add_argument("--size", type=int, default=30_000, help="pieces to learn")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side")
    arguments = parser.parse_args()
    lines = read_lines(arguments.text)
    for name, seconds in take_turns({"ours": lambda: train_bpe(lines, arguments.size),
                                     "theirs": lambda: train_theirs(lines, arguments.size)},
                                    arguments.runs).items():
        print(f"learn   {name:16} {median(seconds):8.2f} s")
    bpe = train_bpe(lines, arguments.size)
    assert bpe.index == train_theirs(lines, arguments.size).get_vocab()
    theirs = Tokenizer.from_str(json.dumps(to_json(bpe)))
    ids = bpe.encode_batch(lines).ids.tolist()
    assert ids == [i for found in theirs.encode_batch(lines) for i in found.ids]
    sides = {"ours": lambda: with_empty_cache(bpe).encode_batch(lines),
             "theirs, one": lambda: [theirs.encode(line) for line in lines],
             "theirs, batch": lambda: theirs.encode_batch(lines),
             "theirs, fast": lambda: theirs.encode_batch_fast(lines)}
    for name, seconds in take_turns(sides, arguments.runs, warmup_rounds=1).items():
        print(f"encode  {name:16} {len(ids) / median(seconds) / 1e6:8.2f} M tokens/s")
    letters = "".join(lines).replace(" ", "")
    for length in 250_000, 500_000, 1_000_000:
        word = (letters * (length // len(letters) + 1))[:length]
        word = "".join(c for c in word if c.isalpha())
        assert bpe.token_ids(word) == theirs.encode(word).ids, length
        sides = {"ours": lambda word=word: with_empty_cache(bpe).token_ids(word),
                 "theirs": lambda word=word: theirs.encode(word)}
        for name, seconds in take_turns(sides, arguments.runs).items():
            print(f"a word of {len(word):9,} letters, {name:16} {median(seconds):8.2f} s")


if __name__ == "__main__":
    main()
