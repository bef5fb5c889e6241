"""MuJoCo's states of the cheetah, and what it computes of one, in arrays of fixed shape.

`B` states; a state is all that `mj_step` starts from. Rows of constraints come in slots: of each
sphere in turn the four edges of its friction pyramid, then the limits of the six joints. Spheres
are the ends of the capsules, in the order of the geoms, the end at +half-length along the geom's
axis first. Edges are normal + mu x, normal - mu x, and two, equal in the plane, normal +- mu y:
MuJoCo turns the pyramid along the capsule, so that its own order of the first two varies.
"""

import contextlib
import importlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import ReferenceUnavailable
from ..gymnasium_vector import RANGE, check_gymnasium, installed_version, source_path

NAME = "gymnasium-half-cheetah"
MUJOCO_VERSION = "3.17.0"
REMEDY = f"pip install 'simlift[mujoco]', or '{RANGE}' 'mujoco=={MUJOCO_VERSION}' imageio packaging"

NUM_JOINTS, NUM_MOTORS = 9, 6
STATE = {
    "time": "mjSTATE_TIME",  # seconds, []
    "qpos": "mjSTATE_QPOS",  # [9]
    "qvel": "mjSTATE_QVEL",  # [9]
    "qacc_warmstart": "mjSTATE_WARMSTART",  # [9] where the solver starts
    "ctrl": "mjSTATE_CTRL",  # [6] the last action, 0 after a reset
}
"""What MuJoCo keeps from step to step, by its own names, float64."""

NUM_CAPSULES, FIRST_CAPSULE = 8, 1  # geom 0 is the floor
NUM_SPHERES = 2 * NUM_CAPSULES
NUM_EDGES = 4
FIRST_LIMITED, NUM_LIMITS = 3, 6  # joints 0..2 are the root's
NUM_ROWS = NUM_SPHERES * NUM_EDGES + NUM_LIMITS
MODULES: Mapping[str, tuple[int, ...]] = {
    "mass_matrix": (NUM_JOINTS, NUM_JOINTS),
    "qfrc_bias": (NUM_JOINTS,),
    "contact_dist": (NUM_SPHERES,),
    "efc_aref": (NUM_ROWS,),
    "efc_D": (NUM_ROWS,),
    "efc_force": (NUM_ROWS,),
    "qfrc_constraint": (NUM_JOINTS,),
    "qacc": (NUM_JOINTS,),
}
"""What MuJoCo computes of a state: shapes, float64. Contacts and rows that are not there are 0."""

_EXPECTED = r"settotalmass.*deprecated|The simulation is unstable"
"""MuJoCo 3.17 calls one attribute of half_cheetah.xml deprecated, and says so when it starts anew
from a state that is not finite, which is part of its mechanics."""


def installed() -> str | None:
    """The versions on this machine; None where one of the two is missing."""
    versions = {package: installed_version(package) for package in ("gymnasium", "mujoco")}
    if None in versions.values():
        return None
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def load_mujoco() -> Any:
    """The module `mujoco`. Raises ReferenceUnavailable where it, what Gymnasium's environments
    need besides, or the version that was read, is not installed."""
    check_gymnasium(NAME, REMEDY)
    version = installed_version("mujoco")
    if version is None:
        raise ReferenceUnavailable(f"{NAME} needs mujoco {MUJOCO_VERSION}: {REMEDY}")
    if version != MUJOCO_VERSION:
        raise ReferenceUnavailable(
            f"{NAME} is held to mujoco {MUJOCO_VERSION}, and {version} is installed: {REMEDY}"
        )
    try:
        importlib.import_module("gymnasium.envs.mujoco.mujoco_rendering")
        return importlib.import_module("mujoco")
    except ImportError as error:
        raise ReferenceUnavailable(f"{NAME}: {error}: {REMEDY}") from error


@contextlib.contextmanager
def expected_warnings() -> Iterator[None]:
    """MuJoCo's warnings that are meant here go nowhere, where they would be printed and written to
    a file in the working folder; others become Python's."""
    mujoco, heard = importlib.import_module("mujoco"), list[str]()
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(heard.append)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)
    for text in heard:
        if not re.search(_EXPECTED, text):
            warnings.warn(f"MuJoCo: {text}", stacklevel=3)


def compiled_model() -> Any:
    """The MjModel of Gymnasium's half_cheetah.xml, as every HalfCheetah-v5 compiles it."""
    mujoco = load_mujoco()
    path = source_path("envs", "mujoco", "assets", "half_cheetah.xml")
    with expected_warnings():
        return mujoco.MjModel.from_xml_path(str(path))


class Physics:
    """Reads and writes MuJoCo's states, and computes on one of its own what each leads to."""

    def __init__(self, model: Any) -> None:
        self._mujoco, self.model = load_mujoco(), model
        kinds = {name: int(getattr(self._mujoco.mjtState, kind)) for name, kind in STATE.items()}
        sizes = [self._mujoco.mj_stateSize(model, kind) for kind in kinds.values()]
        ends = np.cumsum(sizes)
        self._signature, self._size = sum(kinds.values()), int(ends[-1])
        self._slices = {
            name: slice(end - size, end) if name != "time" else 0  # a scalar
            for name, end, size in zip(STATE, ends.tolist(), sizes, strict=True)
        }
        self._data = self._mujoco.MjData(model)

    # -- states

    def read(self, datas: Sequence[Any]) -> np.ndarray:
        """The states of these MjData, float64 [B, S]."""
        states = np.empty((len(datas), self._size))
        for data, state in zip(datas, states, strict=True):
            self._mujoco.mj_getState(self.model, data, state, self._signature)
        return states

    def write(self, datas: Sequence[Any], states: np.ndarray) -> None:
        for data, state in zip(datas, states, strict=True):
            self._mujoco.mj_setState(self.model, data, state, self._signature)

    def unpack(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of STATE, [B, ...]."""
        return {name: states[:, where].copy() for name, where in self._slices.items()}

    def pack(self, fields: Mapping[str, Any]) -> np.ndarray:
        """The inverse of `unpack`; a field of STATE that is not given is 0."""
        states = np.zeros((len(fields["qpos"]), self._size))
        for name, where in self._slices.items():
            if name in fields:
                states[:, where] = fields[name]
        return states

    # -- modules

    def modules(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """MODULES of these states [B, S], by `mj_forward`."""
        batch, data = len(states), self._data
        found = {name: np.zeros((batch, *shape)) for name, shape in MODULES.items()}
        rows = {name: np.zeros((batch, NUM_ROWS)) for name in found if name.startswith("efc_")}
        joints = [(found[name], getattr(data, name)) for name in ("qfrc_bias", "qfrc_constraint")]
        joints.append((found["qacc"], data.qacc))
        num_rows, num_contacts = np.zeros(batch, int), np.zeros(batch, int)
        row_ids = np.zeros((batch, NUM_ROWS), int)
        geoms = np.full((batch, NUM_SPHERES), FIRST_CAPSULE)
        dist = np.zeros((batch, NUM_SPHERES))
        points, tangents = np.zeros((2, batch, NUM_SPHERES, 3))
        centers, axes = np.zeros((2, batch, NUM_CAPSULES, 3))
        capsules = slice(FIRST_CAPSULE, None)
        for i, state in enumerate(states):
            self._mujoco.mj_setState(self.model, data, state, self._signature)
            self._mujoco.mj_forward(self.model, data)
            self._mujoco.mj_fullM(self.model, data, found["mass_matrix"][i])
            for array, value in joints:
                array[i] = value
            if not (n := data.nefc):
                continue
            num_rows[i], row_ids[i, :n] = n, data.efc_id
            for name, array in rows.items():
                array[i, :n] = getattr(data, name)
            if k := data.ncon:
                contact = data.contact
                num_contacts[i], geoms[i, :k], dist[i, :k] = k, contact.geom[:, 1], contact.dist
                points[i, :k], tangents[i, :k] = contact.pos, contact.frame[:, 3:6]
                centers[i], axes[i] = data.geom_xpos[capsules], data.geom_xmat[capsules, 2::3]

        # A contact lies half way between floor and sphere, below the sphere's centre.
        instance, contact = np.nonzero(np.arange(NUM_SPHERES) < num_contacts[:, None])
        geom = geoms[instance, contact]
        capsule, depth = geom - FIRST_CAPSULE, dist[instance, contact]
        arm = points[instance, contact] - centers[instance, capsule]
        arm[:, 2] += self.model.geom_size[geom, 0] + depth / 2
        behind = (arm * axes[instance, capsule]).sum(1) < 0
        sphere = 2 * capsule + behind
        found["contact_dist"][instance, sphere] = depth

        # MuJoCo's rows: first the limits, then four of each contact.
        num_limits = num_rows - NUM_EDGES * num_contacts
        backward = tangents[instance, contact, 0] < 0
        edges = np.where(backward[:, None], [1, 0, 2, 3], [0, 1, 2, 3])
        row = (num_limits[instance] + NUM_EDGES * contact)[:, None] + edges
        slot = NUM_EDGES * sphere[:, None] + np.arange(NUM_EDGES)
        limited, limit = np.nonzero(np.arange(NUM_ROWS) < num_limits[:, None])
        limit_slot = NUM_SPHERES * NUM_EDGES + row_ids[limited, limit] - FIRST_LIMITED
        for name, array in rows.items():
            found[name][instance[:, None], slot] = array[instance[:, None], row]
            found[name][limited, limit_slot] = array[limited, limit]
        return found
