"""Byte-level BPE: spell the words of a text in bytes, then merge pairs of pieces in learned order.

    "slow lowest"  ->  slow Ġlowest  ->  s low Ġlow est          (Ġ stands for the byte of a space)

Paper     Sennrich, Haddow & Birch 2016, "Neural Machine Translation of Rare Words with Subword
          Units"; over bytes: Radford et al. 2019, "Language Models are Unsupervised Multitask
          Learners" (GPT-2), §2.2
Equation  ids = merge(spell(split(normalise(text)))): text/normal_forms.py, text/byte_level.py and
          text/bpe_merging.py.  If all 256 bytes are pieces, the patterns keep spaces and
          suffix is "":
              decode_bytes(encode_bytes(data)) = data     for any bytes
              decode(encode(text).ids) = text             if nothing is normalised, prefix_space is
                                                          off and no added token is in the text
Shapes    ids, types (T,) int32, as for every Tokenizer
Cost      n log n for a text of n bytes, whatever the text; the ids of recent words are cached
          (text/word_cache.py).  The words of a text that are not in the cache are merged in one
          call of a kernel
Differs   from the tokenizers library: dropout, byte_fallback and prefixes inside a word are not
          supported.  decode() of a tokenizer with a suffix writes a space for it, as transformers'
          CLIPTokenizer does; the library itself writes "</w>".  prefix_space is an error with other
          patterns than GPT-2's, with which the library puts a space before each word of them.
Read next text/byte_level.py, text/bpe_merging.py, text/bpe_training.py (how merges are learned),
          text/bpe_json.py
"""
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

import numpy as np

from scratch_embed.numerics.checks import require_unicode
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.bpe_merging import NONE, merge_words, numbered, pair_table
from scratch_embed.text.byte_level import (
    CHAR_OF_BYTE,
    CLIP_TOKENS,
    GPT2,
    PATTERNS,
    split,
    split_by_all,
    to_bytes,
    to_characters,
)
from scratch_embed.text.corpus import READ_SIZE
from scratch_embed.text.normal_forms import AS_IT_IS, CLIP_NORMALIZER, TextNormalizer
from scratch_embed.text.tokenizer import NO_TEMPLATE, Template, Tokenizer

INNER_SPACE = re.compile(r"\S(?= \S)")             # no word of any pattern extends over its end


class BPE(Tokenizer):
    """A byte-level BPE tokenizer: GPT-2's, RoBERTa's, CLIP's, Llama 3's.

    pieces      V str, in characters for bytes (text/byte_level.py); the id of a piece is its index
    merges      pairs of pieces, in the order in which they were learned
    normalizer  how a text is normalised first
    patterns    how a text is split into words: by the first pattern, each word by the second ...
    prefix_space    a space is put before a text, and before each part between added tokens
    suffix      is at the end of the last piece of a word: "</w>" in CLIP's
    unk         the piece for bytes without a piece; None: they are left out
    fuse_unk    consecutive bytes without a piece become one unk
    ignore_merges   a word that is a piece becomes this piece, whatever the merges say
    added, template, truncation_side    as for Tokenizer

    >>> bpe = BPE([*"lowerst", "Ġ", "lo", "low", "Ġlow"],
    ...           [("l", "o"), ("lo", "w"), ("Ġ", "low")])
    >>> bpe
    BPE(11 tokens, 3 merges)
    >>> bpe.tokenize("lower slow low")
    ['low', 'e', 'r', 'Ġ', 's', 'low', 'Ġlow']
    >>> bpe.decode(bpe.encode("slow low").ids)
    'slow low'
    """

    def __init__(self, pieces: Iterable[str], merges: Iterable[tuple[str, str]],
                 added: Sequence[AddedToken] = (), template: Template = NO_TEMPLATE, *,
                 normalizer: TextNormalizer = AS_IT_IS, patterns: Sequence[str] = (GPT2,),
                 prefix_space: bool = False, suffix: str = "", unk: str | None = None,
                 fuse_unk: bool = False, ignore_merges: bool = False,
                 truncation_side: str = "right") -> None:
        self.normalizer, self.prefix_space = normalizer, prefix_space
        self.patterns = tuple(patterns)
        super().__init__(pieces, added, template, truncation_side=truncation_side)
        self.merges = [(first, second) for first, second in merges]
        self.suffix, self.unk, self.fuse_unk = suffix, unk, fuse_unk
        self.ignore_merges = ignore_merges
        if unk is not None and unk not in self.index:
            raise ValueError(f"pieces: expected {unk!r}, the token of unknown bytes, among them")
        for pattern in self.patterns:
            if pattern not in PATTERNS:
                raise ValueError(f"patterns: expected those of text/byte_level.py, got {pattern!r}")
        if prefix_space and self.patterns not in ((), (GPT2,)):    # a tokenizer.json cannot say it
            raise ValueError("prefix_space=True: expected no patterns or GPT-2's alone, got others")
        self._table = pair_table(numbered(self.merges, self.index))
        self._byte_ids = np.array([[self.index.get(c + end, NONE) for c in CHAR_OF_BYTE.values()]
                                   for end in ("", suffix)], np.int32)              # (2, 256)

    def __repr__(self) -> str:
        return f"BPE({len(self):,} tokens, {len(self.merges):,} merges)"

    # ---- text to numbers

    def _clean(self, text):
        return self.normalizer(text)

    def _add_part(self, text, is_first, ids):
        if self.prefix_space and text and not text.startswith(" "):
            text = " " + text
        if not self.patterns:
            self._add_words([text] if text else [], ids)
            return
        for part in slices_before_spaces(text):
            self._add_words(split(part, self.patterns[0]), ids)

    def _add_words(self, words, ids):
        """Append the ids of words.  Those that the cache lacks are merged in one call."""
        known = self._cache.ids
        missing = set(words).difference(known)
        if not missing:
            ids.extend(chain.from_iterable(map(known.__getitem__, words)))
            return
        new = self._merged(list(missing))
        ids.extend(chain.from_iterable(new[word] if word in new else known[word]
                                       for word in words))
        for word, found in new.items():
            self._cache.store(word, found)

    def _merged(self, words):
        """{word: its ids}.  The patterns after the first split each word further."""
        for word in words:
            require_unicode("a text", word)
        parts = [split_by_all(word, self.patterns[1:]) for word in words]
        ids = iter(self._ids_of([part.encode() for part in chain.from_iterable(parts)]))
        return {word: [*chain.from_iterable(islice(ids, len(of_word)))]
                for word, of_word in zip(words, parts)}

    def _ids_of(self, words):
        """The ids of each word, a list; words are bytes."""
        offsets = np.concatenate([[0], np.cumsum([*map(len, words)], dtype=np.int64)])
        data = np.frombuffer(b"".join(words), np.uint8)                            # (n,)
        ids = self._byte_ids[0][data]
        if self.suffix:
            last = offsets[1:][np.diff(offsets) > 0] - 1
            ids[last] = self._byte_ids[1][data[last]]
        if (ids == NONE).any():
            ids, offsets = self._without_unknown(ids, offsets)
        ids, offsets = merge_words(ids, offsets, self._table)
        flat, ends = ids.tolist(), offsets.tolist()
        found = [flat[begin:end] for begin, end in zip(ends, ends[1:])]
        if self.ignore_merges:
            whole = [self.index.get(to_characters(word)) for word in words]
            found = [ids if number is None else [number] for ids, number in zip(found, whole)]
        return found

    def _without_unknown(self, ids, offsets):
        """Replace the bytes without a piece by unk, or leave them out.  -> ids, offsets"""
        unknown = ids == NONE
        dropped = unknown
        if self.unk is not None:
            ids[unknown] = self.index[self.unk]
            starts = np.zeros(len(ids) + 1, bool)
            starts[offsets] = True
            dropped = self.fuse_unk & unknown & np.roll(unknown, 1) & ~starts[:-1]
        kept = np.concatenate([[0], np.cumsum(~dropped)])
        return ids[~dropped], kept[offsets]

    def encode_bytes(self, data: bytes) -> np.ndarray:
        """The ids (T,) of any bytes, which need not be UTF-8.

        Nothing is normalised, added tokens are not searched for, and no special tokens are added.
        """
        words = split_by_all(data.decode("utf-8", "surrogateescape"), self.patterns)
        words = [word.encode("utf-8", "surrogateescape") for word in words]
        return np.array([*chain.from_iterable(self._ids_of(words))], np.int32)

    # ---- numbers to text

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of the pieces of ids (T,), special tokens included.

        decode_bytes(encode_bytes(data)) is data if every byte has a piece and the patterns keep
        spaces (CLIP's drop them).
        """
        return b"".join(map(to_bytes, self._tokens(ids, skip_special=False)))

    def _joined(self, pieces):
        text = b"".join(map(to_bytes, pieces)).decode("utf-8", "replace")
        return text.replace(self.suffix, " ").strip() if self.suffix else text


def clip_bpe(pieces: Iterable[str], merges: Iterable[tuple[str, str]], unk: str) -> BPE:
    """A BPE with the settings of CLIP's, which vocab.json and merges.txt do not state."""
    return BPE(pieces, merges, normalizer=CLIP_NORMALIZER, patterns=(CLIP_TOKENS, GPT2),
               suffix="</w>", unk=unk)


def slices_before_spaces(text: str, size: int = READ_SIZE) -> Iterator[str]:
    """The parts of a text, of about `size` characters each; each but the first begins with a space.

    The patterns split the parts as they split the whole text.  So the words of a long text, whose
    list would take ten times its memory, are never all in one list.
    """
    start = 0
    while len(text) - start > size and (cut := INNER_SPACE.search(text, start + size)):
        yield text[start:cut.end()]
        start = cut.end()
    yield text[start:] if start else text
