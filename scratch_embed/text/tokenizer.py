"""Tokenizer: the steps from a text to token ids that WordPiece, BPE and Unigram share.

    text -> split at added tokens -> normalise, split, look up (each kind differs) -> truncate
         -> add special tokens, such as [CLS]

Paper     none: these are the steps of the tokenizers library
Equation  one text    template.single: [CLS] a [SEP]                types 0
          a pair      template.pair:   [CLS] a [SEP] b [SEP]        types 0 up to the first [SEP]
Shapes    ids, types (T,) int32; offsets (N+1,): text i of a batch is ids[offsets[i]:offsets[i+1]]
Cost      that of the kind's own rules; the ids of recent words are cached (text/word_cache.py)
Differs   A pair that is too long is truncated as in the tokenizers library: the shorter text is
          kept whole if it fits into half of the room, else each text keeps half.  An odd token goes
          to the longer text, or to the second if both have the same length.  Google's code and
          older versions of transformers drop tokens from the end of the longer text one by one; if
          both texts are truncated, the odd token goes to the first.
          pair="" is a pair (transformers, called for a single text, treats it as no pair).  A
          max_length below the number of special tokens is an error (the library then does not
          truncate).  Nothing is padded: a batch is packed.  decode() raises ValueError for an id
          without a token, and drops every special token unless skip_special=False (the library
          keeps a special token that normalisation has changed).
Read next text/wordpiece.py (BERT's kind), text/bpe.py (GPT-2's), text/unigram.py (XLM-R's),
          text/tokenizer_files.py (how a folder is read)

Why one class for all kinds?  A model's code needs ids, types and a length.  Which pieces a word has
is the only question that WordPiece, BPE and Unigram answer differently.
"""
import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.text.added_tokens import AddedToken, make_finder, split_at_tokens
from scratch_embed.text.packed import Packed
from scratch_embed.text.word_cache import WordCache

SIDES = "right", "left"            # the side from which a text is truncated


class Encoded(NamedTuple):
    """The tokens of a text or a pair, and the token_type_id of each."""

    ids: np.ndarray                # (T,) int32
    types: np.ndarray              # (T,) int32


# ---- special tokens ---------------------------------------------------------------------------

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


def roberta_template(cls: int, sep: int) -> Template:
    """<s> a </s>, and <s> a </s> </s> b </s>; all types are 0."""
    first = (Part(None, (cls,), 0), Part(0, (), 0), Part(None, (sep,), 0))
    return Template(first, (*first, Part(None, (sep,), 0), Part(1, (), 0), Part(None, (sep,), 0)))


def without_types(template: Template) -> Template:
    """The same template in which all types are 0."""
    return Template(*(tuple(part._replace(type=0) for part in parts) for parts in template))


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

class Tokenizer:
    """A vocabulary, added tokens and a template.  WordPiece, BPE and Unigram are subclasses.

    pieces      V str; the id of a piece is its index
    added       AddedTokens, found in the text before it is tokenized; their ids are those of the
                vocabulary, or continue from V
    template    where special tokens are added
    truncation_side    "right": the end of a text that is too long is cut off; "left": its beginning
    roles       {"pad_token": "[PAD]" ...}, as files of transformers name special tokens; only files
                need them
    has_types   whether a model gets the types; if not, all types are 0

    A subclass defines these.  What its _clean needs is set before it calls __init__, which
    normalises the added tokens:
    _clean      normalises a part of a text between added tokens
    _add_part   appends the ids of a normalised part; most call _add_words for its words
    _word_ids   the ids of one word
    _joined     the text of the pieces of decoded ids
    """

    unk: str | None = None         # the token of unknown words; None: this kind has none
    prefix_space: bool | None = None       # whether a space is put before a text; None: no setting
    roles: Mapping[str, str] = {}
    has_types = False

    def __init__(self, pieces: Iterable[str], added: Sequence[AddedToken] = (),
                 template: Template = NO_TEMPLATE, *, truncation_side: str = "right") -> None:
        if truncation_side not in SIDES:
            raise ValueError(f"truncation_side={truncation_side!r}: expected 'right' or 'left'")
        self.truncation_side = truncation_side
        self.pieces = list(pieces)
        self.index = {piece: number for number, piece in enumerate(self.pieces)}
        if len(self.index) != len(self.pieces):
            raise ValueError("pieces: expected different pieces, got one of them twice")
        self._set_tokens(added, template)
        self._cache = WordCache()

    def _set_tokens(self, added, template):
        self.added = tuple(sorted(added, key=lambda token: token.id))
        self.template = template
        self._check_ids()
        self._special = {token.id for token in self.added if token.special}
        self._spelled = dict(enumerate(self.pieces)) | {
            token.id: self._clean(token.content) if token.normalized else token.content
            for token in self.added}
        self._raw = make_finder((t for t in self.added if not t.normalized), str)
        self._normalized = make_finder((t for t in self.added if t.normalized), self._clean)
        self._one_word_tokens = not any(" " in token.content for token in self.added)

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

    def with_tokens(self, added: Sequence[AddedToken], template: Template,
                    truncation_side: str, roles: Mapping[str, str], has_types: bool) -> "Tokenizer":
        """The same tokenizer with other tokens and settings."""
        if truncation_side not in SIDES:
            raise ValueError(f"truncation_side={truncation_side!r}: expected 'right' or 'left'")
        new = copy.copy(self)
        new.truncation_side, new.roles, new.has_types = truncation_side, dict(roles), has_types
        if not has_types:
            template = without_types(template)
        new._set_tokens(added, template)
        new._cache = WordCache()
        return new

    def without_types(self) -> "Tokenizer":
        """The same tokenizer, for a model that has no types."""
        return self.with_tokens(self.added, self.template, self.truncation_side, self.roles, False)

    # ---- what a subclass defines

    def _clean(self, text: str) -> str:
        """A part of a text between added tokens, normalised."""
        return text

    def _add_part(self, text: str, is_first: bool, ids: list[int]) -> None:
        """Append the ids of a normalised part of a text; is_first: it begins the text."""
        raise NotImplementedError

    def _word_ids(self, word: str) -> list[int]:
        """The ids of one word."""
        raise NotImplementedError

    def _joined(self, pieces: list[str]) -> str:
        """The text of these pieces and added tokens."""
        raise NotImplementedError

    def _slices(self, text: str) -> Iterable[str]:
        """The text in parts, which are tokenized one by one; their ids, joined, are the text's."""
        return (text,)

    # ---- tokens and ids

    def __len__(self) -> int:
        """V + the number of added tokens that are not pieces: the rows of an embedding table."""
        return len(self._spelled)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} tokens)"

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
        if not 0 <= number < len(self.pieces):     # pieces[-1] would be the last piece
            raise IndexError(f"token ids must be in 0..{len(self) - 1}, got {number}")
        return self.pieces[number]

    # ---- text to numbers

    def token_ids(self, text: str) -> list[int]:
        """The ids of the pieces of a text; special tokens such as [CLS] are not added."""
        if not isinstance(text, str):
            raise TypeError(f"a text: expected a str, got {type(text).__name__} {text!r:.60}")
        ids, is_first = [], True
        for slice_of_text in self._slices(text):
            self._add_ids(slice_of_text, is_first, ids)
            is_first = False
        return ids

    def _add_ids(self, text, is_first, ids):
        for part in split_at_tokens(text, self._raw):
            if isinstance(part, AddedToken):
                ids.append(part.id)
                is_first = False
                continue
            for inner in split_at_tokens(self._clean(part), self._normalized):
                if isinstance(inner, AddedToken):
                    ids.append(inner.id)
                else:
                    self._add_part(inner, is_first, ids)
                is_first = False

    def _add_words(self, words, ids):
        """Append the ids of words, from the cache where it has them."""
        known = self._cache.ids
        for word in words:
            found = known.get(word)
            if found is None:
                found = self._word_ids(word)
                self._cache.store(word, found)
                known = self._cache.ids
            ids += found

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text, as strings: "unaffable" -> ["un", "##aff", "##able"]."""
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
        """encode_batch(), and the number of tokens of each text before truncation (N,)."""
        if isinstance(texts, str) or isinstance(pairs, str):
            raise TypeError("texts: expected a list of strings, got one string; put it into a list")
        if not isinstance(texts, Iterable):
            raise TypeError(f"texts: expected a list of strings, got {texts!r}")
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
        """The text of ids (T,), without the special tokens if skip_special.

        What normalisation has changed, such as upper case, is not restored.
        """
        return self._joined(self._tokens(ids, skip_special))

    def _tokens(self, ids, skip_special):
        """The pieces and added tokens of ids, without the special ones if skip_special."""
        pieces = []
        for number in map(int, ids):
            if number not in self._spelled:
                raise ValueError(f"token ids must be in 0..{len(self) - 1}, got {number}")
            if not (skip_special and number in self._special):
                pieces.append(self._spelled[number])
        return pieces
