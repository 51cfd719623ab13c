"""WordPiece: split each word into the longest pieces in the vocabulary, from left to right.

    unaffable  ->  un ##aff ##able         ("##": the piece continues a word)

Paper     Schuster & Nakajima 2012, "Japanese and Korean Voice Search"; Devlin et al. 2019 (BERT)
Equation  p₁ = the longest prefix of the word that is in the vocabulary; p₂ = "##" + the longest
          prefix of the rest such that p₂ is in the vocabulary; ...  If no piece fits at some point,
          the whole word is [UNK].
          one text    [CLS] a [SEP]             types 0
          a pair      [CLS] a [SEP] b [SEP]     types 0 up to the first [SEP], then 1
Shapes    as in text/tokenizer.py
Cost      at most n·m look-ups for a word of n letters, with m letters in the longest piece
Differs   A word of more than max_word characters is [UNK].  max_word is 200 in Google's code, 100
          in the tokenizers library and here; a tokenizer.json sets its own.
Read next text/tokenizer.py (special tokens, truncation), text/wordpiece_training.py (how the pieces
          are learned)

Greedy is not optimal: with the pieces un, una, ##ff, ##aff the word "unaff" becomes una ##ff, and
without "##ff" it becomes [UNK], although un ##aff would be possible.  BERT was trained on greedy
splits, so they are part of the model.
"""
from collections.abc import Iterable, Mapping, Sequence

from scratch_embed.numerics.checks import require_unicode
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.basic_tokenizer import UNCASED, Normalizer, normalise, split_words
from scratch_embed.text.corpus import slices_at_spaces
from scratch_embed.text.tokenizer import NO_TEMPLATE, Template, Tokenizer, bert_template

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# What the library's decoder replaces, piece by piece.  A piece has at most the space before it, so
# the two entries with two spaces can match in added tokens only.
CLEANUP = ((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
          (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"))


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


# ---- texts ------------------------------------------------------------------------------------

class WordPiece(Tokenizer):
    """BERT's kind of tokenizer.

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

    unk: str
    has_types = True

    def __init__(self, pieces: Iterable[str], normalizer: Normalizer = UNCASED,
                 added: Sequence[AddedToken] | None = None, template: Template | None = None, *,
                 unk: str = "[UNK]", prefix: str = "##", max_word: int = 100,
                 cleanup: bool = True, truncation_side: str = "right") -> None:
        pieces = list(pieces)
        index = {piece: number for number, piece in enumerate(pieces)}
        if unk not in index:
            raise ValueError(f"pieces: expected {unk!r}, the token of unknown words, among them")
        if added is None:
            added = [AddedToken(token, index[token]) for token in SPECIAL if token in index]
        if template is None:
            cls, sep = index.get("[CLS]"), index.get("[SEP]")
            template = NO_TEMPLATE if cls is None or sep is None else bert_template(cls, sep)
        self.normalizer, self.cleanup = normalizer, cleanup
        self.unk, self.prefix, self.max_word = unk, prefix, max_word
        super().__init__(pieces, added, template, truncation_side=truncation_side)
        self._longest = max(map(len, self.pieces))

    def __repr__(self) -> str:
        lower_cased = ", lower-cased" if self.normalizer.lower_case else ""
        return f"WordPiece({len(self):,} tokens{lower_cased})"

    def _clean(self, text):
        return normalise(require_unicode("a text", text), self.normalizer)

    def _slices(self, text):
        return slices_at_spaces(text) if self._one_word_tokens else (text,)

    def _add_part(self, text, is_first, ids):
        self._add_words(split_words(text), ids)

    def _word_ids(self, word):
        found = (None if len(word) > self.max_word else
                 longest_match(word, self.index, self.prefix, self._longest))
        return [self.index[self.unk]] if found is None else found

    def _joined(self, pieces):
        text = []
        for piece in pieces:
            if text and piece.startswith(self.prefix):
                piece = piece[len(self.prefix):]
            elif text:
                piece = " " + piece
            for found, replacement in CLEANUP if self.cleanup else ():
                piece = piece.replace(found, replacement)
            text.append(piece)
        return "".join(text)
