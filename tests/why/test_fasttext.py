"""Hash collisions of n-grams.  (The ablations of FastText are tested in test_ablations.py.)"""
from scratch_embed.text.vocab import Vocab
from scratch_embed.why.fasttext import collisions
from scratch_embed.words.subwords import ngram_row


def test_collisions_by_hand():
    """ab and b have three different n-grams of 3 letters: <ab, ab> and <b>.

    In one bucket all three collide, in two buckets at least two of them.
    """
    vocab = Vocab(["ab", "b"], [1, 1])
    assert collisions(vocab, 1, 3, 3) == (3, 1, 1.0)
    rows = [ngram_row(ngram, 0, 2) for ngram in ("<ab", "ab>", "<b>")]
    assert collisions(vocab, 2, 3, 3) == (3, len(set(rows)), max(map(rows.count, rows)) / 3)
    assert collisions(vocab, 2_000_000, 3, 3) == (3, 3, 0.0)
