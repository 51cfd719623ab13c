"""WordPiece training: learn a vocabulary by repeatedly joining the most frequent pair of pieces.

    l ##o ##w, l ##o ##t   ->   the pair (l, ##o) occurs twice: lo ##w, lo ##t

Paper     Schuster & Nakajima 2012 (the idea); Sennrich, Haddow & Birch 2016, "Neural Machine
          Translation of Rare Words with Subword Units", Algorithm 1 (byte-pair encoding: what is
          computed here, by text/bpe_training.py)
Shapes    sentences: an iterable of str -> a list of str, in which the index of a piece is its id
Differs   from Schuster & Nakajima, and from Google's description of its own trainer (whose code is
          not public): they join the pair that makes the text most likely, usually understood as the
          largest count(x, y)/(n(x) n(y)).  The tokenizers library's WordPieceTrainer, with which
          most of today's vocabularies were made, uses the count, as here.
          From the library: letters after "##" are numbered by code point.  The library numbers them
          in the order of its hash table, which changes from run to run, so two of its runs learn
          different pieces where counts are equal.  With its order of these letters, our pieces
          equal its pieces (a test checks this).  Of equally frequent letters, limit_alphabet keeps
          those with lower code points; in the library the hash table decides again.  Here it is an
          error if the special tokens and the letters alone are more than `size`.
Read next text/bpe_training.py (the joins), text/wordpiece.py (how the pieces are used)
"""
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from scratch_embed.numerics.checks import require_unicode
from scratch_embed.text.basic_tokenizer import UNCASED, Normalizer, normalise, split_words
from scratch_embed.text.bpe_training import join_pairs
from scratch_embed.text.corpus import slices_at_spaces
from scratch_embed.text.wordpiece import SPECIAL


def learn_pieces(sentences: Iterable[str], size: int = 30_000, normalizer: Normalizer = UNCASED, *,
                 special: Sequence[str] = SPECIAL, min_frequency: int = 2,
                 limit_alphabet: int | None = 1000, prefix: str = "##") -> list[str]:
    """Learn at most `size` pieces: `special`, letters, letters after "##", then joined pieces.

    min_frequency    pairs that occur less often are not joined
    limit_alphabet   keep only this many letters, the most frequent; words lose the others
    Raises           ValueError if the text has no words, or `size` is too small for its letters
    """
    words = count_words(sentences, normalizer)
    if not words:
        raise ValueError("sentences: expected a text with words, found none")
    pieces = first_pieces(words, special, limit_alphabet, prefix)
    if len(pieces) > size:
        raise ValueError(f"size={size}: expected at least {len(pieces)}, the special tokens and "
                         "letters; choose a larger size")
    return join_pairs(words, pieces, size, min_frequency, prefix)[0]


# ---- before the first join --------------------------------------------------------------------

def count_words(sentences: Iterable[str], normalizer: Normalizer = UNCASED) -> Counter[str]:
    """Count the words that WordPiece splits.  -> {word: count}, in order of first occurrence

    Raises ValueError for a lone surrogate.
    """
    if isinstance(sentences, (str, bytes)):
        raise TypeError("sentences: expected an iterable of strings, got one string; put it into "
                        "a list")
    words = Counter()
    for number, sentence in enumerate(sentences):
        for part in slices_at_spaces(require_unicode(f"sentence {number}", sentence)):
            words.update(split_words(normalise(part, normalizer)))
    return words


def first_pieces(words: Mapping[str, int], special: Sequence[str] = SPECIAL,
                 limit_alphabet: int | None = None, prefix: str = "##") -> list[str]:
    """`special`, the letters of the words, and "##" + each letter found after the first of a word.

    limit_alphabet: as in learn_pieces; None keeps all letters.
    """
    letters = Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    kept = sorted(letters, key=lambda letter: (-letters[letter], letter))[:limit_alphabet]
    pieces = dict.fromkeys([*special, *sorted(kept)])
    inner = {letter for word in words for letter in word[1:]}
    pieces |= dict.fromkeys(prefix + letter for letter in sorted(inner) if letter in pieces)
    return list(pieces)
