"""Container runner: one container a run, confined, watched, and gone with all that it had, however the run ends."""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import shutil
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mapnode.containers.confinement import REFERENCE, TIMEOUT_VARIABLE, Folders, container_config, host_config
from mapnode.containers.errors import DiskShort
from mapnode.containers.images import READING
from mapnode.containers.log import LOG_NAME, ContainerLog
from mapnode.containers.outcome import gather
from mapnode.containers.output import remove_folder, survey
from mapnode.errors import words_of
from mapnode.housekeeping import free_mb
from mapnode.runners.child import failed
from mapnode.runners.warm import NodeStopping
from mapnode.runners.worker import LOOK_S, RunCancelled, WorkerLost
from operators.core.contract import JOB_VARIABLE, RESULT_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from mapnode.containers.engine import ContainerState, Engine
    from mapnode.containers.images import Images, MapImage
    from operators.core.contract import Job, Progress, Result

NODE_LABEL, PROCESS_LABEL, JOB_LABEL = "mapnode.node", "mapnode.process", "mapnode.job"
SWEEP_S = 10.0
"""How often it is looked for containers that nobody looks after."""
ORPHAN_S = 60
"""A MAP whose node died ends by itself so long after its time, where no node comes back to end it."""
LAST_WORDS_S = 5.0
KILLED = 128 + 9
READING_S = 60.0
"""A container that was made to read manifests, which takes a moment, was left by somebody who was killed then."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What is asked of one run.

    Attributes:
        source: Folder with DICOM files.
        target: Empty folder for the results.
        job: What the node says of the job.
        timeout_s: After this the container is killed.
        on_progress: Hears of progress.
        cancelled: Says whether the run is not wanted any more.
    """

    source: Path
    target: Path
    job: Job
    timeout_s: float
    on_progress: Callable[[Progress], None] | None
    cancelled: Callable[[], bool]


class Containers:
    """The containers of one process of a node.

    Each has a folder of its own, `var/containers/<process>/<container>`: input, output, reference set. Labels say whose
    it is, so that what a dead process left is found, and nothing else is touched.
    """

    def __init__(self, images: Images, var: Path, process: str, min_free_mb: float) -> None:
        """Start nothing yet.

        Args:
            images: The allow-list.
            var: The node's folder.
            process: Name of this process among those of the node; another one at each start.
            min_free_mb: With less room than this on the disk of that folder a run is ended.
        """
        self.images = images
        self._min_free_mb = min_free_mb
        self._node = str(var.resolve())
        self._root = var.resolve() / "containers"
        self._process = process
        self._stopping = threading.Event()
        self._running: list[str] = []

    def stop(self) -> None:
        """End all that run; none is started after that."""
        self._stopping.set()

    def require_going(self) -> None:
        """The node does not stop.

        Raises:
            NodeStopping: If it does.
        """
        if self._stopping.is_set():
            raise NodeStopping("the node stops; the job goes on at the next start")

    def require_room(self, name: str) -> None:
        """The disk has room, whoever takes it: files that are removed and still written are seen there alone.

        Args:
            name: The image that runs.

        Raises:
            DiskShort: If it has not.
        """
        if (free := free_mb(self._root)) < self._min_free_mb:
            raise DiskShort(
                f"the container of {name} was ended: {free:.0f} MB are left on the disk of the node's folder, where "
                f"{self._min_free_mb:.0f} MB are kept free (min_free_mb); files that it removed and still wrote may "
                "have taken the rest"
            )

    def of(self, image: MapImage, job: str, folder: Path) -> ContainerRunner:
        """What runs one job of an image.

        Args:
            image: The image.
            job: The job's identifier.
            folder: The job's folder, which gets the log.
        """
        return ContainerRunner(self, image, job, folder / LOG_NAME)

    def engine(self) -> Engine:
        """A connection to the engine.

        Raises:
            EngineUnreachable: If it does not answer.
        """
        # Imported here: see Images.find.
        from mapnode.containers.engine import Engine

        return Engine(self.images.address)

    def labels(self, **more: str) -> dict[str, str]:
        """The labels of a container of this node."""
        return {NODE_LABEL: self._node, **more}

    def describe(self, job: str) -> dict[str, str]:
        """The labels of a container that this process starts."""
        return self.labels(**{PROCESS_LABEL: self._process, JOB_LABEL: job})

    @contextlib.contextmanager
    def watched(self, job: str) -> Iterator[None]:
        """While a run of a job looks after its container, which is nobody's else to remove."""
        self._running.append(job)
        try:
            yield
        finally:
            self._running.remove(job)

    @contextlib.contextmanager
    def room(self, name: str) -> Iterator[Path]:
        """A folder for one container, closed to others, gone at the end."""
        folder = self._root / self._process / name
        self._root.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove_folder(folder)

    def tidy(self, living: Callable[[], Collection[str]]) -> None:
        """`sweep`, with a word in the log; whatever it meets is met again by the next one."""
        if self.images.is_empty:
            return
        try:
            swept = self.sweep(living)
        except Exception as error:  # noqa: BLE001 - who calls this lives on: it is looked again
            _log.warning("containers that nobody looks after cannot be looked for: %s", words_of(error))
        else:
            if swept:
                _log.warning("%d containers that nobody looked after any more were removed", swept)

    def sweep(self, living: Callable[[], Collection[str]]) -> int:
        """Remove containers and folders of processes of this node that are gone.

        And those of this process that a run had to leave, since the engine did not answer when it was to remove them.

        Args:
            living: Says the names of the processes that are not.

        Returns:
            How many containers there were.

        Raises:
            EngineUnreachable: If no engine answers.
        """
        with self.engine() as engine:
            found, folders = engine.labelled(self.labels()), list(self._root.glob("*"))
            # In this order: who has a container was among the living before it.
            alive = {self._process, *living()}
            dead = [one for one, labels in found.items() if self._is_left(labels, alive)]
            dead += engine.labelled(READING, older_than_s=READING_S)
            for container in dead:
                engine.remove(container)
        for folder in folders:
            if folder.name not in alive:
                remove_folder(folder)
        return len(dead)

    def _is_left(self, labels: Mapping[str, str], alive: Collection[str]) -> bool:
        """Whether nobody looks after a container any more."""
        process = labels.get(PROCESS_LABEL)
        return process not in alive or (process == self._process and labels.get(JOB_LABEL) not in self._running)


class ContainerRunner:
    """Runs one job of an image, with the contract of every runner."""

    def __init__(self, containers: Containers, image: MapImage, job: str, log: Path) -> None:
        """Start nothing yet."""
        self._containers = containers
        self._image = image
        self._job = job
        self._log = log

    def run(
        self,
        source: Path,
        target: Path,
        job: Job,
        *,
        timeout_s: float,
        on_progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Run the image once.

        Args:
            source: Folder with DICOM files.
            target: Empty folder for the results; what stands there after an error is worth nothing.
            job: What the node says of the job.
            timeout_s: After this the container is killed.
            on_progress: Hears of progress, while it runs.
            cancelled: True when called, once the run is not wanted any more.

        Returns:
            The result: the container's own, or what it comes to.

        Raises:
            WorkerLost: If it took too long, or somebody removed the container.
            RunCancelled: If the run was cancelled.
            NodeStopping: If the node stops.
            EngineUnreachable: If the engine does not answer.
            EngineRefused: If it does not run the container.
            DiskShort: If the disk ran short meanwhile.
        """
        self._containers.require_going()
        limit_s = min(timeout_s, self._image.app.timeout or timeout_s)
        asked = Run(source, target, job, limit_s, on_progress, cancelled)
        name = f"mapnode-{self._job[:12]}-{secrets.token_hex(4)}"
        containers = self._containers
        with containers.watched(self._job), containers.engine() as engine, containers.room(name) as room:
            # A container of this job that is still there is of an execution that does not count any more.
            for left in engine.labelled(self._containers.labels(**{JOB_LABEL: self._job})):
                engine.remove(left)
            folders = _lay_out(room, source, self._image.reference_file)
            container = engine.create(name, self._config(folders, asked), host_config(self._image, folders))
            try:
                return self._follow(engine, container, folders, asked)
            finally:
                engine.remove(container)

    def _config(self, folders: Folders, asked: Run) -> dict[str, object]:
        """What is run, with what is said of the job to those who listen."""
        reference = None if folders.reference is None else REFERENCE
        job = asked.job.model_copy(update={"staged": None, "reference": reference})
        more = {TIMEOUT_VARIABLE: str(math.ceil(asked.timeout_s) + ORPHAN_S)}
        if self._image.own is not None:
            more[JOB_VARIABLE] = job.model_dump_json()
        config: dict[str, object] = container_config(self._image, folders, self._containers.describe(self._job), more)
        return config

    def _follow(self, engine: Engine, container: str, folders: Folders, asked: Run) -> Result:
        """Start it, wait for its end, take over what it wrote."""
        log = ContainerLog(engine.start(container), self._log, asked.on_progress)
        deadline = time.monotonic() + asked.timeout_s
        while (state := self._state(engine, container)).is_running:
            self._require_wanted(asked, deadline)
            self._containers.require_room(self._image.name)
            if problem := survey(folders.output).overflow(self._image.output_bytes):
                return self._failed(problem, asked.target, log)
            time.sleep(LOOK_S)
        log.join(LAST_WORDS_S)
        found = survey(folders.output)
        if problem := found.overflow(self._image.output_bytes) or found.irregular() or self._why_killed(state):
            return self._failed(problem, asked.target, log)
        return gather(self._image, found, folders.output, asked.target, state.exit_code, log.tail)

    def _require_wanted(self, asked: Run, deadline: float) -> None:
        """The run is still to go on.

        Raises:
            WorkerLost: If its time is over.
            RunCancelled: If it was cancelled.
        """
        self._containers.require_going()
        if asked.cancelled():
            raise RunCancelled(f"the run of {self._image.name} was cancelled")
        if time.monotonic() >= deadline:
            raise WorkerLost(
                f"the container of {self._image.name} took longer than {asked.timeout_s:g} s and was killed"
            )

    def _state(self, engine: Engine, container: str) -> ContainerState:
        """What became of it.

        Raises:
            WorkerLost: If it is gone.
        """
        state = engine.state(container)
        if state is None:
            raise WorkerLost(f"somebody removed the container of {self._image.name}")
        return state

    def _why_killed(self, state: ContainerState) -> str | None:
        """Why the kernel ended it; None where it ended by itself."""
        if not state.out_of_memory and state.exit_code != KILLED:
            return None
        # Not every engine hears of the kernel's reason.
        how = "it took" if state.out_of_memory else "it was ended by SIGKILL, most likely since it took"
        return (
            f"{how} more memory than its limit of {self._image.memory} (pkg.json; `memory` of the image in "
            "mapnode.yaml sets another one)"
        )

    def _failed(self, problem: str, target: Path, log: ContainerLog) -> Result:
        """The result of a run that came to nothing."""
        result = failed(self._image.name, self._image.version, f"{self._image.name}: {problem}", log.tail)
        (target / RESULT_NAME).write_text(result.to_json(), encoding="utf-8")
        return result


def _lay_out(room: Path, source: Path, reference: Path | None) -> Folders:
    """Make the folders of a container: the study, links where its user may read them, and an empty output.

    The room itself is closed: nobody else of this machine reads on its way what is open to the container's user.
    """
    folders = Folders(room / "input", room / "output", None if reference is None else room / "reference.json")
    room.chmod(0o700)
    folders.input.mkdir()
    folders.output.mkdir()
    folders.output.chmod(0o777)
    for file in (path for path in source.rglob("*") if path.is_file()):
        target = folders.input / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(file, target)
    # Whatever umask the node has: its own user may not be the container's.
    for folder in (folders.input, *(path for path in folders.input.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    if reference is not None and folders.reference is not None:
        shutil.copyfile(reference, folders.reference)
        folders.reference.chmod(0o644)
    return folders


def _link_or_copy(source: Path, target: Path) -> None:
    if source.stat().st_mode & stat.S_IROTH:
        with contextlib.suppress(OSError):
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)
    target.chmod(0o644)
