"""world scenes and world speech: the folders, and the number of examples."""
import pytest


def test_scenes_and_speech_are_written(tmp_path, run):
    code, _, err = run("world", "scenes", "-o", tmp_path / "s", "--examples", 3, "--seed", 2)
    assert code == 0 and err.startswith("3 scenes; wrote images, depth, thermal, sounds")
    assert len(list((tmp_path / "s" / "images").iterdir())) == 3
    code, _, err = run("world", "speech", "-o", tmp_path / "t", "--examples", 2)
    assert code == 0 and err.startswith("2 utterances; wrote sounds and speech.jsonl to ")
    assert len((tmp_path / "t" / "speech.jsonl").read_text().splitlines()) == 2


def test_the_seed_changes_the_scenes(tmp_path, run):
    for name, seed in ("a", 1), ("b", 1), ("c", 2):
        folder = tmp_path / name
        assert run("world", "scenes", "-o", folder, "--examples", 2, "--seed", seed)[0] == 0
    a, b, c = ((tmp_path / name / "scenes.jsonl").read_text() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("arguments, message", [
    (["facts", "--examples", "3"], "--examples: expected with scenes or speech, got facts"),
    (["scenes", "--examples", "0"], "at least 1")])
def test_bad_usage(tmp_path, run, arguments, message):
    code, _, err = run("world", *arguments, "-o", tmp_path / "s")
    assert code == 2 and message in err and not (tmp_path / "s").exists()


def test_files_of_an_older_world_do_not_stay_beside_the_new(tmp_path, run):
    for n, code in (2, 0), (3, 0), (2, 1):
        found, _, err = run("world", "scenes", "-o", tmp_path, "--examples", n)
        assert found == code
    assert "expected at most 2 files, which are replaced, found 3; choose another folder" in err
    code, _, err = run("world", "speech", "-o", tmp_path, "--examples", 9)
    assert code == 1 and "without scenes.jsonl, whose sounds would be replaced" in err


def test_a_file_that_cannot_be_written_is_an_error_before_any_is(tmp_path, run):
    (tmp_path / "captions.tsv").mkdir()
    code, _, err = run("world", "scenes", "-o", tmp_path, "--examples", 2)
    assert code == 1 and "captions.tsv" in err and not (tmp_path / "images").exists()
