"""Plays MJX's or Brax's half-cheetah under random actions, as fast as it goes; a program by itself,
which needs nothing of this package.

    python jax_program.py SETTINGS

SETTINGS is one JSON object:

    system          "mjx" or "brax"
    num_envs        batch
    platform        "gpu", or "cpu": then it holds itself on one core
    model           mjx: path of the XML
    iterations, ls_iterations    mjx: of the solver and of its line search, instead of the XML's
    backend         brax: "spring", "generalized", ...

It answers with a JSON object a line. Unasked, when it has compiled: {"processor_s", "compile_s",
"peak_bytes"}; then, to every {"num_steps"} on its standard input, {"processor_s"} when it has
played that many environment steps of every environment; or {"error"}, and ends.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

FRAME_SKIP = 5
EPISODE_STEPS = 1000
NUM_MOTORS = 6
NOISE = 0.1
FORWARD_REWARD, CTRL_COST = 1.0, 0.1

Reset = Callable[[Any], Any]
"""(key) -> state of one environment."""
Step = Callable[[Any, Any], tuple[Any, Any, Any]]
"""(state, action [6]) -> (state, observation [17], reward [])"""


def quiet_mujoco() -> Any:
    """The module; its warnings would be written to a file in the working folder."""
    mujoco: Any = importlib.import_module("mujoco")
    mujoco.set_mju_user_warning(lambda text: None)
    return mujoco


def mjx_system(settings: dict[str, Any]) -> tuple[Reset, Step]:
    """HalfCheetah-v5 on MJX, with its rewards and resets."""
    import jax
    import jax.numpy as jnp

    mujoco, mjx = quiet_mujoco(), importlib.import_module("mujoco.mjx")
    model = mujoco.MjModel.from_xml_path(settings["model"])
    for name in ("iterations", "ls_iterations"):
        if name in settings:
            setattr(model.opt, name, settings[name])
    device_model = mjx.put_model(model, impl="jax")
    start = mjx.make_data(device_model, impl="jax")
    seconds = FRAME_SKIP * model.opt.timestep

    def reset(key: Any) -> Any:
        key_positions, key_velocities = jax.random.split(key)
        positions = jax.random.uniform(key_positions, (model.nq,), minval=-NOISE, maxval=NOISE)
        velocities = NOISE * jax.random.normal(key_velocities, (model.nv,))
        return start.replace(qpos=start.qpos + positions, qvel=velocities)

    def step(state: Any, action: Any) -> tuple[Any, Any, Any]:
        x = state.qpos[0]
        state = state.replace(ctrl=action)
        state = jax.lax.fori_loop(
            0, FRAME_SKIP, lambda _, data: mjx.step(device_model, data), state
        )
        speed = (state.qpos[0] - x) / seconds
        reward = FORWARD_REWARD * speed - CTRL_COST * jnp.square(action).sum()
        return state, jnp.concatenate([state.qpos[1:], state.qvel]), reward

    return reset, step


def brax_system(settings: dict[str, Any]) -> tuple[Reset, Step]:
    """Brax's own halfcheetah, as it is."""
    quiet_mujoco()
    envs = importlib.import_module("brax.envs")
    env = envs.get_environment("halfcheetah", backend=settings["backend"])

    def step(state: Any, action: Any) -> tuple[Any, Any, Any]:
        state = env.step(state, action)
        return state, state.obs, state.reward

    return env.reset, step


def compile_play(reset: Reset, step: Step, num_envs: int) -> tuple[Any, Any, float, int | None]:
    """(compiled (carry, num_steps) -> carry, first carry, seconds to compile, bytes it needs)

    Every observation and reward goes into a checksum. All episodes end together, and only then are
    new states drawn: cheaper than a reset for every single environment.
    """
    import jax
    import jax.numpy as jnp

    def reset_all(key: Any) -> Any:
        return jax.vmap(reset)(jax.random.split(key, num_envs))

    def play_step(_: Any, carry: Any) -> Any:
        key, elapsed, state, checksum = carry
        key, key_action, key_reset = jax.random.split(key, 3)
        action = jax.random.uniform(key_action, (num_envs, NUM_MOTORS), minval=-1.0, maxval=1.0)
        state, observation, reward = jax.vmap(step)(state, action)
        checksum += observation.sum() + reward.sum()
        elapsed = (elapsed + 1) % EPISODE_STEPS
        state = jax.lax.cond(elapsed == 0, reset_all, lambda _: state, key_reset)
        return key, elapsed, state, checksum

    def play(carry: Any, num_steps: Any) -> Any:
        return jax.lax.fori_loop(0, num_steps, play_step, carry)

    key, key_reset = jax.random.split(jax.random.key(0))
    carry = key, jnp.int32(0), jax.jit(reset_all)(key_reset), jnp.float32(0)
    started = time.perf_counter()
    compiled = jax.jit(play, donate_argnums=0).lower(carry, jnp.int32(1)).compile()
    compile_s = time.perf_counter() - started
    memory = compiled.memory_analysis()
    peak_bytes = memory and (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )
    return compiled, carry, compile_s, peak_bytes


def serve(settings: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
    """Compile, then play what is asked for until the input ends."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_compilation_cache", False)  # or it would not be compile time
    if jax.default_backend() != settings["platform"]:
        raise RuntimeError(f"JAX computes on {jax.default_backend()}, not {settings['platform']}")
    systems = {"mjx": mjx_system, "brax": brax_system}
    reset, step = systems[settings["system"]](settings)
    compiled, carry, compile_s, peak_bytes = compile_play(reset, step, settings["num_envs"])
    used: dict[str, Any] = {"compile_s": compile_s, "peak_bytes": peak_bytes}
    answer({"processor_s": time.process_time(), **used})
    for line in sys.stdin:
        carry = compiled(carry, jnp.int32(json.loads(line)["num_steps"]))
        if not jnp.isfinite(carry[-1]):
            raise FloatingPointError("observations or rewards are not finite")
        answer({"processor_s": time.process_time()})


def main() -> None:
    # Libraries print: what they say goes to standard error, and the answers alone to output.
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(told: dict[str, Any]) -> None:
        output.write(json.dumps(told) + "\n")

    settings = json.loads(sys.argv[1])
    if settings["platform"] == "cpu" and hasattr(os, "sched_setaffinity"):
        # Before JAX starts threads; the core on which a benchmark on one core runs, too.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        serve(settings, answer)
    except Exception as error:  # whatever the library raises is told in one line
        answer({"error": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"})


if __name__ == "__main__":
    main()
