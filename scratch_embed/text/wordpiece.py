"""WordPiece: a word is cut into the longest pieces that the vocabulary has, from left to right.

    unaffable  ->  un ##aff ##able         ("##": the piece goes on with a word)

Paper     Schuster & Nakajima 2012, "Japanese and Korean Voice Search"; Devlin et al. 2019 (BERT).
Equation  p₁ = the longest prefix of the word that is in the vocabulary, p₂ = "##" + the longest
          prefix of the rest such that p₂ is, ...; [UNK] for the whole word if a rest has none
          one text    [CLS] a [SEP]             types 0
          two         [CLS] a [SEP] b [SEP]     types 0 up to the first [SEP], then 1
Shapes    ids, types (T,) int32; offsets (N+1,): text i of a batch is ids[offsets[i]:offsets[i+1]]
Cost      a word of n letters at most n m look-ups, m letters in the longest piece; the pieces of
          the last words that were met are kept, up to MOST_KNOWN.
Differs   A word of more than max_word characters is [UNK]: 200 in Google's code, 100 in the
          tokenizers library and here; a tokenizer.json says its own.  A pair that is too long is
          cut as the library does: the shorter text stays whole if it fits into half the room, else
          each keeps half, the longer one the odd token (of two equally long ones the second).
          Google's and transformers' older code take tokens from the longer text's end one by
          one, which leaves the odd token to the first of the two when both are cut.  The pair ""
          is a pair (transformers, called for one text, takes it for none).
          Room for less than the frame is an error (the library then cuts nothing).  Nothing is
          padded: a batch is packed.  decode() raises for an id that is no token's, and leaves
          every special token out (the library keeps one that cleaning has changed).
Read next text/wordpiece_training.py (where the pieces come from), text/wordpiece_files.py

Greedy is not optimal: with the pieces un, una, ##ff, ##aff the word "unaff" is una ##ff, and where
"##ff" is missing it is [UNK], although un ##aff would do.  BERT has seen no other cut, so the cut
is part of the model.
"""
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.text.added_tokens import AddedToken, make_finder, split_at_tokens
from scratch_embed.text.basic_tokenizer import UNCASED, Cleaning, normalise, split_words
from scratch_embed.text.packed import Packed

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_KNOWN = 1 << 17               # words whose pieces are kept
# what the library's decoder mends; a piece alone is looked at, so those with two spaces never match
MENDED = ((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
          (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"))


class Encoded(NamedTuple):
    """One text, or a pair: what each token is, and which text it is of."""

    ids: np.ndarray                # (T,) int32
    types: np.ndarray              # (T,) int32


class Part(NamedTuple):
    """A part of a frame: text number `text` (0 or 1), or the tokens `ids` if that is None."""

    text: int | None
    ids: tuple[int, ...]
    type: int


class Frame(NamedTuple):
    """What stands around one text, and around two."""

    one: tuple[Part, ...]
    two: tuple[Part, ...]


BARE = Frame((Part(0, (), 0),), (Part(0, (), 0), Part(1, (), 1)))


def bert_frame(cls: int, sep: int) -> Frame:
    """[CLS] a [SEP], and [CLS] a [SEP] b [SEP] where b and the last [SEP] are of type 1."""
    first = (Part(None, (cls,), 0), Part(0, (), 0), Part(None, (sep,), 0))
    return Frame(first, (*first, Part(1, (), 1), Part(None, (sep,), 1)))


# ---- one word ---------------------------------------------------------------------------------

def longest_match(word: str, index: Mapping[str, int], prefix: str = "##",
                  longest: int | None = None) -> list[int] | None:
    """The ids of a word's pieces, from the left the longest each; None if a rest has none.

    longest    no piece has more characters (None: not known)

    >>> longest_match("unaffable", {"un": 0, "##aff": 1, "##able": 2, "una": 3, "##ffable": 4})
    [3, 4]
    >>> longest_match("unaffable", {"un": 0, "##aff": 1, "##able": 2, "una": 3}) is None
    True
    """
    ids, begin = [], 0
    longest = len(word) if longest is None else longest
    while begin < len(word):
        lead = prefix if begin else ""
        for end in range(min(len(word), begin + longest), begin, -1):
            piece = index.get(lead + word[begin:end])
            if piece is not None:
                break
        else:
            return None
        ids.append(piece)
        begin = end
    return ids


def share_room(a: int, b: int, room: int) -> tuple[int, int]:
    """How many tokens of texts with a and b tokens are kept, at most `room` together.

    >>> share_room(3, 20, 10), share_room(20, 20, 11)
    ((3, 7), (5, 6))
    """
    if a + b <= room:
        return a, b
    less, more = sorted((a, b))
    less, more = (less, room - less) if 2 * less <= room else (room // 2, room - room // 2)
    return (less, more) if a <= b else (more, less)


# ---- texts ------------------------------------------------------------------------------------

class WordPiece:
    """A vocabulary, and the rules by which texts become its numbers.

    pieces      str, V of them: the number of a piece is its place
    cleaning    what is done to a text first
    added       tokens that are found in a text as they stand, an AddedToken each; their ids may
                lie in the vocabulary or go on from V.  None: those of SPECIAL that it has
    frame       what stands around a text; None: BERT's, if the vocabulary has [CLS] and [SEP]
    unk, prefix, max_word   see the equation
    mend        decode() takes the space before "." and the like away

    >>> tokenizer = WordPiece(["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "and", "rest"])
    >>> tokenizer
    WordPiece(8 tokens, lower-cased)
    >>> tokenizer.split("Unaffable and arrested")
    ['un', '##aff', '##able', 'and', '[UNK]']
    >>> tokenizer.encode("unaffable").ids.tolist()           # [CLS] and [SEP] around it
    [1, 3, 4, 5, 2]
    """

    def __init__(self, pieces: Iterable[str], cleaning: Cleaning = UNCASED,
                 added: Sequence[AddedToken] | None = None, frame: Frame | None = None, *,
                 unk: str = "[UNK]", prefix: str = "##", max_word: int = 100,
                 mend: bool = True) -> None:
        self.pieces = list(pieces)
        self.index = {piece: number for number, piece in enumerate(self.pieces)}
        if len(self.index) != len(self.pieces):
            raise ValueError("a piece stands in the vocabulary twice")
        if unk not in self.index:
            raise ValueError(f"the vocabulary has no {unk!r}, which stands for unknown words")
        if added is None:
            added = [AddedToken(token, self.index[token]) for token in SPECIAL
                     if token in self.index]
        if frame is None:
            cls, sep = self.index.get("[CLS]"), self.index.get("[SEP]")
            frame = BARE if cls is None or sep is None else bert_frame(cls, sep)
        self.added = tuple(sorted(added, key=lambda token: token.id))
        self.cleaning, self.frame, self.mend = cleaning, frame, mend
        self.unk, self.prefix, self.max_word = unk, prefix, max_word
        self._check_ids()
        self._special = {token.id for token in self.added if token.special}
        self._spelled = dict(enumerate(self.pieces)) | {
            token.id: self._clean(token.content) if token.normalized else token.content
            for token in self.added}
        self._raw = make_finder((t for t in self.added if not t.normalized), str)
        self._normalized = make_finder((t for t in self.added if t.normalized), self._clean)
        self._longest = max(map(len, self.pieces))
        self._known = {}                           # {word: the ids of its pieces}

    def _check_ids(self):
        """Added tokens agree with the vocabulary and go on from it; the frame knows them."""
        following = len(self.pieces)
        for token in self.added:
            meant = self.index.get(token.content, following)
            if token.id != meant:
                raise ValueError(f"the added token {token.content!r} has number {token.id}; "
                                 f"it should be {meant}")
            following += token.id == following
        used = {number for part in (*self.frame.one, *self.frame.two) for number in part.ids}
        if not used <= set(range(following)):
            raise ValueError(f"the frame has the number {max(used)}, of {following} tokens")

    def __len__(self) -> int:
        """V and the added tokens beyond it: the rows that an embedding table needs."""
        return len(self._spelled)

    def __repr__(self) -> str:
        return f"WordPiece({len(self):,} tokens" + ", lower-cased" * self.cleaning.lower_case + ")"

    def _clean(self, text):
        return normalise(text, self.cleaning)

    def number(self, token: str) -> int:
        """The id of a piece or an added token.  KeyError if there is none."""
        for added in self.added:
            if added.content == token:
                return added.id
        return self.index[token]

    def token(self, number: int) -> str:
        """The piece or added token that has this id.  IndexError if there is none."""
        for added in self.added:
            if added.id == number:
                return added.content
        return self.pieces[number]

    # ---- text to numbers

    def ids_of(self, text: str) -> list[int]:
        """The ids of the pieces of a text, nothing around them."""
        if not isinstance(text, str):
            raise TypeError(f"a text is a str, not {type(text).__name__}: {text!r:.60}")
        ids = []
        for part in split_at_tokens(text, self._raw):
            if isinstance(part, AddedToken):
                ids.append(part.id)
                continue
            for inner in split_at_tokens(self._clean(part), self._normalized):
                if isinstance(inner, AddedToken):
                    ids.append(inner.id)
                else:
                    self._add_words(split_words(inner), ids)
        return ids

    def _add_words(self, words, ids):
        known = self._known
        for word in words:
            pieces = known.get(word)
            ids += self._pieces_of(word) if pieces is None else pieces

    def _pieces_of(self, word):
        pieces = None
        if len(word) <= self.max_word:
            pieces = longest_match(word, self.index, self.prefix, self._longest)
        if pieces is None:
            pieces = [self.index[self.unk]]
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[word] = pieces
        return pieces

    def split(self, text: str) -> list[str]:
        """The pieces of a text, nothing around them: "unaffable" -> ["un", "##aff", "##able"]."""
        return [self._spelled[number] for number in self.ids_of(text)]

    def _framed(self, text, pair, max_length):
        """(ids, types) as lists."""
        parts = self.frame.one if pair is None else self.frame.two
        texts = [self.ids_of(text), [] if pair is None else self.ids_of(pair)]
        if max_length is not None:
            room = max_length - sum(len(part.ids) for part in parts)
            if room < 0:
                raise ValueError(f"max_length={max_length}: {max_length - room} tokens stand "
                                 "around the text alone")
            kept = share_room(len(texts[0]), len(texts[1]), room)
            texts = [ids[:length] for ids, length in zip(texts, kept)]
        ids, types = [], []
        for part in parts:
            new = part.ids if part.text is None else texts[part.text]
            ids += new
            types += [part.type] * len(new)
        return ids, types

    def encode(self, text: str, pair: str | None = None,
               max_length: int | None = None) -> Encoded:
        """The ids and types (T,) of a text or a pair in its frame, T ≤ max_length."""
        ids, types = self._framed(text, pair, max_length)
        return Encoded(np.array(ids, np.int32), np.array(types, np.int32))

    def encode_batch(self, texts: Iterable[str], pairs: Iterable[str] | None = None,
                     max_length: int | None = None) -> Packed:
        """N texts, or texts with their N pairs, end to end.  Each as encode() has it."""
        if isinstance(texts, str) or isinstance(pairs, str):
            raise TypeError("a string where texts are expected, which would be read letter by "
                            "letter; give a list of strings")
        texts = list(texts)
        pairs = [None] * len(texts) if pairs is None else list(pairs)
        if len(pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts with {len(pairs)} pairs")
        ids, types, offsets = [], [], [0]
        for text, pair in zip(texts, pairs):
            new, new_types = self._framed(text, pair, max_length)
            ids += new
            types += new_types
            offsets.append(len(ids))
        return Packed(np.array(ids, np.int32), np.array(offsets, np.int64),
                      np.array(types, np.int32))

    # ---- numbers to text

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """The text of ids (T,), pieces joined to words; what cleaning took away stays away."""
        pieces = []
        for number in map(int, ids):
            if number not in self._spelled:
                raise ValueError(f"{number} is the number of no token; there are {len(self)}")
            if not (skip_special and number in self._special):
                pieces.append(self._joined(self._spelled[number], first=not pieces))
        return "".join(pieces)

    def _joined(self, piece, first):
        if not first and piece.startswith(self.prefix):
            piece = piece[len(self.prefix):]
        elif not first:
            piece = " " + piece
        for found, mended in MENDED if self.mend else ():
            piece = piece.replace(found, mended)
        return piece
