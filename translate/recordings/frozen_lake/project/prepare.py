"""Copy the sources, which are Gymnasium's, from where it is installed."""

import shutil
from pathlib import Path

from gymnasium.envs import toy_text

Path("reference").mkdir(exist_ok=True)
for name in ("frozen_lake.py", "utils.py"):
    shutil.copyfile(Path(toy_text.__file__).parent / name, Path("reference", name))
