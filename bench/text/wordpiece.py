"""WordPiece compared with the tokenizers library: seconds to learn, tokens encoded per second.

    python bench/text/wordpiece.py english.txt
    python bench/text/wordpiece.py english.txt --size 8000 --runs 5

Each line of the file is a text.  First each side learns `size` pieces.  Then each side encodes all
lines with the pieces that our side learned; the library loads them from our tokenizer.json.  The
library is timed with one text per call and with all texts in one call, for which it uses several
threads (one with TOKENIZERS_PARALLELISM=false); "fast" computes no offsets.  Each of our runs
begins with an empty cache of words.  The runs of all sides take turns, A B A B ..., and medians are
printed.  The ids of both sides are compared before encoding is timed.
Needs: python -m pip install tokenizers
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import median, take_turns
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from scratch_embed.text.tokenizer_files import write_tokenizer
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.text.wordpiece_training import learn_pieces


def learn_theirs(lines, size):
    """Train the library's WordPiece with the settings that learn_pieces has by default."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, limit_alphabet=1000, special_tokens=list(SPECIAL),
        show_progress=False))
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path, help="a file with one text per line")
    parser.add_argument("--size", type=int, default=30_000, help="pieces to learn")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side")
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
