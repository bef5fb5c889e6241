"""`lift`: one function of one instance, several speeds."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap
from jax.extend.core import jaxpr_as_fun

from . import build, c, pallas
from .program import Program, Unsupported
from .trace import trace

Backend = Literal["auto", "jnp", "c", "pallas"]
Speed = Literal["jnp", "c", "pallas"]
FoundT = TypeVar("FoundT")


def lift(
    function: Callable[..., Any], *, name: str, backend: Backend = "auto", contract: bool = False
) -> "Lifted":
    """`function`, so that any nesting of `vmap` around it runs as one kernel over the batch.

    function: of one instance. Arguments and results are pytrees of small arrays of bool, integers
    of up to 32 bits or float32; inside, scalar arithmetic, `select`s, whole-array loops
    (`while_loop`, `fori_loop`, `scan`) and what moves elements to places known in advance. It
    closes over constants only. The result is called in the same way, under `jit`, `scan`, `vmap`
    and `shard_map`. It cannot be differentiated.

    name: of the kernel, for people and profilers: letters, digits and underscores.

    backend: "c" is a vector kernel for CPUs, generated, compiled by gcc when first traced (seconds)
    and kept in the user's cache folder or $SIMLIFT_CACHE; "pallas" is a Pallas (Triton) kernel for
    NVIDIA GPUs; "jnp" is `function` as it stands. "auto" takes the kernel of the platform that the
    program is lowered for, and "jnp" wherever there is none: other platforms, no gcc, float64, a
    primitive without a kernel, a CPU beside an accelerator that is JAX's default.

    contract: whether the C kernel may add products that were not rounded before, as XLA does on
    every platform. Without, each operation is rounded by itself, so the result does not depend on
    the processor.

    Raises ValueError for a name or a backend that is none; the call raises it where `function`
    closes over what is being traced. Where a backend is named and there is no such kernel, the call
    raises `Unsupported`, which says why.
    """
    if not re.fullmatch(r"\w+", name, re.ASCII):
        raise ValueError(f"name={name!r} is no identifier: use letters, digits and underscores")
    if backend not in get_args(Backend):
        raise ValueError(f"backend={backend!r}: choose one of {get_args(Backend)}")
    return Lifted(function, name, backend, contract)


class Lifted:
    """What `lift` returns: called as the function is."""

    def __init__(
        self, function: Callable[..., Any], name: str, backend: Backend, contract: bool
    ) -> None:
        self.function, self.name, self.backend, self.contract = function, name, backend, contract
        self._kernels: dict[Any, _Kernel] = {}

    def __call__(self, *args: Any) -> Any:
        leaves, tree = jax.tree.flatten(args)
        arrays = [jnp.asarray(leaf) for leaf in leaves]
        kernel = self._kernel(tree, arrays)
        speeds = {platform: kernel.speed(self.backend, platform) for platform in PLATFORMS}
        results = _batched(kernel, speeds)(*(jnp.expand_dims(array, 0) for array in arrays))
        return jax.tree.unflatten(kernel.out_tree, [jnp.squeeze(result, 0) for result in results])

    def speed(self, *args: Any, platform: str | None = None) -> Speed:
        """Which of "jnp", "c" and "pallas" such a call runs as.

        args: arrays, or their `jax.ShapeDtypeStruct`s, of one instance. platform: "cpu", "cuda" or
        another; JAX's default if not given. Raises Unsupported as the call does.
        """
        platform = platform or jax.default_backend()
        leaves, tree = jax.tree.flatten(args)
        return self._kernel(tree, leaves).speed(
            self.backend, "cuda" if platform == "gpu" else platform
        )

    def c_source(self, *args: Any) -> str:
        """The C kernel for such arguments, to look at. Raises Unsupported where there is none."""
        leaves, tree = jax.tree.flatten(args)
        return c.generate(trace(self._kernel(tree, leaves).jaxpr))

    def _kernel(self, tree: Any, leaves: Sequence[Any]) -> "_Kernel":
        shapes = [jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)) for x in leaves]
        key = (tree, *((x.shape, x.dtype) for x in shapes), jnp.result_type(float))
        if key not in self._kernels:
            closed, out = jax.make_jaxpr(self.function, return_shape=True)(
                *jax.tree.unflatten(tree, shapes)
            )
            if any(isinstance(const, jax.core.Tracer) for const in closed.consts):
                raise ValueError(
                    f"{self.name} closes over a traced value: hand it over as an argument instead"
                )
            tree = jax.tree.structure(out)
            self._kernels[key] = _Kernel(self.name, closed, tree, self.contract)
        return self._kernels[key]


PLATFORMS = ("cpu", "cuda", "default")


class _Kernel:
    """A function for arguments of certain shapes and dtypes, at every speed there is."""

    def __init__(self, name: str, jaxpr: Any, out_tree: Any, contract: bool) -> None:
        self.name, self.jaxpr, self.out_tree, self.contract = name, jaxpr, out_tree, contract
        # Each is a jit, so that to trace a batch of the same size again costs nothing.
        self.run: dict[Speed, Callable[..., list[Array]]] = {
            "jnp": jax.jit(self._run_jnp),
            "c": jax.jit(self._run_c),
            "pallas": jax.jit(self._run_pallas),
        }

    def speed(self, backend: Backend, platform: str) -> Speed:
        """What to run on a platform. Raises Unsupported where what is named cannot be."""
        if backend == "c":
            self._require(self.target)
        if backend == "pallas":
            self._require(self.on_gpu)
        if backend != "auto":
            return backend
        if platform == "cpu" and jax.default_backend() == "cpu":
            return "jnp" if isinstance(self.target, Unsupported) else "c"
        if platform == "cuda":
            return "jnp" if isinstance(self.on_gpu, Unsupported) else "pallas"
        return "jnp"

    @functools.cached_property
    def program(self) -> Program | Unsupported:
        try:
            return trace(self.jaxpr)
        except Unsupported as error:
            return error

    @functools.cached_property
    def target(self) -> str | Unsupported:
        """The FFI target of the compiled C kernel."""
        try:
            source = c.generate(self._require(self.program))
            return build.register(self.name, source, self.contract)
        except Unsupported as error:
            return error

    @functools.cached_property
    def on_gpu(self) -> Program | Unsupported:
        """The program, if Pallas has a rule for all of it."""
        try:
            pallas.check(self._require(self.program))
        except Unsupported as error:
            return error
        return self.program

    @staticmethod
    def _require(found: FoundT | Unsupported) -> FoundT:
        if isinstance(found, Unsupported):
            raise found
        return found

    def _run_jnp(self, *rows: Array) -> list[Array]:
        function = jaxpr_as_fun(self.jaxpr)
        size = _num_instances(rows)
        if size == 1:
            results = [jnp.expand_dims(x, 0) for x in function(*(jnp.squeeze(x, 0) for x in rows))]
        else:
            axes = [None if row.shape[0] == 1 else 0 for row in rows]
            shared = [jnp.squeeze(x, 0) if x.shape[0] == 1 else x for x in rows]
            results = jax.vmap(function, in_axes=axes)(*shared)
        return [_strong(x) for x in results]

    def _run_c(self, *rows: Array) -> list[Array]:
        shapes = self._result_shapes(_num_instances(rows))
        return list(jax.ffi.ffi_call(self._require(self.target), shapes)(*rows))

    def _run_pallas(self, *rows: Array) -> list[Array]:
        return pallas.run(self._require(self.program), rows, _num_instances(rows), self.name)

    def _result_shapes(self, size: int) -> list[jax.ShapeDtypeStruct]:
        return [jax.ShapeDtypeStruct((size, *x.shape), x.dtype) for x in self.jaxpr.out_avals]


def _batched(kernel: _Kernel, speeds: dict[str, Speed]) -> Callable[..., list[Array]]:
    """The kernel for arrays [B, ...], or [1, ...] for what all instances share.

    `vmap` makes one such call out of it again, however deeply it is nested.
    """

    @custom_vmap
    def call(*rows: Array) -> list[Array]:
        if len(set(speeds.values())) == 1:
            return kernel.run[speeds["default"]](*rows)
        ways = {platform: kernel.run[speed] for platform, speed in speeds.items()}
        return jax.lax.platform_dependent(*rows, **ways)

    @call.def_vmap
    def call_again(size: int, batched: Sequence[bool], *rows: Array) -> Any:
        inner = max(row.shape[1 if b else 0] for row, b in zip(rows, batched, strict=True))
        merged = []
        for row, is_batched in zip(rows, batched, strict=True):
            if not is_batched and row.shape[0] == 1:
                merged.append(row)
                continue
            stacked = row if is_batched else jnp.expand_dims(row, 0)
            shape = stacked.shape[2:]
            merged.append(
                jnp.broadcast_to(stacked, (size, inner, *shape)).reshape(size * inner, *shape)
            )
        results = call(*merged)
        split = [result.reshape(size, inner, *result.shape[1:]) for result in results]
        return split, [True] * len(split)

    return call


def _num_instances(rows: Sequence[Array]) -> int:
    return max((row.shape[0] for row in rows), default=1)


def _strong(array: Array) -> Array:
    """The same, its dtype no longer weak: all speeds return the same type."""
    return jax.lax.convert_element_type(array, array.dtype)
