"""Mutants of the cheetah that change nothing, each with the argument."""

from ..suite import Equivalent

_UNREAD = "the torso's entry, or one too many, which nobody reads"
_SHORTCUT = "a shortcut for points with z = 0 that is never taken: the other terms are zeros"
_MEETS = "both sides of the bend are 1/2 at a depth of 1/2"
_ROUNDED = "1e30 has no neighbours at a distance of 1: the same number"
_SIGN = "1 or -1, which a narrower float holds"
_ONLY_SIGN = "of the distance to a limit only the sign is read once its row is made"
_MIDDLE = "only in the middle of a range, where neither of its limits pushes"
_LIKE = "any of the nine has the same shape and dtype, which is all that is asked for"
_FLOOR = "a row of residual 0 pushes with nothing: the minimum is the same with it and without"
_WARM = (
    "the accelerations of a reset are zeros, and else where the solver starts, not where it ends"
)
_FILLED = "every entry is written before it is read"
_FALSE = "false already: the cheetah never terminates"
_SINGLE = "actions are float32 numbers"

EQUIVALENT = (
    Equivalent("planar", "_rotate", "0 -> 1", _SHORTCUT),
    Equivalent("planar", "_rotate", "0 -> -1", _SHORTCUT),
    Equivalent("planar", "kinematics", "0.0 -> 1.0", _UNREAD, 2),
    Equivalent("planar", "kinematics", "0.0 -> -1.0", _UNREAD, 2),
    Equivalent("planar", "joint_torques", "0.0 -> 1.0", _UNREAD),
    Equivalent("planar", "joint_torques", "0.0 -> -1.0", _UNREAD),
    Equivalent("contact", "impedance", "depth <= 0.5 -> depth < 0.5", _MEETS),
    Equivalent("contact", "contacts", "NEVER -> -1e+30", _ROUNDED),
    Equivalent("contact", "limits", "NEVER -> -1e+30", _ROUNDED),
    Equivalent("contact", "limits", "above < below -> above <= below", _MIDDLE),
    Equivalent("contact", "limits", "side=side -> side=narrowed(side)", _SIGN),
    Equivalent("contact", "limits", "dist=dist -> dist=narrowed(dist)", _ONLY_SIGN),
    Equivalent("contact", "add_active_rows", "NUM_LINKS -> 8", _UNREAD),
    Equivalent("contact", "_add_limits", "0.0 -> 1.0", _UNREAD),
    Equivalent("contact", "_add_limits", "0.0 -> -1.0", _UNREAD),
    Equivalent("solver", "factor", "0.0 -> 1.0", _FILLED),
    Equivalent("solver", "factor", "0.0 -> -1.0", _FILLED),
    Equivalent("solver", "constrained_acceleration", "0 -> 1", _LIKE, 3),
    Equivalent("solver", "constrained_acceleration", "0 -> -1", _LIKE, 3),
    Equivalent("solver", "constrained_acceleration.active_rows", "row < 0 -> row <= 0", _FLOOR),
    Equivalent("dynamics", "damped", "0.0 -> 1.0", _UNREAD),
    Equivalent("dynamics", "damped", "0.0 -> -1.0", _UNREAD),
    Equivalent(
        "dynamics",
        "_reset_where",
        "qacc=_where(bad, zeros, body.qacc) -> qacc=narrowed(_where(bad, zeros, body.qacc))",
        _WARM,
    ),
    Equivalent("dynamics", "steps", "0 -> 1", _LIKE),
    Equivalent("dynamics", "steps", "0 -> -1", _LIKE),
    Equivalent(
        "env",
        "transition",
        "action.astype(state.qpos.dtype) -> narrowed(action.astype(state.qpos.dtype), action)",
        _SINGLE,
    ),
    Equivalent(
        "env",
        "transition",
        "terminated=jnp.zeros((), bool) -> terminated=never(jnp.zeros((), bool))",
        _FALSE,
    ),
)
