"""The strict world in which every test runs, and what happens when a program is missing.

A test that needs a program says so with a marker: `node`, `browser` or `reference`. Without the
program it is skipped with the reason; where ``CI=true``, it fails, because `make test` should have
installed it.
"""

import contextlib
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import jax
import pytest

from simlift.references.core import ReferenceUnavailable

ON_CI = os.environ.get("CI", "").lower() == "true"

PROGRAMS = {
    "node": (("node",), "install Node.js 20 or newer, e.g. apt-get install nodejs"),
    "browser": (
        ("chromium", "chromium-browser", "google-chrome"),
        "install Chromium, e.g. apt-get install chromium",
    ),
}

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_nans", True)

# The same examples everywhere: a failure on one machine is a failure on all, and `print_blob` gives
# the line that replays it. SIMLIFT_HYPOTHESIS=explore looks for new ones.
hypothesis.settings.register_profile(
    "repeatable", deadline=None, derandomize=True, print_blob=True, database=None
)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("SIMLIFT_HYPOTHESIS", "repeatable"))


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled programs between runs, also those of the commands that tests start."""
    cache = getattr(config, "cache", None)
    if cache is None or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = str(cache.mkdir("jax"))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def program(marker: str) -> str | None:
    """The path of the program that a marker stands for, if it is on this machine."""
    names, _ = PROGRAMS[marker]
    return next(filter(None, map(shutil.which, names)), None)


def missing(reason: str) -> NoReturn:
    """Skip the running test with the reason; on CI fail it."""
    if ON_CI:
        pytest.fail(f"{reason} (a test may skip this, but not where CI=true)", pytrace=False)
    pytest.skip(reason)


@contextlib.contextmanager
def missing_reference(item: pytest.Item) -> Iterator[None]:
    try:
        yield
    except ReferenceUnavailable as error:
        if item.get_closest_marker("reference") is None:
            raise
        missing(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    for marker, (_, remedy) in PROGRAMS.items():
        if item.get_closest_marker(marker) and program(marker) is None:
            missing(f"{marker} not found: {remedy}")
    with missing_reference(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    with missing_reference(item):
        return (yield)


@pytest.fixture(scope="session")
def node() -> str:
    """Path of Node.js; for tests marked `node`."""
    return program("node") or missing("node not found: mark the test with pytest.mark.node")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; for tests marked `browser`."""
    return program("browser") or missing("chromium not found: mark the test pytest.mark.browser")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]
