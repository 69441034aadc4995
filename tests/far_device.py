"""A device that is not there: tensors that lie on the CPU and say that they are elsewhere.

What mixes them with tensors of the CPU fails, as it would on a GPU, and what would make a program wait for a GPU is
noted: reading a number, or an operation whose result has a size that the data decide. Parameters must not ask for
gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

# Any device that is known to every build of torch; nothing is ever put there.
FAR = torch.device("meta")
_WAITS = ("_local_scalar_dense", "nonzero", "_unique2", "masked_select", "equal")
_INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class FarTensor(torch.Tensor):
    """A tensor of the CPU in disguise."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor):
        shape = {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        outer = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, device=FAR, **shape)
        outer.inner = inner
        return outer

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {}, [])

    def tolist(self) -> Any:
        """Values, which have to be fetched."""
        return self.inner.tolist()

    def __repr__(self) -> str:
        return f"far {self.inner}"


class Elsewhere(TorchDispatchMode):
    """While it is on, ``FAR`` is a device. ``waits`` lists what would have waited for it."""

    def __init__(self):
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {}, self.waits)


def near(tensor: torch.Tensor) -> torch.Tensor:
    """The values."""
    return tensor.inner if isinstance(tensor, FarTensor) else tensor


def _run(func, args, kwargs, waits: list[str]):
    name = func.__name__.split(".")[0]
    tensors = [part for part in tree_flatten((args, kwargs))[0] if isinstance(part, torch.Tensor)]
    far = [part for part in tensors if isinstance(part, FarTensor)]
    mixed = far and any(part.dim() and not isinstance(part, FarTensor) for part in tensors)
    asked = None if kwargs.get("device") is None else torch.device(kwargs["device"])
    if mixed and name not in ("copy_", "_to_copy"):
        raise RuntimeError(f"{name} is given tensors of two devices")
    if kwargs.get("generator") is not None and (far or asked == FAR):
        raise RuntimeError(f"{name} draws from a generator of another device")
    leaves = asked not in (None, FAR) or (name == "copy_" and not isinstance(args[0], FarTensor))
    by_mask = name in _INDEXING and any(part is not None and part.dtype == torch.bool for part in args[1])
    unsized = name == "repeat_interleave" and kwargs.get("output_size") is None
    if far and (name in _WAITS or leaves or by_mask or unsized):
        waits.append(name)
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    out = func(*tree_map(_value, args), **tree_map(_value, kwargs))
    if name == "copy_":
        return args[0]
    if not (far or asked == FAR) or leaves:
        return out
    # What an operation in place returns is its argument.
    own = {id(part.inner): part for part in far}
    return tree_map(lambda part: _outer(part, own) if isinstance(part, torch.Tensor) else part, out)


def _outer(part, own):
    return own[id(part)] if id(part) in own else FarTensor(part)


def _value(part):
    return part.inner if isinstance(part, FarTensor) else part
