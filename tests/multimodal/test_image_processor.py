"""The image processor: equality with transformers' CLIPImageProcessor, its file, refusals."""
import json

import numpy as np
import pytest

from scratch_embed.multimodal.image import bilinear
from scratch_embed.multimodal.image_processor import NAME, ImageProcessor, Square
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.png import write_png

SHAPES = [(31, 20), (20, 31, 3), (1, 1), (1, 1, 3), (9, 50, 4), (13, 8, 2), (7, 7, 1), (2, 90, 3)]
PROCESSORS = {
    "default": ImageProcessor(size=26, crop=Square(25, 25)),
    "ratio": ImageProcessor(size=9, crop=Square(7, 8)),
    "square": ImageProcessor(size=Square(12, 10), crop=None, filter=bilinear),
    "padded": ImageProcessor(size=None, crop=Square(100, 95)),
    "only_crop": ImageProcessor(size=6, crop=Square(11, 10), rescale=None, mean=None, std=None),
    "scaled": ImageProcessor(size=5, crop=Square(5, 5), rescale=0.01, mean=(0.1, 0.2, 0.3),
                             std=(1.5, 0.5, 2.0))}


def draw_images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape).astype(np.uint8) for shape in SHAPES]


def write(folder, **fields):
    (folder / NAME).write_text(json.dumps(fields))
    return ImageProcessor.load(folder)


def original(transformers):
    """The class with the PIL path: its name until version 4 is CLIPImageProcessor."""
    name = "CLIPImageProcessorPil"
    return getattr(transformers, name if hasattr(transformers, name) else name[:-3])


def test_worked_by_hand():
    """A black and a white pixel: (0 − ½)/½ = −1 and (1 − ½)/½ = 1, in each channel."""
    processor = ImageProcessor(size=None, crop=None, mean=(0.5,) * 3, std=(0.5,) * 3)
    x = processor([np.array([[0, 255]], np.uint8)])
    assert x.dtype == np.float32 and x.tolist() == [[[[-1, 1]]] * 3]


@pytest.mark.parametrize("name", PROCESSORS)
def test_it_equals_transformers(name, tmp_path):
    """To one grey level for alpha, else to rounding; transformers reads the file that we write."""
    transformers = pytest.importorskip("transformers")
    PIL = pytest.importorskip("PIL.Image")
    ours = PROCESSORS[name]
    ours.save(tmp_path)
    theirs = original(transformers).from_pretrained(tmp_path)
    levels = (1 if ours.rescale is None else ours.rescale) / min(ours.std or (1,))
    for image in draw_images():
        squeezed = image[..., 0] if image.shape[2:] == (1,) else image
        x = theirs(PIL.fromarray(squeezed))["pixel_values"][0]
        assert x.shape == ours.one(image).shape
        atol = levels * 1.001 if image.shape[2:] in ((2,), (4,)) else 1e-6 * max(1, abs(x).max())
        np.testing.assert_allclose(ours.one(image), x, rtol=0, atol=atol, err_msg=str(image.shape))


@pytest.mark.parametrize("name", PROCESSORS)
def test_saving_and_loading_gives_the_same_processor(name, tmp_path):
    PROCESSORS[name].save(tmp_path)
    assert ImageProcessor.load(tmp_path) == PROCESSORS[name]


def test_the_file_of_transformers_is_read(tmp_path):
    transformers = pytest.importorskip("transformers")
    original(transformers)(size={"shortest_edge": 10}, crop_size={"height": 10, "width": 9}
                           ).save_pretrained(tmp_path)
    assert ImageProcessor.load(tmp_path) == ImageProcessor(size=10, crop=Square(10, 9))


def test_openais_old_file_is_read(tmp_path):
    assert write(tmp_path, crop_size=24, do_center_crop=True, do_normalize=True, do_resize=True,
                 feature_extractor_type="CLIPFeatureExtractor", resample=3, size=24,
                 image_mean=[0.5, 0.4, 0.3], image_std=[0.1, 0.2, 0.3]
                 ) == ImageProcessor(24, Square(24, 24), mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3))
    assert write(tmp_path, size=24, default_to_square=True).size == Square(24, 24)
    assert write(tmp_path) == ImageProcessor()


def test_a_png_file_gives_what_its_pixels_give(tmp_path):
    image = draw_images()[1]
    write_png(tmp_path / "image.png", image)
    processor = PROCESSORS["ratio"]
    np.testing.assert_array_equal(processor([tmp_path / "image.png", str(tmp_path / "image.png")]),
                                  processor([image, image]))


@pytest.mark.parametrize("fields, message", [
    ({"resample": 1}, "field 'resample': expected one of 2, 3, found 1"),
    ({"size": {"longest_edge": 3}}, "field 'size': expected a number, or an object with"),
    ({"size": {"shortest_edge": 0}}, "size, field 'shortest_edge': expected a whole number"),
    ({"size": [3, 3]}, "field 'size': expected an object"),
    ({"crop_size": {"height": 3}}, "field 'crop_size': expected a number, or an object"),
    ({"image_mean": [0.5, 0.5]}, "field 'image_mean': expected three finite numbers"),
    ({"image_std": [1, 0, 1]}, "field 'image_std': expected three finite numbers above 0"),
    ({"rescale_factor": -1}, "field 'rescale_factor': expected a number above 0"),
    ({"do_resize": "yes"}, "field 'do_resize': expected true or false or null, found 'yes'"),
    ({"do_pad": True}, "field 'do_pad': expected one of false, null, found True"),
    ({"data_format": "channels_last"}, "field 'data_format': expected one of"),
    ({"image_processor_type": "SiglipImageProcessor"}, "field 'image_processor_type': expected"),
    ({"do_flip": True}, "field 'do_flip': expected only")])
def test_fields_that_are_not_honoured_are_refused_by_name(fields, message, tmp_path):
    with pytest.raises(FormatError) as error:
        write(tmp_path, **fields)
    assert message in str(error.value) and NAME in str(error.value)


def test_images_that_cannot_be_processed_are_refused(tmp_path):
    image = draw_images()[1]
    with pytest.raises(ValueError, match="expected 3 channels, since .* do_convert_rgb=false"):
        ImageProcessor(convert_rgb=False)([image[..., 0]])
    with pytest.raises(ValueError, match="at least one, all of one size .* got none"):
        ImageProcessor()([])
    with pytest.raises(ValueError, match="all of one size"):
        ImageProcessor(size=5, crop=None)([image, image[:9]])
    with pytest.raises(TypeError, match="put it into a list"):
        ImageProcessor()("cat.png")
    with pytest.raises(FormatError, match="no such file"):
        ImageProcessor.load(tmp_path)


def test_what_the_file_cannot_say_is_refused(tmp_path):
    with pytest.raises(ValueError, match="filter: expected bilinear or bicubic"):
        ImageProcessor(filter=abs).save(tmp_path)
    with pytest.raises(ValueError, match="mean, std: expected both or neither"):
        ImageProcessor(std=None)(draw_images()[:1])
