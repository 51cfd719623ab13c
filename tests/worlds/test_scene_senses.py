"""Senses: decoders read every attribute that a sense shows; what it omits leaves no trace.

The decoders know how the senses are drawn.  Their accuracy of 1 means that the drawings with their
noise lose nothing, so that the bounds of worlds/scene_bounds.py are those of the attributes.
"""
import numpy as np
import pytest

from scratch_embed.worlds import scene_senses
from scratch_embed.worlds.scene_senses import (
    CENTRE,
    COLOURS,
    RADIUS,
    RATE,
    TIMBRE,
    audio,
    coverage,
    depth,
    image,
    imu,
    thermal,
)
from scratch_embed.worlds.scenes import KNOWN, NAMES, Scenes, draw_scenes

N = 200
SCENES = draw_scenes(N, seed=5)
DRAWN = {"image": image, "depth": depth, "thermal": thermal, "audio": audio, "imu": imu}


# ---- images: the template that explains most of the pixels -----------------------------------

class Templates:
    """Drawings of all shapes with these radii and centres, without noise."""

    def __init__(self, radii, centres):
        grid = [(shape, r, c) for shape in range(6) for r in radii for c in centres]
        self.shape, self.radius, self.centre = (np.array(column) for column in zip(*grid))
        drawn = coverage(self.shape, self.centre.astype(np.float32),
                         self.radius.astype(np.float32))
        self.pixels = drawn.reshape(len(grid), -1).astype(np.float64)          # (templates, 256)

    def explain(self, x, *backgrounds):
        """The best template of each image, and its factor per channel.  x: (n, 256, channels)."""
        basis = np.linalg.qr(np.stack([np.ones(256), *backgrounds], axis=1))[0]
        T = self.pixels - (self.pixels @ basis) @ basis.T
        norm = np.linalg.norm(T, axis=1)
        fit = np.einsum("tk,nkc->ntc", T / norm[:, None], x, optimize=True)
        best = (fit ** 2).sum(axis=2).argmax(axis=1)
        return best, fit[np.arange(len(x)), best] / norm[best, None]


def near(centres, reach):
    """Positions within a square around each centre."""
    steps = np.linspace(-reach, reach, 5)
    return [(x + a, y + b) for x, y in centres for a in steps for b in steps]


def pixels(drawn):
    return drawn.reshape(N, 256, -1).astype(np.float64)


def test_an_image_shows_shape_colour_size_and_position():
    templates = Templates([r * f for r in RADIUS for f in (0.94, 1, 1.06)], near(CENTRE, 0.8))
    x = pixels(image(SCENES, seed=3))
    best, factor = templates.explain(x)
    background = x.mean(axis=1) - factor * templates.pixels[best].mean(axis=1)[:, None]
    colour = factor + background
    cosines = (colour / np.linalg.norm(colour, axis=1, keepdims=True)
               ) @ (COLOURS / np.linalg.norm(COLOURS, axis=1, keepdims=True)).T
    right, low = (templates.centre[best] > CENTRE.mean()).T
    assert (templates.shape[best] == SCENES.of("shape")).all()
    assert (cosines.argmax(axis=1) == SCENES.of("colour")).all()
    assert ((templates.radius[best] > RADIUS.mean()) == SCENES.of("size")).all()
    assert (right + 2 * low == SCENES.of("position")).all()


ANYWHERE = [(x, y) for x in np.linspace(*CENTRE[[0, 1], 0], 14)
            for y in np.linspace(*CENTRE[[0, 2], 1], 14)]


def test_a_depth_image_shows_shape_and_size():
    templates = Templates([r * f for r in RADIUS for f in (0.95, 1.05)], ANYWHERE)
    best, _ = templates.explain(pixels(depth(SCENES, seed=3)), np.repeat(np.arange(16), 16))
    assert (templates.shape[best] == SCENES.of("shape")).all()
    assert ((templates.radius[best] > RADIUS.mean()) == SCENES.of("size")).all()


def test_a_thermal_image_shows_shape_and_heat():
    templates = Templates(np.linspace(*RADIUS, 5), ANYWHERE)
    best, factor = templates.explain(pixels(thermal(SCENES, seed=3)))
    assert (templates.shape[best] == SCENES.of("shape")).all()
    assert ((factor[:, 0] > 0) == SCENES.of("heat")).all()


# ---- sounds: the harmonics of the best pitch in each frame -------------------------------------

def test_a_sound_has_shape_size_and_motion():
    waves, frame, padded = audio(SCENES, seed=3), 512, 2048
    frames = np.stack([waves[:, i:i + frame] for i in range(0, 2048 - frame + 1, 128)], axis=1)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(frame), padded))         # (N, F, 1025)
    pitches = np.arange(235, 620, 2.0)
    bins = np.rint(pitches[:, None] * np.arange(1, 7) * padded / RATE).astype(int)
    match = spectrum[..., np.minimum(bins, padded // 2)] @ (
        TIMBRE / np.linalg.norm(TIMBRE, axis=1, keepdims=True)).T              # (N, F, pitches, 6)
    shape = match.max(axis=2).sum(axis=1).argmax(axis=1)
    assert (shape == SCENES.of("shape")).all()
    pitch = pitches[match[np.arange(N), :, :, shape].argmax(axis=2)]           # (N, F)
    assert ((pitch[:, :3].mean(axis=1) < 345) == SCENES.of("size")).all()
    relative = pitch / np.median(pitch, axis=1, keepdims=True)
    loudness = np.sqrt((waves.reshape(N, -1, 64) ** 2).mean(axis=2))
    shakes = loudness.std(axis=1) / loudness.mean(axis=1) > 0.2
    rises = relative[:, -2:].mean(axis=1) - relative[:, :2].mean(axis=1) > 0.17
    moves = relative.std(axis=1) > 0.03
    motion = np.where(shakes, 1, np.where(rises, 2, np.where(moves, 3, 0)))
    assert (motion == SCENES.of("motion")).all()


def test_a_motion_sensor_shows_size_and_motion():
    signals = imu(SCENES, seed=3)
    power = np.abs(np.fft.rfft(signals)) / 32                                  # (N, 6, 33)
    small, large = scene_senses.HUM
    assert ((power[:, 5, large] > power[:, 5, small]) == SCENES.of("size")).all()
    shakes = power[:, 1, scene_senses.SHAKE] > 0.3
    swings = power[:, 4, scene_senses.SWING] > 0.3
    rises = signals[:, 2, 32:].mean(axis=1) - signals[:, 2, :32].mean(axis=1) > 0.17
    motion = np.where(shakes, 1, np.where(rises, 2, np.where(swings, 3, 0)))
    assert (motion == SCENES.of("motion")).all()


# ---- what a sense does not show ----------------------------------------------------------------

@pytest.mark.parametrize("sense", DRAWN)
def test_a_sense_does_not_change_with_the_attributes_that_it_omits(sense):
    others = SCENES.labels.copy()
    for column, name in enumerate(NAMES):
        if name not in KNOWN[sense]:
            others[:, column] = draw_scenes(N, seed=99).labels[:, column]
    assert np.array_equal(DRAWN[sense](SCENES, 1), DRAWN[sense](Scenes(others), 1))


@pytest.mark.parametrize("sense", DRAWN)
def test_a_sense_changes_with_each_attribute_that_it_shows(sense):
    for name in KNOWN[sense]:
        others = SCENES.labels.copy()
        column = NAMES.index(name)
        others[:, column] = (others[:, column] + 1) % (others[:, column].max() + 1)
        drawn, changed = DRAWN[sense](SCENES, 1), DRAWN[sense](Scenes(others), 1)
        assert (drawn != changed).reshape(N, -1).any(axis=1).all()


@pytest.mark.parametrize("sense, shape, dtype", [
    ("image", (3, 16, 16, 3), np.uint8), ("depth", (3, 1, 16, 16), np.float32),
    ("thermal", (3, 1, 16, 16), np.float32), ("audio", (3, 2048), np.float32),
    ("imu", (3, 6, 64), np.float32)])
def test_shapes_types_and_seeds(sense, shape, dtype):
    scenes = SCENES.take(slice(3))
    drawn = DRAWN[sense](scenes, 1)
    assert drawn.shape == shape and drawn.dtype == dtype
    assert np.array_equal(drawn, DRAWN[sense](scenes, 1))
    assert not np.array_equal(drawn, DRAWN[sense](scenes, 2))


def test_sounds_stay_within_minus_1_and_1():
    assert np.abs(audio(SCENES)).max() <= 1
