"""WordPiece training: learn a vocabulary by repeatedly joining the most frequent pair of pieces.

    l ##o ##w, l ##o ##t   ->   the pair (l, ##o) occurs twice: lo ##w, lo ##t

Paper     Schuster & Nakajima 2012 (the idea); Sennrich, Haddow & Birch 2016, "Neural Machine
          Translation of Rare Words with Subword Units", Algorithm 1 (byte-pair encoding: what is
          computed here)
Equation  count(x, y) = Σ_words n(word) · (how often y follows x in the word's pieces)
          Join the pair with the largest count (on a tie, the pair with the lowest ids) to a new
          piece with the next id.  Repeat until there are `size` pieces, or count < min_frequency.
Shapes    sentences: an iterable of str -> a list of str, in which the index of a piece is its id
Cost      a join visits only the words that contain the pair; the candidates are in a heap.
          Memory: every distinct word once, and for each pair the words in which it occurs
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
Read next text/wordpiece.py (how the pieces are used)

Why is a heap enough?  All occurrences of a piece are formed in one join.  So a pair has its largest
count when the later of its two pieces is formed, and later joins can only reduce it.  An entry of
the heap may therefore be too high but never too low, and is corrected when it reaches the top.
(Why in one join?  Wherever a string becomes a piece, no earlier join has crossed its ends.  So the
same joins were made inside it, in the same order, at each of these places.)
"""
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scratch_embed.text.basic_tokenizer import UNCASED, Normalizer, normalise, split_words
from scratch_embed.text.corpus import slices_at_spaces
from scratch_embed.text.wordpiece import SPECIAL

Pair = tuple[int, int]


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
    return join_pairs(words, pieces, size, min_frequency, prefix)


# ---- before the first join --------------------------------------------------------------------

def count_words(sentences: Iterable[str], normalizer: Normalizer = UNCASED) -> Counter[str]:
    """Count the words that WordPiece splits.  -> {word: count}, in order of first occurrence"""
    if isinstance(sentences, (str, bytes)):
        raise TypeError("sentences: expected an iterable of strings, got one string; put it into "
                        "a list")
    words = Counter()
    for sentence in sentences:
        for part in slices_at_spaces(sentence):
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


# ---- joining ----------------------------------------------------------------------------------

def join_pairs(words: Mapping[str, int], pieces: Sequence[str], size: int,
               min_frequency: int = 0, prefix: str = "##") -> list[str]:
    """Join pairs until there are `size` pieces.  -> `pieces` and the joined pieces

    words    {word: count}; letters that are not among `pieces` are dropped from the words
    pieces   special tokens and letters, as first_pieces returns them
    """
    pieces = list(pieces)
    index = {piece: number for number, piece in enumerate(pieces)}
    spelled = [[index[(prefix if i else "") + letter] for i, letter in enumerate(word)
                if letter in index] for word in words]
    counts = list(words.values())
    total, found_in = Counter(), defaultdict(set)  # the count and the words of each pair
    for w, numbers in enumerate(spelled):
        for pair in zip(numbers, numbers[1:]):
            total[pair] += counts[w]
            found_in[pair].add(w)
    heap = [(-count, pair) for pair, count in total.items()]
    heapq.heapify(heap)
    while len(pieces) < size:
        pair = pop_most_frequent(heap, total)
        if pair is None or total[pair] < max(min_frequency, 1):
            break
        joined = pieces[pair[0]] + pieces[pair[1]].removeprefix(prefix)
        number = index.setdefault(joined, len(pieces))
        if number == len(pieces):                  # else it is a special token
            pieces.append(joined)
        new = set()
        for w in found_in.pop(pair):
            spelled[w], changes = join(spelled[w], pair, number)
            for neighbour, change in changes:
                total[neighbour] += change * counts[w]
                if change > 0:
                    found_in[neighbour].add(w)
                    new.add(neighbour)
        for pair in new:
            heapq.heappush(heap, (-total[pair], pair))
    return pieces


def pop_most_frequent(heap: list[tuple[int, Pair]], total: Mapping[Pair, int]) -> Pair | None:
    """Pop the most frequent pair; counts that are too high are corrected.  None: empty heap."""
    while heap:
        count, pair = heap[0]
        if -count == total[pair]:
            return heapq.heappop(heap)[1]
        heapq.heapreplace(heap, (-total[pair], pair))
    return None


def join(word: Sequence[int], pair: Pair, number: int) -> tuple[list[int], list[tuple[Pair, int]]]:
    """Replace a pair in a word by `number`, from the left.  -> word, changes of pair counts

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
