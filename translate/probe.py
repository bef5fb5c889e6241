"""A program: plays a Python simulator with Gymnasium's API, and prints what it saw as JSON.

It runs in a process of its own, by its path, and imports nothing but the standard library and the
simulator, whose prints go to standard error. Standard input holds one line:
{"python": "package.module:Class", "arguments": {...}, "seed": 1, "steps": 200}. The answer is one
line too: what was found, or {"error": "..."} where the simulator cannot be used.
"""

import copy
import hashlib
import importlib
import importlib.metadata
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

BEFORE_COPY = 30  # steps, so that a copy is taken in the middle of an episode

SPACES = ("action_space", "observation_space")


class Unusable(Exception):
    """What is wrong with the simulator, in one line with the remedy."""


def main() -> None:
    """Answer the one request."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the simulator prints is no answer
    request = json.loads(sys.stdin.readline())
    try:
        answer = probe(**request)
    except Unusable as error:
        answer = {"error": str(error)}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    os._exit(0)  # a simulator's threads or windows must not keep us


def probe(python: str, arguments: Mapping[str, Any], seed: int, steps: int) -> dict[str, Any]:
    """What the simulator is, and a digest of each step that it took."""
    cls = load(python)
    env = attempt(f"{python} cannot be made with {arguments}", lambda: cls(**arguments))
    for name in ("reset", "step", "action_space"):
        if not hasattr(env, name):
            raise Unusable(f"{python} has no {name}; it needs Gymnasium's API, or a wrapper")
    attempt("its action space cannot be seeded", lambda: env.action_space.seed(seed))
    digests = play(env, seed, steps)
    changed = attributes_changed(env, seed)
    return {
        "file": inspect.getsourcefile(cls),
        "version": version(python),
        "observation": repr(getattr(env, "observation_space", "not declared")),
        "action": repr(env.action_space),
        "attributes": changed,
        "digests": digests,
        "copies": copies(env, seed),
    }


def load(python: str) -> Any:
    module, _, name = python.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        raise Unusable(
            f"{python} cannot be imported ({said(error)}); install it, or name the folder that "
            "holds it in import_from"
        ) from None


def attempt(what: str, action: Callable[[], Any]) -> Any:
    """The result of an action, or Unusable with what it raised."""
    try:
        return action()
    except Exception as error:
        raise Unusable(f"{what} ({said(error)})") from None


def said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def version(python: str) -> str | None:
    top = python.partition(":")[0].partition(".")[0]
    names = importlib.metadata.packages_distributions().get(top, [])
    return f"{names[0]} {importlib.metadata.version(names[0])}" if names else None


def reset(env: Any, seed: int) -> tuple[Any, Any]:
    result = attempt("reset(seed=...) fails", lambda: env.reset(seed=seed))
    if not (isinstance(result, tuple) and len(result) == 2):
        raise Unusable("reset does not return (observation, info); wrap it in Gymnasium's API")
    return result


def step(env: Any, action: Any) -> tuple[Any, ...]:
    result = attempt(f"step({action!r}) fails", lambda: env.step(action))
    if not (isinstance(result, tuple) and len(result) == 5):
        raise Unusable(
            "step does not return (observation, reward, terminated, truncated, info); wrap it in "
            "Gymnasium's API"
        )
    return result


def sample(env: Any, info: Any) -> Any:
    mask = info.get("action_mask") if isinstance(info, Mapping) else None
    return env.action_space.sample() if mask is None else env.action_space.sample(mask)


def play(env: Any, seed: int, steps: int) -> list[str]:
    """Random actions, a new episode with the next seed after each end; a digest a step."""
    observation, info = reset(env, seed)
    digests = [digest(observation)]
    for _ in range(steps):
        observation, reward, terminated, truncated, info = step(env, sample(env, info))
        digests.append(digest((observation, reward, terminated, truncated)))
        if terminated or truncated:
            seed += 1
            observation, info = reset(env, seed)
            digests.append(digest(observation))
    return digests


def attributes_changed(env: Any, seed: int) -> list[dict[str, Any]]:
    """The simulator's attributes: what they are, and whether steps change them."""
    bare = getattr(env, "unwrapped", env)
    reset(env, seed)
    before = {name: digest(value) for name, value in vars(bare).items()}
    play(env, seed, BEFORE_COPY)
    return [
        {"name": name, "is": kind(value), "changes": before.get(name) != digest(value)}
        for name, value in sorted(vars(bare).items())
        if name not in SPACES
    ]


def kind(value: Any) -> str:
    if hasattr(value, "tobytes") and hasattr(value, "shape"):
        return f"{value.dtype} {list(value.shape)}"
    length = f" of {len(value)}" if isinstance(value, (dict, list, tuple, set)) else ""
    return f"{type(value).__name__}{length}"


def copies(env: Any, seed: int) -> str:
    """Why `copy.deepcopy` is no snapshot of the simulator; empty where it is one."""
    _, info = reset(env, seed)
    for _ in range(BEFORE_COPY):
        _, _, terminated, truncated, info = step(env, sample(env, info))
        if terminated or truncated:
            _, info = reset(env, seed)
    try:
        twin = copy.deepcopy(env)
    except Exception as error:
        return f"copy.deepcopy fails ({said(error)})"
    actions, seen = [], []
    for _ in range(BEFORE_COPY):
        actions.append(sample(env, info))
        *outcome, info = step(env, actions[-1])
        seen.append(digest(tuple(outcome)))
        if outcome[2] or outcome[3]:
            break
    again = [digest(tuple(step(twin, action)[:4])) for action in actions]
    if again != seen:
        at = next(i for i, (one, two) in enumerate(zip(again, seen, strict=True)) if one != two)
        return f"a deep copy goes on differently, {at + 1} steps after it was taken"
    return ""


def digest(value: Any) -> str:
    """A hash of a value that two processes agree on."""
    state = hashlib.sha256()
    feed(state.update, value, depth=0)
    return state.hexdigest()[:16]


def feed(update: Callable[[bytes], object], value: Any, depth: int) -> None:
    update(type(value).__name__.encode())
    if hasattr(value, "tobytes") and hasattr(value, "shape"):
        update(f"{value.dtype}{value.shape}".encode())
        update(value.tobytes() if value.dtype != object else repr(value.tolist()).encode())
    elif isinstance(value, Mapping):
        for key, item in sorted(value.items(), key=lambda pair: repr(pair[0])):
            update(repr(key).encode())
            feed(update, item, depth + 1)
    elif isinstance(value, (list, tuple)):
        update(str(len(value)).encode())
        for item in value:
            feed(update, item, depth + 1)
    elif isinstance(value, (bool, int, float, str, bytes, type(None))):
        update(repr(value).encode())
    elif isinstance(value, (set, frozenset)):
        update(repr(sorted(map(repr, value))).encode())
    elif hasattr(value, "bit_generator"):
        feed(update, value.bit_generator.state, depth + 1)
    elif hasattr(value, "__dict__") and depth < 4:  # deeper is seldom state, and may be a circle
        feed(update, vars(value), depth + 1)


if __name__ == "__main__":
    main()
