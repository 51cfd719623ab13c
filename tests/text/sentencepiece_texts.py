"""For tests of SentencePiece's kinds: random texts, comparison with the library, .model files."""
import functools
import random
import struct
import sys
import unicodedata

FRAGMENTS = [
    "a", "b", "ab", "abab", "un", "happy", "low", "er", " ", "  ", "   ", "▁", "▁▁", "<mask>",
    "<s>",
    " <mask>", "</s>", "<unk>", "New York", "New  York", "é", "e\u0301", "日本語", "漢", "한국어",
    "🙂", "\u00a0", "\u200b", "\u3000", "\t", "\n", "ﬁ", "½", "Ａ", "x", "q", "<0x41>", "<0xC3>",
    "\u0301", "¨", "😀\u200d", "Ё", "हिन्दी", "\u0958", "ÿ", "æ", "\x00", "\x01", "\x1c", "\u2028",
    "\u1680", "\r\n", "ᄀ", "\u0600"]
WORDS = "the unaffable cats sat on newer mats happily: low lower lowest 5.50 $ Σίσυφος ёлка".split()


@functools.cache
def assigned():
    """All characters that Python's Unicode version assigns."""
    return [c for c in map(chr, range(sys.maxunicode + 1))
            if unicodedata.category(c) not in ("Cn", "Cs")]


def random_texts(count, seed):
    """Yield texts of four sorts: fragments, few letters, prose, all of Unicode."""
    generator = random.Random(seed)
    choice, number = generator.choice, generator.randint

    def fragments():
        return "".join(choice(FRAGMENTS) + choice(["", "", " "]) for _ in range(number(0, 10)))

    def letters():
        return "".join(choice("ab▁ ") for _ in range(number(0, 40)))

    def prose():
        return " ".join(choice(WORDS)[number(0, 2):] for _ in range(number(1, 12)))

    def unicode():
        return "".join(choice(assigned()) if generator.random() < 0.6 else choice(FRAGMENTS)
                       for _ in range(number(1, 12)))

    for _ in range(count):
        yield choice([fragments, fragments, letters, prose, unicode])()


def assert_alike(ours, theirs, text):
    """The same ids, and the same texts decoded from them."""
    ids = theirs.encode(text, add_special_tokens=False).ids
    assert ours.token_ids(text) == ids, ascii(text)
    assert ours.decode(ids) == theirs.decode(ids), ascii(text)
    assert ours.decode(ids, False) == theirs.decode(ids, skip_special_tokens=False), ascii(text)


# ---- models of the sentencepiece package --------------------------------------------------------

def message(number, data):
    """A field whose value is a text or a message."""
    return varint(8 * number + 2) + varint(len(data)) + data


def varint(value):
    return (bytes([value & 0x7F | 0x80]) + varint(value >> 7)) if value > 0x7F else bytes([value])


def piece(text, score, kind=None):
    return message(1, message(1, text.encode()) + b"\x15" + struct.pack("<f", score)
                   + (b"" if kind is None else b"\x18" + varint(kind)))


FIRST = [piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3)]
