"""One set of characters separates words, in every reader of texts; all other text stays whole."""
import io
import sys

import numpy as np
import pytest

from scratch_embed.evaluate.words import read_analogies, read_pairs
from scratch_embed.numerics.errors import FormatError
from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.text import bpe_training, wordpiece_training
from scratch_embed.text.bpe import BPE
from scratch_embed.text.byte_level import CHAR_OF_BYTE
from scratch_embed.text.columns import read_columns
from scratch_embed.text.corpus import SPACE, read_blocks, read_lines, read_sentences, split_words
from scratch_embed.text.phrases import find_phrases, join_phrases
from scratch_embed.text.reader import read_corpus
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.unigram import Unigram
from scratch_embed.text.vocab import index_sentences
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.words.labelled import read_labelled, read_texts
from scratch_embed.words.vectors import WordVectors

OTHER_SPACES = [chr(code) for code in range(sys.maxunicode)           # str.split splits at these
                if chr(code).isspace() and chr(code) not in SPACE]


def corpus(text):
    return read_corpus(io.BytesIO(text.encode()), 1)[0].words


def sentences(text):
    return [word for sentence in read_sentences(io.BytesIO(text.encode())) for word in sentence]


def analogies(text, path):
    path.write_text(": s\n" + text, encoding="utf-8", newline="")
    return list(read_analogies(path)[0].questions[0])


def pairs(text, path):
    path.write_text(text.replace("c", "1").replace("d", "") , encoding="utf-8", newline="")
    return [*read_pairs(path)[0][:2], "c", "d"]


def labelled(text, path):
    path.write_text("__label__x " + text, encoding="utf-8", newline="")
    return [word for word in read_labelled(path).words if word != "</s>"]


def encoder(text, path):
    return StaticEncoder(WordVectors(["x"], np.eye(1))).tokenize(text)


READERS = [lambda text, path: corpus(text), lambda text, path: sentences(text),
           lambda text, path: split_words(text), analogies, pairs, labelled, encoder]
NAMES = ["corpus", "sentences", "split_words", "analogies", "pairs", "labelled", "encoder"]
with_each_reader = pytest.mark.parametrize("read", READERS, ids=NAMES)


@with_each_reader
@pytest.mark.parametrize("space", [space for space in SPACE if space not in "\n\t"])
def test_white_space_separates_words(tmp_path, read, space):
    assert read(f"a{space}b{space}c{space}d{space}", tmp_path / "text") == ["a", "b", "c", "d"]


@with_each_reader
@pytest.mark.parametrize("other", OTHER_SPACES, ids=lambda c: f"U+{ord(c):04X}")
def test_other_white_space_is_part_of_a_word(tmp_path, read, other):
    found = read(f"a{other}b b c d", tmp_path / "text")
    assert found[0] == f"a{other}b"


def test_the_texts_of_a_column_keep_other_white_space(tmp_path):
    (tmp_path / "x.tsv").write_text(" \u00a0a\u2028 \v\t b\u0085\n", encoding="utf-8", newline="")
    assert read_columns(tmp_path / "x.tsv") == [["\u00a0a\u2028"], ["b\u0085"]]


def test_a_delimiter_of_phrases_may_be_any_other_white_space():
    vocab, text = index_sentences([["new", "york"]] * 9, 1)
    phrases = find_phrases(text, vocab, 0, 0)
    joined = next(join_phrases(text, vocab, phrases, "\u00a0"))
    assert joined == ["new\u00a0york"] and corpus(" ".join(joined)) == joined
    for wrong in (*SPACE, "a b", "\udcff", "\ud800"):
        with pytest.raises(ValueError, match="delimiter"):
            join_phrases(text, vocab, phrases, wrong)


# ---- NUL and UTF-16 ------------------------------------------------------------------------------

@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("read", [read_blocks, read_lines])
@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_a_text_in_utf_16_is_refused_and_not_read_as_single_letters(encoding, read, errors):
    text = ("the king rules the land and the queen rules the sea\n" * 3).encode(encoding)
    with pytest.raises(FormatError, match="its first bytes: expected text in UTF-8, found NUL"):
        list(read(io.BytesIO(text), errors))


# ---- lone surrogates -----------------------------------------------------------------------------

@pytest.mark.parametrize("tokenizer", [
    WordPiece([*SPECIAL, "a", "b"]), BPE([*CHAR_OF_BYTE.values()], []),
    Unigram(["<unk>", "▁", "a", "b"], [0, -1, -1, -1]),
    SentencePieceBPE(["<unk>", "▁", "a", "b"], [], byte_fallback=False)], ids=repr)
@pytest.mark.parametrize("text", ["a\ud800b", "\udc80", "a [MASK] \udfff"])
def test_every_tokenizer_refuses_a_lone_surrogate(tokenizer, text):
    """As the tokenizers library does; WordPiece would drop it with the control characters."""
    for call in tokenizer.encode, tokenizer.token_ids, tokenizer.tokenize:
        with pytest.raises(ValueError, match="a text: expected Unicode text, got the lone surrog"):
            call(text)
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.encode_batch(["a", text])


@pytest.mark.parametrize("learn, name", [(wordpiece_training, "sentence"), (bpe_training, "text")])
def test_a_text_with_a_lone_surrogate_is_not_counted(learn, name):
    with pytest.raises(ValueError, match=rf"{name} 1: expected Unicode text, got the lone surrog"
                                         r"ate '\\ud800' at character 2; remove it"):
        learn.count_words(["fine 🙂", "aé\ud800"])


def test_a_word_of_a_sentence_that_has_no_bytes_is_refused_before_training():
    with pytest.raises(ValueError, match="sentences: expected Unicode text, got the lone surrogate"
                                         r" '\\ud800' at character 1"):
        index_sentences([["fine"], ["a\ud800b"]], 1)
    kept = b"caf\xe9".decode("utf-8", "surrogateescape")     # bytes, as in a published model
    assert index_sentences([["é", kept]], 1)[0].words == ["é", kept]


def test_a_labelled_text_that_has_no_bytes_is_named_by_its_number():
    with pytest.raises(ValueError, match="text 2: the word .* cannot be written as UTF-8"):
        read_texts(["fine", "a\ud800b"])
