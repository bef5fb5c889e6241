"""What of pong.h must be reached by compared transitions, and what of the game was used."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...references.pong import VectorPong
from ...references.pong.reference import header_path
from ..coverage import CoveragePlan, Source, Waiver
from ..record import Recording
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


# -- content

_SCORES = range(21)  # those that a default game can show between two steps


def content(recording: Recording) -> Mapping[str, Mapping[str, int]]:
    """What of the game was used, as it shows between steps: with frames skipped, what happens and
    is undone within one step does not show."""
    before = {name: value[:-1] for name, value in recording.snapshots.items()}
    after = {name: value[1:] for name, value in recording.snapshots.items()}
    point, ended = np.abs(recording.outcome.reward) > 0.5, recording.outcome.terminated
    turned = ~point & (np.sign(after["ball_vx"]) != np.sign(before["ball_vx"]))
    leftwards = after["ball_vx"] < 0
    direction, coin = after["paddle_dir"], recording.draws.value[..., 0] % 2
    drawn = recording.draws.count > 0
    return {
        "paddle": {
            "full speed down": int((direction == -1).sum()),
            "slower down": int(((direction < 0) & (direction > -1)).sum()),
            "still": int((direction == 0).sum()),
            "slower up": int(((direction > 0) & (direction < 1)).sum()),
            "full speed up": int((direction == 1).sum()),
        },
        "serve": {str(side): int((drawn & (coin == side)).sum()) for side in (0, 1)},
        "hit": {
            "agent": int((turned & leftwards).sum()),
            "opponent": int((turned & ~leftwards).sum()),
        },
        "ball beyond a wall": {
            "low": int((after["ball_y"] < 0).sum()),
            "high": int((after["ball_y"] + after["ball_height"] > after["height"]).sum()),
        },
        "point": {
            "agent": int((recording.outcome.reward == 1).sum()),
            "opponent": int((recording.outcome.reward == -1).sum()),
        },
        "game": {
            "won": int((ended & (after["log_score"] > 0)).sum()),
            "lost": int((ended & (after["log_score"] < 0)).sum()),
        },
        "agent's score": {str(n): int((after["score_r"] == n).sum()) for n in _SCORES},
        "opponent's score": {str(n): int((after["score_l"] == n).sum()) for n in _SCORES},
    }
