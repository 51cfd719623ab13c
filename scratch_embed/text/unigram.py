r"""Unigram: of all ways to split a word into pieces, the most probable.

    "▁hugs"  ->  ▁hug s        if  log p(▁hug) + log p(s)  is the largest sum

Paper     Kudo 2018, "Subword Regularization: Improving Neural Network Translation Models with
          Multiple Subword Candidates", section 3.2; the default model of SentencePiece (XLM-R)
Equation  x* = argmax over splits x₁ ... x_k of the word  Σ log p(xᵢ), found by Viterbi:
              best(0) = 0,  best(e) = max over pieces word[b:e] of best(b) + log p(word[b:e])
          A character that is not a piece counts as the piece <unk>, with the score min log p - 10.
          A run of such characters becomes one <unk>, or the pieces of its bytes (byte fallback).
          If several splits have the largest sum, the one whose last piece is longest is taken.
Shapes    pieces V str, scores (V,) float64; a word -> the ids of its k pieces (k,) int32
Cost      at most n·m steps for a word of n characters and pieces of at most m: from each
          character a trie is followed until no piece continues
Differs   from the paper: read, not trained; no sampling of other splits.  The penalty of 10 is
          SentencePiece's constant.
          From SentencePiece, as in the tokenizers library: a run of unknown characters that is
          spelled like a piece becomes that piece.
          From the library: a piece that occurs twice is an error, and a vocabulary needs <unk>.
          From transformers 5, in which some vocabularies reach the library without the rounding of
          as_library(): splits with almost equal sums may differ.
Read next text/sentencepiece.py (what happens before and after), text/unigram_json.py

How is it trained?  By EM.  Begin with all frequent substrings as pieces, p their frequency.
    E  for each word, the expected number of times that each piece occurs, over all splits weighted
       by their probability (the sums of forward-backward in place of Viterbi's maximum)
    M  p(x) = its expected count / the sum of all counts
    prune  drop the fifth of the pieces whose loss lowers the likelihood least, but keep all single
           characters
The three steps are repeated until V pieces are left.
BPE builds pieces up by counting pairs; Unigram prunes them by likelihood.

Why the maximum and not the longest pieces?  Greedy choices cannot be taken back: WordPiece splits
"unaff" into una ##ff even if un ##aff is far more frequent.
"""
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.pair_slots import EMPTY, empty_slots, pair_slot
from scratch_embed.text.sentencepiece import METASPACE, NONE, Rules, SentencePiece
from scratch_embed.text.tokenizer import NO_TEMPLATE, Template

UNK_PENALTY = 10.0
POWERS = [float(f"1e{power}") for power in range(309)]


class Split(NamedTuple):
    """A word in k pieces: piece i is ids[i], and begins at character begins[i]."""

    ids: np.ndarray                # (k,) int32
    begins: np.ndarray             # (k,) int32


# ---- one word ---------------------------------------------------------------------------------

def viterbi(word: str, index: Mapping[str, int], scores: Sequence[float], unk: int,
            longest: int) -> Split:
    """The best split of a word, as in the equation.  UnigramTrie.split() is the fast form.

    longest    the number of characters of the longest piece

    >>> index = {"<unk>": 0, "h": 1, "u": 2, "g": 3, "hug": 4, "s": 5}
    >>> viterbi("hugs!", index, [0.0, -3, -3, -3, -4, -2], 0, 5).ids.tolist()
    [4, 5, 0]
    """
    unk_score = min(scores) - UNK_PENALTY
    best = [0.0] + [-np.inf] * len(word)           # best[e]: the score of word[:e]
    last = [(0, NONE)] * (len(word) + 1)           # (begin, id) of the last piece of word[:e]
    for begin in range(len(word)):
        for end in range(begin + 1, min(len(word), begin + longest) + 1):
            piece = index.get(word[begin:end])
            if piece is not None and best[begin] + scores[piece] > best[end]:
                best[end], last[end] = best[begin] + scores[piece], (begin, piece)
        if best[begin] + unk_score > best[begin + 1]:          # so this character is not a piece
            best[begin + 1], last[begin + 1] = best[begin] + unk_score, (begin, unk)
    path, end = [], len(word)
    while end:
        begin, piece = last[end]
        if piece == unk and path and path[-1][1] == unk:
            path.pop()                             # a run of unknown characters is one piece
        path.append((begin, piece))
        end = begin
    path.reverse()
    return Split(np.array([piece for _, piece in path], np.int32),
                 np.array([begin for begin, _ in path], np.int32))


class UnigramTrie(NamedTuple):
    """The pieces as a trie for the kernel: a hash table {(node, character): node}; 0 is the root.

    keys        (S,) int64: see pair_slots.py
    children    (S,) int32: the node to which a slot leads
    pieces      (nodes,) int32: the id of the piece that ends at a node, or NONE
    scores      (V,) float64, log p
    unk         the id of <unk>
    unk_score   min log p - 10
    """

    keys: np.ndarray
    children: np.ndarray
    pieces: np.ndarray
    scores: np.ndarray
    unk: int
    unk_score: float

    @classmethod
    def build(cls, pieces: Sequence[str], scores: Iterable[float], unk: int) -> "UnigramTrie":
        """The trie of V pieces."""
        letters, offsets = _letters("".join(pieces)), np.cumsum([0, *map(len, pieces)])
        _, _, _, nodes = _tables(letters, offsets, len(letters) + 1)
        keys, children, ends, _ = _tables(letters, offsets, nodes)     # now of the right size
        scores = np.array([as_library(score) for score in scores])
        return cls(keys, children, ends, scores, unk, float(scores.min()) - UNK_PENALTY)

    def split(self, word: str) -> Split:
        """The best split of a word: viterbi() in a kernel."""
        letters = _letters(word)
        n = len(letters)
        begins, ids = np.empty(n + 1, np.int32), np.empty(n + 1, np.int32)
        count = _viterbi(letters, *self, np.empty(n + 1, np.float64), begins, ids)
        return Split(ids[n + 1 - count:], begins[n + 1 - count:])


def as_library(score: float) -> float:
    """A score as the tokenizers library reads it from a tokenizer.json.

    It rounds twice: first the digits as a whole number, then this number divided by a power of ten.
    The result may differ from `score` in the last bit, which may decide between two splits.
    """
    digits, _, exponent = repr(float(score)).partition("e")
    whole, _, decimals = digits.partition(".")
    power = int(exponent or 0) - len(decimals)
    number = float(int(whole + decimals))
    while power < -308:                              # 1e-309 and smaller: in several divisions
        number, power = number / POWERS[308], power + 308
    return number / POWERS[-power] if power < 0 else number * POWERS[power]


def _letters(text):
    """The code points (n,) int32 of a text."""
    return np.frombuffer(text.encode("utf-32-le"), np.int32)


def _tables(letters, offsets, nodes):
    """keys, children, ends of a trie with room for `nodes` nodes; the number that it has."""
    keys, ends = empty_slots(nodes), np.full(nodes, NONE, np.int32)
    children = np.zeros(len(keys), np.int32)
    return keys, children, ends, _insert(letters, offsets, keys, children, ends)


@kernel
def _insert(letters, offsets, keys, children, ends):
    """Enter the pieces letters[offsets[i]:offsets[i+1]] into the trie.  -> the number of nodes"""
    nodes = 1
    for piece in range(len(offsets) - 1):
        node = 0
        for letter in letters[offsets[piece]:offsets[piece + 1]]:
            slot = pair_slot(node, letter, keys)
            if keys[slot] == EMPTY:
                keys[slot], children[slot] = np.int64(node) << 32 | np.int64(letter), nodes
                nodes += 1
            node = children[slot]
        ends[node] = piece
    return nodes


@kernel(keep_order=True)
def _viterbi(letters, keys, children, ends, scores, unk, unk_score, best, begins, ids):
    """best, begins, ids: room for n+1 numbers.  -> k; the path is in their last k."""
    n = len(letters)
    best[:] = -np.inf
    best[0] = 0.0
    for begin in range(n):
        node = 0
        for end in range(begin + 1, n + 1):        # the pieces that begin here, by length
            slot = pair_slot(node, letters[end - 1], keys)
            if keys[slot] == EMPTY:
                break
            node = children[slot]
            piece = ends[node]
            if piece != NONE:
                score = best[begin] + scores[piece]
                if score > best[end]:              # the maximum of the equation
                    best[end], begins[end], ids[end] = score, begin, piece
        score = best[begin] + unk_score
        if score > best[begin + 1]:                # so this character is not a piece
            best[begin + 1], begins[begin + 1], ids[begin + 1] = score, begin, unk
    end, place = n, n + 1                          # back along the best path, written from the end
    while end > 0:
        begin, piece = begins[end], ids[end]       # end < place: not yet overwritten
        if piece != unk or place > n or ids[place] != unk:
            place -= 1
        begins[place], ids[place] = begin, piece
        end = begin
    return n + 1 - place


# ---- texts ------------------------------------------------------------------------------------

class Unigram(SentencePiece):
    """A Unigram tokenizer: pieces with scores, and the rules around them.

    pieces      V str; the id of a piece is its index
    scores      V float, log p of each piece
    unk         the piece of unknown characters
    rules       how a text is normalised and split, and pieces joined
    added, template, byte_fallback, truncation_side    see SentencePiece and Tokenizer

    >>> tokenizer = Unigram(["<unk>", "▁", "h", "u", "g", "▁hug", "s"],
    ...                     [0.0, -3, -4, -4, -4, -5, -2.5])
    >>> tokenizer
    Unigram(7 tokens)
    >>> tokenizer.tokenize("hugs hush")
    ['▁hug', 's', '▁', 'h', 'u', 's', 'h']
    >>> tokenizer.decode(tokenizer.token_ids("hugs gugs"))
    'hugs gugs'
    """

    def __init__(self, pieces: Iterable[str], scores: Iterable[float], unk: str = "<unk>",
                 rules: Rules = METASPACE, added: Sequence[AddedToken] = (),
                 template: Template = NO_TEMPLATE, *, byte_fallback: bool = False,
                 truncation_side: str = "right") -> None:
        super().__init__(pieces, unk, rules, added, template, byte_fallback=byte_fallback,
                         truncation_side=truncation_side)
        self.scores = np.array(list(scores), np.float64)
        if self.scores.shape != (len(self.pieces),) or not np.isfinite(self.scores).all():
            raise ValueError(f"scores: expected a finite number for each of {len(self.pieces)} "
                             f"pieces, got {len(self.scores)}, of which "
                             f"{np.isfinite(self.scores).sum()} are finite")
        self._trie = UnigramTrie.build(self.pieces, self.scores, self.unk_id)

    def _word_ids(self, word):
        ids, begins = self._trie.split(word)
        found = ids.tolist()
        if self.unk_id not in found:
            return found
        result, ends = [], [*begins[1:].tolist(), len(word)]
        for piece, begin, end in zip(found, begins.tolist(), ends):
            if piece != self.unk_id:
                result.append(piece)
                continue
            unknown = word[begin:end]              # as the library: it may be spelled like a piece
            if unknown in self.index:
                result.append(self.index[unknown])
            else:
                result += self._byte_ids(unknown) or [self.unk_id]
        return result
