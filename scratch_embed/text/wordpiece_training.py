"""Learning WordPiece's vocabulary: from letters up, the most frequent pair becomes a piece.

    l ##o ##w, l ##o ##t   ->   the pair (l, ##o) is seen twice: lo ##w, lo ##t

Paper     Schuster & Nakajima 2012 (the idea); Sennrich, Haddow & Birch 2016, "Neural Machine
          Translation of Rare Words with Subword Units", Algorithm 1 (what is computed here).
Equation  count(x, y) = Σ_words n(word) · (how often y follows x in the word's pieces)
          join the pair of the largest count, of equals the one of the lowest numbers; the new
          piece takes the next number; again until there are `size` pieces or count < min_frequency
Shapes    sentences: an iterable of str -> a list of str, whose places are the numbers
Cost      each join looks at the words that have the pair, not at the text; a heap keeps the
          candidates.  Memory: every different word once, and where each pair is seen.
Differs   from Schuster & Nakajima, and from what Google has published of its own trainer (nothing
          that runs): they join the pair that makes the text likeliest, count(x, y)/(n(x) n(y)) in
          the usual reading.  The tokenizers library's WordPieceTrainer, which made most of today's
          vocabularies, counts as here.
          From the library: letters behind "##" are numbered by code point; there by its hash
          table, anew in each run, so that with equal counts two of its runs learn other pieces.
          Given its order of these letters, our pieces are its pieces (a test holds that).  Of
          letters that are equally frequent, limit_alphabet keeps those of lower code points, there
          it is the hash table again.  Letters that alone exceed `size` are an error here.
Read next text/wordpiece.py, which uses the pieces.

All copies of a piece come about in one join, so a pair is new once, when the later of its two
pieces is, and from then on its count can only fall: a join takes neighbours away.  So an entry of
the heap may be too high and never too low.  It is put right when it comes to the top.
(Why one join: until a string is a piece, no join has reached over its ends, and inside it the same
joins were made in the same order wherever it stands.)
"""
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scratch_embed.text.basic_tokenizer import UNCASED, Cleaning, normalise, split_words
from scratch_embed.text.wordpiece import SPECIAL

Pair = tuple[int, int]


def learn_pieces(sentences: Iterable[str], size: int = 30_000, cleaning: Cleaning = UNCASED, *,
                 special: Sequence[str] = SPECIAL, min_frequency: int = 2,
                 limit_alphabet: int | None = 1000, prefix: str = "##") -> list[str]:
    """The pieces, at most `size`: `special`, the letters, those behind "##", then what is joined.

    min_frequency    a pair seen less often is not joined
    limit_alphabet   this many letters are kept, the most frequent; others are left out of words
    Raises           ValueError where the text has no words, or `size` is too small for its letters
    """
    words = count_words(sentences, cleaning)
    if not words:
        raise ValueError("the sentences have no words: nothing to learn pieces from")
    pieces = first_pieces(words, special, limit_alphabet, prefix)
    if len(pieces) > size:
        raise ValueError(f"size={size}, but special tokens and letters alone are {len(pieces)} "
                         "pieces; choose more, or a smaller limit_alphabet")
    return join_pairs(words, pieces, size, min_frequency, prefix)


# ---- before the first join --------------------------------------------------------------------

def count_words(sentences: Iterable[str], cleaning: Cleaning = UNCASED) -> Counter[str]:
    """{word: how often}, words as the encoder sees them, in the order of their first coming."""
    if isinstance(sentences, (str, bytes)):
        raise TypeError("sentences is one string, which would be read letter by letter; give an "
                        "iterable of strings")
    words = Counter()
    for sentence in sentences:
        words.update(split_words(normalise(sentence, cleaning)))
    return words


def first_pieces(words: Mapping[str, int], special: Sequence[str] = SPECIAL,
                 limit_alphabet: int | None = None, prefix: str = "##") -> list[str]:
    """`special`, the letters of the words, and with "##" those that do not only begin words."""
    letters = Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    kept = sorted(letters, key=lambda letter: (-letters[letter], letter))[:limit_alphabet]
    pieces = dict.fromkeys([*special, *sorted(kept)])
    inner = {letter for word in words for letter in word[1:]}
    pieces |= dict.fromkeys(prefix + letter for letter in sorted(inner) if letter in pieces)
    return list(pieces)


# ---- joining ----------------------------------------------------------------------------------

def join_pairs(words: Mapping[str, int], pieces: Sequence[str], size: int,
               min_frequency: int = 0, prefix: str = "##") -> list[str]:
    """`pieces`, which are special tokens and letters, and behind them what joining makes of them.

    words    {word: how often}; a letter that is not among the pieces is left out of its word
    """
    pieces = list(pieces)
    index = {piece: number for number, piece in enumerate(pieces)}
    spelled = [[index[(prefix if i else "") + letter] for i, letter in enumerate(word)
                if letter in index] for word in words]
    counts = list(words.values())
    total, places = Counter(), defaultdict(set)    # of each pair: its count, words that have it
    for w, numbers in enumerate(spelled):
        for pair in zip(numbers, numbers[1:]):
            total[pair] += counts[w]
            places[pair].add(w)
    heap = [(-count, pair) for pair, count in total.items()]
    heapq.heapify(heap)
    while len(pieces) < size:
        pair = pop_most_frequent(heap, total)
        if pair is None or total[pair] < max(min_frequency, 1):
            break
        joined = pieces[pair[0]] + pieces[pair[1]].removeprefix(prefix)
        number = index.setdefault(joined, len(pieces))
        if number == len(pieces):                  # else it is one of the special tokens
            pieces.append(joined)
        new = set()
        for w in places.pop(pair):
            spelled[w], changes = join(spelled[w], pair, number)
            for changed, by in changes:
                total[changed] += by * counts[w]
                if by > 0:
                    places[changed].add(w)
                    new.add(changed)
        for pair in new:
            heapq.heappush(heap, (-total[pair], pair))
    return pieces


def pop_most_frequent(heap: list[tuple[int, Pair]], total: Mapping[Pair, int]) -> Pair | None:
    """The pair on top, taken off; entries that are too high go back lower.  None at the end."""
    while heap:
        count, pair = heap[0]
        if -count == total[pair]:
            return heapq.heappop(heap)[1]
        heapq.heapreplace(heap, (-total[pair], pair))
    return None


def join(word: Sequence[int], pair: Pair, number: int) -> tuple[list[int], list[tuple[Pair, int]]]:
    """The word with `number` for the pair, from the left, and what that does to other pairs.

    [2, 0, 1, 3], (0, 1), 7  ->  [2, 7, 3] and (2, 0) −1, (2, 7) +1, (1, 3) −1, (7, 3) +1
    """
    first, second = pair
    new, changes, i = [], [], 0
    while i < len(word):
        if word[i] == first and i + 1 < len(word) and word[i + 1] == second:
            if new:
                changes += [((new[-1], first), -1), ((new[-1], number), 1)]
            if i + 2 < len(word):
                changes += [((second, word[i + 2]), -1), ((number, word[i + 2]), 1)]
            new.append(number)
            i += 2
        else:
            new.append(word[i])
            i += 1
    return new, changes
