"""What MuJoCo computes of a state, in slots that do not move."""

import numpy as np
import pytest

from simlift.references.half_cheetah.physics import (
    FIRST_LIMITED,
    NUM_EDGES,
    NUM_ROWS,
    NUM_SPHERES,
    STATE,
    Physics,
    compiled_model,
    expected_warnings,
    load_mujoco,
)

pytestmark = pytest.mark.reference

FIRST_LIMIT_SLOT = NUM_SPHERES * NUM_EDGES


def varied_states(physics: Physics, count: int = 2000) -> np.ndarray:
    """Sunk and flying, any pitch, joints beyond their limits too."""
    generator, limits = np.random.default_rng(0), physics.model.jnt_range[FIRST_LIMITED:]
    qpos = np.zeros((count, 9))
    qpos[:, 1] = generator.uniform(-0.9, 0.3, count)
    qpos[:, 2] = generator.uniform(-3.2, 3.2, count)
    qpos[:, 3:] = generator.uniform(limits[:, 0] - 0.2, limits[:, 1] + 0.2, (count, 6))
    return physics.pack(
        {
            "qpos": qpos,
            "qvel": generator.normal(size=(count, 9)) * 5,
            "qacc_warmstart": generator.normal(size=(count, 9)) * 50,
            "ctrl": generator.uniform(-1, 1, (count, 6)),
        }
    )


def test_states_are_packed_as_they_are_read() -> None:
    physics = Physics(compiled_model())
    states = varied_states(physics, 5)
    fields = physics.unpack(states)
    assert tuple(fields) == tuple(STATE)
    assert physics.pack(fields).tobytes() == states.tobytes()


def test_contacts_stand_in_the_slots_of_their_spheres() -> None:
    """Held to where MuJoCo's geoms are: each end of a capsule that is below the floor touches."""
    mujoco, physics = load_mujoco(), Physics(compiled_model())
    model, states = physics.model, varied_states(physics)
    dist = physics.modules(states)["contact_dist"]
    assert set(np.count_nonzero(dist, axis=1)) == set(range(NUM_SPHERES + 1))
    data = mujoco.MjData(model)
    for i in range(len(states)):
        physics.write([data], states[i : i + 1])
        mujoco.mj_kinematics(model, data)
        height, axis = data.geom_xpos[1:, 2], data.geom_xmat[1:, 8]
        radius, half_length = model.geom_size[1:, 0], model.geom_size[1:, 1]
        ends = np.stack([height + half_length * axis, height - half_length * axis], 1)
        gap = (ends - radius[:, None]).ravel()
        np.testing.assert_allclose(dist[i], np.where(gap <= 0, gap, 0), atol=1e-15, rtol=0)


def test_rows_stand_in_the_slots_of_their_edges_and_joints() -> None:
    """Held to the Jacobian of each of MuJoCo's rows: of an edge, its x component and z = 1."""
    mujoco, physics = load_mujoco(), Physics(compiled_model())
    model, states = physics.model, varied_states(physics, 500)
    found, data = physics.modules(states), mujoco.MjData(model)
    friction, backward = model.geom_friction[1, 0], 0
    for i in range(len(states)):
        physics.write([data], states[i : i + 1])
        mujoco.mj_forward(model, data)
        jacobian, dist = data.efc_J.reshape(-1, 9), found["contact_dist"][i]
        slots = []
        for row, contact in enumerate(data.efc_id):
            if data.efc_type[row] == mujoco.mjtConstraint.mjCNSTR_LIMIT_JOINT:
                slots.append(FIRST_LIMIT_SLOT + int(np.flatnonzero(jacobian[row])[0]) - 3)
                continue
            edge = row - data.contact.efc_address[contact]
            sphere = int(np.flatnonzero(dist == data.contact.dist[contact])[0])
            if edge < 2:
                assert abs(jacobian[row, :2]).tolist() == pytest.approx([friction, 1], abs=1e-15)
                backward += edge == 0 and jacobian[row, 0] < 0
                edge = 0 if jacobian[row, 0] > 0 else 1
            else:
                assert jacobian[row, :2].tolist() == [0, 1]
            slots.append(NUM_EDGES * sphere + edge)
        for name in ("efc_aref", "efc_D", "efc_force"):
            expected = np.zeros(NUM_ROWS)
            expected[slots] = getattr(data, name)
            assert found[name][i].tobytes() == expected.tobytes()
    assert backward > 100


def test_forces_balance() -> None:
    """Mass times acceleration is what motors, springs, dampers, gravity and constraints add to.

    The rest is rounding: sums of ten terms of up to 1e5 N, each good to 1e-16.
    """
    physics = Physics(compiled_model())
    model, states = physics.model, varied_states(physics)
    fields, found = physics.unpack(states), physics.modules(states)
    motors = np.zeros((len(states), 9))
    motors[:, 3:] = fields["ctrl"] * model.actuator_gear[:, 0]
    passive = -model.jnt_stiffness * fields["qpos"] - model.dof_damping * fields["qvel"]
    inertial = np.einsum("bij,bj->bi", found["mass_matrix"], found["qacc"]) + found["qfrc_bias"]
    rest = inertial - motors - passive - found["qfrc_constraint"]
    largest = np.abs(found["efc_force"]).max()
    assert largest > 1e4 and np.abs(rest).max() < 1e-13 * largest


def test_limits_push_back_into_the_range() -> None:
    physics = Physics(compiled_model())
    states = varied_states(physics)
    found, qpos = physics.modules(states), physics.unpack(states)["qpos"][:, FIRST_LIMITED:]
    low, high = physics.model.jnt_range[FIRST_LIMITED:].T
    beyond = (qpos < low) | (qpos > high)
    assert beyond.any(0).all() and not beyond.all(0).any()
    np.testing.assert_array_equal(found["efc_D"][:, FIRST_LIMIT_SLOT:] > 0, beyond)


def test_other_warnings_of_mujoco_are_heard() -> None:
    mujoco = load_mujoco()
    before = mujoco.get_mju_user_warning()
    with pytest.warns(UserWarning, match="MuJoCo: no such thing"), expected_warnings():
        mujoco.get_mju_user_warning()("no such thing")  # as MuJoCo would call it
    assert mujoco.get_mju_user_warning() is before
