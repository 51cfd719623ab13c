"""SentencePiece: normalisation, splitting and decoding around its two models, Unigram and BPE.

    text -> normalise (Precompiled, Replace ...) -> split (white space, Metaspace) -> pieces
    pieces -> "▁" to spaces, <0xC3> <0xA9> to "é" -> text

Paper     Kudo & Richardson 2018, "SentencePiece: A simple and language independent subword
          tokenizer and detokenizer for Neural Text Processing"
Equation  byte fallback: a character without a piece becomes one piece for each of its bytes in
          UTF-8, "<0x00>" to "<0xFF>".  If the vocabulary has all 256, no text is unknown
Shapes    a text of n characters -> its words, list of str; k pieces, list of str -> a text
Cost      O(n) for the rules
Differs   from SentencePiece's own code, which reads a .model file: these are the parts of a
          tokenizer.json, to which transformers converts that file, applied as by the tokenizers
          library.  The two differ if a text begins or ends with spaces, contains "▁", or has an
          unknown character beside another.  White space is Unicode's property, as in the library.
Read next text/metaspace.py, text/precompiled.py, text/unigram.py, text/sentencepiece_bpe.py

Which models have what?
    XLM-R, BGE-M3, E5 (multilingual), CamemBERT    Unigram, Precompiled, white space, Metaspace
    Mistral, Llama 2                               BPE with byte fallback, Prepend and Replace
"""
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scratch_embed.numerics.checks import require_unicode
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.basic_tokenizer import WHITE_SPACE
from scratch_embed.text.metaspace import Metaspace
from scratch_embed.text.normal_forms import Lowercase, UnicodeForm
from scratch_embed.text.precompiled import Precompiled
from scratch_embed.text.tokenizer import NO_TEMPLATE, Template, Tokenizer

NONE = -1                          # in place of the id of a piece
SPACES = "".join(sorted(WHITE_SPACE))
WORD = re.compile(f"[^{SPACES}]+")
# a byte in two hexadecimal digits; the library's number parser also accepts a sign and one digit
BYTE = re.compile(r"<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>")
# {a regular expression of converted files, for the library: the same for re}.  Each takes O(n): a
# match is tried at the beginning of a run of spaces only.
PATTERNS = {" {2,}": re.compile(" {2,}"), r"\A▁": re.compile(r"\A▁"),
            r"\A +| +\z": re.compile(r"\A +|(?<! ) +\Z")}


# ---- normalisers: text -> text ------------------------------------------------------------------

class Replace(NamedTuple):
    """Replace each occurrence of a string, or of a regular expression among PATTERNS."""

    pattern: str
    content: str
    is_regex: bool = False

    def __call__(self, text: str) -> str:
        if self.is_regex:
            return PATTERNS[self.pattern].sub(lambda match: self.content, text)
        return text.replace(self.pattern, self.content)

    def decode(self, pieces: list[str]) -> list[str]:
        """The pieces, each with the replacement."""
        return [self(piece) for piece in pieces]


class Prepend(NamedTuple):
    """Put a string before a text that is not empty."""

    prepend: str

    def __call__(self, text: str) -> str:
        return self.prepend + text if text else text


class Strip(NamedTuple):
    """Remove white space from the ends of a text."""

    left: bool
    right: bool

    def __call__(self, text: str) -> str:
        text = text.lstrip(SPACES) if self.left else text
        return text.rstrip(SPACES) if self.right else text


# ---- decoders: pieces -> pieces -----------------------------------------------------------------

class ByteFallback(NamedTuple):
    """Pieces for bytes, such as <0xC3> <0xA9>, become the text of these bytes, "é"."""

    def decode(self, pieces: list[str]) -> list[str]:
        """The pieces; a run of bytes that is not UTF-8 becomes a "\ufffd" for each byte."""
        found, run = [], bytearray()
        for piece in [*pieces, None]:              # None: the end of the last run
            byte = BYTE.fullmatch(piece) if piece is not None else None
            if byte:
                run.append(int(byte[1], 16))
                continue
            try:
                found.append(run.decode())
            except UnicodeDecodeError:
                found += ["\ufffd"] * len(run)
            run.clear()
            if piece is not None:
                found.append(piece)
        return found


class Fuse(NamedTuple):
    """Join all pieces to one, so that the next step sees the whole text."""

    def decode(self, pieces: list[str]) -> list[str]:
        """One piece: all pieces, joined."""
        return ["".join(pieces)]


class StripStart(NamedTuple):
    """Remove the character `content`, at most `most` times, from the beginning of each piece."""

    content: str
    most: int

    def decode(self, pieces: list[str]) -> list[str]:
        """The pieces without these characters."""
        return [piece[min(self.most, len(piece) - len(piece.lstrip(self.content))):]
                for piece in pieces]


# ---- a tokenizer --------------------------------------------------------------------------------

class Rules(NamedTuple):
    """The parts of a SentencePiece tokenizer around its model.

    normalizers    applied one after another to each part of a text between added tokens
    white_space    whether the text is then split at white space, which is dropped
    metaspace      how it is split further; None: not at all
    decoders       applied one after another to the pieces, which are then joined; if there are
                   none, pieces are joined with a space between them
    """

    normalizers: tuple[Precompiled | Replace | Prepend | Strip | UnicodeForm | Lowercase, ...] = ()
    white_space: bool = False
    metaspace: Metaspace | None = Metaspace()
    decoders: tuple[Metaspace | Replace | ByteFallback | Fuse | StripStart, ...] = (Metaspace(),)

    @property
    def prefix_space(self) -> bool:
        """Whether a "▁" is put before a text."""
        if self.metaspace is not None:
            return self.metaspace.prepend != "never"
        return any(isinstance(step, Prepend) for step in self.normalizers)

    def normalise(self, text: str) -> str:
        """The normalised text."""
        for step in self.normalizers:
            text = step(text)
        return text

    def words(self, text: str, is_first: bool) -> Iterable[str]:
        """The words of a normalised part of a text; is_first: the text begins with it."""
        parts = WORD.findall(text) if self.white_space else [text] if text else []
        if self.metaspace is None or not parts:
            return parts
        mark = self.metaspace.replacement
        if self.white_space and self.metaspace.prepend == "always" and mark not in text:
            return [mark + part for part in parts]             # the same as below, but faster
        words, is_first = [], is_first and text.startswith(parts[0])
        for part in parts:
            words += self.metaspace.words(part, is_first)
            is_first = False
        return words

    def decode(self, pieces: list[str]) -> str:
        """The text of pieces."""
        if not self.decoders:
            return " ".join(pieces)
        for step in self.decoders:
            pieces = step.decode(pieces)
        return "".join(pieces)


METASPACE = Rules()                # a "▁" before each word
XLM_ROBERTA = Rules(white_space=True)              # and a Precompiled, which each model has itself
LLAMA = Rules((Prepend("▁"), Replace(" ", "▁")), False, None,
              (Replace("▁", " "), ByteFallback(), Fuse(), StripStart(" ", 1)))


class SentencePiece(Tokenizer):
    """What Unigram and SentencePieceBPE share: rules, byte fallback, the unknown piece.

    pieces           V str; the id of a piece is its index
    unk              the piece of unknown characters; None: there is none, so byte_fallback must be
                     on, with a piece for every byte
    rules            how a text is normalised and split, and pieces joined
    byte_fallback    unknown characters become pieces for their bytes, if all of these exist
    """

    def __init__(self, pieces: Iterable[str], unk: str | None,
                 rules: Rules = METASPACE, added: Sequence[AddedToken] = (),
                 template: Template = NO_TEMPLATE, *, byte_fallback: bool = False,
                 truncation_side: str = "right") -> None:
        self.unk, self.rules, self.byte_fallback = unk, rules, byte_fallback
        self.prefix_space = rules.prefix_space
        super().__init__(pieces, added, template, truncation_side=truncation_side)
        self._bytes = [self.index.get(f"<0x{byte:02X}>") for byte in range(256)]
        if unk is None and (None in self._bytes or not byte_fallback):
            raise ValueError("unk=None: expected byte fallback and a piece for every byte, <0x00> "
                             "to <0xFF>; name a piece for unknown characters")
        if unk is not None and unk not in self.index:
            raise ValueError(f"pieces: expected {unk!r}, the piece of unknown characters, among "
                             "them")
        self.unk_id = NONE if unk is None else self.index[unk]

    def _clean(self, text):
        return self.rules.normalise(require_unicode("a text", text))

    def _add_part(self, text, is_first, ids):
        self._add_words(self.rules.words(text, is_first), ids)

    def _byte_ids(self, text):
        """The ids of the bytes of a text; None if one has no piece, or without byte fallback."""
        if not self.byte_fallback:
            return None
        ids = [self._bytes[byte] for byte in text.encode()]
        return None if None in ids else ids

    def _joined(self, pieces):
        return self.rules.decode(pieces)
