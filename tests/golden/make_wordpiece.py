"""How wordpiece.json was made: by tokenizers 0.23.3, under Python 3.11 (Unicode 14.0).

    python tests/golden/make_wordpiece.py

The file contains vocabularies trained by the library, whole tokenizers as the library saves them,
their encodings of texts and pairs, with and without truncation, and the characters for which the
library's Unicode tables differ from Python's, for each step of the normalisation.  Trained
vocabularies differ from run to run, because the library orders the "##" letters at random.
"""
import itertools
import json
import sys
import unicodedata
from pathlib import Path

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PROSE = """the unaffable cat sat on the mat, unhappily; the affable dog was happy
naïve cafés serve Crème brûlée and CAFÉ noir: 3 for 5.50 $!
日本語と漢字 are written without spaces, 한국어 is not
low lower lowest, o oo foo oooo, new newer newest, wide wider widest
Ελληνικά: ΟΔΥΣΣΕΥΣ ΟΔΟΣ; Русский: Ёлка, ёж
abc ab bc abcd bcd abcde cde abab baba aaaa aaa aa""".split("\n")
LETTERS = ["abab abcab bcabc cabca abcabc aabbaabb", "abcd bcda cdab dabc abcd abcd bcd bcd cda",
           "aaaaaaa aaaa aaa aa a aaaaa bbbb bbb", "dcba abcd dcab abdc dcba xyz xyzz zyx x y z"]
TRAINING = [dict(sentences=PROSE, size=180, min_frequency=2, limit=None),
            dict(sentences=PROSE * 2, size=400, min_frequency=0, limit=None),
            dict(sentences=LETTERS, size=60, min_frequency=0, limit=None),
            dict(sentences=LETTERS, size=60, min_frequency=3, limit=4)]
TEXTS = ["unaffable", "The unaffable CAT, unhappily!", "", "  \t\n ", "a [MASK] b",
         "a[MASK]b[SEP] c", "[mask] [ MASK ]", "naïve Café, CRÈME brûlée",
         "cafe\u0301 o\u0323\u0302", "日本語abc漢字", "한국어 \u1112\u1161\u11ab",
         "ΟΔΥΣΣΕΥΣ Σ ΟΔΟΣ", "İstanbul ẞ ǅ Ω K", "a\u00a0b\u3000c\u200bd\u00ade",
         "a\x00b\x0bc\ufffdd\ue000e\x1cf", "don't stop: it's 5.50$ ...", "o" * 101, "o" * 100,
         "🙂 a🙂b 👩\u200d👩\u200d👧", "¿qué? «sí» – no… 、。", "new york New  York NEW YORKER",
         "a <tag> b<TAG>c", "the the [UNK] ##low low##er", "\U0002b820 \U0002b920 \u037e \u2028x"]
PAIRS = [("the cat sat", "on the mat"), ("", "a"), ("a", ""), ("[MASK] low", "new [SEP] lower")]
LENGTHS = [3, 4, 5, 6, 7, 8, 9, 12]


def train(sentences, size, min_frequency, limit, normalizer=None):
    """The pieces that the library learns."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(**(normalizer or {}))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    limited = {} if limit is None else {"limit_alphabet": limit}
    tokenizer.train_from_iterator(sentences, trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=min_frequency, special_tokens=SPECIAL, show_progress=False,
        **limited))
    return sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)


def tokenizers_of(pieces, cased):
    """Three tokenizers: BERT's uncased; cased without accents; with added tokens and a template."""
    from tokenizers import AddedToken, BertWordPieceTokenizer, processors

    def number(words):
        return {piece: i for i, piece in enumerate(words)}
    plain = BertWordPieceTokenizer(number(pieces))
    accents = BertWordPieceTokenizer(number(cased), lowercase=False, strip_accents=True)
    added = BertWordPieceTokenizer(number(pieces), handle_chinese_chars=False)
    added.add_tokens([AddedToken("New York", normalized=True, single_word=True),
                      AddedToken("<tag>", normalized=False, lstrip=True, rstrip=True)])
    added.add_special_tokens([AddedToken("[MASK]", lstrip=True, normalized=False, special=True)])
    added._tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] [SEP] $B:2 [MASK]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3), ("[MASK]", 4)])
    return [plain._tokenizer, accents._tokenizer, added._tokenizer]


def cases(tokenizer):
    """[text, pair, max_length, ids, types, decoded, decoded with special tokens]."""
    queries = [(text, None, None) for text in TEXTS] + [(*pair, None) for pair in PAIRS]
    queries += [(TEXTS[1], None, length) for length in LENGTHS]
    queries += [(*pair, length) for length in LENGTHS if length > 4
                for pair in (("a b c", "a b c d e f g"), ("a b c d e f g", "a b c"),
                             ("a b c d", "a b c d"))]
    for text, pair, length in queries:
        if length:
            tokenizer.enable_truncation(length)
        found = tokenizer.encode(text, pair)
        tokenizer.no_truncation()
        yield [text, pair, length, found.ids, found.type_ids, tokenizer.decode(found.ids),
               tokenizer.decode(found.ids, skip_special_tokens=False)]


# ---- Unicode ------------------------------------------------------------------------------------

def assigned():
    """All non-ASCII characters that Python's Unicode version assigns, except surrogates."""
    return [c for c in map(chr, range(128, sys.maxunicode + 1))
            if unicodedata.category(c) not in ("Cn", "Cs")]


def differing(theirs, ours, characters):
    """Ranges [first, last] of the characters for which two functions of a text differ."""
    found = []
    for begin in range(0, len(characters), 256):
        strip = characters[begin:begin + 256]
        text = "|".join(f"x{c}x" for c in strip)
        if theirs(text) != ours(text):
            found += [ord(c) for c in strip if theirs(f"x{c}x") != ours(f"x{c}x")]
    runs = itertools.groupby(enumerate(found), key=lambda pair: pair[1] - pair[0])
    runs = [[code for _, code in run] for _, run in runs]
    return [[run[0], run[-1]] for run in runs]


def steps():
    """{step: (the library's function, ours)}."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    from scratch_embed.text.basic_tokenizer import Normalizer, normalise, split_words

    def pair(*flags):
        theirs = BertNormalizer(clean_text=flags[0], handle_chinese_chars=flags[1],
                                strip_accents=flags[2], lowercase=flags[3])
        return theirs.normalize_str, lambda text: normalise(text, Normalizer(*flags))
    return {"clean": pair(True, False, False, False), "space": pair(False, True, False, False),
            "strip": pair(False, False, True, False), "lower": pair(False, False, False, True),
            "part": (lambda text: [word for word, _ in BertPreTokenizer().pre_tokenize_str(text)],
                     split_words)}


def main():
    trained = [{**settings, "pieces": train(**settings)} for settings in TRAINING]
    cased = train(PROSE, 300, 0, None, dict(lowercase=False, strip_accents=True))
    found = tokenizers_of(trained[0]["pieces"], cased)
    kept = {"unicode": unicodedata.unidata_version,
            "differ": {step: differing(*functions, assigned())
                       for step, functions in steps().items()},
            "training": trained,
            "tokenizers": [{"file": json.loads(t.to_str()), "cases": list(cases(t))}
                           for t in found]}
    text = json.dumps(kept, ensure_ascii=True, separators=(",", ":"))
    for key in ('{"sentences"', '{"file"', '"cases"', '"differ"', '"training"', '"tokenizers":['):
        text = text.replace(key, "\n" + key)
    Path(__file__).with_name("wordpiece.json").write_text(text + "\n", "ascii")


if __name__ == "__main__":
    main()
