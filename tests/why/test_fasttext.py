"""Collisions of n-grams are counted; FastText's ablations: test_ablations.py."""
from scratch_embed.text.vocab import Vocab
from scratch_embed.why.fasttext import collisions
from scratch_embed.words.subwords import ngram_row


def test_collisions_by_hand():
    """ab and b have <ab, ab> and <b>, no two alike; in one bucket all three meet, and in two
    at least two of them do.
    """
    vocab = Vocab(["ab", "b"], [1, 1])
    assert collisions(vocab, 1, 3, 3) == (3, 1, 1.0)
    rows = [ngram_row(ngram, 0, 2) for ngram in ("<ab", "ab>", "<b>")]
    assert collisions(vocab, 2, 3, 3) == (3, len(set(rows)), max(map(rows.count, rows)) / 3)
    assert collisions(vocab, 2_000_000, 3, 3) == (3, 3, 0.0)
