"""encode, index and search with images and sounds, across senses; wrong files are one line."""
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from scratch_embed import load
from scratch_embed.cli.media_files import MediaFiles, find_media
from scratch_embed.cli.sense_encoder import SenseEncoder
from scratch_embed.multimodal import clap_verdict, clip_verdict, imagebind
from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.multimodal.imagebind_encoder import ImageBind
from scratch_embed.multimodal.scene_files import write_scenes
from scratch_embed.multimodal.whisper import Config
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.png import write_png

SENSES = {"audio": imagebind.Sense((1, 32, 32), 16, 16, imagebind.trunk(8, 1, 2), 20.0),
          "depth": imagebind.Sense((1, 16, 16), 8, 8, imagebind.trunk(8, 1, 2), 5.0)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of models of all kinds, not trained, and of the files of six scenes."""
    folder = tmp_path_factory.mktemp("senses")
    captions = ["a red circle at the top left", "a blue square"]
    clip = clip_verdict.untrained(captions, 1, clip_verdict.RECIPE._replace(dim=8, layers=(1, 1)))
    models = {"clip": clip, "clap": clap_verdict.untrained(captions, 1),
              "imagebind": ImageBind(clip, SENSES, init_params(imagebind.tensors(SENSES, 8), 1)),
              "whisper": WhisperEncoder.new(Config(mels=8, dim=8, positions=50),
                                            WhisperAudio(mels=8, seconds=1))}
    for name, model in models.items():
        model.save(folder / name)
    write_scenes(folder / "scenes", 6, 1)
    (folder / "text").write_text("a red circle\na blue square\n")
    scenes = folder / "scenes"
    return SimpleNamespace(folder=folder, images=scenes / "images", sounds=scenes / "sounds",
                           depth=scenes / "depth", text=folder / "text", models=models,
                           **{name: folder / name for name in models})


def paths_of(folder):
    return sorted(map(str, folder.iterdir()))


# ---- which files ---------------------------------------------------------------------------------

def test_files_are_sorted_by_name_and_recognised_by_their_content(made, tmp_path):
    for name in ("b.png", "a", "sub"):
        shutil.copy(made.images / "0000.png", tmp_path / name)
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "captions.tsv").write_text("x")
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8\xff")
    found = find_media(tmp_path)
    assert found == MediaFiles("image", [str(tmp_path / name) for name in ("a", "b.png", "sub")],
                               ["c.jpg"])
    assert find_media(made.sounds / "0001.wav").sense == "audio"
    assert find_media(made.text) is None


def test_empty_and_mixed_folders_and_other_formats_are_refused(made, tmp_path):
    with pytest.raises(FormatError, match="expected PNG or WAV files, found none"):
        find_media(tmp_path)
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(FormatError, match="found 1 other file, such as x.txt"):
        find_media(tmp_path)
    shutil.copy(made.images / "0000.png", tmp_path)
    shutil.copy(made.sounds / "0000.wav", tmp_path)
    with pytest.raises(FormatError, match="expected one kind, found 1 PNG and 1 WAV"):
        find_media(tmp_path)
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(300))
    with pytest.raises(FormatError, match="found a JPEG picture; convert it to PNG"):
        find_media(tmp_path / "x.jpg")


# ---- load and info -------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["clip", "clap", "imagebind", "whisper"])
def test_load_recognises_the_folder_and_info_describes_it(name, made, run):
    assert repr(load(made.folder / name)) == repr(made.models[name])
    code, out, err = run("info", made.folder / name, "--json")
    facts = json.loads(out)["facts"]
    assert code == 0, err
    assert facts["senses"] == list(SenseEncoder(made.models[name]).senses)
    assert facts["dimensions"] == made.models[name].dim if name != "imagebind" else 8


@pytest.mark.parametrize("model_type, message", [
    ("siglip", "this is a SigLIP folder; its image tower pools by attention"),
    ("clip_vision_model", "this is a folder of one tower of CLIP; load() reads both")])
def test_other_models_of_images_are_refused_by_name(model_type, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(FormatError, match=message.replace("(", r"\(").replace(")", r"\)")):
        load(tmp_path)


# ---- encode --------------------------------------------------------------------------------------

def test_encode_writes_a_row_for_each_file(made, tmp_path, run):
    out = tmp_path / "x.npy"
    code, _, err = run("encode", made.clip, made.images, "-o", out)
    assert code == 0 and "encoded 6 files" in err
    np.testing.assert_array_equal(np.load(out), made.models["clip"].encode_images(
        paths_of(made.images)))
    code, stdout, _ = run("encode", made.whisper, made.sounds / "0003.wav", "--json")
    row = json.loads(stdout)
    assert code == 0 and row["query"] == str(made.sounds / "0003.wav")
    np.testing.assert_allclose(row["vector"], made.models["whisper"].encode([row["query"]])[0],
                               rtol=1e-6)


def test_encode_reads_lines_of_text_as_before(made, run):
    code, stdout, _ = run("encode", made.clap, made.text, "--truncate-dim", 2, "--normalize")
    rows = np.array([line.split() for line in stdout.splitlines()], float)
    expected = made.models["clap"].encode_texts(["a red circle", "a blue square"])[:, :2]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert code == 0
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_a_png_is_an_image_unless_sense_says_otherwise(made, tmp_path, run):
    outs = []
    for options in ([], ["--sense", "image"], ["--sense", "depth"]):
        assert run("encode", made.imagebind, made.depth, "-o", tmp_path / "x.npy", *options)[0] == 0
        outs.append(np.load(tmp_path / "x.npy"))
    np.testing.assert_array_equal(outs[0], outs[1])
    np.testing.assert_array_equal(outs[2], made.models["imagebind"].encode(
        "depth", paths_of(made.depth)))


def test_long_texts_are_truncated_and_counted(made, tmp_path, run):
    (tmp_path / "long").write_text("a red circle " * 99)
    code, _, err = run("encode", made.clip, tmp_path / "long", "-o", tmp_path / "x.npy")
    assert code == 0 and "truncated 1 of the lines to" in err


# ---- index and search ----------------------------------------------------------------------------

@pytest.fixture(scope="module")
def index(made):
    """An index of the images by ImageBind."""
    from scratch_embed.cli.main import main
    path = made.folder / "images.index"
    assert main(["index", str(made.images), "-o", str(path), "--model", str(made.imagebind)]) == 0
    return path


def expected(made, query):
    """The paths of the images in the order of their cosines with a vector."""
    vectors = made.models["imagebind"].encode("image", paths_of(made.images))
    return [paths_of(made.images)[n] for n in np.argsort(-vectors @ query)]


def test_a_text_a_sound_a_depth_image_and_a_sum_find_images(index, made, run):
    model, sound = made.models["imagebind"], made.sounds / "0002.wav"
    depth = made.depth / "0001.png"
    text, heard = model.encode("text", ["red"])[0], model.encode("audio", [sound])[0]
    for options, query in ((["red"], text), (["--file", sound], heard),
                           (["--file", depth, "--sense", "depth"],
                            model.encode("depth", [depth])[0]),
                           (["--file", sound, "red"], text + heard)):
        code, out, err = run("search", index, *options)
        rows = [line.split("\t") for line in out.splitlines()]
        assert code == 0 and [row[0] for row in rows] == [*"123456"], err
        assert [row[2] for row in rows] == expected(made, query)
        cosine = float(model.encode("image", [rows[0][2]])[0] @ query / np.linalg.norm(query))
        assert abs(float(rows[0][1]) - cosine) < 1e-4


def test_json_has_the_files_and_several_queries_are_printed_above_their_results(index, run):
    code, out, _ = run("search", index, "red", "blue", "--json", "-k", 2)
    found = [json.loads(line) for line in out.splitlines()]
    assert [row["query"] for row in found] == ["red", "blue"]
    assert all(row.keys() == {"rank", "score", "file"} for row in found[0]["results"])
    assert run("search", index, "red", "blue", "-k", 1)[1].count("query: ") == 2


def test_files_are_added_and_the_sense_and_the_model_must_be_the_same(index, made, tmp_path, run):
    path = tmp_path / "x.index"
    shutil.copy(index, path)
    shutil.copy(made.images / "0000.png", tmp_path / "new.png")
    code, _, err = run("index", tmp_path / "new.png", "-o", path, "--add")
    assert code == 0 and "1 file added, 7 in all" in err
    code, _, err = run("index", made.sounds, "-o", path, "--add")
    assert code == 1 and "expected what it already has, image, got audio" in err
    code, _, err = run("index", made.text, "-o", path, "--add")
    assert code == 1 and "expected what it already has, image, got text" in err
    shutil.copytree(made.imagebind, tmp_path / "other")
    (tmp_path / "other" / "imagebind.json").write_text(
        (made.imagebind / "imagebind.json").read_text() + "\n")
    code, _, err = run("search", path, "red", "--model", tmp_path / "other")
    assert code == 1 and "was made with another model" in err


def test_a_prompt_is_refused_where_there_is_no_text_to_put_it_before(index, made, tmp_path, run):
    for option in "--document-prompt", "--prompt-name":
        code, _, err = run("index", made.images, "-o", tmp_path / "x.index", "--model", made.clip,
                           option, "a photo of ")
        assert code == 1 and "--document-prompt, --prompt-name: expected with a text" in err
    picture = made.images / "0000.png"
    for option in "--query-prompt", "--instruction":
        code, out, err = run("search", index, "--file", picture, option, "a photo of ")
        assert (code, out) == (1, "") and "expected with a QUERY, before which" in err
    assert run("search", index, "red", "--file", picture, "--query-prompt", "a ")[0] == 0


def test_an_index_of_captions_is_searched_by_an_image(made, tmp_path, run):
    path = tmp_path / "x.index"
    assert run("index", made.text, "-o", path, "--model", made.clip)[0] == 0
    code, out, _ = run("search", path, "--file", made.images / "0000.png")
    assert code == 0 and {line.split("\t")[3] for line in out.splitlines()} == {
        "a red circle", "a blue square"}
    assert run("search", path, "red", "--bm25")[1].startswith("1\t")         # texts have words


def test_sounds_are_found_by_a_sound_with_a_model_without_texts(made, tmp_path, run):
    path = tmp_path / "x.index"
    assert run("index", made.sounds, "-o", path, "--model", made.whisper)[0] == 0
    sound = str(made.sounds / "0004.wav")
    code, out, _ = run("search", path, "--file", sound, "-k", 1)
    assert code == 0 and out == f"1\t1.0000\t{sound}\n"
    code, _, err = run("search", path, "a bell")
    assert code == 1 and "encodes audio, and no texts; search by --file FILE" in err


# ---- wrong input ---------------------------------------------------------------------------------

@pytest.mark.parametrize("command, message", [
    ("encode {clip} {sounds}", "clip, which encodes image and text, found WAV files"),
    ("encode {whisper} {images}", "whisper, which encodes audio, found PNG files"),
    ("encode {whisper} {text}", "whisper, which encodes audio, found a text"),
    ("encode {clip} {images} --prompt x", "prompt: expected with texts"),
    ("encode {clip} {images} --sif 0.1", "--sif weights word vectors"),
    ("encode {clip} {images} --sense depth", "--sense: expected image"),
    ("encode {imagebind} {sounds} --sense imu", "--sense: expected audio"),
    ("encode {clip} {text} --sense image", "--sense: expected with PNG or WAV files"),
    ("encode {clip} {broken}", "broken.png"),
    ("encode {bert} {images}", "bert encodes texts, found a folder"),
    ("encode {bert} {images}/0000.png", "bert encodes texts, found a PNG picture"),
    ("encode {bert} {text} --sense image", "--sense: expected with an ImageBind"),
    ("index {empty} -o {out} --model {clip}", "expected PNG or WAV files, found none"),
    ("search {index} red --bm25", "--bm25: {index} is an index of files, which has no words"),
    ("search {index} red --hybrid", "--hybrid: {index} is an index of files"),
    ("search {index} red --sense depth", "--sense: expected with --file"),
    ("search {index} --file {images}", "--file: expected a PNG or WAV file"),
    ("search {index} --file {text}", "--file: expected a PNG or WAV file"),
    ("search {index}", "give a QUERY, or --file FILE")])
def test_wrong_input_is_one_line(command, message, made, index, tmp_path, run):
    (tmp_path / "broken.png").write_bytes((made.images / "0000.png").read_bytes()[:40])
    (tmp_path / "empty").mkdir()
    from tests.cli.test_paths import OLD
    there = {**vars(made), "index": index, "bert": OLD / "bert", "out": tmp_path / "x.index",
             "broken": tmp_path / "broken.png", "empty": tmp_path / "empty"}
    code, out, err = run(*command.format(**there).split())
    assert code in (1, 2) and out == "" and message.format(**there) in err
    assert len([line for line in err.splitlines() if "modules.json" not in line]) == 1


@pytest.mark.parametrize("head", ["", "filepath\ttitle\n"])
def test_a_list_of_files_is_not_encoded_as_texts(head, made, tmp_path, run):
    path = tmp_path / "list.txt"
    path.write_text(f"{head}x.png\ta red circle\n")
    assert run("encode", made.clip, path)[0] == 0                  # there is no such file: a text
    shutil.copy(made.images / "0000.png", tmp_path / "x.png")
    code, out, err = run("encode", made.clip, path)
    assert code == 1 and out == "" and "expected texts, found names of files such as x.png" in err


def test_texts_are_truncated_to_what_the_model_takes(made):
    for name in ("clip", "clap", "imagebind"):
        encoder = SenseEncoder.load(made.folder / name)
        model = encoder.model.clip if name == "imagebind" else encoder.model
        longest = ["q" * n for n in range(1, 60)]
        kept = []
        for text in longest:
            try:
                kept.append(len(model.tokenize([text])[0]))
            except ValueError:
                break
        encoder.encode(longest)
        assert encoder.max_tokens == kept[-1] and encoder.truncated == len(longest) - len(kept)


def test_a_grey_png_is_needed_for_depth(made, tmp_path, run):
    write_png(tmp_path / "x.png", np.zeros((16, 16, 3), np.uint8))
    code, _, err = run("encode", made.imagebind, tmp_path / "x.png", "--sense", "depth")
    assert code == 1 and "expected a grey image, got 3 channels" in err


def test_files_that_are_left_out_are_named(made, tmp_path, run):
    shutil.copy(made.images / "0000.png", tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    code, _, err = run("encode", made.clip, tmp_path)
    assert code == 0 and "1 file left out, neither PNG nor WAV: photo.jpg" in err
