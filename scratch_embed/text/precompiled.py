r"""Precompiled: SentencePiece's normaliser, a table of replacements that is stored with a model.

    "ﬁ" -> "fi"     "Ａ" -> "A"     "e\u0301" -> "é"     tab -> space     zero-width space -> space

Paper     Kudo & Richardson 2018, "SentencePiece: A simple and language independent subword
          tokenizer and detokenizer for Neural Text Processing", section 3.4
Bytes     the length of the trie in bytes (uint32), the trie (uint32 each), then the replacements,
          each in UTF-8 with a NUL at its end.  The trie maps the bytes of a key to the place of
          its replacement.  It is a double array (Aoe 1989): from a unit at `node` the byte b leads
          to the unit at node ^ offset(unit) ^ b, if the label of that unit is b.
              bits 0-7, 31  label          bit 8  the node ends a key: its value is at node ^ offset
              bits 10-30    the offset, in units of 256 if bit 9 is set
Equation  for each grapheme cluster g of the text
              |g| < 6 bytes, and a key is a prefix of g:  g becomes the replacement of the shortest
                                                          such key
              else:  each character of which a key is a prefix becomes the replacement of the
                     shortest such key; the others stay
Cost      O(n): a character is looked up once and remembered, and so is a cluster
Differs   from SentencePiece's own code, as in the tokenizers library: the original takes at each
          place the longest key, whatever the clusters are.  So "¨\u0301", of which "¨" is a key,
          loses its second accent here, and a key of several clusters is never found.
          From the library: see text/graphemes.py.  A damaged table, whose trie or places lead
          outside it, is refused when it is read (the library stops when a text meets the damage).
Read next text/graphemes.py, text/unigram.py

Why a table?  It was computed when the model was trained (NFKC, and white space to spaces), so the
model never depends on the version of Unicode of the program that runs it.
"""
import base64
import re
from collections.abc import Mapping

import numpy as np

from scratch_embed.text.basic_tokenizer import Table
from scratch_embed.text.graphemes import clusters

SHORT = 6                          # bytes; longer clusters are looked up by characters only
PRINTABLE = "".join(map(chr, range(32, 127)))
NOT_PRINTABLE = re.compile("[^ -~]")
MOST_CLUSTERS = 1 << 16            # in the cache
MOST_NODES = 8190                  # of from_keys(): offsets have 21 bits
IS_LEAF = 1 << 31


class Precompiled:
    """A normaliser: call it with a text.

    charsmap    the bytes of the table.  ValueError if they are not one

    >>> Precompiled.from_keys({"ﬁ": "fi", "e\\u0301": "é", "\\t": " "})("ﬁne\\te\\u0301")
    'fine é'
    """

    def __init__(self, charsmap: bytes) -> None:
        self.charsmap = bytes(charsmap)
        self._units, self._texts = _parse(self.charsmap)
        self._characters = Table(self._of_character)
        self._clusters = {}                        # a cache
        self._keeps_ascii = PRINTABLE.translate(self._characters) == PRINTABLE

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Precompiled) and self.charsmap == other.charsmap

    def __hash__(self) -> int:
        return hash(self.charsmap)

    def __repr__(self) -> str:
        return f"Precompiled({len(self.charsmap):,} bytes)"

    def __reduce__(self):
        return Precompiled, (self.charsmap,)

    def shortest(self, text: str) -> str | None:
        """The replacement of the shortest key that `text` begins with; None if there is none."""
        units = self._units
        node = _offset(units[0])
        for byte in text.encode("utf-8", "surrogatepass"):
            node ^= byte
            unit = units[node]
            if byte == 0 or unit & (IS_LEAF | 0xFF) != byte:
                return None
            node ^= _offset(unit)
            if unit & 0x100:
                begin = units[node] & ~IS_LEAF
                return self._texts[begin:self._texts.index(b"\0", begin)].decode()
        return None

    def _of_character(self, c):
        found = self.shortest(c)
        return c if found is None else found

    def __call__(self, text: str) -> str:
        """The normalised text."""
        if self._keeps_ascii and not NOT_PRINTABLE.search(text):
            return text
        parts, done = [], 0
        for begin, end in () if text.isascii() and "\r\n" not in text else clusters(text):
            if 1 < end - begin < SHORT:
                found = self._of_cluster(text[begin:end])
                if found is not None:
                    parts += [text[done:begin].translate(self._characters), found]
                    done = end
        return "".join(parts) + text[done:].translate(self._characters)

    def _of_cluster(self, cluster):
        """The replacement of a whole cluster; None: its characters are looked up."""
        if cluster not in self._clusters:
            if len(self._clusters) == MOST_CLUSTERS:
                self._clusters.clear()
            short = len(cluster.encode("utf-8", "surrogatepass")) < SHORT
            self._clusters[cluster] = self.shortest(cluster) if short else None
        return self._clusters[cluster]

    # ---- base64, and tables from keys

    @classmethod
    def from_base64(cls, text: str) -> "Precompiled":
        """Read the table as a tokenizer.json has it.  ValueError if it is damaged."""
        return cls(base64.b64decode(text, validate=True))

    def to_base64(self) -> str:
        """The table as text."""
        return base64.b64encode(self.charsmap).decode("ascii")

    @classmethod
    def from_keys(cls, replacements: Mapping[str, str]) -> "Precompiled":
        """A table of these replacements.  Its trie is simple: each node has 256 units of its own.

        SentencePiece packs its trie, so that the units of different nodes lie between each other.
        """
        children, values, texts = [{}], {}, b""
        for key, text in sorted(replacements.items()):
            node = 0
            for byte in key.encode():
                if byte not in children[node]:
                    children[node][byte] = len(children)
                    children.append({})
                node = children[node][byte]
            values[node] = len(texts)
            texts += text.encode() + b"\0"
        if len(children) > MOST_NODES or "" in replacements or any(
                "\0" in key + text for key, text in replacements.items()):
            raise ValueError(f"replacements: expected keys of at most {MOST_NODES:,} prefixes, not "
                             "empty, without NUL")
        units, places = np.zeros(256 * (len(children) + 1), np.uint32), {0: 0}
        for node, below in enumerate(children):    # a child's place is known before its own turn
            block = 256 * (node + 1)
            label = units[places[node]] & 0xFF
            units[places[node]] = label | (places[node] ^ block) << 10 | (node in values) << 8
            if node in values:
                units[block] = IS_LEAF | values[node]
            for byte, child in below.items():
                places[child] = block + byte
                units[places[child]] = byte
        trie = units.astype("<u4").tobytes()
        return cls(np.uint32(len(trie)).astype("<u4").tobytes() + trie + texts)


# ---- the double array ---------------------------------------------------------------------------

def _offset(unit):
    return (unit >> 10) << ((unit & 0x200) >> 6)


def _parse(data):
    """(the units of the trie, the bytes of the replacements), checked so that no look-up fails."""
    length = int.from_bytes(data[:4], "little")
    if length % 4 or not 4 <= length <= len(data) - 4:
        raise ValueError("a precompiled charsmap: expected the length of its trie in bytes, a "
                         f"multiple of 4 below {max(0, len(data) - 3)}, got {length}")
    units = np.frombuffer(data, "<u4", length // 4, 4).astype(np.int64)
    texts = data[4 + length:]
    texts.decode()                                 # UnicodeDecodeError is a ValueError
    inner = np.flatnonzero(units < IS_LEAF)        # the others are values
    below = inner ^ _offset(units[inner])          # where the children of each unit begin
    if (below | 0xFF).max(initial=0) >= len(units):
        raise ValueError("a precompiled charsmap: expected a trie whose units lead to units of it, "
                         "got one that leads outside; the table is damaged")
    places = units[below[units[inner] & 0x100 > 0]] & ~IS_LEAF
    first_bytes = np.frombuffer(texts, np.uint8)
    if len(places) and (places.max() >= len(texts) or texts[-1]
                        or (first_bytes[places] & 0xC0 == 0x80).any()):
        raise ValueError("a precompiled charsmap: expected places of replacements, each with a NUL "
                         "at its end, got a place outside them; the table is damaged")
    return units.tolist(), texts
