"""The numbers of the compiled half_cheetah.xml as a Python module, every digit of them.

    python -m simlift.references.half_cheetah.model envs/half_cheetah/tables.py

writes the module there, and to standard output without a path.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .physics import MUJOCO_VERSION, compiled_model

WIDTH = 100  # columns
FIELDS: Mapping[str, str] = {
    "body_parentid": "[8] of each body, the body that it hangs on",
    "body_mass": "[8] kg",
    "body_inertia": "[8, 3] kg m^2, about the axes of body_iquat at body_ipos",
    "body_pos": "[8, 3] m, in the parent's axes",
    "body_ipos": "[8, 3] m, the centre of mass in the body's axes",
    "body_iquat": "[8, 4] of the axes of inertia in the body's axes, w first",
    "body_invweight0": "[8, 2] 1/kg and 1/(kg m^2), of a push and a turn at qpos = 0",
    "jnt_range": "[9, 2] m or rad, low and high; the root's joints have no limits",
    "jnt_stiffness": "[9] N m/rad",
    "jnt_solref": "[9, 2] of the limits: time constant s, damping ratio",
    "jnt_solimp": "[9, 5] of the limits: dmin, dmax, width rad, midpoint, power",
    "dof_armature": "[9] kg m^2",
    "dof_damping": "[9] N m s/rad",
    "dof_invweight0": "[9] 1/kg or 1/(kg m^2), at qpos = 0",
    "actuator_gear": "[6, 6] N m for a control of 1, first column",
    "actuator_ctrlrange": "[6, 2] the controls are clamped to it",
    "geom_bodyid": "[9] the body of each geom",
    "geom_pos": "[9, 3] m, in the body's axes",
    "geom_quat": "[9, 4] in the body's axes, w first; a capsule lies along its z axis",
    "geom_size": "[9, 3] m, of a capsule its radius and half-length",
    "geom_friction": "[9, 3] sliding, torsional, rolling",
    "geom_solref": "[9, 2] of contacts: time constant s, damping ratio",
    "geom_solimp": "[9, 5] of contacts: dmin, dmax, width m, midpoint, power",
    "opt.gravity": "[3] m/s^2",
    "opt.timestep": "[] s",
}
"""MjModel's arrays that the dynamics read: shape, unit, meaning."""

HEADER = f'''"""What MuJoCo {MUJOCO_VERSION} makes of Gymnasium's half_cheetah.xml.

Names are MjModel's. Bodies: world, torso, then thigh, shin and foot of the back leg, and of the
front leg. Joints: x, z and pitch of the torso, then one a body. Geoms: floor, torso, head, then one
a body. Actuators: one for each joint but the torso's.
Written by `python -m simlift.references.half_cheetah.model`.
"""
'''


def table(model: Any) -> str:
    """The text of the module, formatted. model: an MjModel."""
    blocks = [HEADER]
    for field, meaning in FIELDS.items():
        owner, _, name = field.rpartition(".")
        value = getattr(getattr(model, owner) if owner else model, name)
        listed = value if isinstance(value, float) else value.tolist()
        blocks.append(f'{_assignment(name.upper(), listed)}\n"""{meaning}"""\n')
    return "\n".join(blocks)


def _assignment(name: str, value: Any) -> str:
    line = f"{name} = {_literal(value)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name} = (", *(f"    {_literal(item)}," for item in value), ")"])


def _literal(value: Any) -> str:
    return f"({', '.join(map(_literal, value))})" if isinstance(value, list) else repr(value)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Write the numbers of the compiled half_cheetah.xml as a Python module."
    )
    parser.add_argument("path", nargs="?", type=Path, help="standard output, by default")
    path = parser.parse_args(arguments).path
    text = table(compiled_model())
    if path is None:
        sys.stdout.write(text)
    else:
        path.write_text(text)


if __name__ == "__main__":
    main()
