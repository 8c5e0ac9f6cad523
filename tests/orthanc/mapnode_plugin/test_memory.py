"""Memory: what was freed between blocks in use goes back to the system, again and again, until told to stop."""

import ctypes
from pathlib import Path

import pytest
from mapnode_plugin import memory as module
from mapnode_plugin.memory import MemoryReturn, return_freed_memory

from tests.orthanc.fakes import eventually

BLOCKS, BLOCK = 4_000, 16 * 1024
"""64 MiB, in blocks too small to be mapped by themselves."""


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.fixture
def libc():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("this C library is not glibc")
    return libc


def test_what_lies_between_blocks_in_use_goes_back_to_the_system(libc):
    blocks = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    for block in blocks[:-1]:
        libc.free(block)
    kept = resident_bytes()

    return_freed_memory()

    assert kept - resident_bytes() > BLOCKS * BLOCK / 2
    libc.free(blocks[-1])


def test_it_is_done_again_and_again_until_told_to_stop(monkeypatch):
    done = []
    monkeypatch.setattr(module, "EVERY_S", 0.001)
    monkeypatch.setattr(module, "return_freed_memory", lambda: done.append(1))
    thread = MemoryReturn()
    thread.start()

    eventually(lambda: len(done) > 2)
    thread.stop()

    assert not thread.is_alive()
