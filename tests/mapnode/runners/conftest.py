"""Folders of a run, and warm workers whose process is a few lines."""

import sys

import pytest

from mapnode.app_catalogue import App
from mapnode.runners import worker as worker_module
from mapnode.runners.child import Child
from mapnode.runners.worker import WarmWorker
from operators.core.manifest import read_manifest
from tests.mapnode.runners.toy import LOOP, MANIFEST, PREAMBLE


@pytest.fixture
def folders(tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    target.mkdir()
    return source, target


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Makes workers whose process is a few lines: what happens in a run, or all of it."""
    made = []

    def make(in_run: str = "result(); finish()", *, start: str = "", loop: str = LOOP, **more) -> WarmWorker:
        body = "".join(f"    {line}\n" for line in in_run.splitlines()) if loop else ""
        script = tmp_path / f"worker{len(made)}.py"
        script.write_text(PREAMBLE + start + loop + body)
        command = [sys.executable, str(script)]
        monkeypatch.setattr(worker_module, "Child", lambda _, variables: Child(command, variables))
        made.append(WarmWorker(App(tmp_path, read_manifest(MANIFEST)), **more))
        return made[-1]

    yield make
    for worker in made:
        worker.stop()
