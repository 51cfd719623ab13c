"""Every row of the tables "What loads" (scratch_embed/multimodal/README.md) is true."""
import json
import re
from pathlib import Path

import pytest

from scratch_embed.loading import load
from scratch_embed.multimodal import clap_verdict, clip_verdict, imagebind
from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.multimodal.imagebind_encoder import ImageBind
from scratch_embed.multimodal.whisper import Config
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.errors import FormatError

PAGE = Path(__file__).parents[2] / "scratch_embed/multimodal/README.md"
SECTION = PAGE.read_text().split("## What loads")[1].split("\n## ")[0]
TABLES = [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]
          for block in re.findall(r"(?:^\|.*\n)+", SECTION, re.MULTILINE)]
TYPES, FILES = TABLES
CAPTIONS = ["a red circle", "a blue square"]


def tiny(row):
    """An untrained model of the type that a row names."""
    if row.startswith("`clap`"):
        return clap_verdict.untrained(CAPTIONS)
    if row == "`whisper`":
        return WhisperEncoder.new(Config(mels=8, dim=8, positions=50),
                                  WhisperAudio(mels=8, seconds=1))
    clip = clip_verdict.untrained(CAPTIONS, 1, clip_verdict.RECIPE._replace(dim=8, layers=(1, 1)))
    if "imagebind" not in row:
        return clip
    senses = {"imu": imagebind.Sense((2, 8), 4, 4, imagebind.trunk(4, 1, 2), 5.0)}
    return ImageBind(clip, senses, init_params(imagebind.tensors(senses, clip.dim), 1))


def edit(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize("row", [row for row in TYPES if not row[1].startswith("no")],
                         ids=lambda row: row[0])
def test_a_model_type_that_loads(row, tmp_path):
    tiny(row[0]).save(tmp_path / "m")
    assert type(load(tmp_path / "m")).__name__ == re.match("`(.*?)`", row[1])[1]


@pytest.mark.parametrize("row", [row for row in TYPES if row[1].startswith("no")],
                         ids=lambda row: row[0])
def test_a_model_type_that_is_refused_with_the_reason(row, tmp_path):
    first, verdict, _ = row
    reason = re.escape(verdict.removeprefix("no").removeprefix(": "))
    if "enable_fusion" in first:
        tiny(first).save(tmp_path)
        path = tmp_path / "config.json"
        edit(path, audio_config={**json.loads(path.read_text())["audio_config"],
                                 "enable_fusion": True})
        with pytest.raises(FormatError, match=f"'enable_fusion'.*{reason}"):
            load(tmp_path)
        return
    for name in re.findall("`(.*?)`", first):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": name}))
        with pytest.raises(FormatError, match=reason or f"a model of the type .{name}."):
            load(tmp_path)


def test_an_image_processor_of_another_class_is_refused(tmp_path):
    assert "ViTImageProcessor" in FILES[0][1]
    tiny("`clip`").save(tmp_path)
    edit(tmp_path / "preprocessor_config.json", image_processor_type="ViTImageProcessor")
    with pytest.raises(FormatError, match="'image_processor_type'"):
        load(tmp_path)


def test_pickles_are_refused_with_the_command_that_converts_them(tmp_path):
    tiny("`clip`").save(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises((FormatError, FileNotFoundError), match="safetensors"):
        load(tmp_path)
    huge = tmp_path / "imagebind_huge.pth"
    huge.write_bytes(b"PK\x03\x04" + bytes(26) + b"imagebind_huge/data.pkl" + bytes(99))
    with pytest.raises(FormatError, match="never read.*python -c"):
        load(huge)
