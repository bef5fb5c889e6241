"""Arrays to torch and back, by DLPack."""

import jax
import jax.numpy as jnp
import torch
from jax import Array
from torch.utils.dlpack import from_dlpack


def to_torch(array: Array) -> torch.Tensor:
    return from_dlpack(array)


def from_torch(tensor: torch.Tensor) -> Array:
    if tensor.element_size() == 8 and not jax.config.read("jax_enable_x64"):
        raise ValueError(
            f"a tensor of {tensor.dtype} does not fit JAX's 32 bits; "
            "convert it with .int() or .float(), or set jax_enable_x64"
        )
    return jnp.from_dlpack(tensor.detach().contiguous())
