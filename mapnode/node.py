"""Node: Orthanc, intake, jobs and workers under one roof, in the foreground."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import signal
import socket
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI

from mapnode.app_catalogue import list_apps
from mapnode.containers.images import Images
from mapnode.containers.runner import SWEEP_S, Containers
from mapnode.coordinator import Coordinator
from mapnode.housekeeping import Housekeeping, free_mb
from mapnode.intake import Corroboration, Intake
from mapnode.intake.audit import Audit
from mapnode.intake.corroborator import Corroborator
from mapnode.intake.deciding import Decider
from mapnode.intake.feed import Feed, PositionInTurn
from mapnode.intake.source import SourceReader
from mapnode.jobs.lease import require_lease
from mapnode.jobs.publisher import Publisher
from mapnode.jobs.scheduler import Capacity, Scheduler
from mapnode.jobs.takeover import NODE, Presence
from mapnode.jobs.taking_back import take_back
from mapnode.jobs.work import Workplace
from mapnode.jobs.workflow import QUEUE, JobRunner
from mapnode.known_rules import load_known_rules
from mapnode.node_folder import STATE_NAME, event_channel, only_node
from mapnode.pacs.change_follower import ChangeFollower, FilePositionStore, FollowState
from mapnode.pacs.errors import OrthancUnreachable, PacsError
from mapnode.pacs.event_receiver import EVENT_PATH, event_router
from mapnode.pacs.events import ChangedEvent, CommitmentEvent, DeletedEvent, InstanceEvent, StartedEvent
from mapnode.pacs.gate import Gate, GateKeeper
from mapnode.pacs.orthanc_configuration import LOOPBACK, Modality, OrthancSettings, PluginSettings
from mapnode.pacs.orthanc_elsewhere import OrthancElsewhere
from mapnode.pacs.orthanc_process import OrthancProcess
from mapnode.pacs.replacements import Replacements
from mapnode.records import JobState, Records
from mapnode.records.job_states import ACTIVE
from mapnode.records.switches import INTAKE, JOBS
from mapnode.runners.warm import WarmWorkers, WorkerLost
from mapnode.staging import Stager
from operators.core.header import keep_values_out_of_warnings

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapnode.intake.deciding import Outlook
    from mapnode.pacs.events import EventBatch
    from mapnode.rules import Rule
    from mapnode.rules.schema import Mode
    from mapnode.settings import Settings

WATCH_S = 1.0
YOUNG_OBJECTS = 20_000
"""Python looks for circular garbage after so many new objects; at its default of 700 that takes 7 % of the node's
time while a study arrives."""

_log = logging.getLogger(__name__)


class Node:
    """A running node. Everything that it starts it stops."""

    def __init__(self, settings: Settings) -> None:
        """Check what can be checked before anything starts.

        Args:
            settings: The node's settings.

        Raises:
            WrongUse: If the rules are wrong, or a rule sets a parameter that its app does not have.
        """
        self.settings = settings
        self.folder = settings.var.resolve()
        self._images = Images(settings.images, settings.container_socket)
        self._rules = load_known_rules(settings.rules, settings.models, self._images)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._started = time.time()
        self._next_sweep = 0.0

    def run(self, on_ready: Callable[[dict[str, Any]], None]) -> None:
        """Run until SIGINT or SIGTERM.

        Args:
            on_ready: Called once when studies can come, with the node's status.
        """
        keep_values_out_of_warnings()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: self._stop.set())
        with contextlib.ExitStack() as stack:
            self._open(stack)
            # What is there now stays: collecting garbage need not look at it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS)
            on_ready(self.status())
            while not self._stop.wait(WATCH_S):
                self.watch()
            _log.info("stopping")

    def watch(self) -> None:
        """Look after all that may go wrong, once; a look that fails, on a full disk for instance, comes again."""
        for look in (
            self._watch_orthanc,
            self._watch_change_log,
            self._watch_passed_over,
            self._watch_gate,
            self._watch_replacements,
            self._sweep_containers,
        ):
            try:
                look()
            except Exception:  # noqa: BLE001 - the node's own loop: its end would be that of Orthanc and of every job
                _log.exception("what the node looks after failed; looking again")

    def status(self) -> dict[str, Any]:
        """What `mapnode status` prints of a running node."""
        part = self.settings.orthanc
        disk = os.statvfs(self.folder)
        return {
            "node": {
                "url": self.url,
                "pid": os.getpid(),
                "version": version("mapnode"),
                "state": self._state(),
                "started_at": self._started,
                "following": str(self._follower.state),
            },
            "orthanc": {
                "url": self._orthanc.url,
                "dicom_port": part.dicom_port,
                "aet": part.aet,
                "version": self._orthanc_version,
                "state": "running" if self._orthanc.is_running() else "stopped",
                "plugin": part.plugin,
            },
            "workers": self._workers.describe(),
            "staging": self._stager.describe(),
            "off": self._records.switches.all(),
            "destinations": [],
            "disk": {"folder": str(self.folder), "free_bytes": disk.f_bavail * disk.f_frsize},
        }

    def _state(self) -> str:
        """running; draining, and drained when all jobs have ended; or paused."""
        switches = self._records.switches.all()
        if INTAKE in switches:
            counts = self._records.jobs.counts()
            return "draining" if any(counts.get(state) for state in ACTIVE - {JobState.SHADOW}) else "drained"
        return "paused" if JOBS in switches else "running"

    def _open(self, stack: contextlib.ExitStack) -> None:
        """Start all parts, in the order in which they need each other; the stack stops them the other way round."""
        stack.enter_context(only_node(self.folder))
        elsewhere = self.settings.orthanc.elsewhere
        listener, token = event_channel(self.folder, None if elsewhere is None else elsewhere.node_port)
        stack.callback(listener.close)
        self.url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        settings = self._orthanc_settings(token)
        self._orthanc = OrthancProcess(settings) if elsewhere is None else OrthancElsewhere(settings)
        self._orthanc.start()
        stack.callback(self._orthanc.stop)
        self._orthanc_version = self._orthanc.wait_until_ready().version
        client = stack.enter_context(self._orthanc.client())
        self._gate = GateKeeper(Gate(client))
        self._replacements = Replacements(client, self._orthanc.settings.storage)
        records = self._records = Records(self.settings.place.records)
        stack.callback(records.close)
        limit_mb = self.settings.memory_mb
        self._workers = WarmWorkers(
            memory_bytes=None if limit_mb is None else int(limit_mb * 1e6), runs=self.settings.workers
        )
        stack.callback(self._workers.stop)
        self._stager = Stager(self.folder / "stages")
        stack.callback(self._stager.stop)
        reader = SourceReader(client, self._orthanc.settings.storage, records.rejections.among)
        stack.callback(reader.stop)
        presence = Presence(records.engine, NODE, [QUEUE])
        self._roll = presence.roll
        self._containers = Containers(self._images, self.folder, presence.executor_id, self.settings.min_free_mb)
        stack.callback(self._containers.stop)
        self._runner = JobRunner(self._workplace(reader, records), self.settings.place, presence)
        self._coordinator = self._coordinate(reader, records, stack)
        feed = self._feed = Feed(client, self._coordinator.tell, records.passed_over)
        position = PositionInTurn(FilePositionStore(self.folder / "position.json"), self._coordinator.tell)
        self._follower = ChangeFollower(client, position, feed.on_instance, poll_s=self.settings.poll_s)
        stack.callback(self._join)
        self._runner.launch(self.settings.workers)
        stack.callback(self._runner.stop)
        self._coordinator.reconcile()
        self._serve(listener, token, feed, stack)
        self._begin("follow", self._follower.run)
        self._begin("coordinate", self._coordinator.run)
        self._begin("audit", Audit(reader, records, self._coordinator.tell, self._runner.withdraw).run)
        self._begin("warm up", self._warm_up)
        (self.folder / STATE_NAME).write_text(json.dumps({"url": self.url, "pid": os.getpid()}), encoding="utf-8")
        stack.callback((self.folder / STATE_NAME).unlink, missing_ok=True)

    def _workplace(self, reader: SourceReader, records: Records) -> Workplace:
        return Workplace(
            reader,
            records,
            self.folder,
            self._workers,
            self.settings.job_timeout_s,
            self.settings.timeouts_s,
            self.settings.models,
            self._containers,
            require_lease=require_lease,
            stage_of=self._stager.folder,
            on_end=lambda: self._coordinator.wake(),
        )

    def _coordinate(self, reader: SourceReader, records: Records, stack: contextlib.ExitStack) -> Coordinator:
        """Intake, scheduler and publisher, and the thread that ties them together."""
        settings, patience = self.settings, self.settings.patience

        def heard(series_id: str, last: float, said: Corroboration) -> None:
            coordinator.tell(lambda intake: intake.corroborate(series_id, last, said))

        def prepare(outlook: Outlook) -> None:
            paths = [reader.path(instance) for instance in outlook.found.source.instances]
            for app in outlook.apps:
                self._workers.read_ahead(app, paths)

        corroborator = Corroborator(reader.client, heard, ask_source=settings.ask_source)
        stack.callback(corroborator.stop)
        intake = Intake(
            reader,
            records,
            Decider(
                reader,
                records,
                self._rules,
                settings.objects,
                settings.max_chain_depth,
                settings.models,
                self._images,
            ),
            patience,
            on_outlook=prepare,
            ask=corroborator.ask,
            on_withdrawn=self._runner.withdraw,
            stager=self._stager,
        )
        self._stager.sweep(intake.series)
        scheduler = Scheduler(
            records,
            self._capacity,
            self._runner.compute,
            self._runner.is_under_way,
            settings.research_hours,
            self._images.known,
        )
        publisher = Publisher(
            records, intake.series, patience, self._study_quiet_s, self._mode_of, self._runner.publish
        )
        keep = Housekeeping(
            self.folder,
            records,
            self._runner.purge,
            lambda job, why: take_back(records, reader.client, job, JobState.CANCELLED, why),
            jobs_days=settings.keep_jobs_days,
            shadow_days=settings.keep_shadow_days,
            quarantine_days=settings.keep_quarantine_days,
            records_days=settings.keep_records_days,
            min_free_mb=settings.min_free_mb,
        )
        coordinator = Coordinator(records, reader.client, intake, scheduler, publisher, self._runner, keep)
        return coordinator

    def _capacity(self) -> Capacity:
        """What all processes may run at the same time, on machines like this one; nothing without room on the disk."""
        if free_mb(self.folder) < self.settings.min_free_mb:
            return Capacity(0, 0, 0)
        helping = self._roll.serving(QUEUE)
        machines = len({one.machine for one in helping})
        slots = sum(one.slots for one in helping)
        return Capacity(slots, machines * self.settings.gpus, machines * self._workers.memory_bytes)

    def _study_quiet_s(self, rule_name: str) -> float | None:
        """The silence that a study rule asks for; None for rules about series, and for those that are gone."""
        rule = self._rule(rule_name)
        if rule is None or rule.study is None:
            return None
        return rule.study.quiet_s or self.settings.study_quiet_s

    def _mode_of(self, rule_name: str) -> Mode | None:
        """The mode of a rule; None for those that are gone."""
        rule = self._rule(rule_name)
        return None if rule is None else rule.mode

    def _rule(self, name: str) -> Rule | None:
        return next((rule for rule in self._rules.rules if rule.name == name), None)

    def _orthanc_settings(self, token: str) -> OrthancSettings:
        part = self.settings.orthanc
        return OrthancSettings(
            folder=self.folder / "orthanc",
            program=part.program,
            aet=part.aet,
            dicom_port=part.dicom_port,
            http_port=part.http_port,
            modalities=tuple(Modality(m.aet, m.host, m.port) for m in part.modalities),
            plugin=self._plugin_settings(token) if part.plugin else None,
            host=LOOPBACK if part.elsewhere is None else part.elsewhere.host,
        )

    def _plugin_settings(self, token: str) -> PluginSettings:
        limit_bytes = int(self.settings.min_free_mb * 1e6)
        elsewhere = self.settings.orthanc.elsewhere
        url = self.url if elsewhere is None else f"http://{elsewhere.node}:{elsewhere.node_port}"
        return PluginSettings(
            url + EVENT_PATH, token, intake_free_bytes=limit_bytes, results_free_bytes=limit_bytes // 4
        )

    def _serve(self, listener: socket.socket, token: str, feed: Feed, stack: contextlib.ExitStack) -> None:
        """The node's own loopback HTTP: events in, status out."""
        api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        api.include_router(event_router(token, lambda batch: self._on_events(batch, feed)))
        api.add_api_route("/status", self.status)
        server = uvicorn.Server(uvicorn.Config(api, log_level="warning", lifespan="off"))
        # At once, or whoever reads where the node is before that thread gets its turn is refused.
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True)
        # uvicorn handles signals in the main thread only; here the node does.
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join(timeout=5)

        stack.callback(stop)

    def _on_events(self, batch: EventBatch, feed: Feed) -> None:
        feed.on_events(batch.of(InstanceEvent))
        if batch.of(StartedEvent):
            self._gate.doubt()
        if batch.of(StartedEvent) or batch.dropped:
            # What is not told comes by the change log, and a request for storage commitment may be sooner.
            self._coordinator.tell(lambda intake: intake.commitments.doubt())
        gone = [event.id for event in batch.of(DeletedEvent) if event.level in {"series", "instance"}]
        replaced = [event.id for event in batch.of(ChangedEvent) if event.what == "attachment"]
        if ids := gone + replaced:
            self._coordinator.tell(lambda intake: intake.touched(ids, "instances were deleted or replaced"))
        if batch.lost:
            _log.warning("%d events of Orthanc were lost; what is in memory is looked at again", batch.lost)
            self._coordinator.tell(Intake.doubt)
        for asked in batch.of(CommitmentEvent):
            self._on_commitment(asked.calling_aet)
        for conflict in batch.conflicts:
            _log.warning(
                "instance %s came again from %s with other content",
                conflict.sop_instance_uid,
                conflict.calling_aet or conflict.origin or "somewhere",
            )
        if batch.dropped:
            feed.on_dropped()
            self._follower.wake()

    def _on_commitment(self, calling_aet: str) -> None:
        self._coordinator.tell(lambda intake: intake.commitments.asked(calling_aet))

    def _begin(self, name: str, target: Callable[[threading.Event], None]) -> None:
        thread = threading.Thread(target=target, args=(self._stop,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _join(self) -> None:
        self._stop.set()
        self._follower.wake()
        for thread in self._threads:
            thread.join(timeout=10)

    def _warm_up(self, _: threading.Event) -> None:
        """Start the workers of the apps that rules name, so that the first study does not wait for them."""
        apps = {app.name: app for app in list_apps(self.settings.models)}
        for name in sorted({rule.app for rule in self._rules.rules if rule.app is not None}):
            try:
                self._workers.of(apps[name]).warm_up()
            except WorkerLost as error:
                _log.error("%s; its jobs will fail until that is mended", error)

    def _watch_orthanc(self) -> None:
        """Have Orthanc again when it is gone; everything else waits for it meanwhile."""
        if self._orthanc.is_running():
            return
        _log.error("Orthanc is gone; starting it again, or waiting for who starts it")
        try:
            self._orthanc.start()
            self._orthanc.wait_until_ready()
        except PacsError as error:
            _log.error("Orthanc does not start: %s; trying again", error)

    def _watch_passed_over(self) -> None:
        """Ask Orthanc again for instances that it could not tell of."""
        try:
            self._feed.ask_again()
        except OrthancUnreachable as error:
            _log.debug("%s", error)  # who follows the change log has said so

    def _watch_gate(self) -> None:
        """Let studies in, or not, as `mapnode drain` and `resume` say."""
        if self.settings.orthanc.plugin:
            self._gate.keep(self._records.switches.all().get(INTAKE))

    def _watch_replacements(self) -> None:
        """Put in place what came again with other content; its series is decided again then."""
        try:
            self._replacements.apply()
        except OrthancUnreachable as error:
            _log.debug("%s", error)  # who follows the change log has said so

    def _sweep_containers(self) -> None:
        """Remove the containers that nobody looks after any more."""
        if time.monotonic() >= self._next_sweep:
            self._containers.tidy(self._roll.living)
            self._next_sweep = time.monotonic() + SWEEP_S

    def _watch_change_log(self) -> None:
        """Read a change log that is not the one we followed from its beginning: what is known does not run twice."""
        if self._follower.state is FollowState.BEHIND:
            _log.warning("reading Orthanc's change log from its beginning; studies that were done are known")
            self._follower.reconcile()
