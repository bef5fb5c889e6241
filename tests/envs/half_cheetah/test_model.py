"""The numbers of the model, and what is derived from them."""

from pathlib import Path

import numpy as np
import pytest

from simlift.envs.half_cheetah import model
from simlift.references.half_cheetah import model as reference_model
from simlift.references.half_cheetah.physics import compiled_model, load_mujoco

pytestmark = pytest.mark.reference


def test_the_table_is_what_the_installed_mujoco_compiles(repository: Path) -> None:
    shipped = (repository / "envs" / "half_cheetah" / "tables.py").read_text()
    assert shipped == reference_model.table(compiled_model())


def test_spheres_and_links_lie_where_mujoco_has_them_at_rest() -> None:
    compiled, mujoco = compiled_model(), load_mujoco()
    data = mujoco.MjData(compiled)
    mujoco.mj_forward(compiled, data)
    joints = [np.array(model.OFFSET[0])]
    for b in model.LEGS:
        joints.append(joints[model.PARENT[b]] + model.OFFSET[b])
    np.testing.assert_allclose(joints, data.xpos[1:, ::2], atol=1e-15)
    ends = []
    for geom in range(1, compiled.ngeom):
        way = data.geom_xmat[geom].reshape(3, 3)[:, 2] * compiled.geom_size[geom, 1]
        ends += [data.geom_xpos[geom] + way, data.geom_xpos[geom] - way]
    ours = [joints[sphere.link] + sphere.center for sphere in model.SPHERES]
    np.testing.assert_allclose(ours, np.array(ends)[:, ::2], atol=1e-15)
    # What dynamics.FALL rests on.
    assert min(z - s.radius for (_, z), s in zip(ours, model.SPHERES, strict=True)) > 0
    assert all(low < 0 < high for low, high, _ in model.RANGES)


def test_what_the_equations_leave_out_is_not_in_the_model() -> None:
    compiled, mujoco = compiled_model(), load_mujoco()
    options = compiled.opt
    assert (options.integrator, options.solver, options.cone) == (
        mujoco.mjtIntegrator.mjINT_EULER,
        mujoco.mjtSolver.mjSOL_NEWTON,
        mujoco.mjtCone.mjCONE_PYRAMIDAL,
    )
    assert (options.disableflags, options.enableflags, options.impratio) == (0, 0, 1)
    assert options.density == options.viscosity == 0 and not options.wind.any()
    assert not options.gravity[:2].any()
    for absent in ("ntendon", "neq", "nflex", "na", "npair", "nexclude", "nmocap"):
        assert getattr(compiled, absent) == 0
    for zero in ("qpos0", "qpos_spring", "jnt_margin", "geom_margin", "geom_gap", "jnt_pos"):
        assert not getattr(compiled, zero).any()
    for zero in ("dof_frictionloss", "dof_armature", "dof_damping", "jnt_stiffness"):
        assert not getattr(compiled, zero)[:3].any()
    assert not compiled.dof_frictionloss.any() and not compiled.jnt_limited[:3].any()
    assert not compiled.body_pos[:, 1].any() and not compiled.body_ipos[:, 1].any()
    np.testing.assert_array_equal(compiled.body_quat, np.eye(4)[[0] * 8])
    np.testing.assert_array_equal(compiled.jnt_axis, np.eye(3)[[0, 2] + [1] * 7])
    np.testing.assert_array_equal(compiled.actuator_trnid[:, 0], range(3, 9))
    np.testing.assert_array_equal(compiled.actuator_ctrlrange, [[-1, 1]] * 6)
    # One kind of contact and of limit: midpoint 0.5 and power 2, and no cheetah touches itself.
    for kind in (compiled.geom_solimp, compiled.jnt_solimp):
        np.testing.assert_array_equal(kind[:, 3:], [[0.5, 2.0]] * 9)
    for name in ("geom_solimp", "geom_solref", "geom_friction", "jnt_solimp", "jnt_solref"):
        rows = getattr(compiled, name)
        np.testing.assert_array_equal(rows, np.broadcast_to(rows[0], rows.shape))
    np.testing.assert_array_equal(compiled.geom_conaffinity, [1] + [0] * 8)
    np.testing.assert_array_equal(compiled.geom_condim, [3] * 9)
