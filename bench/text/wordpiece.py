"""WordPiece beside the tokenizers library: how long learning takes, how many tokens a second.

    python bench/text/wordpiece.py english.txt
    python bench/text/wordpiece.py english.txt --size 8000 --runs 5

Each line of the file is a text.  Both learn `size` pieces; then both encode all lines with our
pieces, the library from the tokenizer.json that ours writes: one text a call, and all in a batch
(with its threads: TOKENIZERS_PARALLELISM=false for one).  Runs take turns, A B A B ...; printed are
medians.  Ours begins each run with no word known.  The ids are compared before anything is timed.
Needs:  python -m pip install tokenizers
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import median, take_turns
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.text.wordpiece_files import write_tokenizer
from scratch_embed.text.wordpiece_training import learn_pieces


def learn_theirs(lines, size):
    """The library's trainer with our defaults."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, limit_alphabet=1000, special_tokens=list(SPECIAL),
        show_progress=False))
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--size", type=int, default=30_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    lines = arguments.text.read_text("utf-8").splitlines()
    for name, seconds in take_turns({"ours": lambda: learn_pieces(lines, arguments.size),
                                     "theirs": lambda: learn_theirs(lines, arguments.size)},
                                    arguments.runs).items():
        print(f"learn   {name:16} {median(seconds):8.2f} s")
    pieces = learn_pieces(lines, arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        write_tokenizer(path, WordPiece(pieces))
        theirs = Tokenizer.from_file(str(path))
    ids = WordPiece(pieces).encode_batch(lines).ids.tolist()
    assert ids == [i for found in theirs.encode_batch(lines) for i in found.ids]
    sides = {"ours": lambda: WordPiece(pieces).encode_batch(lines),
             "theirs, one": lambda: [theirs.encode(line) for line in lines],
             "theirs, batch": lambda: theirs.encode_batch(lines),
             "theirs, fast": lambda: theirs.encode_batch_fast(lines)}
    for name, seconds in take_turns(sides, arguments.runs).items():
        print(f"encode  {name:16} {len(ids) / median(seconds) / 1e6:8.2f} M tokens/s")


if __name__ == "__main__":
    main()
