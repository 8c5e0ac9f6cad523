"""Coordinator: the one thread that takes what arrives, decides, starts, publishes, and does what commands ask."""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from mapnode.database import will_pass
from mapnode.errors import NodeError
from mapnode.jobs.current_app import require_on
from mapnode.jobs.taking_back import take_back
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.pacs.events import InstanceEvent
from mapnode.records import JobState
from mapnode.records.job_states import ACTIVE, RETRIED
from mapnode.records.requests import RequestKind

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from mapnode.intake import Intake
    from mapnode.jobs.publisher import Publisher
    from mapnode.jobs.scheduler import Scheduler
    from mapnode.jobs.workflow import JobRunner
    from mapnode.pacs.orthanc_client import OrthancClient
    from mapnode.records import JobRecord, Records, Request

Message: TypeAlias = "InstanceEvent | Callable[[Intake], None]"
"""An instance that came, or anything else to tell the intake, in its own thread."""

TICK_S = 0.05
"""Longest pause between two looks while something is to be done."""
BATCH = 2000
"""Messages that are taken at once."""
REQUESTS_S = 0.2
HOUSEKEEPING_S = 60.0
RECONCILE_S = 15.0
PAUSE_S = 1.0
"""After a look that failed."""

_log = logging.getLogger(__name__)


class Coordinator:
    """Ties intake, scheduler and publisher together."""

    def __init__(
        self,
        records: Records,
        client: OrthancClient,
        intake: Intake,
        scheduler: Scheduler,
        publisher: Publisher,
        runner: JobRunner,
        housekeeping: Callable[[], None],
    ) -> None:
        """Bind it to a node's parts.

        Args:
            records: Jobs and requests.
            client: Orthanc.
            intake: Decides series.
            scheduler: Starts jobs.
            publisher: Lets results go out.
            runner: Runs jobs durably.
            housekeeping: Called now and then.
        """
        self._records = records
        self._client = client
        self._intake = intake
        self._scheduler = scheduler
        self._publisher = publisher
        self._runner = runner
        self._housekeeping = housekeeping
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._taken: deque[Message] = deque()
        self._waits = False
        self._due = {"jobs": 0.0, "requests": 0.0, "reconcile": 0.0, "housekeeping": time.monotonic() + HOUSEKEEPING_S}

    def tell(self, message: Message) -> None:
        """Say something from any thread."""
        self._messages.put(message)

    def wake(self) -> None:
        """Look now: a workflow has ended."""
        self._messages.put(lambda _: None)

    def run(self, stop: threading.Event) -> None:
        """Look again and again, until told to stop."""
        while not stop.is_set():
            try:
                self._look()
                self._waits = False
            except OrthancUnreachable as error:
                _log.debug("%s", error)
            except Exception as error:  # noqa: BLE001 - the node's own loop
                # The node's loop must outlive everything; what failed is tried again with the next look.
                if not will_pass(error):
                    _log.exception("the coordinator's look failed; looking again")
                elif not self._waits:
                    _log.warning("the records cannot be written, waiting: %s", getattr(error, "orig", error))
                self._waits = will_pass(error)
                stop.wait(PAUSE_S)

    def _look(self) -> None:
        changed = self._take(TICK_S)
        if self._intake.decide_settled():
            changed = True
            self._scheduler.wake()
        # While a study arrives it is news after news, and none of it changes what may start or go out.
        if changed or self._is_due("jobs", TICK_S):
            self._scheduler.tick()
            self._publisher.tick()
        if self._is_due("requests", REQUESTS_S):
            self._intake.adopt()
            for request in self._records.requests.all():
                self._do(request)
        if self._is_due("reconcile", RECONCILE_S):
            self.reconcile()
        if self._is_due("housekeeping", HOUSEKEEPING_S):
            self._intake.forget()
            self._housekeeping()

    def _is_due(self, name: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due[name]:
            return False
        self._due[name] = now + every_s
        return True

    def _take(self, longest_s: float) -> bool:
        """Take what was told, in its order; wait for it as long as nothing else has to be done.

        What cannot be stored now stays and is taken with the next look: who told it does so only once.

        Returns:
            Whether anything but instances was told.
        """
        next_look_s = self._intake.next_look_s()
        wait_s = longest_s if next_look_s is None else min(longest_s, next_look_s)
        with contextlib.suppress(queue.Empty):
            if not self._taken:
                self._taken.append(self._messages.get(timeout=max(wait_s, 0.001)))
            while len(self._taken) < BATCH:
                self._taken.append(self._messages.get_nowait())
        changed = any(not isinstance(message, InstanceEvent) for message in self._taken)
        while self._taken:
            self._take_next()
        return changed

    def _take_next(self) -> None:
        """All instances up to the next message of another kind, or that message.

        Raises:
            OrthancUnreachable: If Orthanc does not answer: it stays, and is taken later.
            SQLAlchemyError: If the records cannot be written.
        """
        events: list[InstanceEvent] = []
        for message in self._taken:
            if not isinstance(message, InstanceEvent):
                break
            events.append(message)
        try:
            if isinstance(message := self._taken[0], InstanceEvent):
                self._intake.take(events)
            else:
                message(self._intake)
        except (OrthancUnreachable, SQLAlchemyError):
            raise
        except Exception:  # noqa: BLE001 - the node's own loop: what is wrong with one message must not stop the others
            _log.exception("something that was told could not be taken")
        for _ in range(max(len(events), 1)):
            self._taken.popleft()

    def reconcile(self) -> None:
        """Bring the states of jobs and what DBOS does into agreement, after kills and restored databases."""
        for job in self._records.jobs.in_states({JobState.RUNNING}):
            self._back(job, job.last_run, JobState.QUEUED)
        for job in self._records.jobs.in_states({JobState.PUBLISHING}):
            self._back(job, f"{job.id}.publish.{self._publisher.times_published(job.id)}", JobState.WAITING)

    def _back(self, job: JobRecord, workflow: str, before: JobState) -> None:
        """Do a job again whose workflow is not, or never was, under way."""
        if self._runner.is_under_way(workflow):
            return
        # Between the two questions it may have ended: only what is still in that state goes anywhere.
        state = job.state
        if self._runner.is_given_up(workflow):
            reason = "the input ends the node's process: it was interrupted again and again"
            self._records.jobs.move(job.id, JobState.QUARANTINED, reason, only_from={state})
        elif self._records.jobs.move(job.id, before, "interrupted; it is done again", only_from={state}):
            _log.warning("job %s: was interrupted, and is done again", job.id)
            self._scheduler.wake()

    def _do(self, request: Request) -> None:
        """Do what a command asks, once; whoever asked hears why it was not done.

        Raises:
            SQLAlchemyError: If the records cannot be written: it is done later.
        """
        why_not = ""
        try:
            if request.kind is RequestKind.RERUN:
                self._rerun(request)
            else:
                self._do_with_job(request.kind, str(request.argument["job"]))
        except OrthancUnreachable:
            return
        except SQLAlchemyError:
            raise
        except NodeError as error:
            why_not = str(error)
            _log.error("request %s failed: %s", request.kind, error)
        except Exception as error:  # noqa: BLE001 - the node's own loop: requests behind this one wait for its end
            why_not = f"the node failed at it ({type(error).__name__}); its log says more"
            _log.exception("request %s failed", request.kind)
        self._records.requests.done(request.id, why_not)

    def _do_with_job(self, kind: RequestKind, job_id: str) -> None:
        """Do what is asked of one job, if there is one.

        Raises:
            AppOff: If its results are to go out, and its app is switched off.
        """
        job = self._records.jobs.get(job_id)
        if job is None:
            return
        if kind is RequestKind.CANCEL:
            take_back(self._records, self._client, job, JobState.CANCELLED, "cancelled on demand")
        elif kind is RequestKind.RETRY:
            self._retry(job)
        elif kind is RequestKind.RELEASE:
            require_on(job.spec.app, self._records.switches.all())
            self._publisher.release(job, "released on demand")

    def _retry(self, job: JobRecord) -> None:
        """Begin a job anew, unless a later one took its place: both would publish.

        Raises:
            NodeError: If there is such a one.
        """
        others = self._records.jobs.of_subject(job.subject, ACTIVE | {JobState.DONE})
        later = [one.id for one in others if one.spec.rule == job.spec.rule and one.seq > job.seq]
        if later:
            raise NodeError(f"job {job.id} is not tried again: job {later[-1]} took its place")
        self._records.jobs.move(job.id, JobState.QUEUED, "tried again on demand", only_from=RETRIED, not_before=0.0)
        self._scheduler.wake()

    def _rerun(self, request: Request) -> None:
        """Decide the series of studies, or single series, again: of all that were named, or of none.

        Raises:
            NodeError: If Orthanc has no study or series of a UID.
        """
        series_ids: list[str] = []
        for uid in request.argument["uids"]:
            found = [one for one in self._client.lookup(uid) if one.type in {"Series", "Study"}]
            if not found:
                raise NodeError(f"Orthanc has no study or series with the UID {uid}; nothing is decided again")
            for one in found:
                series_ids += [one.id] if one.type == "Series" else self._client.study(one.id).series_ids
        for series_id in series_ids:
            self._intake.force(series_id)
