"""Parameters: named views on one flat buffer, each declared with its shape and initial values.

Shapes    flat (P,): the numbers of all trainable tensors, one after the other; a linear layer's
          weight is (O, I), O outputs and I inputs
Read next nn/layers.py (which reads parameters by name), nn/optim.py (which updates flat)

A model's trainable parameters are one array, and each name is a view on a part of it.  Gradients
are a second buffer with the same names.  So an optimiser's step, clipping and zeroing are
operations on one array, the gradients of two workers are added in one operation, and the gradient
of a whole model is checked along one random direction (nn/gradcheck.py).

A frozen tensor is an array outside flat.  So it has no gradient, no moments in the optimiser and no
copy in a training checkpoint; a model with few trainable tensors needs little memory for these.
"""
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

# ---- declarations --------------------------------------------------------------------------------

@dataclass(frozen=True)
class Normal:
    """Initial values drawn from N(0, std²)."""

    std: float

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw an array of this shape, float64."""
        return self.std * rng.standard_normal(shape)


@dataclass(frozen=True)
class Uniform:
    """Initial values drawn from U(−bound, bound)."""

    bound: float

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw an array of this shape, float64."""
        return rng.uniform(-self.bound, self.bound, shape)


@dataclass(frozen=True)
class Constant:
    """Initial values that all equal one number."""

    value: float

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return an array of this shape, float64."""
        return np.full(shape, self.value)


ZEROS, ONES = Constant(0.0), Constant(1.0)
Init = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]     # (rng, shape) -> array


class Tensor(NamedTuple):
    """The declaration of one parameter."""

    shape: tuple[int, ...]
    init: Init = ZEROS             # init(rng, shape) -> its initial values
    decay: bool = False            # whether weight decay applies to it
    stream: str = ""               # name of init's random stream; "": the name of the tensor


Tensors = Mapping[str, Tensor]     # {name: Tensor} of a layer or a whole model


def linear_tensors(name: str, O: int, I: int, init: Init, bias: bool = True) -> dict[str, Tensor]:
    """The tensors of y = x Wᵀ + b: name.weight (O, I), and name.bias (O,) if bias is True.

    Weight decay applies to the weight only; the bias starts at zeros.
    """
    biases = {f"{name}.bias": Tensor((O,))} if bias else {}
    return {f"{name}.weight": Tensor((O, I), init, decay=True), **biases}


def norm_tensors(name: str, D: int, bias: bool = True) -> dict[str, Tensor]:
    """The tensors of a norm: name.weight (D,), ones; with bias, name.bias (D,), zeros; no decay."""
    biases = {f"{name}.bias": Tensor((D,))} if bias else {}
    return {f"{name}.weight": Tensor((D,), ONES), **biases}


def embedding_tensors(name: str, V: int, D: int, init: Init) -> dict[str, Tensor]:
    """The tensor of a table of V rows: name.weight (V, D), with weight decay."""
    return {f"{name}.weight": Tensor((V, D), init, decay=True)}


# ---- the buffer ----------------------------------------------------------------------------------

class Params(dict):
    """{name: array}.  Trainable tensors are views on `flat`, written in place, never replaced."""

    def __init__(self, tensors: Mapping[str, Tensor | tuple[int, ...]],
                 dtype: DTypeLike = np.float32,
                 frozen: Mapping[str, np.ndarray] | None = None) -> None:
        """Start with zeros, all trainable, except the arrays of `frozen`.

        tensors: {name: Tensor}, in the order of flat; a shape alone means Tensor(shape).
        frozen: {name: values} of some of these tensors; the values are not copied.
        """
        super().__init__()
        self.tensors = {name: tensor if isinstance(tensor, Tensor) else Tensor(tuple(tensor))
                        for name, tensor in tensors.items()}
        frozen = dict(frozen or {})
        self.frozen = tuple(name for name in self.tensors if name in frozen)
        sizes = {name: int(np.prod(tensor.shape)) for name, tensor in self.tensors.items()
                 if name not in frozen}
        self.flat, start = np.zeros(sum(sizes.values()), dtype), 0
        for name, tensor in self.tensors.items():
            if name in frozen:
                view = frozen[name].view()
                view.flags.writeable = False
            else:
                view = self.flat[start:start + sizes[name]].reshape(tensor.shape)
                start += sizes[name]
            super().__setitem__(name, view)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """{name: shape}, including frozen tensors."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    def __setitem__(self, name: str, value: np.ndarray) -> None:
        """Allow p[name] += dy, which writes into flat; refuse to replace the view."""
        if value is not self[name]:
            raise TypeError(f"p[{name!r}] is a view on p.flat and cannot be replaced; "
                            f"write into it: p[{name!r}][...] = value")

    def __reduce__(self) -> tuple:
        """Let copy.deepcopy and pickle make new views on a copy of flat."""
        return _restored, (self.tensors, self.flat, {name: self[name] for name in self.frozen})

    def trainable_views(self) -> dict[str, np.ndarray]:
        """{name: view on flat} of the tensors that are not frozen, in the order of flat."""
        return {name: view for name, view in self.items() if name not in self.frozen}

    def like(self) -> "Params":
        """New zeros with the names and shapes of the trainable tensors, to add gradients to."""
        return Params({name: tensor for name, tensor in self.tensors.items()
                       if name not in self.frozen}, self.flat.dtype)

    def copy(self, dtype: DTypeLike | None = None) -> "Params":
        """Copy the numbers to a new buffer of type dtype, by default the same type.

        Frozen arrays are read-only, so both Params share them unless the type changes.
        """
        dtype = np.dtype(dtype or self.flat.dtype)
        other = Params(self.tensors, dtype, {name: self[name].astype(dtype, copy=False)
                                             for name in self.frozen})
        other.flat[:] = self.flat
        return other

    # ---- subsets

    def only(self, names: Iterable[str]) -> "Params":
        """Return new Params of these tensors alone, in the order of self.

        Trainable tensors are copied to a new buffer; frozen tensors are shared.  Raises KeyError
        for an unknown name.
        """
        names = self._known(names)
        return self._with({name: tensor for name, tensor in self.tensors.items() if name in names},
                          set(self.frozen) & names)

    def freeze(self, names: Iterable[str]) -> "Params":
        """Return new Params of the same tensors, in which these are frozen too.

        Trainable tensors are copied to a new buffer.  Frozen tensors are not copied; in the result
        they are read-only.  Raises KeyError for an unknown name.
        """
        return self._with(self.tensors, set(self.frozen) | self._known(names))

    def trainable(self, names: Iterable[str]) -> "Params":
        """Return freeze() of all other names: only these tensors are trainable."""
        return self._with(self.tensors, set(self) - self._known(names))

    def _known(self, names):
        names = set(names)
        if missing := sorted(names - self.keys()):
            raise KeyError(f"names: expected some of {', '.join(self)}; got {missing[0]!r}")
        return names

    def _with(self, tensors, frozen):
        other = Params(tensors, self.flat.dtype, {name: self[name] for name in frozen})
        for name, view in other.trainable_views().items():
            view[...] = self[name]
        return other


def _restored(tensors: Tensors, flat: np.ndarray, frozen: dict[str, np.ndarray]) -> Params:
    p = Params(tensors, flat.dtype, frozen)
    p.flat[:] = flat
    return p


def join(*parts: Params) -> Params:
    """Put the tensors of several Params, such as an encoder and a new head, into one, in order.

    Trainable tensors are copied; frozen tensors stay frozen.  Raises ValueError if two parts
    have a tensor of the same name.
    """
    tensors: dict[str, Tensor] = {}
    for p in parts:
        if twice := sorted(tensors.keys() & p.tensors.keys()):
            raise ValueError(f"parts: expected each name in one part, got {twice[0]!r} in two")
        tensors |= p.tensors
    whole = Params(tensors, parts[0].flat.dtype,
                   {name: p[name] for p in parts for name in p.frozen})
    for p in parts:
        for name, view in p.trainable_views().items():
            whole[name][...] = view
    return whole


def init_params(tensors: Mapping[str, Tensor | tuple[int, ...]], seed: int,
                dtype: DTypeLike = np.float32) -> Params:
    """Create parameters with the initial values that their tensors declare.

    Each tensor draws from its own random stream, which its declaration names.  So the values of a
    tensor do not change if the model gets another head, or if the tensor is renamed and its
    declaration keeps the stream.
    """
    p = Params(tensors, dtype)
    for name, (shape, init, _, stream) in p.tensors.items():
        p[name][...] = init(np.random.default_rng([seed, *(stream or name).encode()]), shape)
    return p
