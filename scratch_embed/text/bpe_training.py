"""BPE training: learn merges by repeatedly joining the most frequent pair of neighbouring pieces.

    low low lot   ->   (l, o) occurs three times: lo w, lo w, lo t   ->   (lo, w) twice: low ...

Paper     Sennrich, Haddow & Birch 2016, "Neural Machine Translation of Rare Words with Subword
          Units", Algorithm 1; over bytes: Radford et al. 2019 (GPT-2), §2.2
Equation  count(x, y) = Σ_words n(word) · (how often y follows x in the word's pieces)
          Join the pair with the largest count (of several, the one with the lowest ids) to a new
          piece with the next id.  Repeat until there are `size` pieces, or count < min_frequency.
Shapes    texts: an iterable of str -> pieces (list of str; the index of a piece is its id), and
          merges (list of pairs of pieces, in the order in which they were learned)
Cost      n log n for n letters in the distinct words, also if all are in one word: a join visits
          only the places of its pair, and the candidates are in a heap.
          Memory: about 20 bytes for each letter, and 4 for each place of a pair.
          There is no kernel (bench/text/bpe.py has the time beside the tokenizers library's)
Differs   from the tokenizers library's BpeTrainer, nothing in byte-level BPE: ids and merges are
          equal.  With an end_of_word_suffix ("o</w>", CLIP) the library numbers the last letters in
          the order of its hash table, which changes from run to run; here by code point.
          Here it is an error if the special tokens and the letters alone are more than `size`
Read next text/bpe.py (how the merges are used), text/wordpiece_training.py (the same joins, with
          "##" before the letters inside a word)

Why is a heap enough?  All occurrences of a piece are formed in one join.  So a pair has its largest
count when the later of its two pieces is formed, and later joins can only reduce it.  An entry of
the heap may therefore be too high but never too low, and is corrected when it reaches the top.
(Why in one join?  Wherever a string becomes a piece, no earlier join has crossed its ends.  So the
same joins were made inside it, in the same order, at each of these places.)
"""
import heapq
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from scratch_embed.numerics.checks import require_unicode
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.bpe import BPE, clip_bpe
from scratch_embed.text.byte_level import (
    BYTE_OF_CHAR,
    CLIP_TOKENS,
    GPT2,
    split_by_all,
    to_characters,
)
from scratch_embed.text.normal_forms import AS_IT_IS, CLIP_NORMALIZER, TextNormalizer
from scratch_embed.text.tokenizer import Tokenizer, roberta_template

Pair = tuple[int, int]
NONE = -1
START_OF_TEXT = "<|startoftext|>"  # CLIP's first token of a text
END_OF_TEXT = "<|endoftext|>"      # GPT-2's only special token, CLIP's last of a text


def train_bpe(texts: Iterable[str], vocab_size: int = 30_000, *,
              special: Sequence[str] = (END_OF_TEXT,), min_frequency: int = 2,
              normalizer: TextNormalizer = AS_IT_IS, patterns: Sequence[str] = (GPT2,),
              prefix_space: bool = False, suffix: str = "") -> BPE:
    """Learn a byte-level BPE tokenizer with at most vocab_size tokens from texts.

    special          special tokens, with the first ids; encode() adds none to a text.  END_OF_TEXT
                     is bos_token and eos_token in the tokenizer's files, as in GPT-2's
    min_frequency    pairs that occur less often are not joined
    normalizer, patterns, prefix_space, suffix    as for BPE

    >>> bpe = train_bpe(["low lower lowest"] * 2, 261)
    >>> bpe.merges
    [('l', 'o'), ('lo', 'w'), ('Ġ', 'low'), ('Ġlow', 'e')]
    >>> bpe.tokenize("slow lowest")
    ['s', 'low', 'Ġlowe', 's', 't']
    """
    words = count_words(texts, normalizer, patterns, prefix_space)
    pieces = first_pieces(words, special, suffix)
    if len(pieces) > vocab_size:
        raise ValueError(f"vocab_size={vocab_size}: expected at least {len(pieces)}, the special "
                         "tokens and the bytes; choose a larger one")
    pieces, merges = join_pairs(words, pieces, vocab_size, min_frequency, suffix=suffix)
    added = [AddedToken(token, number) for number, token in enumerate(dict.fromkeys(special))]
    bpe = BPE(pieces, merges, added, normalizer=normalizer, patterns=patterns,
              prefix_space=prefix_space, suffix=suffix)
    if END_OF_TEXT in special:
        bpe.roles = dict.fromkeys(("bos_token", "eos_token"), END_OF_TEXT)
    return bpe


def train_clip_bpe(texts: Iterable[str], vocab_size: int = 49_408, min_frequency: int = 2
                   ) -> Tokenizer:
    """Learn a tokenizer like CLIP's, with at most vocab_size tokens, from captions.

    Its first pieces are all bytes, inside a word and at its end, so that no text has unknown bytes.
    The special tokens have the last ids: the first puts itself before a text, the last after it.

    >>> bpe = train_clip_bpe(["red, red"], 515)
    >>> [bpe.id_to_token(number) for number in bpe.encode("Red").ids]
    ['<|startoftext|>', 'r', 'ed</w>', '<|endoftext|>']
    """
    words = count_words(texts, CLIP_NORMALIZER, (CLIP_TOKENS, GPT2))
    letters = sorted(BYTE_OF_CHAR)
    pieces = [*letters, *(letter + "</w>" for letter in letters)]
    if vocab_size < len(pieces) + 2:
        raise ValueError(f"vocab_size={vocab_size}: expected at least {len(pieces) + 2}, the bytes "
                         "inside and at the end of a word, and the special tokens")
    pieces, merges = join_pairs(words, pieces, vocab_size - 2, min_frequency, suffix="</w>")
    ids = {START_OF_TEXT: len(pieces), END_OF_TEXT: len(pieces) + 1}
    roles = {"bos_token": START_OF_TEXT, "eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT}
    return clip_bpe([*pieces, *ids], merges, END_OF_TEXT).with_tokens(
        [AddedToken(token, number) for token, number in ids.items()],
        roberta_template(*ids.values()), "right", roles, has_types=False)


# ---- before the first join --------------------------------------------------------------------

def count_words(texts: Iterable[str], normalizer: TextNormalizer = AS_IT_IS,
                patterns: Sequence[str] = (GPT2,), prefix_space: bool = False) -> Counter[str]:
    """Count the words of texts, written as characters for bytes.  -> {word: count}

    >>> count_words(["né né"])
    Counter({'nÃ©': 1, 'ĠnÃ©': 1})

    Raises ValueError for a lone surrogate.
    """
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts: expected an iterable of strings, got one string; put it into a "
                        "list")
    words = Counter()
    for number, text in enumerate(texts):
        text = normalizer(require_unicode(f"text {number}", text))
        if prefix_space and text and not text.startswith(" "):
            text = " " + text
        words.update(split_by_all(text, patterns))
    return Counter({to_characters(word.encode()): count for word, count in words.items()})


def first_pieces(words: Iterable[str], special: Sequence[str], suffix: str = "") -> list[str]:
    """`special`, the 256 characters for bytes by code point, and with a suffix the last letters."""
    pieces = [*special, *sorted(BYTE_OF_CHAR)]
    if suffix:
        pieces += sorted({word[-1] + suffix for word in words})
    return list(dict.fromkeys(pieces))


# ---- joining ----------------------------------------------------------------------------------

def join_pairs(words: Mapping[str, int], pieces: Sequence[str], size: int, min_frequency: int = 0,
               prefix: str = "", suffix: str = "") -> tuple[list[str], list[tuple[str, str]]]:
    """Join pairs until there are `size` pieces.  -> `pieces` and the joined ones, the merges

    words     {word: count}; letters that are not among `pieces` are dropped from the words
    pieces    special tokens and letters: prefix + letter inside a word, + suffix at its end
    """
    pieces, merges = list(pieces), []
    index = {piece: number for number, piece in enumerate(pieces)}
    linked = link_letters(words, index, prefix, suffix)
    total, places = count_pairs(linked)
    heap = [(-count, pair) for pair, count in total.items()]
    heapq.heapify(heap)
    while len(pieces) < size:
        pair = pop_most_frequent(heap, total)
        if pair is None or total[pair] < max(min_frequency, 1):
            break
        first, second = pieces[pair[0]], pieces[pair[1]]
        joined = first + second.removeprefix(prefix)
        number = index.setdefault(joined, len(pieces))
        if number == len(pieces):                  # else it is a special token
            pieces.append(joined)
        merges.append((first, second))
        for new in join(pair, number, linked, total, places):
            heapq.heappush(heap, (-total[new], new))
    return pieces, merges


class LinkedPieces(NamedTuple):
    """The pieces of all words, end to end: a linked list for each word.  n: letters of all words

    A piece is at the place of its first letter; the places of its other letters have NONE.
    """

    piece: array                   # (n,) its id
    previous: array                # (n,) the place of the piece before it in the word, or NONE
    following: array               # (n,) the place of the piece after it, or NONE
    counts: array                  # (n,) how often the word occurs


def link_letters(words: Mapping[str, int], index: Mapping[str, int], prefix: str = "",
                 suffix: str = "") -> LinkedPieces:
    """The letters of the words as pieces; letters that are not in index are dropped."""
    linked = LinkedPieces(array("i"), array("i"), array("i"), array("q"))
    for word, count in words.items():
        if numbers := spell(word, index, prefix, suffix):
            start = len(linked.piece)
            end = start + len(numbers)
            linked.piece.extend(numbers)
            linked.previous.extend([NONE, *range(start, end - 1)])
            linked.following.extend([*range(start + 1, end), NONE])
            linked.counts.extend([count] * len(numbers))
    return linked


def count_pairs(linked: LinkedPieces) -> tuple[Counter[Pair], dict[Pair, array]]:
    """{pair: count}, and {pair: the places of its first piece, ascending}."""
    total, places = Counter(), defaultdict(partial(array, "i"))
    for i, j in enumerate(linked.following):
        if j != NONE:
            pair = linked.piece[i], linked.piece[j]
            total[pair] += linked.counts[i]
            places[pair].append(i)
    return total, places


def join(pair: Pair, number: int, linked: LinkedPieces, total: Counter[Pair],
         places: dict[Pair, array]) -> set[Pair]:
    """Replace a pair by the piece `number` wherever it occurs.  -> the pairs with the new piece

        x [a] [b] y   ->   x [a b] y         (x, a) and (b, y) are fewer, (x, ab) and (ab, y) more

    In a word the leftmost pair is replaced first: a a a -> aa a.  `places` may have some where an
    earlier join has changed the pair; they are skipped.
    """
    first, second = pair
    piece, previous, following, count = linked
    pairs = set()
    for i in places.pop(pair):
        j, n = following[i], count[i]
        if piece[i] != first or j == NONE or piece[j] != second:
            continue
        x, y = previous[i], following[j]
        piece[i], piece[j], following[i] = number, NONE, y
        if y != NONE:
            previous[y] = i
            new = number, piece[y]
            total[second, piece[y]] -= n
            total[new] += n
            places[new].append(i)
            pairs.add(new)
        if x != NONE:
            new = piece[x], number
            total[piece[x], first] -= n
            total[new] += n
            places[new].append(x)
            pairs.add(new)
    return pairs


def spell(word: str, index: Mapping[str, int], prefix: str = "", suffix: str = "") -> list[int]:
    """The ids of a word's letters, with prefix inside the word and suffix at its end."""
    last = len(word) - 1
    letters = (prefix * (i > 0) + letter + suffix * (i == last) for i, letter in enumerate(word))
    return [index[letter] for letter in letters if letter in index]


def pop_most_frequent(heap: list[tuple[int, Pair]], total: Mapping[Pair, int]) -> Pair | None:
    """Pop the most frequent pair; counts that are too high are corrected.  None: no pair left."""
    while heap:
        count, pair = heap[0]
        if -count == total[pair]:
            return heapq.heappop(heap)[1]
        heapq.heapreplace(heap, (-total[pair], pair))
    return None
