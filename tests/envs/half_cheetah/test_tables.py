"""The numbers that HalfCheetah computes with are those of the installed MuJoCo's model."""

from pathlib import Path

import numpy as np
import pytest

from simlift.envs.half_cheetah import tables
from simlift.references.half_cheetah.model import main, table
from simlift.references.half_cheetah.physics import compiled_model, load_mujoco

pytestmark = pytest.mark.reference


def test_the_table_is_what_the_script_writes(tmp_path: Path) -> None:
    main([str(tmp_path / "tables.py")])
    assert tables.__file__ is not None
    assert (tmp_path / "tables.py").read_text() == Path(tables.__file__).read_text()


def test_the_script_prints_without_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert capsys.readouterr().out == table(compiled_model())


def test_what_the_formulas_take_for_granted_holds() -> None:
    """A planar chain that meets nothing but the floor, and MuJoCo's usual algorithms."""
    mujoco, model = load_mujoco(), compiled_model()
    option = model.opt
    assert option.integrator == mujoco.mjtIntegrator.mjINT_EULER
    assert option.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL
    assert option.solver == mujoco.mjtSolver.mjSOL_NEWTON
    assert option.disableflags == option.enableflags == option.noslip_iterations == 0
    assert option.impratio == 1 and option.density == option.viscosity == 0
    assert not option.wind.any() and option.gravity[:2].tolist() == [0, 0]
    assert (model.nq, model.nv, model.nu, model.na, model.neq, model.ntendon) == (9, 9, 6, 0, 0, 0)
    slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
    assert model.jnt_type.tolist() == [slide] * 2 + [hinge] * 7
    assert model.jnt_axis.tolist() == [[1, 0, 0], [0, 0, 1]] + [[0, 1, 0]] * 7
    assert model.jnt_limited.tolist() == [0] * 3 + [1] * 6
    assert model.jnt_bodyid.tolist() == [1, 1, 1, *range(2, 8)]
    at_rest = (model.qpos0, model.qpos_spring, model.jnt_pos, model.jnt_margin)
    assert not any(array.any() for array in at_rest)
    assert not model.dof_frictionloss.any() and not model.body_gravcomp.any()
    assert not any(array.any() for array in (model.jnt_stiffnesspoly, model.dof_dampingpoly))
    np.testing.assert_array_equal(model.body_quat[:, 0], 1)
    for across in (model.body_pos, model.body_ipos, model.geom_pos):
        assert not across[:, 1].any()
    touches = np.outer(model.geom_contype, model.geom_conaffinity)
    assert touches[1:, 0].all() and not touches[1:, 1:].any()
    assert (model.geom_condim == 3).all() and not model.geom_margin.any()
    assert not model.geom_gap.any() and not model.geom_adhesion.any()
    assert not model.geom_surfacevel.any()
    assert model.actuator_trnid[:, 0].tolist() == list(range(3, 9))
    assert model.actuator_ctrllimited.all() and not model.actuator_forcelimited.any()
    assert not model.actuator_gear[:, 1:].any()
    assert model.actuator_gainprm[:, 0].tolist() == [1] * 6 and not model.actuator_biasprm.any()
    assert not model.actuator_armature.any() and not model.actuator_damping.any()
