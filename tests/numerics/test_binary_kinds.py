"""Files that are not texts are named by their first bytes; no text is taken for one of them."""
import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.binary_kinds import SIGNATURES, binary_kind, could_be_text
from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.corpus import read_lines, read_sentences


def zipped(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x" * 99)
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("words.txt")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"words"))
    return file.getvalue()


def arrays():
    file = io.BytesIO()
    np.savez(file, a=np.ones(3))
    return file.getvalue()


FILES = [
    ("a PNG picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), ("a JPEG picture", b"\xff\xd8\xff\xe0\0"),
    ("a GIF picture", b"GIF89a\1\0\1\0"), ("a PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    ("a PDF", b"%PDF-1.4\n1 0 obj\n"), ("a WAV recording", b"RIFF\x24\0\0\0WAVEfmt \x10\0"),
    ("a zip archive", zipped("words.txt")), ("an Office document", zipped("[Content_Types].xml")),
    ("NumPy arrays in a zip", arrays()), ("a tar archive", tarred()),
    ("a tar archive", gzip.compress(tarred())), ("a PDF", gzip.compress(b"%PDF-1.7\n"))]


@pytest.mark.parametrize("errors", ["strict", "replace", "ignore"])
@pytest.mark.parametrize("name, content", FILES)
def test_a_reader_of_texts_names_what_the_file_is(name, content, errors):
    """Also with errors="replace": the bytes of a picture are not a text with a few wrong ones."""
    for read in read_sentences, read_lines:
        with pytest.raises(FormatError, match=f"expected a text, found {name}"):
            list(read(io.BytesIO(content), errors))


marks = st.sampled_from([mark for offset, mark, _ in SIGNATURES if not offset and mark.isalnum()])


@given(st.one_of(st.text(), st.tuples(marks, st.text(st.characters(min_codepoint=32))).map(
    lambda parts: parts[0].decode() + parts[1])).map(str.encode).filter(
        lambda text: could_be_text(text) and not text.startswith(b"%PDF")))
def test_a_text_is_never_taken_for_another_kind(text):
    assert binary_kind(text) is None
