"""What every test shares: the stack that Holoscan wants, and the folder with real data."""

import resource
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres_under_test import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

collect_ignore = ["faults/faked_clock/sitecustomize.py", "mapnode/jobs/story.py", "mapnode/jobs/toy_worker.py"]
"""What processes that tests start begin with; importing it begins its work."""

STACK_BYTES = 32 * 1024 * 1024
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")


def pytest_configure(config):
    """Give Holoscan the stack that it asks for; where the machine forbids it, expect its one warning."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if soft == resource.RLIM_INFINITY or soft >= STACK_BYTES:
        return
    if hard == resource.RLIM_INFINITY or hard >= STACK_BYTES:
        resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, hard))
    else:
        config.addinivalue_line("filterwarnings", "ignore:(?s).*stack size:RuntimeWarning")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real and derived DICOM data; it is not part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip("shared/data is not here")
    return SHARED_DATA
