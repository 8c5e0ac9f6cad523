"""What the tests of containers share: a Docker, toys, a study, and proof that nothing is left."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from mapnode.containers.engine import Engine
from mapnode.containers.images import Images, socket_address
from mapnode.containers.runner import NODE_LABEL, Containers
from operators.core.contract import Job
from tests.docker_under_test import engine_under_test
from tests.mapnode.containers.toy_map import OBEYS, ToyMaps, found


@pytest.fixture(scope="session")
def docker():
    """An engine that answers: Docker, or Podman where MAPNODE_TEST_ENGINE says so."""
    with engine_under_test():
        yield


@pytest.fixture(scope="session")
def toys(docker, tmp_path_factory):
    """Makes MAPs; their images are removed at the end."""
    made = ToyMaps(tmp_path_factory.mktemp("layers"))
    yield made
    subprocess.run(["docker", "rmi", "--force", *made.tags], capture_output=True, check=False)


@dataclass
class Site:
    """A node's folders, in which images run as jobs do."""

    toys: ToyMaps
    var: Path
    study: Path
    obeys: str
    process: str = "node-1"
    timeout_s: float = 60.0
    min_free_mb: float = 0.0
    jobs: int = 0

    def run(self, code, *, memory=None, cancelled=lambda: False):
        """Have a MAP do what code says, as a job; the result and the folder that it is in."""
        (self.study / "code.py").write_text(code)
        images, image = found("obeys", self.obeys, memory=memory, output_mb=20.0)
        return self.run_image(images, image, cancelled=cancelled)

    def run_image(self, images: Images, image, *, job=None, cancelled=lambda: False, on_progress=None):
        self.jobs += 1
        folder = self.var / "jobs" / f"{self.jobs:032}"
        target = folder / "output"
        target.mkdir(parents=True)
        runner = self.containers(images).of(image, folder.name, folder)
        result = runner.run(
            self.study,
            target,
            job or Job(identity="5a" * 32),
            timeout_s=self.timeout_s,
            cancelled=cancelled,
            on_progress=on_progress,
        )
        return result, target

    def containers(self, images: Images) -> Containers:
        return Containers(images, self.var, self.process, self.min_free_mb)

    def left(self) -> list[str]:
        """Containers of this node, and what lies in its folder for them."""
        with Engine(socket_address(None)) as engine:
            containers = list(engine.labelled({NODE_LABEL: str(self.var)}))
        return containers + [str(path) for path in self.var.glob("containers/*/*")]


@pytest.fixture(scope="session")
def other_series(tmp_path_factory):
    """Images that stand for results: /data/0.dcm and /data/1.dcm of the MAP that obeys."""
    # Imported here: Holoscan warns of a small stack, which the tests' own conftest enlarges later.
    from tests.builders import make_ct_series

    return make_ct_series(tmp_path_factory.mktemp("other"), slices=2)


@pytest.fixture(scope="session")
def obeys(toys, other_series):
    """The digest of the MAP that does what the study says."""
    return toys.make("obeys", OBEYS, files={f"/data/{n}.dcm": path for n, path in enumerate(other_series)})


@pytest.fixture
def site(toys, obeys, tmp_path):
    """A site; whatever runs there, nothing of it stays."""
    from tests.builders import make_ct_series

    study = tmp_path / "study"
    make_ct_series(study, slices=3)
    site = Site(toys, tmp_path / "var", study, obeys)
    site.var.mkdir()
    volumes = _volumes()
    yield site
    assert site.left() == []
    assert _volumes() == volumes


def _volumes() -> str:
    return subprocess.run(["docker", "volume", "ls", "-q"], capture_output=True, text=True, check=True).stdout
