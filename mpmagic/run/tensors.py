"""Tensors of torch: what their own pickling leaves out, and their memory without a copy.

It makes a new tensor of one that gradients flow through, which then ends there; it forgets the
gradient that one has; and it copies what it pickles, several times.
"""

from __future__ import annotations

import sys
from typing import Any

from mpmagic.pool import in_worker

__all__ = ["reduce_tensor"]


def reduce_tensor(obj: Any) -> Any:
    """Reduce a tensor; `NotImplemented` for everything else.

    Raises
    ------
    TypeError
        If gradients flow through it.
    """
    plain = getattr(sys.modules.get("torch"), "Tensor", None)  # none while its import is under way
    if plain is None or not issubclass(type(obj), plain):
        return NotImplemented
    if obj.grad_fn is not None:
        raise TypeError(
            "gradients flow through a tensor to what it was computed from, which would be cut off: "
            "give its `detach()`, or run `backward` in the work"
        )
    if obj.grad is not None:
        return _with_gradient, (obj.detach(), type(obj), obj.requires_grad, obj.grad)
    if type(obj) is plain and not obj.requires_grad and _is_plain(obj):
        return _of_array, (obj.numpy(),)
    return NotImplemented


def _is_plain(tensor: Any) -> bool:
    """Whether it's all of some memory that numpy can look at."""
    if tensor.device.type != "cpu" or str(tensor.layout) != "torch.strided" or vars(tensor):
        return False
    whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    return whole and not tensor.is_neg() and not tensor.is_conj() and _is_known(tensor)


def _is_known(tensor: Any) -> bool:
    """Whether numpy has numbers of its type; it hasn't those of machine learning."""
    try:
        tensor[:0].numpy() if tensor.ndim else tensor.numpy()
    except (TypeError, RuntimeError):
        return False
    return True


def _of_array(array: Any) -> Any:
    import torch

    tensor = torch.from_numpy(array)
    # The notebook's can be resized, which memory that isn't torch's can't.
    return tensor if in_worker() else tensor.clone()


def _with_gradient(tensor: Any, kind: type, requires: bool, gradient: Any) -> Any:
    import torch

    if kind is torch.Tensor:
        tensor.requires_grad_(requires)
    else:
        tensor = torch.nn.Parameter(tensor, requires)
    tensor.grad = gradient
    return tensor
