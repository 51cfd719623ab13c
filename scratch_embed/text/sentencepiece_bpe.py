"""SentencePiece's BPE: byte-pair encoding over characters, with bytes for the unknown ones.

    "▁low"  ->  ▁ l o w  ->  ▁l ow  ->  ▁low        "é", if no piece  ->  <0xC3> <0xA9>

Paper     Sennrich, Haddow & Birch 2016 (BPE); Kudo & Richardson 2018 (SentencePiece); Touvron et
          al. 2023 (Llama), Jiang et al. 2023 (Mistral), which use it
Equation  spell the text in characters; a character without a piece becomes the pieces of its bytes,
          or else <unk>.  Then merge pairs in the learned order, as in text/bpe_merging.py.
Shapes    ids, types (T,) int32, as for every Tokenizer
Cost      n log n for a word of n characters.  With Mistral's rules a whole text is one word, in
          which spaces are "▁".  It is cut before each "▁" that follows another character, and the
          ids of recent parts are cached, if this cannot change ids: no piece has a "▁" after
          another character, so no merge crosses a cut; and "▁" is a piece, so no run of unknown
          characters crosses one.
Differs   from SentencePiece's own code: see text/sentencepiece.py.  Merges are read, in learned
          order; there the score of a merged piece gives the order.
Read next text/bpe_merging.py (the merges), text/sentencepiece.py (what happens before and after)

Why bytes?  A vocabulary of 32,000 pieces cannot hold every character; with 256 pieces for bytes
nothing is unknown, and frequent characters still cost one piece (byte-level BPE, as in GPT-2,
spells every character of other scripts in two to four bytes and has to merge them).
"""
import re
from collections.abc import Iterable, Sequence

import numpy as np

from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.bpe_merging import merge_words, numbered, pair_table
from scratch_embed.text.sentencepiece import LLAMA, Rules, SentencePiece
from scratch_embed.text.tokenizer import NO_TEMPLATE, Template

PART = re.compile("▁+[^▁]*|[^▁]+")


class SentencePieceBPE(SentencePiece):
    """A BPE tokenizer over characters: pieces, merges, and the rules around them.

    pieces           V str; the id of a piece is its index
    merges           pairs of pieces in the learned order; each pair, joined, is a piece
    unk              the piece of unknown characters; None: every byte has a piece
    rules            how a text is normalised and split, and pieces joined
    fuse_unk         a run of unknown characters becomes one piece
    ignore_merges    a word that is a piece becomes this piece, whatever the merges say; then a word
                     is not cut
    added, template, byte_fallback, truncation_side    see SentencePiece and Tokenizer

    >>> tokenizer = SentencePieceBPE(["<unk>", "▁", "l", "o", "w", "▁l", "ow", "▁low"],
    ...                              [("▁", "l"), ("o", "w"), ("▁l", "ow")])
    >>> tokenizer
    SentencePieceBPE(8 tokens)
    >>> tokenizer.tokenize("low wool")
    ['▁low', '▁', 'w', 'o', 'o', 'l']
    >>> tokenizer.decode(tokenizer.token_ids("low wool"))
    'low wool'
    """

    def __init__(self, pieces: Iterable[str], merges: Iterable[tuple[str, str]],
                 unk: str | None = "<unk>", rules: Rules = LLAMA, added: Sequence[AddedToken] = (),
                 template: Template = NO_TEMPLATE, *, byte_fallback: bool = True,
                 fuse_unk: bool = True, ignore_merges: bool = False,
                 truncation_side: str = "right") -> None:
        super().__init__(pieces, unk, rules, added, template, byte_fallback=byte_fallback,
                         truncation_side=truncation_side)
        self.merges = [(left, right) for left, right in merges]
        self.fuse_unk, self.ignore_merges = fuse_unk, ignore_merges
        self._table = pair_table(numbered(self.merges, self.index))
        self._cut = ("▁" in self.index and not ignore_merges and not any(
            re.search("[^▁]▁", piece) for piece in self.pieces))

    def _add_part(self, text, is_first, ids):
        for word in self.rules.words(text, is_first):
            self._add_words(PART.findall(word) if self._cut else [word], ids)

    def _word_ids(self, word):
        if self.ignore_merges and word in self.index:
            return [self.index[word]]
        symbols = np.array(self._spell(word), np.int32)
        return merge_words(symbols, np.array([0, len(symbols)]), self._table)[0].tolist()

    def _spell(self, word):
        """The ids of a word's characters, before any merge."""
        ids, waiting = [], False                   # waiting: an <unk> is not yet in ids
        for c in word:
            known = self.index.get(c)
            of_bytes = self._byte_ids(c) if known is None else None
            if of_bytes:                           # as the library: a waiting <unk> goes on waiting
                ids += of_bytes
                continue
            if waiting and (known is not None or not self.fuse_unk):
                ids.append(self.unk_id)
            waiting = known is None
            if known is not None:
                ids.append(known)
        return ids + [self.unk_id] * waiting
