"""Puts Gymnasium's blackjack.py into place, as it is installed."""

import shutil
from pathlib import Path

from gymnasium.envs.toy_text import blackjack

Path("reference").mkdir(exist_ok=True)
shutil.copyfile(blackjack.__file__, "reference/blackjack.py")
