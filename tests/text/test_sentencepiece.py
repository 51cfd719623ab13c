"""Normalisers, Metaspace and decoders, each worked by hand and equal to the library's."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.text.metaspace import PREPEND, Metaspace
from scratch_embed.text.sentencepiece import (
    LLAMA,
    PATTERNS,
    XLM_ROBERTA,
    ByteFallback,
    Fuse,
    Prepend,
    Replace,
    Rules,
    Strip,
    StripStart,
)
from scratch_embed.text.unigram import Unigram

SPACED = st.text("ab▁ \t\u3000\x1c", max_size=12)
small = settings(max_examples=25)


# ---- Metaspace ----------------------------------------------------------------------------------

@pytest.mark.parametrize("metaspace, text, words", [
    (Metaspace(), "a new day", ["▁a", "▁new", "▁day"]), (Metaspace(), "", []),
    (Metaspace(), " a", ["▁a"]), (Metaspace(), "▁a  b ", ["▁a", "▁", "▁b", "▁"]),
    (Metaspace(prepend="never"), "a b", ["a", "▁b"]), (Metaspace(split=False), "a b", ["▁a▁b"]),
    (Metaspace("_"), "a▁b c", ["_a▁b", "_c"]), (Metaspace(split=False), "", [])])
def test_metaspace_worked_by_hand(metaspace, text, words):
    assert metaspace.words(text) == words


def test_first_is_for_the_beginning_of_the_text_only():
    first = Metaspace(prepend="first")
    assert first.words("a", is_first=True) == ["▁a"] and first.words("a", is_first=False) == ["a"]
    rules = Rules(white_space=True, metaspace=first)
    assert [*rules.words("a b", True)] == ["▁a", "b"] and [*rules.words(" a a", True)] == ["a", "a"]


def test_white_space_of_unicode_separates_words_and_is_dropped():
    """U+001C is white space to Python, but not in Unicode."""
    assert [*XLM_ROBERTA.words(" a\u3000b\x1cc\u2028", True)] == ["▁a", "▁b\x1cc"]
    assert [*Rules(white_space=True, metaspace=None).words("a  b", True)] == ["a", "b"]


@small
@given(SPACED, st.sampled_from(PREPEND), st.booleans())
def test_metaspace_splits_and_decodes_as_the_library(text, prepend, split):
    pre_tokenizers = pytest.importorskip("tokenizers.pre_tokenizers")
    decoders = pytest.importorskip("tokenizers.decoders")
    ours = Metaspace(prepend=prepend, split=split)
    theirs = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=split)
    words = ours.words(text)
    assert words == [word for word, _ in theirs.pre_tokenize_str(text)]
    assert "".join(ours.decode(words)) == decoders.Metaspace(prepend_scheme=prepend).decode(words)


@small
@given(st.lists(st.text("ab", min_size=1, max_size=3), max_size=5).map(" ".join))
def test_decoding_restores_words_with_one_space_between(text):
    assert "".join(Metaspace().decode(Metaspace().words(text))) == text


# ---- normalisers --------------------------------------------------------------------------------

@pytest.mark.parametrize("step, text, normalised", [
    (Replace(" ", "▁"), "a  b", "a▁▁b"), (Replace(" {2,}", "▁", True), "a b   c", "a b▁c"),
    (Replace(r"\A +| +\z", "", True), "  a  b ", "a  b"),
    (Replace(r"\A▁", "▁▁", True), "▁▁", "▁▁▁"),
    (Prepend("▁"), "a", "▁a"), (Prepend("▁"), "", ""), (Strip(True, True), "\u3000a b\t", "a b"),
    (Strip(False, True), " a\x1c \n", " a\x1c"), (Strip(True, False), " a ", "a ")])
def test_normalisers_worked_by_hand(step, text, normalised):
    assert step(text) == normalised


def library_steps():
    normalizers = pytest.importorskip("tokenizers.normalizers")
    regex = pytest.importorskip("tokenizers").Regex
    for pattern in PATTERNS:
        yield Replace(pattern, "-", True), normalizers.Replace(regex(pattern), "-")
    for left, right in [(False, True), (True, False), (True, True)]:
        yield Strip(left, right), normalizers.Strip(left, right)
    yield Prepend("▁"), normalizers.Prepend("▁")
    yield Replace("a", "bc"), normalizers.Replace("a", "bc")


@small
@given(SPACED)
def test_normalisers_equal_the_librarys(text):
    for ours, theirs in library_steps():
        assert ours(text) == theirs.normalize_str(text), ours


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("text", [" " * 300_000 + "x", "x" + " " * 300_000, " x" * 150_000])
def test_patterns_take_time_in_proportion_to_the_length(pattern, text):
    assert len(Replace(pattern, "", True)(text)) <= len(text)


# ---- decoders -----------------------------------------------------------------------------------

@pytest.mark.parametrize("step, pieces, decoded", [
    (ByteFallback(), ["a", "<0xC3>", "<0xA9>", "b"], ["a", "é", "b"]),
    (ByteFallback(), ["<0xC3>", "b", "<0xA9>", "<0x41>"], ["\ufffd", "b", "\ufffd", "\ufffd"]),
    (ByteFallback(), ["<0x4>", "<0x+5>", "<0xGG>", "<0x00>"], ["<0x4>", "\x05", "<0xGG>", "\0"]),
    (ByteFallback(), [], []), (Fuse(), ["a", "b"], ["ab"]), (Fuse(), [], [""]),
    (StripStart(" ", 1), ["  a", "a ", " ", ""], [" a", "a ", "", ""]),
    (Replace("▁", " "), ["▁a▁", "b"], [" a ", "b"])])
def test_decoders_worked_by_hand(step, pieces, decoded):
    assert [piece for piece in step.decode(pieces) if piece] == [p for p in decoded if p]


def test_pieces_without_a_decoder_are_joined_with_a_space():
    assert Rules(decoders=()).decode(["a", "b"]) == "a b"


PIECES = st.lists(st.sampled_from(["▁a", "b", "▁", " ", "é", "<0xC3>", "<0xA9>", "<0x41>", "<0xE6>",
                                   "<0x97>", "<0xA5>", "<0xFF>", "<0x+1>", "<0x 1>", "<0xé>", ""]),
                  max_size=9)


@small
@given(PIECES)
def test_llamas_decoders_equal_the_librarys(pieces):
    decoders = pytest.importorskip("tokenizers.decoders")
    theirs = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    assert LLAMA.decode(pieces) == theirs.decode(pieces)
    assert "".join(StripStart(" ", 2).decode(pieces)) == decoders.Strip(" ", 2, 0).decode(pieces)


# ---- the unknown piece --------------------------------------------------------------------------

def test_without_an_unknown_piece_every_byte_must_have_one():
    of_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    with pytest.raises(ValueError, match="unk=None: expected byte fallback and a piece for every"):
        Unigram(of_bytes[1:], [0.0] * 255, None, byte_fallback=True)
    with pytest.raises(ValueError, match="unk=None"):
        Unigram(of_bytes, [0.0] * 256, None)
