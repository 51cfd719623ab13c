"""What a text can hold can be written and read: its words, in every format, whatever they are."""
import io
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratch_embed.loading import load
from scratch_embed.text.reader import read_corpus
from scratch_embed.text.word_tokenizer import SPACES, WORDS
from scratch_embed.words.fasttext_files import Settings, word_model, write_bin
from scratch_embed.words.vector_files import write_glove_text
from scratch_embed.words.vectors import WRITERS, WordVectors
from tests.rounding import seeds

ODD = ("\0\ufeff\u00a0\u2028\u0085\x1c\x1f\u200d\u0301\ud7ff\ue000\uffff\U0010ffff"
       "日é🙂{}\"'\\-.019en")
texts = st.text(st.sampled_from(ODD + " \t\n\r\v\f") | st.characters(exclude_categories=["Cs"]),
                min_size=1, max_size=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("written")


def vocabulary(text, tokenizer):
    """The Vocab and the Corpus of a text; only texts with a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read_corpus(io.BytesIO(text.encode()), 1, tokenizer=tokenizer)
        except ValueError as error:
            assume("a text with words" not in str(error) and "NUL" not in str(error))
            raise


@given(texts, st.sampled_from([WORDS, SPACES]), st.integers(1, 5), seeds)
def test_the_words_of_any_text_come_back_from_every_format(folder, text, tokenizer, D, seed):
    words = vocabulary(text, tokenizer)[0].words
    table = np.random.default_rng(seed).standard_normal((len(words), D)).astype(np.float32)
    writers = {ending: lambda path: WordVectors(words, table).save(path) for ending in WRITERS}
    if D > 1:
        writers["-glove.txt"] = lambda path: write_glove_text(path, words, table)
    for ending, write in writers.items():
        path = folder / f"x{ending[:2]}{ending}"       # x.npy and x.safetensors share x.vocab.txt
        write(path)
        found = WordVectors.load(path)
        assert found.index_to_key == words, ending
        np.testing.assert_array_equal(found.vectors, table)


@given(texts, st.sampled_from([WORDS, SPACES]))
def test_the_words_of_any_text_come_back_from_a_fasttext_model(folder, text, tokenizer):
    vocab, _ = vocabulary(text, tokenizer)
    table = np.ones((len(vocab) + 3, 2), np.float32)
    write_bin(folder / "m.bin", word_model(vocab, table, table[:len(vocab)], Settings()))
    assert list(load(folder / "m.bin").words) == vocab.words


@given(texts)
def test_the_words_of_any_text_come_back_from_a_folder(tmp_path_factory, text):
    vocab, corpus = vocabulary(text, SPACES)
    where = tmp_path_factory.mktemp("corpus")
    for _ in range(2):                             # written, and opened again
        found, ids = read_corpus(io.BytesIO(text.encode()), 1, folder=where / "c") if (
            not (where / "c").exists()) else load(where / "c")
        assert found.words == vocab.words
        np.testing.assert_array_equal(ids.ids, corpus.ids)
