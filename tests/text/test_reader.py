"""The compiled reader equals the plain one, in memory and on disk."""
import contextlib
import gzip
import io
import json
import os
import sys
import tempfile
import tracemalloc
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.corpus import MAX_SENTENCE, read_blocks, read_sentences
from scratch_embed.text.corpus_folder import mapped_corpus, open_corpus, save_corpus
from scratch_embed.text.reader import (
    BATCH,
    FIRST_ROOM,
    DecodedWords,
    hash_token,
    number_tokens,
    read_corpus,
)
from scratch_embed.text.vocab import Corpus, Vocab, index_sentences
from scratch_embed.text.word_tokenizer import SPACES as SPACES_ONLY
from scratch_embed.text.word_tokenizer import WordTokenizer
from tests.mutations import mutated
from tests.processes import full_disk, in_plain_python
from tests.text.short_reads import ShortReads

WORDS = [b"a", b"b", b"ab", b"ba", "é".encode(), "日本".encode(), "\u00a0".encode(), b"\x00",
         b"\x1c", "\u0085".encode(), b"x" * 40]
SPACES = [b" ", b"\n", b"\r\n", b"\t", b"\v", b"\f", b"\r", b"\n\n", b" \n "]
texts = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES))).map(
    lambda parts: b"".join(word + space for word, space in parts))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"the king sat\n\nthe queen the end\n" * 5)
    return path


def assert_same(ours, plain):
    """Assert that two results (Vocab, Corpus) are equal, with the same dtypes."""
    (vocab, corpus), (plain_vocab, plain_corpus) = ours, plain
    assert vocab.words == plain_vocab.words
    for a, b in [(vocab.counts, plain_vocab.counts), *zip(corpus, plain_corpus)]:
        assert type(a) is np.ndarray and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def outcome(read):
    """What `read` returns, or the error that it raises."""
    try:
        return read(), None
    except ValueError as error:
        return None, (type(error), str(error))


# ---- blocks -----------------------------------------------------------------------------------

@given(texts, st.integers(3, 9))
def test_blocks_are_the_text_and_each_but_the_last_ends_after_white_space(text, read_size):
    blocks = list(read_blocks(ShortReads(text + b"end", read_size)))
    assert b"".join(blocks) == text.replace(b"\0", b" ") + b"end"
    assert all(block[-1:].isspace() for block in blocks[:-1])
    assert all(len(block) < 2 * read_size + 40 for block in blocks)    # 40: the longest word


# ---- as the plain reader ------------------------------------------------------------------------

def test_a_tokenizer_splits_the_text_of_a_file():
    text = "The soup: «très bonne»!\n\n'The END', the soup\n".encode()
    vocab, corpus = read_corpus(io.BytesIO(text), min_count=1, tokenizer=WordTokenizer())
    assert vocab.words == ["the", "soup", "très", "bonne", "end"]
    assert corpus.ids.tolist() == [0, 1, 2, 3, 0, 4, 0, 1]
    assert corpus.offsets.tolist() == [0, 4, 8]


@given(st.text("aÉ'’ .\u0301\u00ad\n", max_size=40), st.integers(3, 9))
def test_a_tokenized_file_equals_the_tokenized_lines(text, read_size):
    tokenizer = WordTokenizer()
    ours, our_error = outcome(lambda: read_corpus(ShortReads(text.encode(), read_size), 1,
                                                  tokenizer=tokenizer))
    plain, plain_error = outcome(lambda: index_sentences(map(tokenizer, text.split("\n")), 1))
    assert our_error == plain_error
    if plain:
        assert_same(ours, plain)


def test_a_folder_is_not_used_for_another_tokenizer(text, tmp_path):
    for tokenizer in SPACES_ONLY, WordTokenizer():
        read_corpus(text, 1, folder=tmp_path / str(tokenizer), tokenizer=tokenizer)
    with pytest.raises(ValueError, match="apostrophes kept"):
        read_corpus(text, 1, folder=tmp_path / str(SPACES_ONLY), tokenizer=WordTokenizer())


def test_a_text_worked_by_hand():
    vocab, corpus = read_corpus(io.BytesIO(b"b a\na c\n\nc a  b b\n"), min_count=2)
    assert vocab.words == ["b", "a", "c"] and vocab.counts.tolist() == [3, 3, 2]
    assert corpus.ids.tolist() == [0, 1, 1, 2, 2, 1, 0, 0]
    assert corpus.offsets.tolist() == [0, 2, 4, 8]


def test_an_empty_line_ends_no_sentence():
    ids, ends = io.BytesIO(), io.BytesIO()
    _, known = number_tokens([b"\n" * 9 + b"a b\n\n\na\n \n", b"\n" * 9], ids, ends)
    assert known == 2 and np.frombuffer(ids.getvalue(), np.int32).tolist() == [0, 1, 0]
    assert np.frombuffer(ends.getvalue(), np.int64).tolist() == [0, 2, 3]


@given(texts, st.sampled_from([b"", b"end", b"\n"]), st.integers(3, 40), st.integers(1, 3),
       st.sampled_from([None, 1, 3]))
def test_equals_the_plain_reader(text, tail, read_size, min_count, max_vocab_size):
    bounds = min_count, max_vocab_size
    ours, our_error = outcome(lambda: read_corpus(ShortReads(text + tail, read_size), *bounds))
    plain, plain_error = outcome(
        lambda: index_sentences(read_sentences(io.BytesIO(text + tail)), *bounds))
    assert our_error == plain_error
    if plain:
        assert_same(ours, plain)


@given(st.lists(st.tuples(st.integers(0, 2 * MAX_SENTENCE + 1), st.sampled_from(SPACES[:2]))),
       st.integers(1, 3000))
def test_equals_the_plain_reader_where_lines_are_long(lines, read_size):
    text = b".\n" + b"".join(b"a b " * (n // 2) + b"c " * (n % 2) + space for n, space in lines)
    ours = read_corpus(ShortReads(text, read_size), min_count=1)
    assert_same(ours, index_sentences(read_sentences(io.BytesIO(text)), min_count=1))


@given(st.binary(max_size=40), st.integers(3, 9), st.sampled_from(["strict", "replace", "ignore"]))
def test_any_bytes_give_the_same_result_or_the_same_error(data, read_size, errors):
    ours, our_error = outcome(lambda: read_corpus(ShortReads(data, read_size), 1, errors=errors))
    plain, plain_error = outcome(lambda: index_sentences(
        read_sentences(ShortReads(data, read_size), errors), 1))
    assert our_error == plain_error
    if plain:
        assert_same(ours, plain)


def number_text(text, read_size, room):
    """All that number_tokens finds: words, counts, ids and offsets."""
    ids, ends = io.BytesIO(), io.BytesIO()
    words, known = number_tokens(read_blocks(ShortReads(text, read_size)), ids, ends, room)
    spelled = [DecodedWords(words, known)[i] for i in range(known)]
    return spelled, words.counts[:known].tolist(), ids.getvalue(), ends.getvalue()


@given(texts, st.sampled_from([1, 2, 4]))
def test_a_table_that_grows_finds_the_same_words(text, room):
    assert number_text(text, 7, room) == number_text(text, 1000, 1 << 10)


def test_equals_the_plain_reader_where_the_table_grows_and_batches_follow():
    rng = np.random.default_rng(0)
    words = rng.integers(0, 60_000, 100_000).astype(str).tolist()
    sentences = [words[i:i + 20] for i in range(0, 100_000, 20)]
    text = "\n".join(map(" ".join, sentences)).encode()
    assert len(set(words)) > FIRST_ROOM and len(sentences) > 2 * BATCH
    for min_count in 1, 3:                                # 3: many sentences lose all their words
        assert_same(read_corpus(ShortReads(text, 1 << 12), min_count),
                    index_sentences(sentences, min_count))


def test_sources_of_every_kind_give_the_same(text, stdin):
    data = text.read_bytes()
    stdin(data)
    plain = index_sentences(read_sentences(text), 1)
    for source in (text, str(text), io.BytesIO(gzip.compress(data)), "-", read_sentences(text)):
        assert_same(read_corpus(source, 1), plain)


def small_text():
    """The ids and the offsets of a small text, in one array."""
    vocab, corpus = read_corpus(io.BytesIO("one two\n café two three\n".encode()), 1)
    assert vocab.words == ["two", "one", "café", "three"]
    return np.concatenate(corpus)


def test_the_kernels_are_runnable_python():
    assert in_plain_python(small_text).tolist() == [1, 0, 2, 0, 3, 0, 2, 5] == small_text().tolist()


# ---- the table --------------------------------------------------------------------------------

@pytest.mark.parametrize("token, value", [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C),
                                          (b"foobar", 0x85944171F73967E8)])
def test_the_hash_is_fnv_1a(token, value):
    assert hash_token(np.frombuffer(b"." + token + b" z", np.uint8), 1) == (value, 1 + len(token))


def test_two_words_with_the_same_hash_are_distinguished():
    words = [b"8yn0iYCKYHlIj4-BwPqk", b"GReLUrM4wMqfg9yzV3KQ"]
    hashes = [hash_token(np.frombuffer(word, np.uint8), 0)[0] for word in words]
    assert hashes[0] == hashes[1]
    vocab, corpus = read_corpus(io.BytesIO(b" ".join(words * 2)), 1)
    assert vocab.words == [word.decode() for word in words] and corpus.ids.tolist() == [0, 1, 0, 1]


# ---- in a folder ------------------------------------------------------------------------------

@given(texts.filter(lambda text: text.replace(b"\0", b" ").split()))
def test_a_folder_stores_the_same_corpus_and_is_opened_again(text):
    with tempfile.TemporaryDirectory() as state:
        path, folder = Path(state) / "text", os.path.join(state, "corpus")
        path.write_bytes(text)
        plain, changed = index_sentences(read_sentences(path), 1), path.stat().st_mtime_ns
        assert_same(read_corpus(path, 1, folder=folder), plain)
        path.write_bytes(b"?" * len(text))                         # the text is not read again
        os.utime(path, ns=(changed, changed))
        assert_same(read_corpus(path, 1, folder=folder), plain)
        assert_same(open_corpus(folder), plain)
        assert sorted(os.listdir(folder)) == ["card.json", "ids.i32", "off.i64", "words.txt"]


def test_writing_to_the_arrays_does_not_change_the_file(text, tmp_path):
    _, corpus = read_corpus(text, 1, folder=tmp_path / "c")
    before = (tmp_path / "c" / "ids.i32").read_bytes()
    corpus.ids[:] = 7
    assert (corpus.ids == 7).all() and (tmp_path / "c" / "ids.i32").read_bytes() == before
    assert open_corpus(tmp_path / "c")[1].ids[0] == 0


def peak(read):
    """The most memory that Python and NumPy held during `read()`, in bytes."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_corpus_in_a_folder(tmp_path):
    """Each further token takes less than 0.1 byte with a folder, 4 to 6 bytes without."""
    line = " ".join(str(n) for n in range(100)).encode() + b"\n"
    held = {}
    for lines in (2000, 20_000):
        for folder in (None, tmp_path / f"folder{lines}"):
            text = ShortReads(line * lines, 1 << 14)
            held[lines, folder is None] = peak(partial(read_corpus, text, folder=folder))
    further_tokens = 18_000 * 100
    assert held[20_000, False] - held[2000, False] < 0.1 * further_tokens
    assert 4 * further_tokens < held[20_000, True] - held[2000, True] < 6 * further_tokens


@pytest.mark.skipif(sys.platform != "linux", reason="how other systems count mapped memory differs")
def test_a_corpus_larger_than_memory_can_be_mapped(tmp_path):
    if Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "2":
        pytest.skip("this system reserves memory for every mapping")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("ids.i32", "off.i64"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(4 * memory)                              # a hole: no disk is used
    corpus = mapped_corpus(tmp_path)
    assert corpus.ids.nbytes == 4 * memory and corpus.ids[-1] == 0


def assert_refused_after(folder, name, change):
    """Change a file of the corpus; open_corpus must raise a FormatError that names the file."""
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FormatError, match=name):
        open_corpus(folder)


@pytest.mark.parametrize("name", ["ids.i32", "off.i64", "words.txt", "card.json"])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:len(data) // 2],
                                    lambda data: b"", lambda data: b"~" + data[1:]])
def test_a_file_that_has_changed_is_refused_by_name(text, tmp_path, name, change):
    read_corpus(text, 1, folder=tmp_path / "c")
    assert_refused_after(tmp_path / "c", name, change)


@pytest.mark.parametrize("name, bytes", [("ids.i32", 4 * 35), ("off.i64", 8 * 11)])
def test_a_file_of_the_wrong_length_is_detected_by_its_length(text, tmp_path, name, bytes):
    read_corpus(text, 1, folder=tmp_path / "c")
    with open(tmp_path / "c" / name, "ab") as file:
        file.write(b"more")
    with pytest.raises(FormatError, match=f"expected {bytes} bytes, found {bytes + 4}"):
        open_corpus(tmp_path / "c")


@pytest.mark.parametrize("name", ["ids.i32", "off.i64", "words.txt", "card.json"])
def test_an_incomplete_folder_is_refused_and_left_unchanged(text, tmp_path, name):
    folder = tmp_path / "c"
    read_corpus(text, 1, folder=folder)
    (folder / name).unlink()
    left = sorted(os.listdir(folder))
    with pytest.raises(FormatError, match=name):
        read_corpus(text, 1, folder=folder)
    assert sorted(os.listdir(folder)) == left


@pytest.mark.parametrize("card", [b"[]", b"{}", b'{"format": "scratch_embed corpus 1"}',
                                  b'{"format": "something else", "tokens": 1}', b"\xff"])
def test_a_card_of_another_format_is_refused(tmp_path, card):
    (tmp_path / "card.json").write_bytes(card)
    with pytest.raises(FormatError, match=r"card\.json: .*expected"):
        open_corpus(tmp_path)


def test_a_damaged_card_is_refused_or_opens_the_same_corpus(text, tmp_path):
    vocab, corpus = read_corpus(text, 1, folder=tmp_path / "c")
    card = json.loads((tmp_path / "c/card.json").read_bytes())
    opened = refused = 0
    for data in mutated(card):
        (tmp_path / "c/card.json").write_bytes(data)
        try:
            found, same = open_corpus(tmp_path / "c")
        except FormatError:
            refused += 1
        else:
            opened += 1
            assert found.words == vocab.words and np.array_equal(same.ids, corpus.ids)
        with contextlib.suppress(ValueError):        # FormatError, or another corpus
            read_corpus(text, 1, folder=tmp_path / "c")
    assert refused > 100 and opened > 10             # what it was made from is compared, not read


@pytest.mark.parametrize("ids, offsets", [([0, 9], [0, 2]), ([0, -1], [0, 2]), ([0, 1], [0, 1]),
                                          ([0, 1], [1, 2]), ([0, 1], [0, 2, 1, 2])])
def test_a_crafted_corpus_that_would_be_read_beyond_its_table_is_refused(tmp_path, ids, offsets):
    """All checksums are right; the kernels would use the ids as rows."""
    save_corpus(tmp_path, Vocab(["a", "b"], [1, 1]),
                [Corpus(np.array(ids, np.int32), np.array(offsets))], {})
    card = json.loads((tmp_path / "card.json").read_bytes())
    first = np.array(offsets, "<i8").tobytes()
    (tmp_path / "off.i64").write_bytes(first)
    card |= {"off.i64": zlib.crc32(first), "sentences": len(offsets) - 1}
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(FormatError, match="expected numbers of 2 words, and offsets that rise"):
        open_corpus(tmp_path)


def test_a_folder_with_other_files_is_refused(text, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").write_text("years of work")
    with pytest.raises(FormatError, match="not a complete corpus"):
        read_corpus(text, 1, folder=tmp_path / "c")
    assert os.listdir(tmp_path / "c") == ["thesis.txt"]


@pytest.mark.parametrize("setting", [{"min_count": 2}, {"max_vocab_size": 1}, {"errors": "ignore"}])
def test_a_corpus_read_with_other_settings_is_refused(text, tmp_path, setting):
    read_corpus(text, 1, folder=tmp_path / "c")
    with pytest.raises(ValueError, match="holds another corpus.*settings"):
        read_corpus(text, **{"min_count": 1, **setting}, folder=tmp_path / "c")


def test_a_text_that_has_changed_is_refused(text, tmp_path):
    read_corpus(text, 1, folder=tmp_path / "c")
    os.utime(text, ns=(0, 1))
    with pytest.raises(ValueError, match="holds another corpus.*file"):
        read_corpus(text, 1, folder=tmp_path / "c")
    data = text.read_bytes()
    read_corpus(text, 1, folder=tmp_path / "d")
    text.write_bytes(data + b"more\n")
    os.utime(text, ns=(0, 1))
    with pytest.raises(ValueError, match="holds another corpus.*file"):
        read_corpus(text, 1, folder=tmp_path / "d")


def test_a_stream_fills_an_empty_folder_but_does_not_open_a_full_one(text, tmp_path):
    with open(text, "rb") as stream:
        assert_same(read_corpus(stream, 1, folder=tmp_path / "c"), read_corpus(text, 1))
    with pytest.raises(ValueError, match="cannot be compared"):
        read_corpus(io.BytesIO(text.read_bytes()), 1, folder=tmp_path / "c")
    assert_same(open_corpus(tmp_path / "c"), read_corpus(text, 1))


def test_an_error_leaves_the_folder_empty(text, tmp_path):
    text.write_bytes(text.read_bytes() + b"\xff")
    with pytest.raises(FormatError, match="UTF-8"):
        read_corpus(text, 1, folder=tmp_path / "c")
    assert os.listdir(tmp_path / "c") == []

    for long in b"a b\n" * 3000, b"a " + b"b" * 20_000:            # large ids.i32; words.txt
        text.write_bytes(long)
        with full_disk(10_000), pytest.raises(OSError, match="File too large"):
            read_corpus(text, 1, folder=tmp_path / "c")
        assert os.listdir(tmp_path / "c") == []


def test_the_card_is_written_last(text, tmp_path, monkeypatch):
    names, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (names.append(Path(b).name), replace(a, b)))
    read_corpus(text, 1, folder=tmp_path / "c")
    assert len(names) == 4 and names[-1] == "card.json"
    card = json.loads((tmp_path / "c" / "card.json").read_bytes())
    assert (card["tokens"], card["sentences"], card["words"]) == (35, 10, 5)


def test_a_folder_for_sentences_that_are_lists_is_refused(tmp_path):
    with pytest.raises(ValueError, match="folder"):
        read_corpus([["a"]], 1, folder=tmp_path / "c")


def test_a_text_too_large_for_memory_is_refused_after_its_first_block(tmp_path):
    """A sparse file of 8 TiB: one block, then nothing."""
    path = tmp_path / "text"
    with open(path, "wb") as file:
        file.write(b"a b c d\n" * (1 << 17))
        file.truncate(1 << 43)
    with pytest.raises(MemoryError, match=r"about 4,398,046,511,104 words as numbers "
                                          r"\(folder=FOLDER .* takes 16384.0 GiB"):
        read_corpus(path, min_count=1)
