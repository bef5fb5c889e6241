"""Puts PufferLib's pong.h into place, and compiles the driver into the cache."""

import os
import shutil
import subprocess

from simlift.references.fetch import cache_dir
from simlift.references.pong.reference import header_path

shutil.copyfile(header_path(), "reference/pong.h")
subprocess.run(
    ["sh", "reference/pong.sh"],
    env={**os.environ, "SIMLIFT_CACHE": str(cache_dir())},
    stdin=subprocess.DEVNULL,
    check=True,
)
