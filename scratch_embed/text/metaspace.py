"""Metaspace: spaces become "▁" (U+2581), which is part of the word that it precedes.

    "a new day"  ->  "▁a", "▁new", "▁day"

Paper     Kudo & Richardson 2018 (SentencePiece), section 3.1, "lossless tokenization": with "▁"
          for a space, the pieces alone say where the spaces were, and decoding is joining.
Equation  text.replace(" ", "▁");  "▁" before it, if it has none there
              prepend="always"   before each part of a text
              prepend="first"    before the part at the beginning of the text only
              prepend="never"    nowhere
          split      the text is split before each "▁"
          decoding   "▁" becomes a space; those of the first piece are dropped (unless "never")
Cost      O(n)
Differs   from SentencePiece, as in the tokenizers library: a text that begins with "▁" gets no
          other (SentencePiece adds one in any case); with "always" each part between added tokens
          gets one, not only the text.
Read next text/sentencepiece.py
"""
from typing import NamedTuple

PREPEND = "always", "first", "never"


class Metaspace(NamedTuple):
    """The rule with its settings, named as in tokenizer.json ("prepend_scheme" there)."""

    replacement: str = "▁"
    prepend: str = "always"
    split: bool = True

    def words(self, text: str, is_first: bool = True) -> list[str]:
        """The words of a part of a text; is_first: the text begins with it.

        >>> Metaspace().words("a  b")
        ['▁a', '▁', '▁b']
        >>> Metaspace(prepend="never", split=False).words("a  b")
        ['a▁▁b']
        """
        mark = self.replacement
        text = text.replace(" ", mark)
        if (text and not text.startswith(mark)
                and (self.prepend == "always" or self.prepend == "first" and is_first)):
            text = mark + text
        if not self.split:
            return [text] if text else []
        first, *others = text.split(mark)
        return [first] * bool(first) + [mark + word for word in others]

    def decode(self, pieces: list[str]) -> list[str]:
        """The pieces with spaces again.

        >>> "".join(Metaspace().decode(["▁a", "▁b", "c"]))
        'a bc'
        """
        first = " " if self.prepend == "never" else ""
        return [piece.replace(self.replacement, " " if i else first)
                for i, piece in enumerate(pieces)]
