"""A model's name is given instead of a folder: the message says how to download the folder."""
import pytest

from scratch_embed.loading import load
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.transformer.local_folder import missing_model


@pytest.mark.parametrize("read", [load, SentenceEncoder.load])
@pytest.mark.parametrize("name, repository", [
    ("all-MiniLM-L6-v2", "ORGANISATION/all-MiniLM-L6-v2"),
    ("BAAI/bge-small-en-v1.5", "BAAI/bge-small-en-v1.5")])
def test_the_error_for_the_name_of_a_model_gives_two_ways_to_get_its_folder(read, name, repository):
    with pytest.raises(FileNotFoundError, match="and nothing is downloaded") as error:
        read(name)
    assert f"hf download {repository} --local-dir" in str(error.value)
    assert f'SentenceTransformer("{name}").save(' in str(error.value)


@pytest.mark.parametrize("path", ["words.vec", "models/encoder/", "./encoder", "/a/b/c", "x.bin"])
def test_a_path_that_is_not_like_a_models_name_is_reported_as_missing(path):
    assert missing_model(path) == f"{path}: there is no such file or folder"


@pytest.mark.parametrize("typed, there", [
    ("wvec", "w.vec"), ("encodr", "encoder"), ("bert-base-uncase", "bert-base-uncased")])
def test_a_typing_error_is_answered_with_the_file_alone(typed, there, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / there).write_text("")
    expected = f"there is no such file or folder; did you mean {{}}{there}?"
    assert missing_model(typed) == f"{typed}: {expected.format('')}"
    path = str(tmp_path / typed)
    assert missing_model(path) == f"{path}: {expected.format(f'{tmp_path}/')}"


def test_the_message_is_short_and_guesses_no_organisation():
    message = missing_model("bert-base-uncased")
    assert len(message) < 245 and "sentence-transformers/" not in message


def test_a_file_is_not_a_models_folder(tmp_path):
    (tmp_path / "x.vec").write_text("a 1 2\n")
    with pytest.raises(NotADirectoryError, match="expected a model's folder, got a file; load()"):
        SentenceEncoder.load(tmp_path / "x.vec")
