"""Parameters: named views on one flat buffer.

Shapes    flat (P,): all numbers of a model, one tensor after the other; weights are (out, in), and
          names are those of the original's checkpoint
Read next nn/layers.py (who uses them), nn/optim.py (what happens to flat)

A model's parameters are one array, and each name is a window on it.  Gradients are a second buffer
with the same names.  So an optimiser's step, clipping and setting to zero are a line over `flat`,
the gradients of two workers are added in one sum, and a whole model is checked along one random
direction.
"""
import re
from collections.abc import Iterable, Mapping

import numpy as np


class Params(dict):
    """{name: view}, backed by `flat`.  Views are written in place and never replaced."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: type = np.float32) -> None:
        """All zero.  shapes: {name: shape}, in the order that they have in flat."""
        super().__init__()
        self.shapes = dict(shapes)
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        self.flat = np.zeros(sum(sizes), dtype)
        ends = np.cumsum(sizes)
        for (name, shape), size, end in zip(self.shapes.items(), sizes, ends):
            super().__setitem__(name, self.flat[end - size:end].reshape(shape))

    def __setitem__(self, name: str, value: np.ndarray) -> None:
        """p[name] += dy writes through the view; another array would leave flat behind."""
        if value is not self[name]:
            raise TypeError(f"p[{name!r}] is a view on p.flat and is not replaced: write into it, "
                            f"p[{name!r}][...] = value")

    def like(self) -> "Params":
        """A buffer of zeros with the same names: the gradients."""
        return Params(self.shapes, self.flat.dtype)

    def copy(self, dtype: type | None = None) -> "Params":
        """The same numbers in a buffer of their own, in float64 for instance."""
        other = Params(self.shapes, dtype or self.flat.dtype)
        other.flat[:] = self.flat
        return other

    def only(self, names: Iterable[str]) -> "Params":
        """The tensors of these names in a buffer of their own, in the order of self.

        Raises KeyError for a name that is not there.
        """
        names = set(names)
        if missing := sorted(names - self.keys()):
            raise KeyError(f"no tensor {missing[0]!r}; there are {', '.join(self)}")
        other = Params({name: shape for name, shape in self.shapes.items() if name in names},
                       self.flat.dtype)
        for name in other:
            other[name][...] = self[name]
        return other


def initial(shapes: Mapping[str, tuple[int, ...]], seed: int, dtype: type = np.float32,
            std: float = 0.02) -> Params:
    """BERT's first parameters: weights N(0, std), the weights of norms 1, biases 0.

    Each tensor draws from a stream of its own, named by it: a head more changes no other tensor.
    BERT's code draws again what lies beyond two deviations (a truncated normal); transformers does
    not, and neither does this.
    """
    p = Params(shapes, dtype)
    for name, view in p.items():
        if is_norm(name) and name.endswith("weight"):
            view[...] = 1
        elif view.ndim > 1:
            rng = np.random.default_rng([seed, *name.encode()])
            view[...] = std * rng.standard_normal(view.shape)
    return p


def is_norm(name: str) -> bool:
    """A tensor of a layer norm?  As BERT, GPT-2, Mistral, CLIP ("layrnorm") and ViT name them."""
    return re.search(r"LayerNorm|layer_?norm|layrnorm|\bln_\w+|\bnorm\d*\b", name) is not None


def decays(name: str) -> bool:
    """May weight decay shrink it?  Not biases, and not norms, whose weights belong near 1."""
    return not is_norm(name) and not name.endswith("bias")
