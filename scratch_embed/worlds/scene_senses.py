"""What five senses perceive of a scene: its image, depth, heat, sound and motion, with noise.

Equation  image = background + coverage · (colour − background) + noise;  the coverage of a pixel is
          clip(½ − s, 0, 1), where s is the signed distance of its centre from the shape's outline
          depth: coverage · height + a slope;  thermal: coverage · (± contrast) + background
          audio = envelope(t) Σₕ wₕ sin(h φ(t) + phaseₕ), w the timbre, φ' = 2π · pitch(t)
          IMU = the motion's accelerations and rotations + a hum with a frequency of the size
Shapes    image (n, 16, 16, 3) uint8; depth, thermal (n, 1, 16, 16) float32; audio (n, 2048)
          float32 in [−1, 1] at RATE 8,000 Hz; imu (n, 6, 64) float32: 3 accelerations, 3 rotations
Cost      about 0.04 ms an image and 0.3 ms a sound; NumPy over all scenes at once, so no kernel
Read next worlds/scenes.py (the attributes), worlds/scene_bounds.py

Each sense shows some attributes (scenes.KNOWN) and omits the others: what it omits is drawn anew
(the size of a thing in a thermal image, its position in a depth image) or is absent.  What it shows
can be read from it without error, in spite of noise and of a place, a size, a brightness, a pitch
and a phase that vary: tests/worlds/test_scene_senses.py does so with decoders that know how the
senses are drawn.  So what a sense can tell about a scene is exactly the attributes that it shows,
and the bounds of worlds/scene_bounds.py are exact.
"""
import numpy as np

from scratch_embed.worlds.scenes import Scenes, generator

f32 = np.float32
SIDE, SAMPLES, RATE, STEPS, CHANNELS = 16, 2048, 8000, 64, 6

# ---- shapes -------------------------------------------------------------------------------------

COLOURS = np.array([[225, 45, 40], [45, 190, 60], [50, 75, 230], [230, 210, 45], [165, 55, 200],
                    [50, 205, 215]], f32)
RADIUS = np.array([2.7, 4.2], f32)                 # of small and of large things, in pixels
CENTRE = np.array([[4.2, 4.2], [10.8, 4.2], [4.2, 10.8], [10.8, 10.8]], f32)      # x, y


def distance(shape: int, x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The signed distance (or nearly) of a point from a shape's outline, negative inside.

    x, y: relative to the shape's centre, y downwards; r: its radius
    """
    if shape == 0:                                 # circle
        return np.hypot(x, y) - r
    if shape == 1:                                 # square, of about the circle's area
        return np.maximum(abs(x), abs(y)) - 0.88 * r
    if shape == 2:                                 # triangle, one corner at the top
        return np.maximum(0.87 * abs(x) - 0.5 * y, y) - 0.55 * r
    if shape == 3:                                 # cross: two bars
        long, short = np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
        return np.maximum(long - r, short - 0.3 * r)
    if shape == 4:                                 # ring
        return abs(np.hypot(x, y) - 0.8 * r) - 0.25 * r
    return 0.71 * (abs(x) + abs(y)) - 0.75 * r     # diamond


def coverage(shape: np.ndarray, centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How much of each pixel a shape covers.  (n,), (n, 2) x and y, (n,) -> (n, 16, 16)."""
    grid, covered = np.arange(SIDE, dtype=f32), np.empty((len(shape), SIDE, SIDE), f32)
    for kind in np.unique(shape):
        rows = shape == kind
        x = grid[None, None, :] - centre[rows, 0, None, None]                  # (m, 1, 16)
        y = grid[None, :, None] - centre[rows, 1, None, None]                  # (m, 16, 1)
        covered[rows] = np.clip(0.5 - distance(kind, x, y, radius[rows, None, None]), 0, 1)
    return covered


# ---- images -------------------------------------------------------------------------------------

def image(scenes: Scenes, seed: int = 0, noise: float = 12.0) -> np.ndarray:
    """Draw images, which show shape, colour, size and position.  -> (n, 16, 16, 3) uint8

    noise: the standard deviation of each value, of 255
    """
    rng, n = generator(seed, "image"), len(scenes)
    centre = CENTRE[scenes.of("position")] + rng.uniform(-0.8, 0.8, (n, 2)).astype(f32)
    radius = RADIUS[scenes.of("size")] * rng.uniform(0.93, 1.07, n).astype(f32)
    covered = coverage(scenes.of("shape"), centre, radius)[..., None]          # (n, 16, 16, 1)
    background = rng.uniform(10, 70, (n, 1, 1, 1)).astype(f32)
    brightness = rng.uniform(0.75, 1.05, (n, 1)).astype(f32)
    colour = (brightness * COLOURS[scenes.of("colour")])[:, None, None]        # (n, 1, 1, 3)
    pixels = background + covered * (colour - background)
    pixels += f32(noise) * rng.standard_normal(pixels.shape, f32)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def depth(scenes: Scenes, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    """Draw depth images, which show shape and size: nearness, 0 far to 1.  -> (n, 1, 16, 16)"""
    rng, n = generator(seed, "depth"), len(scenes)
    radius = RADIUS[scenes.of("size")] * rng.uniform(0.93, 1.07, n).astype(f32)
    covered = coverage(scenes.of("shape"), _any_place(rng, n), radius)
    floor = np.linspace(0, 1, SIDE, dtype=f32)[:, None]              # nearer at the bottom
    slope, height = rng.uniform(0, 0.3, (n, 1, 1)), rng.uniform(0.4, 0.6, (n, 1, 1))
    nearness = slope.astype(f32) * floor + height.astype(f32) * covered
    return (nearness + f32(noise) * rng.standard_normal(nearness.shape, f32))[:, None]


def thermal(scenes: Scenes, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    """Draw thermal images, which show shape and heat: temperatures 0 to 1.  -> (n, 1, 16, 16)"""
    rng, n = generator(seed, "thermal"), len(scenes)
    radius = rng.uniform(RADIUS[0], RADIUS[1], n).astype(f32)                  # not the scene's
    covered = coverage(scenes.of("shape"), _any_place(rng, n), radius)
    background = rng.uniform(0.4, 0.6, (n, 1, 1)).astype(f32)
    contrast = rng.uniform(0.3, 0.4, (n, 1, 1)) * (2 * scenes.of("heat") - 1)[:, None, None]
    heat = background + contrast.astype(f32) * covered
    return (heat + f32(noise) * rng.standard_normal(heat.shape, f32))[:, None]


def _any_place(rng, n):
    """A centre within the image that tells nothing about the scene's position.  -> (n, 2)"""
    return rng.uniform(CENTRE.min(), CENTRE.max(), (n, 2)).astype(f32)


# ---- sounds -------------------------------------------------------------------------------------

TIMBRE = np.array([[1, 0, 0, 0, 0, 0],             # circle: a pure tone
                   [1, 0, .8, 0, .7, 0],           # square: odd harmonics
                   [1, .8, 0, 0, 0, 0],            # triangle
                   [1, 0, 0, .8, .8, 0],           # cross
                   [.6, .9, .0, .9, 0, .8],        # ring: even harmonics
                   [1, .8, .7, .6, .5, .4]], f32)  # diamond: all of them
PITCH = np.array([430.0, 260.0], f32)              # of small and of large things, in Hz
RISE = 1.35                                        # the factor of the pitch of a rising sound
TREMOLO, VIBRATO = (28.0, 0.8), (9.0, 0.08)        # (Hz, depth) of a shaking and a swinging sound


def audio(scenes: Scenes, seed: int = 0, noise: float = 0.02) -> np.ndarray:
    """Draw sounds, which have the timbre of a shape, the pitch of a size and a motion's modulation.

    -> (n, 2048) float32
    """
    rng, n = generator(seed, "audio"), len(scenes)
    t = np.arange(SAMPLES, dtype=f32) / f32(RATE)                              # seconds
    pitch = PITCH[scenes.of("size")] * rng.uniform(0.96, 1.04, n).astype(f32)
    phase = rng.uniform(0, 2 * np.pi, (n, 2 + TIMBRE.shape[1])).astype(f32)
    motion = scenes.of("motion")
    angle = 2 * np.pi * pitch[:, None] * _stretched(motion, t, phase[:, 0, None])
    loudness = rng.uniform(0.5, 0.9, (n, 1)).astype(f32)
    rate, strength = TREMOLO
    swell = (1 + np.cos(2 * np.pi * rate * t + phase[:, 1, None])) / 2
    envelope = loudness * (1 - strength * swell * (motion == 1)[:, None])      # shaking
    weights = TIMBRE / np.sqrt((TIMBRE ** 2).sum(axis=1, keepdims=True)) / 2
    waves = noise * rng.standard_normal((n, SAMPLES), f32)
    shape = scenes.of("shape")
    for h in range(TIMBRE.shape[1]):
        rows = np.flatnonzero(TIMBRE[shape, h])
        waves[rows] += (envelope[rows] * weights[shape[rows], h, None]
                        * np.sin((h + 1) * angle[rows] + phase[rows, 2 + h, None]))
    return np.clip(waves, -1, 1).astype(f32, copy=False)


def _stretched(motion, t, phase):
    """The integral of pitch(t) / pitch: t, but for sounds that rise or swing.  -> (n, samples)"""
    slope, (rate, strength) = (RISE - 1) / t[-1], VIBRATO
    rising = t + slope * t ** 2 / 2
    swinging = t - strength * np.cos(2 * np.pi * rate * t + phase) / (2 * np.pi * rate)
    return np.where((motion == 2)[:, None], rising,
                    np.where((motion == 3)[:, None], swinging, t)).astype(f32)


# ---- a motion sensor ----------------------------------------------------------------------------

HUM = np.array([24, 10])                           # periods in 64 steps, of small and large things
SHAKE, SWING = 17, 2                               # periods in 64 steps


def imu(scenes: Scenes, seed: int = 0, noise: float = 0.1) -> np.ndarray:
    """Draw the signals of a motion sensor, which show motion and size.  -> (n, 6, 64) float32

    channels 0 to 2: acceleration along x, y and z; 3 to 5: rotation about them
    """
    rng, n = generator(seed, "imu"), len(scenes)
    t = 2 * np.pi * np.arange(STEPS, dtype=f32) / STEPS                        # (64,)
    phase = rng.uniform(0, 2 * np.pi, (n, 3, 1)).astype(f32)
    strength = rng.uniform(0.7, 1.3, (n, 1)).astype(f32)
    motion, hum = scenes.of("motion"), HUM[scenes.of("size")][:, None].astype(f32)
    signals = f32(noise) * rng.standard_normal((n, CHANNELS, STEPS), f32)
    signals[:, 5] += 0.7 * strength * np.sin(hum * t + phase[:, 0])
    shaking, rising, swinging = (strength * (motion == kind)[:, None] for kind in (1, 2, 3))
    signals[:, 0] += shaking * np.sin(SHAKE * t + phase[:, 1])
    signals[:, 1] += shaking * np.sin(SHAKE * t + phase[:, 2])
    signals[:, 2] += 1 + 0.5 * rising * t / np.pi                              # gravity, and more
    signals[:, 0] += swinging * np.sin(SWING * t + phase[:, 1])
    signals[:, 4] += swinging * np.cos(SWING * t + phase[:, 1])
    return signals
