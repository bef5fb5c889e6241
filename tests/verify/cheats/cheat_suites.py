"""`cheat_suites:NAME` is the suite of cheating/NAME.py: Pong's, short."""

import dataclasses
import functools
import importlib
from typing import Any

from simlift.verify.suite import Suite, Variant
from simlift.verify.suites import pong


def __getattr__(name: str) -> Any:
    return functools.partial(suite, name)


def suite(name: str) -> Suite:
    module = f"cheating.{name.replace('__', '.')}"
    sound = pong.suite()

    def environment(variant: Variant) -> tuple[Any, Any]:
        env = importlib.import_module(module).Env()
        return env, env.default_params

    def state(before: Any, params: Any) -> Any:
        wrapped = getattr(importlib.import_module(module), "wrapped", lambda state: state)
        return wrapped(pong.state(before, params))

    return dataclasses.replace(
        sound,
        name=name,
        package=module,
        variants=sound.variants[:1],
        environment=environment,
        state=state,
        policies=lambda variant: {"random": sound.policies(variant)["random"]},
        scenarios=(),
        properties=tuple,
    )
