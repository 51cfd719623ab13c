"""The image processor of a model's folder: from pixels of any size to the model's input.

Equation  image -> RGB -> resize -> centre crop -> x = (pixel · rescale_factor − mean) / std
Shapes    N images, each uint8 (H, W) or (H, W, C) -> float32 (N, 3, S, S)
Bytes     preprocessor_config.json, as transformers' CLIPImageProcessor writes it.  Each field is
          read, or only some values of it are accepted (ONLY), or it cannot change the pixels
          (IGNORED gives the reason).  Any other field is refused by name.
Cost      that of resizing, see multimodal/image.py
Differs   from transformers: two filters are read, bilinear and bicubic, and two kinds of size,
          shortest_edge, or height and width; images without do_convert_rgb must have 3 channels.
          The oracle is its PIL path (CLIPImageProcessorPil in version 5); its torch path rounds
          differently.
Read next multimodal/image.py (resizing), multimodal/clip_encoder.py

Why mean and std?  They are those of the pixels that the model was trained on, for each channel, so
that its inputs have mean 0 and variance 1, for which its first layer was initialised.
"""
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.multimodal.image import (
    bicubic,
    bilinear,
    centre_crop,
    require_image,
    resize,
    shortest_edge,
    to_rgb,
)
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import NULL, Fields, show, write_json
from scratch_embed.numerics.png import read_png

NAME = "preprocessor_config.json"
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)          # of CLIP's training images, 0..1
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
FILTERS = {2: bilinear, 3: bicubic}                      # Pillow's numbers of its filters
KINDS = ("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil",
         "CLIPFeatureExtractor")
ONLY: dict[str, list[Any]] = {     # the accepted values of options that would change the pixels
    "do_pad": [False, None], "pad_size": [None], "use_square_size": [False, None],
    "data_format": ["channels_first", None], "input_data_format": ["channels_last", None],
    "auto_map": [None, {}]}
IGNORED = {
    **dict.fromkeys(("processor_class", "_valid_processor_keys", "trust_remote_code"),
                    "says which program wrote the file"),
    **dict.fromkeys(("return_tensors", "device", "disable_grouping"),
                    "says how the same numbers are computed or returned")}
READ = ("image_processor_type", "feature_extractor_type", "do_convert_rgb", "do_resize", "size",
        "default_to_square", "resample", "do_center_crop", "crop_size", "do_rescale",
        "rescale_factor", "do_normalize", "image_mean", "image_std")


class Square(NamedTuple):
    """A height and a width."""

    height: int
    width: int


class ImageProcessor(NamedTuple):
    """The steps of a processor; a step that is None is left out.

    size     Square: resize to it; a number: resize the shorter side to it, and keep the ratio
    crop     cut out the centre, or add zeros around a smaller image
    rescale  the factor of the pixels, 1/255
    mean, std    both or neither

    >>> small = ImageProcessor(size=8, crop=Square(8, 8))
    >>> small([np.zeros((16, 20, 3), np.uint8), np.zeros((9, 9), np.uint8)]).shape
    (2, 3, 8, 8)
    """

    size: Square | int | None = 224
    crop: Square | None = Square(224, 224)
    filter: Callable = bicubic
    rescale: float | None = 1 / 255
    mean: tuple[float, ...] | None = CLIP_MEAN
    std: tuple[float, ...] | None = CLIP_STD
    convert_rgb: bool = True

    def __call__(self, images: Iterable[np.ndarray | str | os.PathLike]) -> np.ndarray:
        """The model's input.  images: uint8 arrays, or paths of PNG files -> float32 (N, 3, S, S).

        Raises ValueError for an array that is not an image, for images of different sizes after
        these steps, and for none; FormatError for a damaged file.
        """
        if isinstance(images, str | os.PathLike):
            raise TypeError(f"images: expected a list of arrays or paths, got {images!r}; put it "
                            "into a list")
        outputs = [self.one(image) for image in images]
        shapes = {x.shape for x in outputs}
        if len(shapes) != 1:
            raise ValueError(f"images: expected at least one, all of one size after resizing and "
                             f"cropping, got {sorted(shapes) or 'none'}")
        return np.stack(outputs)

    def one(self, image: np.ndarray | str | os.PathLike) -> np.ndarray:
        """The model's input for one image.  -> float32 (3, S, S)"""
        pixels = read_png(image) if isinstance(image, str | os.PathLike) else image
        require_image(pixels)
        if self.convert_rgb:
            pixels = to_rgb(pixels)
        elif pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"image: expected 3 channels, since {NAME} has do_convert_rgb=false, "
                             f"got {pixels.shape}")
        if self.size is not None:
            height, width = (self.size if isinstance(self.size, Square) else
                             shortest_edge(pixels.shape[0], pixels.shape[1], self.size))
            pixels = resize(pixels, height, width, self.filter)
        if self.crop is not None:
            pixels = centre_crop(pixels, *self.crop)
        table = self.table()
        return np.stack([table[c][pixels[..., c]] for c in range(3)])

    def table(self) -> np.ndarray:
        """x for each channel and each of the 256 grey levels: (3, 256) float32.

        A pixel is one byte, so a look-up in this table replaces three passes over the image.
        """
        x = np.tile(np.arange(256.0), (3, 1))
        x = (x if self.rescale is None else x * self.rescale).astype(np.float32)
        if (self.mean is None) != (self.std is None):
            raise ValueError(f"mean, std: expected both or neither, got {self.mean} and "
                             f"{self.std}")
        if self.mean is not None and self.std is not None:
            x = (x - as_column(self.mean)) / as_column(self.std)
        return x

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "ImageProcessor":
        """Read preprocessor_config.json.  FormatError for a field that is unknown or not honoured.

        A field that is missing has the value of CLIPImageProcessor's class.
        """
        return parse(Fields.read(os.path.join(folder, NAME)))

    def save(self, folder: str | os.PathLike) -> None:
        """Write preprocessor_config.json.  Raises ValueError for a filter without a number."""
        write_json(os.path.join(folder, NAME), self.fields())

    def fields(self) -> dict[str, Any]:
        """The content of preprocessor_config.json."""
        size = {} if self.size is None else {"size": (
            self.size._asdict() if isinstance(self.size, Square) else {"shortest_edge": self.size})}
        crop = {} if self.crop is None else {"crop_size": self.crop._asdict()}
        number = next((number for number, f in FILTERS.items() if f is self.filter), None)
        if number is None:
            raise ValueError(f"filter: expected bilinear or bicubic, got {self.filter}")
        return {"image_processor_type": KINDS[0], "do_convert_rgb": self.convert_rgb,
                "do_resize": self.size is not None, **size, "resample": number,
                "do_center_crop": self.crop is not None, **crop,
                "do_rescale": self.rescale is not None, "rescale_factor": self.rescale or 1 / 255,
                "do_normalize": self.mean is not None, "image_mean": [*(self.mean or CLIP_MEAN)],
                "image_std": [*(self.std or CLIP_STD)]}


def as_column(numbers: tuple[float, ...]) -> np.ndarray:
    """One number for each channel, float32 (3, 1)."""
    return np.array(numbers, np.float32)[:, None]


# ---- preprocessor_config.json --------------------------------------------------------------------

def parse(fields: Fields) -> ImageProcessor:
    """The processor that a preprocessor_config.json describes."""
    for name in ("image_processor_type", "feature_extractor_type"):
        fields.one_of(name, (*KINDS, None), None)
    for name, values in ONLY.items():
        fields.one_of(name, values, values[0])
    fields.no_others((*READ, *ONLY, *IGNORED))

    def does(step, default=True):                          # null is false, as in transformers
        return bool(fields.of(step, bool, NULL, default=default))
    return ImageProcessor(
        size=_size(fields) if does("do_resize") else None,
        crop=_crop(fields) if does("do_center_crop") else None,
        filter=FILTERS[fields.one_of("resample", [*FILTERS], 3)],
        rescale=float(fields.positive("rescale_factor", 1 / 255)) if does("do_rescale") else None,
        mean=_numbers(fields, "image_mean", CLIP_MEAN) if does("do_normalize") else None,
        std=_numbers(fields, "image_std", CLIP_STD) if does("do_normalize") else None,
        convert_rgb=does("do_convert_rgb"))


def _size(fields):
    """The field "size": a number, {"shortest_edge": S}, or {"height": H, "width": W}."""
    value = fields.values.get("size", {"shortest_edge": 224})
    if type(value) is int:
        number = fields.whole("size")
        square = fields.of("default_to_square", bool, NULL, default=False)
        return Square(number, number) if square else number
    part = fields.inside("size", {"shortest_edge": 224})
    if set(part.values) == {"shortest_edge"}:
        return part.whole("shortest_edge")
    return _square(part, 'a number, or an object with "shortest_edge" alone or with "height" and '
                         '"width"')


def _crop(fields):
    """The field "crop_size": a number, or {"height": H, "width": W}."""
    if type(fields.values.get("crop_size", {})) is int:
        return Square(fields.whole("crop_size"), fields.whole("crop_size"))
    return _square(fields.inside("crop_size", {"height": 224, "width": 224}),
                   'a number, or an object with "height" and "width"')


def _square(part, expected):
    if set(part.values) != {"height", "width"}:
        raise FormatError(part.path, f"field {part.place!r}", f"expected {expected}, found "
                                                              f"{show(dict(part.values))}")
    return Square(part.whole("height"), part.whole("width"))


def _numbers(fields, name, default):
    """Three finite numbers, one for each channel; those of image_std above 0."""
    least = 0 if name == "image_std" else -np.inf
    value = fields.get(name, list(default), "three finite numbers" + " above 0" * (least == 0),
                       lambda v: type(v) is list and len(v) == 3 and all(
                           type(x) in (int, float) and least < x < np.inf for x in v))
    return tuple(float(x) for x in value)
