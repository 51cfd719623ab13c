"""fastText's .bin files: the original's bytes and results, exact round trips, damaged files."""
import contextlib
import gzip
import io
import json
import os
import pickle
import runpy
import struct
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.vocab import index_sentences
from scratch_embed.words import fasttext, fasttext_files
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.fasttext_files import (
    LOSSES,
    MODELS,
    BinModel,
    Settings,
    read_bin,
    word_model,
    write_bin,
    write_vec,
)
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.subwords import NGrams, bucket_rows, ngrams, to_bytes
from scratch_embed.words.vector_files import read_vectors
from scratch_embed.words.vectors import MissingWord
from tests.rounding import u32

GOLDEN = Path(__file__).parents[1] / "golden"
ORIGINAL = runpy.run_path(str(GOLDEN / "make_fasttext.py"))        # the original's input
ANSWERS = json.loads((GOLDEN / "fasttext.json").read_text("utf-8"))
FILES = {name: GOLDEN / f"fasttext-{name}.bin" for name in ANSWERS}
with_every_file = pytest.mark.parametrize("name", FILES)

# worked by hand: two words and no labels, 1 dimension; 1.0 is 3F800000 and −2.0 is C0000000
SMALL = (b"\xba\x16\x4f\x2f" b"\x0c\0\0\0"                                       # magic, version
         b"\x01\0\0\0" b"\x05\0\0\0" b"\x03\0\0\0" b"\x02\0\0\0" b"\x04\0\0\0" b"\x01\0\0\0"
         b"\x02\0\0\0" b"\x01\0\0\0" b"\x01\0\0\0" b"\x03\0\0\0" b"\x06\0\0\0" b"\x64\0\0\0"
         b"\0\0\0\0\0\0\xe0\x3f"                                                 # sample 0.5
         b"\x02\0\0\0" b"\x02\0\0\0" b"\0\0\0\0"                                 # sizes
         b"\x07\0\0\0\0\0\0\0" b"\xff\xff\xff\xff\xff\xff\xff\xff"               # tokens, −1
         b"the\0" b"\x04\0\0\0\0\0\0\0" b"\0"
         b"o\xc3\xb9\0" b"\x02\0\0\0\0\0\0\0" b"\0"
         b"\0" b"\x03\0\0\0\0\0\0\0" b"\x01\0\0\0\0\0\0\0"                       # 3 rows: 2 + 1
         b"\0\0\x80\x3f" b"\0\0\0\xc0" b"\0\0\0\x3f"
         b"\0" b"\x02\0\0\0\0\0\0\0" b"\x01\0\0\0\0\0\0\0"
         b"\0\0\0\0" b"\0\0\x80\xbf")
HEADER_FIELDS = ["magic", "version", *Settings._fields, "sample", "entries", "V", "L", "n_tokens",
                 "n_tokens", "pruned", "pruned"]                                # 4 bytes each


def small_model():
    return BinModel(Settings(1, 5, 3, 2, 4, 1, "ns", "cbow", 1, 3, 6, 100, 0.5), ["the", "où"],
                    np.array([4, 2]), [], np.array([], int), 7,
                    np.array([[1], [-2], [0.5]], np.float32), np.array([[0], [-1]], np.float32))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """One path for the files of all tests; hypothesis needs a fixture that is not per function."""
    return tmp_path_factory.mktemp("models") / "model.bin"


def saved(path, data):
    """Write the bytes `data` to `path`.  -> path"""
    path.write_bytes(data)
    return path


def written(model):
    """The bytes that write_bin writes; in memory, because it is called thousands of times."""
    file = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fasttext_files, "atomic_write", lambda path: contextlib.nullcontext(file))
        write_bin("memory", model)
    return file.getvalue()


def at(offset, new, data=SMALL):
    """A copy of `data` in which the bytes `new` replace those at `offset`."""
    return data[:offset] + new + data[offset + len(new):]


def i4(number):
    return struct.pack("<i", number)


def i8(number):
    return struct.pack("<q", number)


def exact(numbers):
    """The float32 numbers whose float.hex is given."""
    return np.array([float.fromhex(number) for number in numbers], np.float32)


def rows_of(model, word):
    """The rows whose mean is the vector of a known or unknown word."""
    s = model.settings
    own = [model.words.index(word)] if word in model.words else []
    return own + bucket_rows(word, len(model.words), s.min_n, s.max_n, s.buckets)


def assert_same(model, expected):
    assert (model.settings, model.words, model.labels, model.n_tokens) == (
        expected.settings, expected.words, expected.labels, expected.n_tokens)
    for name in ("counts", "label_counts", "input", "output"):
        array, want = getattr(model, name), np.asarray(getattr(expected, name))
        assert array.shape == want.shape and array.tobytes() == want.tobytes(), name


def assert_vectors_agree(model, vector_of, words):
    """vector_of(word) must be the mean of its n rows, up to the rounding of two float32 sums.

    Float32 numbers below 2⁻¹²⁶ are multiples of 2⁻¹⁴⁹, so a quotient has an error of half of that.
    """
    for word in words:
        rows = model.input[rows_of(model, word)].astype(float)
        n = max(len(rows), 1)
        bound = (n + 1) * u32 * np.abs(rows).sum(0) / n + 2.0**-149
        assert (np.abs(vector_of(word) - rows.sum(0) / n) <= bound).all(), word


# ---- the bytes -------------------------------------------------------------

def test_a_small_file_worked_by_hand(path):
    write_bin(path, small_model())
    assert path.read_bytes() == SMALL
    model = read_bin(path)
    assert_same(model, small_model())
    assert model.input.dtype == np.float32 and model.counts.dtype == np.int64


@with_every_file
def test_every_file_of_the_original_is_read_and_written_byte_for_byte(path, name):
    write_bin(path, read_bin(FILES[name]))
    assert path.read_bytes() == FILES[name].read_bytes()


@with_every_file
def test_words_labels_and_their_counts_equal_the_originals(name):
    model, answer = read_bin(FILES[name]), ANSWERS[name]
    assert model.words == answer["words"] and model.counts.tolist() == answer["counts"]
    assert model.labels == answer.get("labels", [])
    assert model.label_counts.tolist() == answer.get("label_counts", [])


@pytest.mark.parametrize("name", [name for name in FILES if name != "command"])
def test_settings_equal_the_originals_arguments(name):
    kind, _, rest = name.partition("-")
    supervised = kind == "supervised"
    given = ORIGINAL["SUPERVISED"][rest] if supervised else ORIGINAL["UNSUPERVISED"][name]
    ours = dict(minn="min_n", maxn="max_n", bucket="buckets", minCount="min_count",
                wordNgrams="word_ngrams", neg="negatives")
    s = read_bin(FILES[name]).settings
    assert {ours.get(key, key): getattr(s, ours.get(key, key)) for key in given} == {
        ours.get(key, key): value for key, value in given.items()}
    assert (s.model == "supervised") == supervised and s.window == 5 and s.lr_update_rate == 100
    assert (s.sample, s.epochs) == ((1e-4, 150) if supervised else (0.05, 40))


def test_n_tokens_includes_rare_words():
    """minCount is 2.  Tokens: the words of LINES, one of which is "</s>", and 8 line ends."""
    model = read_bin(FILES["skipgram"])
    tokens = len(ORIGINAL["LINES"].split()) + ORIGINAL["LINES"].count("\n") + 1
    assert model.n_tokens == tokens > model.counts.sum()
    assert model.words[0] == "</s>" and model.counts[0] == 9


# ---- what the original computes from these bytes ----------------------------

@with_every_file
def test_vectors_of_known_and_unknown_words_equal_the_originals(name):
    model, theirs = read_bin(FILES[name]), ANSWERS[name]["vectors"]
    assert "où" in theirs and "日本人" in theirs and "日本人" not in model.words
    assert_vectors_agree(model, lambda word: exact(theirs[word]), theirs)


@with_every_file
def test_ngrams_and_their_rows_equal_the_originals(name):
    model, theirs = read_bin(FILES[name]), ANSWERS[name]["subwords"]
    assert {"où", "where", "日本語", "🙂"} < set(theirs)
    for word, (subwords, rows) in theirs.items():
        own = [word] if word in model.words else []
        assert own + ngrams(word, model.settings.min_n, model.settings.max_n) == subwords
        assert rows_of(model, word) == rows


def test_vectors_of_a_bin_file_equal_those_of_its_vec_file(path):
    """The text file has 5 digits: a relative error of at most 5e-5."""
    words, vectors = read_vectors(GOLDEN / "fasttext-command.vec")
    model = read_bin(FILES["command"])
    means = np.array([model.input[rows_of(model, word)].mean(axis=0) for word in model.words])
    assert words == model.words
    np.testing.assert_allclose(means, vectors, rtol=5.01e-5, atol=1e-6)


def test_a_vec_file_is_written_byte_for_byte(path):
    write_vec(path, *read_vectors(GOLDEN / "fasttext-command.vec"))
    assert path.read_bytes() == (GOLDEN / "fasttext-command.vec").read_bytes()


def test_a_vec_file_worked_by_hand(path):
    write_vec(path, ["où", "b"], np.array([[1 / 3, -0.0], [123456, 1e-5]]))
    assert path.read_bytes() == "2 2\noù 0.33333 -0 \nb 1.2346e+05 1e-05 \n".encode()


@pytest.mark.parametrize("words", [["a b"], ["a\u00a0b", ""], ["a", "a"], ["\ud800"]])
def test_words_that_a_vec_file_cannot_store_are_rejected(path, words):
    saved(path, b"old")
    with pytest.raises(ValueError):
        write_vec(path, words, np.ones((len(words), 2)))
    assert path.read_bytes() == b"old"


# ---- round trips -----------------------------------------------------------

numbers = st.integers(0, 2**31 - 1)
# also empty, and bytes that are not UTF-8
spellings = st.binary(max_size=6).map(lambda data: data.replace(b"\0", b"").decode(
    "utf-8", "surrogateescape")) | st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)


@st.composite
def models(draw, words=spellings):
    """Any valid small model."""
    kind = draw(st.sampled_from(MODELS))
    names = draw(st.lists(words, unique=True, min_size=2, max_size=8))
    V = draw(st.integers(1, len(names) - 1)) if kind == "supervised" else len(names)
    counts = [sorted(draw(st.lists(st.integers(1, 2**40), min_size=n, max_size=n)), reverse=True)
              for n in (V, len(names) - V)]
    tokens = sum(map(sum, counts)) + draw(st.integers(0, 3))
    dim, buckets = draw(st.integers(1, 4)), draw(st.integers(0, 5))
    min_n, max_n = draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
    s = Settings(dim, draw(numbers), draw(numbers), draw(numbers), draw(numbers),
                 draw(st.integers(0, 3)) if buckets else 1, draw(st.sampled_from(LOSSES)), kind,
                 buckets, min_n, max_n if buckets else 0, draw(numbers),
                 draw(st.floats(0, allow_nan=False, allow_infinity=False)))
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    tables = [draw(hnp.arrays(np.float32, (rows, dim), elements=finite))
              for rows in (V + buckets, len(names) - V if kind == "supervised" else V)]
    return BinModel(s, names[:V], np.array(counts[0]), names[V:], np.array(counts[1], int), tokens,
                    *tables)


@pytest.mark.filterwarnings("ignore:.*not UTF-8")
@given(models())
def test_reading_gives_the_model_that_was_written_bit_by_bit(path, model):
    write_bin(path, model)
    assert_same(read_bin(path), model)


def test_words_of_any_length_and_number_are_read_whole(path):
    """The words extend over the ends of the read buffer."""
    words = ["long" * 10_000, *(f"word{i}" for i in range(3000))]
    model = BinModel(Settings(1, buckets=1), words, np.ones(3001, int), [], np.zeros(0, int), 3001,
                     np.ones((3002, 1), np.float32), np.ones((3001, 1), np.float32))
    write_bin(path, model)
    assert_same(read_bin(path), model)
    assert_same(read_bin(saved(path, gzip.compress(path.read_bytes()))), model)


def test_a_compressed_model_is_read(path):
    data = FILES["supervised-hs"].read_bytes()
    assert_same(read_bin(saved(path, gzip.compress(data))), read_bin(FILES["supervised-hs"]))
    for cut in 5, 100, 1000:
        with pytest.raises(FormatError):
            read_bin(saved(path, gzip.compress(data)[:cut]))
        with pytest.raises(FormatError):
            read_bin(saved(path, gzip.compress(data[:cut])))


def test_the_bytes_do_not_depend_on_the_memory_layout_of_a_table(path):
    model = read_bin(FILES["skipgram"])
    for same in (np.asfortranarray(model.input), model.input.astype(float),
                 model.input.astype(">f4"), np.repeat(model.input, 2, axis=0)[::2]):
        write_bin(path, model._replace(input=same))
        assert path.read_bytes() == FILES["skipgram"].read_bytes()


def test_words_that_are_not_utf8_are_kept_with_a_warning(path):
    data = SMALL.replace(b"o\xc3\xb9", b"o\xc3x")
    with pytest.raises(FormatError, match=r"byte 105: expected a word in UTF-8, found b'o\\xc3x'"):
        read_bin(saved(path, data), errors="strict")
    with pytest.warns(UserWarning, match="1 of 2 words are not UTF-8; their bytes are kept"):
        model = read_bin(path)
    assert to_bytes(model.words[1]) == b"o\xc3x"
    write_bin(path, model)
    assert path.read_bytes() == data


def test_an_empty_word_is_kept(path):
    """gensim's toy-model-pretrained.bin has one."""
    data = SMALL.replace(b"the\0", b"\0")
    model = read_bin(saved(path, data))
    assert model.words == ["", "où"] and written(model) == data
    vectors = FastTextVectors(model.words, model.input, 3, 6)
    assert vectors[""].shape == (1,) and vectors.words.index_to_key == ["", "où"]


def without_version(data):
    """The model in the older format, which has no magic number and no version."""
    sizes = data[64:84]                            # without the number of pruned n-grams
    return data[8:64] + sizes + data[92:118] + data[119:147] + data[148:]


def test_a_file_of_version_11_or_without_a_version_is_read_and_written_as_12(path):
    for data in at(4, i4(11)), without_version(SMALL):
        assert_same(read_bin(saved(path, data)), small_model())
        assert written(read_bin(path)) == SMALL
        loaded = load(path)
        assert isinstance(loaded, FastTextVectors) and loaded.max_n == 6


@pytest.mark.parametrize("change", [lambda data: at(4, i4(11), data), without_version])
def test_old_classifiers_have_no_character_ngrams_even_if_their_header_has_them(path, change):
    """As the original: it sets maxn to 0 for a supervised model of version 11."""
    model = small_model()._replace(labels=["__label__a"], label_counts=np.array([1]),
                                   output=np.zeros((1, 1), np.float32))
    model = model._replace(settings=model.settings._replace(model="supervised", loss="softmax"))
    data = written(model)
    if change is without_version:
        end = 118 + 20                             # one entry more
        data = data[8:84] + data[92:end] + data[end + 1:end + 29] + data[end + 30:]
    else:
        data = change(data)
    found = read_bin(saved(path, data))
    assert_same(found, model._replace(settings=model.settings._replace(max_n=0)))
    assert isinstance(load(path), Classifier)


@pytest.mark.parametrize("name, old", [
    ("lee_fasttext.bin", True), ("lee_fasttext_new.bin", False), ("toy-model.bin", False),
    ("toy-model-pretrained.bin", False), ("non_ascii_fasttext.bin", True),
    ("cp852_fasttext.bin", True), ("crime-and-punishment.bin", False)])
def test_gensims_files_of_all_versions_have_its_vectors(name, old):
    fasttext_bin = pytest.importorskip("gensim.models._fasttext_bin")
    data = Path(fasttext_bin.__file__).parents[1] / "test" / "test_data" / name
    if not data.exists():
        pytest.skip(f"this gensim comes without {name}")
    with open(data, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, theirs = read_bin(data), fasttext_bin.load(file, encoding="latin2")
    assert (data.read_bytes()[:4] != b"\xba\x16\x4f\x2f") == old
    assert model.words == [word.encode("latin2").decode("utf-8", "surrogateescape")
                           for word in theirs.raw_vocab]
    assert model.counts.tolist() == list(theirs.raw_vocab.values())
    np.testing.assert_array_equal(model.input, theirs.vectors_ngrams)
    assert (model.settings.dim, model.settings.min_n, model.settings.max_n,
            model.settings.buckets) == (theirs.dim, theirs.minn, theirs.maxn, theirs.bucket)


def trained():
    """A small model that we train.  -> Vocab, Trained"""
    vocab, corpus = index_sentences([line.split() for line in ORIGINAL["LINES"].split("\n")], 1)
    return vocab, fasttext.train(corpus, vocab, dim=4, ngrams=NGrams(2, 4, 40), epochs=2)


@with_every_file
def test_fasttext_vectors_can_be_loaded_from_a_model(name):
    model, theirs = read_bin(FILES[name]), ANSWERS[name]["vectors"]
    kv = FastTextVectors.load(FILES[name])
    assert len(kv) == len(model.words) and kv.buckets == model.settings.buckets
    assert_vectors_agree(model, kv.__getitem__, [word for word in theirs if rows_of(model, word)])
    for word in theirs:
        if not rows_of(model, word):               # the original's vector of it is 0
            with pytest.raises(MissingWord):
                kv[word]


def test_a_model_that_we_trained_can_be_saved_and_loaded(path):
    vocab, (W, U, _) = trained()
    s = Settings(epochs=2, min_count=1, min_n=2, max_n=4)
    write_bin(path, word_model(vocab, W, U, s))
    model = read_bin(path)
    assert_same(model, BinModel(s._replace(dim=4, buckets=40), vocab.words, vocab.counts, [],
                                np.array([], int), vocab.counts.sum(), W, U))
    kv = FastTextVectors.load(path)
    assert kv.table.tobytes() == W.tobytes() and list(kv.words) == vocab.words
    assert (kv.min_n, kv.max_n, kv.buckets) == (2, 4, 40)
    assert_vectors_agree(model, kv.__getitem__, ["where", "où", "日本語", "wherever", "日本人"])


# ---- damaged files ------------------------------------------------------

SMALLEST = ["supervised-softmax", "supervised-ova-words", "command"]


@with_every_file
def test_a_file_truncated_at_any_byte_is_rejected(name):
    data = FILES[name].read_bytes()
    for cut in range(len(data)):
        with pytest.raises(FormatError):
            read_bin(io.BytesIO(data[:cut]))


@with_every_file
def test_bytes_after_the_end_are_rejected(path, name):
    data = FILES[name].read_bytes()
    for extra in b"\0", b"\n", data:
        with pytest.raises(FormatError, match="more follows"):
            read_bin(saved(path, data + extra))


def assert_rejected_or_read_completely(data):
    """Reading ignores no byte: a model that is accepted is written with exactly these bytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")          # of words that are not UTF-8
            model = read_bin(io.BytesIO(data))
    except FormatError:
        return None
    assert written(model) == (at(4, i4(12), data) if data[4:8] == i4(11) else data)
    return model


def test_a_flipped_bit_is_rejected_or_changes_only_its_own_field():
    """Damage to structural fields is always found.  Other fields may take another valid value."""
    structural = {"magic", "version", "dim", "buckets", "entries", "V", "L", "pruned", "type",
                  "0x00", "quantised", "rows", "columns",
                  "model"}                            # cbow 1 and skipgram 2 differ in two bits
    entry = ["words"] * 3 + ["0x00"] + ["counts"] * 8 + ["type"]
    sizes = ["quantised"] + ["rows"] * 8 + ["columns"] * 8
    layout = ([name for name in HEADER_FIELDS for _ in range(4)] + 2 * entry
              + sizes + ["input"] * 12 + sizes + ["output"] * 8)
    assert len(layout) == len(SMALL)
    accepted = set()
    for offset, field in enumerate(layout):
        for bit in range(8):
            damaged = at(offset, bytes([SMALL[offset] ^ 1 << bit]))
            if model := assert_rejected_or_read_completely(damaged):
                accepted.add(field)
                settings = small_model().settings
                if field in Settings._fields:
                    settings = settings._replace(**{field: getattr(model.settings, field)})
                else:
                    model = model._replace(**{field: getattr(small_model(), field)})
                assert_same(model, small_model()._replace(settings=settings))
    assert accepted == set(layout) - structural


@pytest.mark.parametrize("name", SMALLEST)
def test_a_changed_byte_is_rejected_or_read_completely(name):
    data = FILES[name].read_bytes()
    for offset in range(len(data) if name == "supervised-ova-words" else 700):
        for change in 0x01, 0x40, 0xff:
            assert_rejected_or_read_completely(
                at(offset, bytes([data[offset] ^ change]), data))


@given(st.sampled_from([SMALL] + [FILES[name].read_bytes() for name in SMALLEST]), st.data())
def test_any_damage_is_rejected_or_read_completely(data, draw):
    start = draw.draw(st.integers(0, len(data) - 1))
    end = start + draw.draw(st.integers(0, 9))
    new = draw.draw(st.binary(max_size=9))
    assert_rejected_or_read_completely(data[:start] + new + data[end:])


HUGE = 2**31 - 1
FAULTS = [                                     # (file, message: place, expected, found)
    (b"", r"byte 0: expected b'\xba\x16O/', with which a fastText model begins; found b''"),
    (b"2 3\na 1 2 3 \n", r"byte 0: expected b'\xba\x16O/', with which a fastText model "
                            r"begins; found b'2 3\n'"),
    (pickle.dumps([1]), r"byte 0: expected b'\xba\x16O/', with which"),
    (SMALL[:91], "byte 91: expected 92 bytes of numbers; the file ends within them"),
    (at(4, i4(10)), "byte 4: expected version 12 or 11, found 10"),
    (at(4, i4(13)), "byte 4: expected version 12 or 11, found 13"),
    (at(8, i4(0)), "byte 8: dim: expected a whole number from 1 to 2³¹ − 1; found 0"),
    (at(12, i4(-1)), "byte 12: window: expected a whole number from 0 to 2³¹ − 1; found -1"),
    (at(32, i4(5)), "byte 32: loss: expected one of hs, ns, softmax, ova; found 5"),
    (at(36, i4(0)), "byte 36: model: expected one of cbow, skipgram, supervised; found 0"),
    (at(40, i4(0)), "byte 40: buckets: expected at least 1, since there are n-grams; "
                    "found 0"),
    (at(48, i4(-6)), "byte 48: max_n: expected a whole number from 0"),
    (at(56, struct.pack("<d", -1)), "byte 56: sample: expected a finite number, 0 or more; found "
                                    "-1.0"),
    (at(56, struct.pack("<d", np.nan)), "byte 56: sample: expected a finite number, 0 or more; "
                                        "found nan"),
    (at(64, i4(3)), "byte 64: expected 2 words + 0 labels = 2 entries; found 3"),
    (at(64, i4(0) * 3), "byte 68: expected at least 1 word and 0 labels; found 0 and 0"),
    (at(36, i4(3)), "byte 68: expected at least 1 word and 1 labels; found 2 and 0"),
    (at(64, i4(2) + i4(3) + i4(-1)), "byte 68: expected at least 1 word and 0 labels; found 3 "
                                     "and -1"),
    (at(64, i4(HUGE) * 2), "byte 68: 2147483647 words, 0 labels and 1 buckets are more than an "
                           "int32 can number"),
    (at(64, i4(10**9) * 2), "byte 64: 1000000000 words take at least 10000000000 bytes, and 80 "
                            "follow: truncated, or a damaged header"),
    (at(76, i8(5)), "byte 76: expected at least 6 tokens, the sum of the counts; found 5"),
    (at(76, i8(2**63 - 1), at(96, i8(2**62), at(109, i8(2**62)))),
     "byte 76: expected at least 9223372036854775808 tokens, the sum of the counts; found 9223372"),
    (at(76, i8(3)), "byte 92: 'the': expected a count from 1 to 3, since the most frequent come "
                    "first; found 4"),
    (at(84, i8(0)), "byte 84: expected −1, found 0: a pruned model (.ftz)"),
    (SMALL[:92] + SMALL[95:105] + SMALL[108:],
     "byte 102: '': expected each word and label once; this one is repeated"),
    (at(96, i8(1)), "byte 105: 'où': expected a count from 1 to 1, since the most frequent come "
                    "first; found 2"),
    (at(96, i8(0)), "byte 92: 'the': expected a count from 1 to 7, since the most frequent come "
                    "first; found 0"),
    (at(104, b"\1"), "byte 92: 'the': expected type 0 (0: words, all before 1: labels), found 1"),
    (at(105, b"the"), "byte 105: 'the': expected each word and label once; this one is repeated"),
    (at(106, b"\xb9\xc3"), r"byte 105: expected a word in UTF-8, found b'o\xb9\xc3' (invalid start "
                           'byte at its byte 1); errors="surrogateescape" keeps its bytes'),
    (at(108, b"x\2"), r"byte 105: 'oùx\x02': expected type 0 (0: words, all before 1: labels), "
                      "found 3"),
    (at(93, b"x" * 99), "byte 92: expected a word, 0x00 and 9 bytes; the file ends within them"),
    (at(118, b"\1"), "byte 118: expected 0, found 1: a quantised model (.ftz), whose numbers are "
                     "rounded; use the .bin it was made from"),
    (at(118, b"\2"), "byte 118: expected 0 (raw), 3 and 1, the shape of the input table; found 2, "
                     "3 and 1"),
    (at(119, i8(10**12)), "byte 118: expected 0 (raw), 3 and 1, the shape of the input table; "
                          "found 0, 1000000000000 and 1"),
    (at(127, i8(-1)), "byte 118: expected 0 (raw), 3 and 1, the shape of the input table; found 0, "
                      "3 and -1"),
    (at(147, b"\1"), "byte 147: expected 0 (raw), 2 and 1, the shape of the output table; found "
                     "1, 2 and 1"),
    (at(139, struct.pack("<f", -np.inf)), "byte 139: expected finite numbers, found -inf in row 1 "
                                          "of the input table"),
    (at(168, struct.pack("<f", np.nan)), "byte 168: expected finite numbers, found nan in row 1 of "
                                         "the output table"),
    (SMALL[:-1], "byte 118: expected 54 bytes for tables of (3, 1) and (2, 1); found 53: "
                 "truncated"),
    (SMALL + b"\0", "byte 118: expected 54 bytes for tables of (3, 1) and (2, 1); found 55: more "
                    "follows")]


@pytest.mark.parametrize("data, message", FAULTS, ids=[fault[1][:40] for fault in FAULTS])
def test_the_error_names_the_place_and_what_was_expected_and_found(path, data, message):
    with pytest.raises(FormatError) as error:
        read_bin(saved(path, data), errors="strict")
    assert str(error.value).startswith(f"{path}: {message}")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("name, sentence", [
    ("pruned", "byte 84: expected −1, found [0-9]+: a pruned model"),
    ("quantised", "byte [0-9]+: expected 0, found 1: a quantised model")])
def test_quantised_models_are_rejected_with_a_clear_message(name, sentence):
    with pytest.raises(FormatError, match=sentence):
        read_bin(GOLDEN / f"fasttext-{name}.ftz")


@pytest.mark.parametrize("data", [
    at(8, i4(HUGE)), at(40, i4(HUGE - 2)), at(64, i4(HUGE - 1) * 2), at(119, i8(10**12)),
    at(127, i8(10**12)), at(8, i4(10**6), at(119, i8(10**12) + i8(10**6)))])
def test_sizes_beyond_the_file_are_rejected_before_memory_is_allocated(path, data):
    saved(path, data)
    tracemalloc.start()
    with pytest.raises(FormatError):
        read_bin(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_a_model_larger_than_the_memory_is_rejected_before_it_is_read(path):
    """A sparse file of 8 TB: 2·10⁹ rows of 1,000 numbers."""
    rows, dim = 2_000_000_000, 1000
    head = at(8, i4(dim), at(40, i4(rows - 2), at(119, i8(rows) + i8(dim))))[:135]
    with open(path, "wb") as file:
        file.write(head)
        file.seek(4 * rows * dim, os.SEEK_CUR)
        file.write(b"\0" + i8(2) + i8(dim) + bytes(4 * 2 * dim))
    with pytest.raises(MemoryError, match=r"the model of .* takes 7450\.\d GiB"):
        read_bin(path)
    path.unlink()


def test_a_word_without_an_end_is_rejected(path):
    """The original would read −1 at the end of the file for ever, and use up all memory."""
    with pytest.raises(FormatError, match="byte 92: expected a word, 0x00 and 9 bytes"):
        read_bin(saved(path, SMALL[:92] + b"x" * 2**23))


@pytest.mark.parametrize("length, message", [
    (20_000, "byte 135: expected 40000 bytes of the input table; the file was truncated while"),
    (40_140, "byte 40135: expected 0 .raw., 2 and 1, the shape of the output table; found")])
def test_a_file_that_is_truncated_while_it_is_read_is_rejected(path, monkeypatch, length, message):
    def cut_after(*arguments, check_rest=fasttext_files._check_rest):
        check_rest(*arguments)
        os.truncate(path, length)
    monkeypatch.setattr(fasttext_files, "_check_rest", cut_after)
    model = small_model()
    write_bin(path, model._replace(settings=model.settings._replace(buckets=9998),
                                   input=np.ones((10_000, 1), np.float32)))
    with pytest.raises(FormatError, match=message):
        read_bin(path)


def test_reading_allocates_the_tables_once_and_writing_allocates_none(path):
    model = small_model()
    big = model._replace(settings=model.settings._replace(dim=100, buckets=19_998),
                         input=np.ones((20_000, 100), np.float32),
                         output=np.ones((2, 100), np.float32))
    size = big.input.nbytes + big.output.nbytes
    tracemalloc.start()
    write_bin(path, big)
    _, to_write = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    read = read_bin(path)
    _, to_read = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert to_write < 0.5e6 and size <= to_read < size + 0.75e6     # and two isfinite masks
    assert_same(read, big)


# ---- contents that cannot be written ---------------------------------------

def changed(**settings):
    return small_model()._replace(settings=small_model().settings._replace(**settings))


@pytest.mark.parametrize("model, message", [
    (changed(dim=0), "the setting dim: expected a whole number from 1"),
    (changed(dim=2.0), r"the setting dim: expected a whole number from 1 to 2³¹ − 1; found 2\.0"),
    (changed(loss="sm"), "the setting loss: expected one of hs, ns, softmax, ova; found 'sm'"),
    (changed(sample=np.inf), "the setting sample: expected a finite number"),
    (changed(buckets=0), "the setting buckets: expected at least 1"),
    (changed(buckets=2), r"the input table: expected shape \(4, 1\), got \(3, 1\)"),
    (changed(buckets=2**31 - 1), "2 words, 0 labels and 2147483647 buckets are more than"),
    (changed(model="supervised"), "expected at least 1 word and 1 labels; found 2 and 0"),
    (small_model()._replace(words=[], counts=[]), "expected at least 1 word and 0 labels"),
    (small_model()._replace(words=["a", "a"]), "'a': expected each word and label once"),
    (small_model()._replace(words=["", ""]), "'': expected each word and label once"),
    (small_model()._replace(words=["a\0b", "b"]), "expected no 0x00 in a word"),
    (small_model()._replace(words=["a", "\ud800"]), "it has no UTF-8 form"),
    (small_model()._replace(words=["a"]), "expected one for each of 1 words or labels, got 2"),
    (small_model()._replace(counts=[2, 3]), "'où': expected a count from 1 to 2, since"),
    (small_model()._replace(counts=[4, 0]), "'où': expected a count from 1 to 4, since"),
    (small_model()._replace(n_tokens=5), "n_tokens: expected at least 6"),
    (small_model()._replace(labels=["où"], label_counts=[1]), "'où': expected each word and"),
    (small_model()._replace(output=np.zeros((3, 1))), r"the output table: expected shape \(2, 1\)"),
    (small_model()._replace(input=np.array([[1], [1e39], [2]])), "input table: expected finite"),
    (small_model()._replace(output=np.array([[1], [np.nan]])), "the output table: expected finite"),
])
def test_a_model_that_could_not_be_read_again_is_not_written(tmp_path, model, message):
    target = saved(tmp_path / "model.bin", b"old")
    with pytest.raises(ValueError, match=message):
        write_bin(target, model)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


# ---- parity with the installed fasttext------------------------------------

@pytest.fixture(scope="module")
def original():
    return pytest.importorskip("fasttext")


plain_words = st.text(st.sampled_from("aeou éù日本🙂".replace(" ", "")), min_size=1, max_size=4)


@settings(max_examples=15)
@given(model=models(words=plain_words), unknown=st.lists(plain_words, max_size=5))
def test_the_original_reads_our_file_and_has_the_same_vectors(original, path, model, unknown):
    tame = model._replace(input=np.tanh(model.input), output=np.tanh(model.output))
    write_bin(path, tame)
    theirs = original.load_model(str(path))
    words, counts = theirs.get_words(include_freq=True)
    assert words == model.words and counts.tolist() == model.counts.tolist()
    assert theirs.get_output_matrix().tobytes() == tame.output.tobytes()
    assert theirs.get_input_matrix().tobytes() == tame.input.tobytes()
    s = theirs.f.getArgs()
    assert (s.dim, s.ws, s.epoch, s.minCount, s.neg, s.wordNgrams, s.loss.name, s.model.name,
            s.bucket, s.minn, s.maxn, s.lrUpdateRate, s.t) == model.settings
    # for a label, the original returns the row after the last word's row
    words = [word for word in model.words + unknown if word not in model.labels]
    assert_vectors_agree(tame, theirs.get_word_vector, words)
    theirs.save_model(str(path))
    assert_same(read_bin(path), tame)


@settings(max_examples=15)
@given(model=models(words=plain_words), data=st.data())
def test_the_original_reads_our_file_and_predicts_the_same(original, path, model, data):
    """The expected values are softmax(output · mean of the words' rows); there are no n-grams."""
    s = model.settings._replace(model="supervised", loss="softmax", buckets=0, max_n=0,
                                word_ngrams=1)
    L = max(1, len(model.labels))
    names = model.words + (model.labels or ["label"])
    V = len(names) - L
    input, output = (np.tanh(np.resize(model.input, (rows, s.dim))).astype(np.float32)
                     for rows in (V, L))
    counts = np.ones(len(names), int)
    write_bin(path, BinModel(s, names[:V], counts[:V], names[V:], counts[V:], len(names),
                             input, output))
    theirs = original.load_model(str(path))
    text = data.draw(st.lists(st.integers(0, V - 1), min_size=1, max_size=6))
    pairs = theirs.f.predict(" ".join(names[row] for row in text), L, 0.0, "strict")
    scores = np.exp(output.astype(float) @ input[text].astype(float).mean(0))
    expected = dict(zip(names[V:], scores / scores.sum()))
    assert {label for _, label in pairs} == set(names[V:])
    for probability, label in pairs:
        # the original computes exp(log(p + 1e-5)) in float32
        assert abs(probability - (expected[label] + 1e-5)) < 3e-6


def test_a_model_that_we_trained_has_the_same_vectors_in_the_original(original, path):
    vocab, (W, U, _) = trained()
    write_bin(path, word_model(vocab, W, U, Settings(epochs=2, min_count=1, min_n=2, max_n=4)))
    theirs, kv = original.load_model(str(path)), FastTextVectors.load(path)
    assert theirs.get_words() == vocab.words
    for word in vocab.words + ["wherever", "日本人", "naïf", "🙂🙂"]:
        np.testing.assert_allclose(theirs.get_word_vector(word), kv[word], rtol=1e-5, atol=1e-7)


def test_a_model_of_the_installed_fasttext_is_read(original, path):
    text = saved(path.with_name("text"), (ORIGINAL["LINES"] + "\n").encode())
    theirs = original.train_unsupervised(str(text), dim=4, bucket=30, minCount=1, minn=2, maxn=3,
                                         epoch=3, thread=12, verbose=0)
    theirs.save_model(str(path))
    model = read_bin(path)
    assert model.words == theirs.get_words()
    assert model.input.tobytes() == theirs.get_input_matrix().tobytes()
    assert model.output.tobytes() == theirs.get_output_matrix().tobytes()
    assert_vectors_agree(model, theirs.get_word_vector, ORIGINAL["WORDS"])
