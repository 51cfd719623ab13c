"""What a checkpoint says when a run with other settings asks to continue it."""
import pytest

from scratch_embed.training.checkpoint import Saved, require_same


def test_of_settings_with_parts_only_the_parts_that_differ_are_named():
    """All of a model's config would fill the message before the field that differs."""
    text = {"vocab": 270, "dim": 4}
    saved = Saved({"config": {"audio": {"mels": 32, "rate": 8000}, "text": text}}, 3, 6, "steps")
    require_same("state", saved, {"config": {"audio": {"mels": 32, "rate": 8000}, "text": text}})
    with pytest.raises(ValueError, match="state: cannot resume, config was {'text': {'vocab': 270}}"
                                         " and is {'text': {'vocab': 265}} now; use the old"):
        require_same("state", saved, {"config": {"audio": {"mels": 32, "rate": 8000},
                                                 "text": {**text, "vocab": 265}}})
