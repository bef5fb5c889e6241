"""What of Gymnasium's CartPole-v1 must be reached by compared transitions."""

import functools
from collections.abc import Sequence

from ...references.gymnasium_vector import source_path
from ..coverage import CoveragePlan, Source, Waiver

_BUILDS = "runs at construction; what it sets is compared, as fields, at every step"
_DRAWS = "draws a window; no state passes through it"
_OTHER = "is no part of CartPole-v1 as the reference makes it"
CART_POLE, WRAPPERS = "cartpole.py", "common.py"

_HUMAN = "looks whether there is a window to draw"
_WAIVED = {
    'if self.render_mode == "human":': (_HUMAN, 1),
    "self.render()": (_DRAWS, 0),
}


def _waivers() -> Sequence[Waiver]:
    """By their text, for line numbers differ among the versions of gymnasium; none without one."""
    path = source_path("envs", "classic_control", CART_POLE)
    if not path.is_file():
        return ()
    step_and_reset, _, _ = path.read_text().partition("    def render(")
    return [
        Waiver(CART_POLE, number, line, *_WAIVED[line])
        for number, line in enumerate(map(str.strip, step_and_reset.splitlines()), 1)
        if line in _WAIVED
    ]


COVERAGE = CoveragePlan(
    kind="python",
    sources=[
        Source(
            name=CART_POLE,
            path=functools.partial(source_path, "envs", "classic_control", CART_POLE),
            excluded={
                "CartPoleEnv.__init__": _BUILDS,
                "CartPoleEnv.render": _DRAWS,
                "CartPoleEnv.close": _DRAWS,
                "CartPoleVectorEnv": _OTHER,
            },
        ),
        Source(
            name=WRAPPERS,
            path=functools.partial(source_path, "wrappers", WRAPPERS),
            excluded={
                "TimeLimit.__init__": _BUILDS,
                "TimeLimit.spec": "tells what was made, not what it does",
                "OrderEnforcing": "refuses steps before a reset, and changes nothing else",
                "Autoreset": _OTHER,
                "PassiveEnvChecker": _OTHER,
                "RecordEpisodeStatistics": _OTHER,
            },
        ),
    ],
    waivers=_waivers(),
)
