"""Run by `make wheel` in an environment that holds nothing but the wheel and what it depends on.

The argument is the checkout: every file of a package there has to be in the installed wheel.
"""

import sys
from pathlib import Path

import jax

import simlift

checkout = Path(sys.argv[1])
installed = Path(simlift.__file__).parent
if checkout in installed.parents or "site-packages" not in installed.parts:
    sys.exit(f"simlift was imported from {installed}, not from the installed wheel")

packages = {init.parent for init in checkout.glob("[a-z]*/**/__init__.py")}
packages = {folder for folder in packages if (installed / folder.relative_to(checkout)).is_dir()}
wanted = {file for folder in packages for file in folder.glob("*.py")} | {
    file
    for folder in packages
    for file in folder.rglob("*")
    if file.is_file() and file.suffix not in {".py", ".pyc"}
}
names = [*sorted(str(file.relative_to(checkout)) for file in wanted), "py.typed"]
if missing := [name for name in names if not (installed / name).is_file()]:
    sys.exit(f"not in the wheel: {missing}; see package-data in pyproject.toml")

env, params = simlift.make("PufferPong-v0")
observation, state = env.reset(jax.random.key(0), params)
observation, state, *_ = env.step(jax.random.key(1), state, 1, params)
if not env.observation_space(params).contains(observation):
    sys.exit(f"PufferPong-v0 stepped to {observation}, outside its observation space")
sys.stdout.write(f"the wheel holds all {len(names)} files, and PufferPong-v0 steps\n")
