"""What of pong.h must be reached by compared transitions, and what of the game was used."""

from collections.abc import Sequence

from ...references.pong import VectorPong
from ...references.pong.reference import header_path
from ..coverage import CoveragePlan, Source, Waiver
from ..suite import Variant

_DRAWS = "draws a window; no state passes through it"
_MEMORY = "allocates or frees buffers; here they are NumPy's"
EXCLUDED = {
    "init": "runs at construction; what it computes is compared, as fields, at every step",
    "allocate": _MEMORY,
    "free_allocated": _MEMORY,
    "c_close": "is empty",
    "make_client": _DRAWS,
    "close_client": _DRAWS,
    "c_render": _DRAWS,
}
WAIVERS = [
    Waiver(
        "pong.h",
        137,
        "} else if (act == 2.0) { // down",
        "false only for an action that is none of 0, 1 and 2, which upstream's action space does "
        "not hold and the reference refuses",
    ),
]


def _build(variant: Variant, num_envs: int, flags: Sequence[str]) -> VectorPong:
    return VectorPong(num_envs, flags=flags, **variant.config, **variant.parameters)


COVERAGE = CoveragePlan(
    kind="gcov",
    sources=[Source(name="pong.h", path=header_path, excluded=EXCLUDED)],
    waivers=WAIVERS,
    build=_build,
    force=True,
)
