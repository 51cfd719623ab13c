"""`figures` writes ten pictures; an error is printed before any picture is drawn."""
import sys

import pytest

SMALL = ["--seeds", 2, "--documents", 40, "--sentences", 100, "--steps", 2,
         "--clip-steps", 2]
NAMES = ["compress", "hamming", "imagebind", "imagebind_verdict", "infonce", "layers",
         "negative_sampling", "packed", "simcse", "word2vec"]


def test_each_of_ten_pictures_has_the_name_of_the_file_that_it_explains(tmp_path, run):
    pytest.importorskip("matplotlib")
    code, out, err = run("figures", "-o", tmp_path / "new", *SMALL)
    assert code == 0 and out == "" and err.count("wrote ") == 10
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        f"{name}.png" for name in NAMES]
    for path in (tmp_path / "new").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused(folder, tmp_path, run):
    pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("in the way")
    code, out, err = run("figures", "-o", tmp_path / folder, *SMALL)
    assert code == 1 and str(tmp_path / folder) in err and "wrote" not in err
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_with_the_name_of_a_picture_is_refused_before_the_work(tmp_path, run):
    pytest.importorskip("matplotlib")
    (tmp_path / "compress.png").mkdir()                # the last picture
    code, _, err = run("figures", "-o", tmp_path, *SMALL)
    assert code == 1 and "compress.png" in err
    assert [path.name for path in tmp_path.iterdir()] == ["compress.png"]


def test_without_matplotlib_the_error_says_how_to_install_it(tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = run("figures", "-o", tmp_path / "new")
    assert code == 1 and "pip install 'scratch-embed[plot]'" in err
    assert not (tmp_path / "new").exists()
