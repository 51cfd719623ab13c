"""The committed corpora match their card (corpora/README.md), and corpus_path() finds them."""
import hashlib
from collections import Counter

import pytest

from scratch_embed.worlds.corpora import corpus_path

DIGESTS = {
    "words-easy.txt": "06bebd00dcfeba26ed3887787254aaf72a6dbba6dedffbffe60a44cec235e4cb",
    "words-easy.analogies.txt": "29d6347e364d4928a5cae47b359c03c560bca66c2a4dbe029c43d331d15e9209",
    "words-easy.pairs.tsv": "ee630c3974abbb61c746ec7bd3ab290ba7e6ab4e92b8924a9d9431987f83e516",
    "labelled-train.txt": "e9ecae8fa72b38d5f6c7136ce1eba4e49cf606023ba92ea1184e71a09ad38436",
    "labelled-test.txt": "41db36ea5a5c677976bf7627bff9b5c87549166e6077e43d0adb9c86c51ef0d7",
}


def words_of_the_text():
    return Counter(corpus_path("words-easy.txt").read_text(encoding="utf-8").split())


# ---- the corpora and their card -----------------------------------------------------------------

@pytest.mark.parametrize("name", DIGESTS)
def test_a_corpus_has_the_size_and_digest_of_its_card(name):
    data = corpus_path(name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == DIGESTS[name]
    card = corpus_path("README.md").read_text(encoding="utf-8").splitlines()
    row, = [line for line in card if line.startswith(f"| {name} |")]
    assert row.endswith(f"| {len(data)} | {DIGESTS[name]} |")


def test_every_committed_corpus_has_a_digest():
    folder = corpus_path("README.md").parent
    assert {path.name for path in folder.iterdir() if path.is_file()} == {"README.md", *DIGESTS}


def test_the_text_has_12_000_lines_102_202_tokens_and_233_words():
    text = corpus_path("words-easy.txt").read_bytes()
    assert text.isascii() and text.endswith(b"\n") and b"\r" not in text
    assert (text.count(b"\n"), len(text.split()), len(set(text.split()))) == (12000, 102202, 233)


def test_every_word_of_the_analogies_and_pairs_is_in_the_text():
    text = words_of_the_text()
    lines = corpus_path("words-easy.analogies.txt").read_text(encoding="utf-8").splitlines()
    sections = [line for line in lines if line.startswith(": ")]
    questions = [line.split() for line in lines if not line.startswith(": ")]
    assert (len(sections), len(questions), {len(q) for q in questions}) == (6, 168, {4})
    assert ["king", "man", "queen", "woman"] in questions
    rows = corpus_path("words-easy.pairs.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [row.split("\t") for row in rows if not row.startswith("#")]
    assert len(pairs) == 614 and ["king", "queen", "6.00"] in pairs
    assert {word for q in questions for word in q} | {w for p in pairs for w in p[:2]} <= set(text)


def test_the_held_out_word_forms_are_not_in_the_text():
    text = words_of_the_text()
    assert not {"rabbits", "squirrels", "whistled", "juggled", "louder"} & set(text)
    assert {"rabbit", "squirrel", "whistles", "juggles", "loud"} <= set(text)


def test_the_labelled_files_have_the_counts_of_the_card():
    seen, words = set(), set()
    for part, size, count in (("train", 1500, 14223), ("test", 400, 3759)):
        lines = corpus_path(f"labelled-{part}.txt").read_text(encoding="ascii").splitlines()
        texts = [line.split(" ", 1)[1] for line in lines]
        assert len(lines) == size and sum(len(text.split()) for text in texts) == count
        labels = Counter(line.split()[0] for line in lines)
        assert len(labels) == 8 and all(label.startswith("__label__") for label in labels)
        new, seen = sum(text not in seen for text in texts), seen | set(texts)
        words |= {word for text in texts for word in text.split()}
    assert (new, len(words), labels.most_common(1)) == (315, 80, [("__label__film-blame", 88)])


# ---- corpus_path() ------------------------------------------------------------------------------

def folder_with(path, **texts):
    path.mkdir(parents=True)
    for name, text in texts.items():
        (path / name).write_text(text)
    return path


def test_corpora_are_found_beside_the_package_in_a_checkout(tmp_path):
    folder_with(tmp_path / "corpora", a="beside")
    assert corpus_path("a", tmp_path / "scratch_embed").read_text() == "beside"


def test_corpora_are_found_inside_the_package_in_a_wheel(tmp_path):
    folder_with(tmp_path / "scratch_embed" / "corpora", a="inside")
    assert corpus_path("a", tmp_path / "scratch_embed").read_text() == "inside"


def test_the_corpora_inside_the_package_come_before_those_beside_it(tmp_path):
    folder_with(tmp_path / "corpora", a="a stranger's")
    folder_with(tmp_path / "scratch_embed" / "corpora", a="its own")
    assert corpus_path("a", tmp_path / "scratch_embed").read_text() == "its own"


def test_the_error_for_a_missing_corpus_lists_the_corpora_found(tmp_path):
    folder_with(tmp_path / "corpora", b="", a="")
    with pytest.raises(FileNotFoundError, match="no corpus 'c' in .*; found: a, b$"):
        corpus_path("c", tmp_path / "scratch_embed")
    with pytest.raises(FileNotFoundError, match="found: none$"):
        corpus_path("a", tmp_path / "elsewhere" / "scratch_embed")


@pytest.mark.parametrize("name", ["../secret", "folder", "", ".."])
def test_a_corpus_must_be_a_file_directly_in_the_folder(tmp_path, name):
    (tmp_path / "secret").write_text("")
    folder_with(tmp_path / "corpora" / "folder")
    with pytest.raises(FileNotFoundError):
        corpus_path(name, tmp_path / "scratch_embed")
