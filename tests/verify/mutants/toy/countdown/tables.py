"""How far each action counts."""

import numpy as np

STEP = np.array([1, 2, 3], np.int32)  # [A]
