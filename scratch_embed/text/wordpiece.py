"""WordPiece: split each word into the longest pieces in the vocabulary, from left to right.

    unaffable  ->  un ##aff ##able         ("##": the piece continues a word)

Paper     Schuster & Nakajima 2012, "Japanese and Korean Voice Search"; Devlin et al. 2019 (BERT)
Equation  p₁ = the longest prefix of the word that is in the vocabulary; p₂ = "##" + the longest
          prefix of the rest such that p₂ is in the vocabulary; ...  If no piece fits at some point,
          the whole word is [UNK].
          one text    [CLS] a [SEP]             types 0
          a pair      [CLS] a [SEP] b [SEP]     types 0 up to the first [SEP], then 1
Shapes    ids, types (T,) int32; offsets (N+1,): text i of a batch is ids[offsets[i]:offsets[i+1]]
Cost      at most n·m look-ups for a word of n letters, with m letters in the longest piece; the
          pieces of recent words are cached, in at most KNOWN_BYTES
Differs   A word of more than max_word characters is [UNK].  max_word is 200 in Google's code, 100
          in the tokenizers library and here; a tokenizer.json sets its own.
          A pair that is too long is truncated as in the library: the shorter text is kept whole if
          it fits into half of the room, else each text keeps half.  An odd token goes to the longer
          text, or to the second if both have the same length.  Google's code and older versions of
          transformers drop tokens from the end of the longer text one by one; if both texts are
          truncated, the odd token goes to the first.
          pair="" is a pair (transformers, called for a single text, treats it as no pair).  A
          max_length below the number of special tokens is an error (the library then does not
          truncate).  Nothing is padded: a batch is packed.  decode() raises ValueError for an id
          without a token, and drops every special token (the library keeps a special token that
          normalisation has changed).
Read next text/wordpiece_training.py (how the pieces are learned), text/wordpiece_files.py

Greedy is not optimal: with the pieces un, una, ##ff, ##aff the word "unaff" becomes una ##ff, and
without "##ff" it becomes [UNK], although un ##aff would be possible.  BERT was trained on greedy
splits, so they are part of the model.
"""
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.text.added_tokens import AddedToken, make_finder, split_at_tokens
from scratch_embed.text.basic_tokenizer import UNCASED, Normalizer, normalise, split_words
from scratch_embed.text.corpus import slices_at_spaces
from scratch_embed.text.packed import Packed

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
KNOWN_BYTES = 1 << 25              # the most bytes of the cache of words and their pieces
ENTRY = 100                        # bytes of a dict's entry, about
SIDES = "right", "left"            # the side from which a text is truncated
# What the library's decoder replaces, piece by piece.  A piece has at most the space before it, so
# the two entries with two spaces can match in added tokens only.
CLEANUP = ((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
          (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"))


class Encoded(NamedTuple):
    """The tokens of a text or a pair, and the token_type_id of each."""

    ids: np.ndarray                # (T,) int32
    types: np.ndarray              # (T,) int32


class Part(NamedTuple):
    """A part of a template: text 0 or 1, or special tokens if `text` is None."""

    text: int | None
    ids: tuple[int, ...]
    type: int


class Template(NamedTuple):
    """Which special tokens are added to a single text and to a pair, and where."""

    single: tuple[Part, ...]
    pair: tuple[Part, ...]


NO_TEMPLATE = Template((Part(0, (), 0),), (Part(0, (), 0), Part(1, (), 1)))


def bert_template(cls: int, sep: int) -> Template:
    """[CLS] a [SEP], and [CLS] a [SEP] b [SEP], in which b and the last [SEP] have type 1."""
    first = (Part(None, (cls,), 0), Part(0, (), 0), Part(None, (sep,), 0))
    return Template(first, (*first, Part(1, (), 1), Part(None, (sep,), 1)))


# ---- one word ---------------------------------------------------------------------------------

def longest_match(word: str, index: Mapping[str, int], prefix: str = "##",
                  longest: int | None = None) -> list[int] | None:
    """The ids of a word's pieces, each the longest possible, from the left; None: [UNK].

    longest    the number of characters of the longest piece in the vocabulary; None: not known

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
    """How many of a and of b tokens to keep so that both texts fit into `room` tokens.

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
    """A tokenizer: a vocabulary of pieces, and the rules that turn a text into their ids.

    pieces      V str; the id of a piece is its index
    normalizer  how a text is normalised first
    added       AddedTokens, found in the text before it is tokenized; their ids are those of the
                vocabulary, or continue from V.  None: the tokens of SPECIAL in the vocabulary
    template    where special tokens are added; None: BERT's, if the vocabulary has [CLS] and [SEP]
    unk, prefix "[UNK]" and "##" in the equation
    max_word    words of more characters become unk
    cleanup     decode() removes the space before "." and similar
    truncation_side    "right": the end of a text that is too long is cut off; "left": its beginning

    >>> tokenizer = WordPiece(["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "and", "rest"])
    >>> tokenizer
    WordPiece(8 tokens, lower-cased)
    >>> tokenizer.tokenize("Unaffable and arrested")
    ['un', '##aff', '##able', 'and', '[UNK]']
    >>> tokenizer.encode("unaffable").ids.tolist()           # [CLS] and [SEP] around it
    [1, 3, 4, 5, 2]
    """

    def __init__(self, pieces: Iterable[str], normalizer: Normalizer = UNCASED,
                 added: Sequence[AddedToken] | None = None, template: Template | None = None, *,
                 unk: str = "[UNK]", prefix: str = "##", max_word: int = 100,
                 cleanup: bool = True, truncation_side: str = "right") -> None:
        if truncation_side not in SIDES:
            raise ValueError(f"truncation_side={truncation_side!r}: expected 'right' or 'left'")
        self.truncation_side = truncation_side
        self.pieces = list(pieces)
        self.index = {piece: number for number, piece in enumerate(self.pieces)}
        if len(self.index) != len(self.pieces):
            raise ValueError("pieces: expected different pieces, got one of them twice")
        if unk not in self.index:
            raise ValueError(f"pieces: expected {unk!r}, the token of unknown words, among them")
        if added is None:
            added = [AddedToken(token, self.index[token]) for token in SPECIAL
                     if token in self.index]
        if template is None:
            cls, sep = self.index.get("[CLS]"), self.index.get("[SEP]")
            template = NO_TEMPLATE if cls is None or sep is None else bert_template(cls, sep)
        self.added = tuple(sorted(added, key=lambda token: token.id))
        self.normalizer, self.template, self.cleanup = normalizer, template, cleanup
        self.unk, self.prefix, self.max_word = unk, prefix, max_word
        self._check_ids()
        self._special = {token.id for token in self.added if token.special}
        self._spelled = dict(enumerate(self.pieces)) | {
            token.id: self._clean(token.content) if token.normalized else token.content
            for token in self.added}
        self._raw = make_finder((t for t in self.added if not t.normalized), str)
        self._normalized = make_finder((t for t in self.added if t.normalized), self._clean)
        self._one_word_tokens = not any(" " in token.content for token in self.added)
        self._longest = max(map(len, self.pieces))
        self._known, self._known_bytes = {}, 0     # a cache, {word: the ids of its pieces}

    def _check_ids(self):
        """Raise ValueError if ids of added tokens or of the template do not fit the vocabulary."""
        following = len(self.pieces)
        for token in self.added:
            expected = self.index.get(token.content, following)
            if token.id != expected:
                raise ValueError(f"the added token {token.content!r}: expected id {expected}, got "
                                 f"{token.id}")
            following += token.id == following
        used = {id for part in (*self.template.single, *self.template.pair) for id in part.ids}
        if not used <= set(range(following)):
            raise ValueError(f"template: expected ids below {following}, got {max(used)}")

    def __len__(self) -> int:
        """V + the number of added tokens that are not pieces: the rows of an embedding table."""
        return len(self._spelled)

    def __repr__(self) -> str:
        lower_cased = ", lower-cased" if self.normalizer.lower_case else ""
        return f"WordPiece({len(self):,} tokens{lower_cased})"

    def _clean(self, text):
        return normalise(text, self.normalizer)

    def token_to_id(self, token: str) -> int:
        """The id of a piece or an added token.  KeyError if it has none."""
        for added in self.added:
            if added.content == token:
                return added.id
        return self.index[token]

    def id_to_token(self, number: int) -> str:
        """The piece or added token with this id.  IndexError if there is none."""
        for added in self.added:
            if added.id == number:
                return added.content
        return self.pieces[number]

    # ---- text to numbers

    def token_ids(self, text: str) -> list[int]:
        """The ids of the pieces of a text; [CLS] and [SEP] are not added."""
        if not isinstance(text, str):
            raise TypeError(f"a text: expected a str, got {type(text).__name__} {text!r:.60}")
        ids = []
        for slice_of_text in slices_at_spaces(text) if self._one_word_tokens else [text]:
            self._add_ids(slice_of_text, ids)
        return ids

    def _add_ids(self, text, ids):
        for part in split_at_tokens(text, self._raw):
            if isinstance(part, AddedToken):
                ids.append(part.id)
                continue
            for inner in split_at_tokens(self._clean(part), self._normalized):
                if isinstance(inner, AddedToken):
                    ids.append(inner.id)
                else:
                    self._add_words(split_words(inner), ids)

    def _add_words(self, words, ids):
        known = self._known
        for word in words:
            pieces = known.get(word)
            ids += self._pieces_of(word) if pieces is None else pieces

    def _pieces_of(self, word):
        if len(word) > self.max_word:              # not cached: there is nothing to compute
            return [self.index[self.unk]]
        pieces = longest_match(word, self.index, self.prefix, self._longest)
        if pieces is None:
            pieces = [self.index[self.unk]]
        self._known_bytes += sys.getsizeof(word) + sys.getsizeof(pieces) + ENTRY
        if self._known_bytes > KNOWN_BYTES:
            self._known.clear()
            self._known_bytes = 0
        else:
            self._known[word] = pieces
        return pieces

    def tokenize(self, text: str) -> list[str]:
        """token_ids() as strings: "unaffable" -> ["un", "##aff", "##able"]."""
        return [self._spelled[number] for number in self.token_ids(text)]

    def _with_template(self, text, pair, max_length):
        """Lists: ids, types of a text or pair with special tokens; its length before truncation."""
        parts = self.template.single if pair is None else self.template.pair
        texts = [self.token_ids(text), [] if pair is None else self.token_ids(pair)]
        special = sum(len(part.ids) for part in parts)
        before = special + len(texts[0]) + len(texts[1])
        if max_length is not None:
            room = max_length - special
            if room < 0:
                raise ValueError(f"max_length={max_length}: expected at least {special}, the "
                                 "special tokens alone")
            texts = [self._truncated(ids, length) for ids, length in
                     zip(texts, share_room(len(texts[0]), len(texts[1]), room))]
        ids, types = [], []
        for part in parts:
            new = part.ids if part.text is None else texts[part.text]
            ids += new
            types += [part.type] * len(new)
        return ids, types, before

    def _truncated(self, ids, length):
        return ids[:length] if self.truncation_side == "right" else ids[len(ids) - length:]

    def encode(self, text: str, pair: str | None = None,
               max_length: int | None = None) -> Encoded:
        """The ids and types (T,) of a text or a pair with its special tokens, T ≤ max_length."""
        ids, types, _ = self._with_template(text, pair, max_length)
        return Encoded(np.array(ids, np.int32), np.array(types, np.int32))

    def encode_batch(self, texts: Iterable[str], pairs: Iterable[str] | None = None,
                     max_length: int | None = None) -> Packed:
        """Encode and pack N texts, or N pairs.  Each is as encode() returns it."""
        return self.encode_with_lengths(texts, pairs, max_length)[0]

    def encode_with_lengths(self, texts: Iterable[str], pairs: Iterable[str] | None = None,
                            max_length: int | None = None) -> tuple[Packed, np.ndarray]:
        """encode_batch(), and how many tokens each text would have without max_length: (N,)."""
        if isinstance(texts, str) or isinstance(pairs, str):
            raise TypeError("texts: expected a list of strings, got one string; put it into a list")
        texts = list(texts)
        pairs = [None] * len(texts) if pairs is None else list(pairs)
        if len(pairs) != len(texts):
            raise ValueError(f"pairs: expected one for each of {len(texts)} texts, got "
                             f"{len(pairs)}")
        ids, types, offsets, lengths = [], [], [0], []
        for text, pair in zip(texts, pairs):
            new, new_types, before = self._with_template(text, pair, max_length)
            ids += new
            types += new_types
            offsets.append(len(ids))
            lengths.append(before)
        return (Packed(np.array(ids, np.int32), np.array(offsets, np.int64),
                       np.array(types, np.int32)), np.array(lengths, np.int64))

    # ---- numbers to text

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """Join the pieces of ids (T,) to a text.  Normalisation is not undone."""
        pieces = []
        for number in map(int, ids):
            if number not in self._spelled:
                raise ValueError(f"token ids must be in 0..{len(self) - 1}, got {number}")
            if not (skip_special and number in self._special):
                pieces.append(self._joined(self._spelled[number], first=not pieces))
        return "".join(pieces)

    def _joined(self, piece, first):
        if not first and piece.startswith(self.prefix):
            piece = piece[len(self.prefix):]
        elif not first:
            piece = " " + piece
        for found, replacement in CLEANUP if self.cleanup else ():
            piece = piece.replace(found, replacement)
        return piece
