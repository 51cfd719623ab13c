"""SentencePiece's tokenizers compared with the tokenizers library: tokens encoded per second.

    python bench/text/unigram.py english.txt
    python bench/text/unigram.py english.txt --size 8000 --runs 5

Each line of the file is a text; longer ones are cut after 1,000 characters.  sentencepiece learns
`size` pieces of each kind: a Unigram with XLM-R's rules (its Precompiled table, white space, "▁"),
and a BPE with byte fallback and Mistral's rules.  The library reads our tokenizer.json; the script
stops if ids differ, then each side encodes all lines.  The library is timed with one text per call
and with all texts in one call, for which it uses several threads (one with
TOKENIZERS_PARALLELISM=false); "fast" computes no offsets.  Each of our runs begins with an empty
cache of words.  The runs of all sides take turns, A B A B ..., and medians are printed.
Then our side encodes, once each, words of 1.25 to 10 million letters: the time should double with
the length (BPE: a little more, n log n).
Needs: python -m pip install tokenizers sentencepiece
"""
import argparse
import copy
import io
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from side_by_side import median, read_bytes, take_turns
from tokenizers import Tokenizer

from scratch_embed.text.precompiled import Precompiled
from scratch_embed.text.sentencepiece import XLM_ROBERTA
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.unigram import Unigram
from scratch_embed.text.unigram_json import to_json
from scratch_embed.text.word_cache import WordCache

LONGEST = 1000


def train(lines, size, kind):
    """A model that sentencepiece learns; kind: "unigram" or "bpe"."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=file, vocab_size=size, model_type=kind,
        byte_fallback=kind == "bpe", hard_vocab_limit=False, minloglevel=2)
    return sentencepiece_model_pb2.ModelProto.FromString(file.getvalue())


def xlm_roberta(lines, size):
    """A Unigram with XLM-R's rules."""
    model = train(lines, size, "unigram")
    table = Precompiled(model.normalizer_spec.precompiled_charsmap)
    return Unigram([piece.piece for piece in model.pieces], [piece.score for piece in model.pieces],
                   rules=XLM_ROBERTA._replace(normalizers=(table,)))


def mistral(lines, size):
    """A BPE with Mistral's rules.

    Its merges are all splits of a piece into two pieces, in the order of the pieces' scores.
    """
    pieces = [piece.piece for piece in train(lines, size, "bpe").pieces]
    known = set(pieces)
    return SentencePieceBPE(pieces, [(piece[:i], piece[i:]) for piece in pieces
                                     for i in range(1, len(piece))
                                     if piece[:i] in known and piece[i:] in known])


def with_empty_cache(tokenizer):
    """The same tokenizer, which has seen no word."""
    new = copy.copy(tokenizer)
    new._cache = WordCache()
    return new


def compare(name, ours, lines, runs):
    """Print the tokens per second of both sides, and our seconds for long words."""
    theirs = Tokenizer.from_str(json.dumps(to_json(ours)))
    ids = with_empty_cache(ours).encode_batch(lines).ids.tolist()
    assert ids == [i for found in theirs.encode_batch(lines) for i in found.ids]
    sides = {"ours": lambda: with_empty_cache(ours).encode_batch(lines),
             "theirs, one": lambda: [theirs.encode(line) for line in lines],
             "theirs, batch": lambda: theirs.encode_batch(lines),
             "theirs, fast": lambda: theirs.encode_batch_fast(lines)}
    for side, seconds in take_turns(sides, runs).items():
        print(f"{name:12} {side:16} {len(ids) / median(seconds) / 1e6:8.2f} M tokens/s")
    word = "".join(lines).replace(" ", "").replace("▁", "")[:1_250_000]
    for length in (1_250_000, 2_500_000, 5_000_000, 10_000_000):
        text = (word * (length // len(word) + 1))[:length]
        start = time.perf_counter()
        ours.token_ids(text)
        print(f"{name:12} a word of {length:10,} letters {time.perf_counter() - start:8.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path, help="a file with one text per line, or such a .gz")
    parser.add_argument("--size", type=int, default=8_000, help="pieces to learn (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (%(default)s)")
    arguments = parser.parse_args()
    lines = [line[i:i + LONGEST] for line in read_bytes(arguments.text).decode().splitlines()
             for i in range(0, len(line), LONGEST)]
    for name, make in (("unigram", xlm_roberta), ("bpe", mistral)):
        compare(name, make(lines, arguments.size), lines, arguments.runs)


if __name__ == "__main__":
    main()
