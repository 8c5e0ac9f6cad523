"""Intake: takes what arrives, waits until a series rests, decides, and calls jobs back when it grows again."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mapnode.database import will_pass
from mapnode.errors import NodeError, words_of
from mapnode.intake.arrivals import SeriesArrivals
from mapnode.intake.commitment import Commitments
from mapnode.intake.completeness import has_hole, is_complete
from mapnode.intake.deciding import NoJobYet, Outlook, record_of
from mapnode.intake.making import PRIORITIES, JobMaker
from mapnode.intake.rejections import take_rejections
from mapnode.jobs.taking_back import take_back
from mapnode.pacs.errors import NotFound, OrthancUnreachable
from mapnode.records import JobState
from mapnode.records.job_states import ACTIVE, UNPUBLISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mapnode.intake.completeness import Corroboration, Patience
    from mapnode.intake.deciding import Decider, Follows, Known
    from mapnode.intake.source import SourceReader, SourceSeries
    from mapnode.jobs.spec import JobSpec
    from mapnode.pacs.events import InstanceEvent
    from mapnode.records import Records
    from mapnode.rules import Decision
    from mapnode.staging import Stager

JUST_NOW_S = 1.0
"""A decision is made on what was seen ahead, if that is no older and nothing came since."""
RETRY_S, LONGEST_RETRY_S = 30.0, 600.0
"""After this a series that could not be decided is tried again, after twice as long each further time, since all its
files are read for that. It waits in the records meanwhile."""
ANOTHER_CAME = "another instance came"
"""Why a job gives way to one that has more instances."""
PUBLISHING_WAIT_S = 0.2
"""A series that changed while an earlier result is on its way out is decided after that."""
FORGET_S = 86_400.0
"""A series that has been at rest for so long is not kept in memory any longer."""
KEPT_INSTANCES = 200_000
"""Instances in memory, about 300 bytes each; series that rest longest go first. Of what is forgotten, single deleted
instances go unnoticed."""
SILENCE_S = 1.0
"""An Orthanc that does not answer is asked about a series again after this."""
STAGE_S = 60.0
"""Slices decoded beforehand of a series at rest, without a job, are kept for so long."""
WITH_RESULTS = ACTIVE | {JobState.DONE}
BUSY = ACTIVE - {JobState.SHADOW}
"""Their series are kept in memory; a shadow job may wait for months for somebody to release it."""

_log = logging.getLogger(__name__)


class RulesUndecided(NodeError):
    """Of some rules that match a series no job can be made at the moment; all others are decided.

    Attributes:
        rules: Why, by their names.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{rule}: {why}" for rule, why in rules.items()))
        self.rules = rules


class Intake:
    """Turns arrivals into decisions and jobs. One thread uses it; what waits is stored before anything else happens.

    Attributes:
        series: What is known of series that move or have jobs, by Orthanc's identifier.
        commitments: Takes the requests of their senders for storage commitment.
    """

    def __init__(
        self,
        reader: SourceReader,
        records: Records,
        decider: Decider,
        patience: Patience,
        *,
        on_outlook: Callable[[Outlook], None],
        ask: Callable[[Known, float, str], None],
        on_withdrawn: Callable[[str, str], None],
        stager: Stager,
    ) -> None:
        """Bind it to a node.

        Args:
            reader: Reads series from Orthanc.
            records: What waits, what was decided, which jobs there are.
            decider: Asks the rules.
            patience: How long to wait for what.
            on_outlook: Called with what will be run if nothing more comes: it can be prepared.
            ask: Called with a series, the time of its last arrival and its sender: find out whether it is complete.
            on_withdrawn: Called with a published job whose source is gone, and the reason.
            stager: Decodes instances while they arrive.
        """
        self._reader = reader
        self._records = records
        self._maker = JobMaker(reader, records)
        self._decider = decider
        self._patience = patience
        self._on_outlook = on_outlook
        self._ask = ask
        self._on_withdrawn = on_withdrawn
        self._stager = stager
        self.series: dict[str, SeriesArrivals] = {}
        self.commitments = Commitments(reader.client, self.series)
        now = time.monotonic()
        for pending in records.pending.all():
            self.series[pending.orthanc_id] = SeriesArrivals(pending.orthanc_id, now, forced=pending.forced)
        for series_id in records.jobs.series_of(BUSY):
            self.series.setdefault(series_id, SeriesArrivals(series_id, now, pending=False))

    def take(self, events: Iterable[InstanceEvent]) -> None:
        """Instances came: their series wait from now on, and jobs on what they were before are called back."""
        now = time.monotonic()
        news = [event for event in events if not self._is_known(event)]
        self._grew({event.series_id for event in news}, ANOTHER_CAME)
        for event in news:
            self._reader.remember(event)
            known = self.series[event.series_id]
            known.add(event, now)
            if event.file_uuid:
                known.is_staged = True
                known.unread.append(event.file_uuid)
                self._stager.add(event.series_id, self._reader.file(event.file_uuid))

    def adopt(self) -> None:
        """Take up series that others than the intake made wait: a job whose source changed under it."""
        now = time.monotonic()
        for pending in self._records.pending.all():
            known = self.series.setdefault(pending.orthanc_id, SeriesArrivals(pending.orthanc_id, now, pending=False))
            if not known.pending:
                known.touch(now)
                known.forced = pending.forced
                known.recalls += 1

    def changed(self, series_id: str, why: str) -> None:
        """Something else about a series is not as it was: an instance was deleted, replaced or taken out of use."""
        self._grew({series_id}, why)
        self.series[series_id].touch(time.monotonic())
        self.series[series_id].instances.clear()

    def touched(self, identifiers: Sequence[str], why: str) -> None:
        """Series or instances, by Orthanc's identifiers, are not what they were."""
        changed = set(identifiers)
        touched = [s.series_id for s in self.series.values() if s.series_id in changed or changed & s.instances.keys()]
        for series_id in {*touched, *self._records.jobs.subjects_among(changed, WITH_RESULTS)}:
            self.changed(series_id, why)

    def audited(self, spec: JobSpec, why: str) -> None:
        """The series of a published job are not what it was made of; what moves at the moment is looked at anyway."""
        moving = {one.series_id for one in self.series.values() if one.is_moving}
        if moving.intersection(spec.series_ids):
            return
        for series_id in spec.series_ids:
            self.changed(series_id, why)
            if spec.subject not in spec.series_ids:
                self.series[series_id].study_id = spec.subject

    def doubt(self) -> None:
        """Events were lost that stand in no log: all in memory is looked at again; what is as it was stays so."""
        now = time.monotonic()
        self.commitments.doubt()
        self._records.pending.grew(self.series, time.time())
        for known in self.series.values():
            known.touch(now)

    def force(self, series_id: str) -> None:
        """Decide a series again, and run known input once more."""
        self._records.pending.force(series_id, time.time())
        known = self.series.setdefault(series_id, SeriesArrivals(series_id, time.monotonic()))
        known.pending = known.forced = True
        known.not_before = known.pause_s = 0.0
        known.undecided = frozenset()

    def corroborate(self, series_id: str, last: float, said: Corroboration) -> None:
        """Somebody who knows says how many instances a series has; that holds until another one comes.

        Args:
            series_id: Orthanc's identifier.
            last: Its last arrival when that was asked.
            said: What is said.
        """
        known = self.series.get(series_id)
        if known is not None and known.last == last:
            known.corroborations.append(said)

    def decide_settled(self) -> bool:
        """Decide the series that have come to rest; whether there were any."""
        now = time.monotonic()
        looked = False
        for known in [one for one in self.series.values() if one.pending and now >= one.not_before]:
            self._reader.prepare(known.unread)
            known.unread.clear()
            rested_s, settle_s = now - known.last, known.settle_s(self._patience)
            if rested_s >= known.ask_s(self._patience) and not self._look_ahead(known):
                break
            if rested_s >= settle_s or known.forced or is_complete(len(known.instances), known.corroborations):
                looked = True
                if not self._try(known):
                    break
        return looked

    def forget(self) -> None:
        """Drop from disk and memory what has been at rest for long and has no job to come."""
        now = time.monotonic()
        self._reader.forget()
        busy = self._records.jobs.series_of(BUSY)
        resting = [one for one in self.series.values() if not one.pending and one.series_id not in busy]
        kept = 0
        for one in sorted(resting, key=lambda one: one.last, reverse=True):
            kept += len(one.instances)
            is_over = kept > KEPT_INSTANCES or now - one.last > FORGET_S
            if one.is_staged and (is_over or now - one.last > STAGE_S):
                self._stager.drop(one.series_id)
                one.is_staged = False
            if is_over:
                del self.series[one.series_id]

    def next_look_s(self) -> float | None:
        """How long nothing has to be decided; None where nothing waits."""
        looks = [known.next_look(self._patience) for known in self.series.values() if known.pending]
        return max(0.0, min(looks) - time.monotonic()) if looks else None

    def _is_known(self, event: InstanceEvent) -> bool:
        """Whether an instance came again unchanged."""
        known = self.series.get(event.series_id)
        return known is not None and known.knows(event)

    def _grew(self, series_ids: set[str], why: str) -> None:
        """Keep that series wait, and call back jobs on what they were. Those that wait already have none, and stay."""
        resting = {one for one in series_ids if one not in self.series or not self.series[one].is_moving}
        if not resting:
            return
        self._records.pending.grew(resting, time.time())
        for series_id in resting:
            # It waits when it is told of; until then this may break off and be done again.
            known = self.series.setdefault(series_id, SeriesArrivals(series_id, time.monotonic(), pending=False))
            for subject in filter(None, (series_id, known.study_id)):
                known.recalls += self._recall(subject, why)

    def _recall(self, subject: str, why: str) -> int:
        """Call back what is not published; the number of jobs that had begun."""
        begun = 0
        for job in self._records.jobs.of_subject(subject, UNPUBLISHED):
            if take_back(self._records, self._reader.client, job, JobState.RECALLED, why):
                _log.info("job %s: called back, %s", job.id, why)
                begun += job.state is not JobState.QUEUED
        return begun

    def _try(self, known: SeriesArrivals) -> bool:
        """Decide a series; False if Orthanc does not answer, who follows the change log has said so.

        Raises:
            SQLAlchemyError: If the records cannot be written now.
        """
        try:
            self._decide(known)
        except OrthancUnreachable:
            known.not_before = time.monotonic() + SILENCE_S
            return False
        except Exception as error:  # the intake's loop: one series must never end it for all others
            if will_pass(error):
                raise  # no fault of the series: it is decided with the next look, and its study not without it
            if not known.is_unreadable and not isinstance(error, RulesUndecided):
                self._go_on_without(known)
            known.pause_s = min(2 * known.pause_s or RETRY_S, LONGEST_RETRY_S)
            why = words_of(error)
            _log.error("series %s could not be decided, trying again in %g s: %s", known.series_id, known.pause_s, why)
            known.not_before = time.monotonic() + known.pause_s
        return True

    def _go_on_without(self, known: SeriesArrivals) -> None:
        """A series cannot be read: its study, which waited for it, is decided with the next look at another one."""
        known.is_unreadable = True
        for other in self.series.values():
            if other is not known and other.study_id == known.study_id != "" and not other.pending:
                self._records.pending.grew([other.series_id], time.time())
                other.pending = True
                return

    def _look(self, known: SeriesArrivals) -> Outlook | None:
        """A series as it is now; None where nothing is left of it."""
        at = time.monotonic()
        source = self._reader.series(known.series_id)
        if source is None:
            return None
        known.study_id = source.study_id
        calling, called = self._sender(known, source)
        found = self._decider.know(source, calling, called)
        return Outlook(at, calling, found, self._decider.decide_series(found))

    def _look_ahead(self, known: SeriesArrivals) -> bool:
        """Look at a series that seems to rest, so that less is left to do when it does; ask whether all has come.

        Returns:
            False if Orthanc does not answer: the others need not be looked at either.
        """
        known.looked_for = known.last
        known.looks += 1
        try:
            known.outlook = outlook = self._look(known)
        except OrthancUnreachable:
            known.not_before = time.monotonic() + SILENCE_S
            return False
        except Exception as error:  # noqa: BLE001 - the decision looks again, and says what is wrong
            _log.debug("series %s could not be looked at ahead: %s", known.series_id, words_of(error))
            return True
        if outlook is not None and outlook.apps:
            self._on_outlook(outlook)
            self._ask(outlook.found, known.last, outlook.calling_aet)
        return True

    def _decide(self, known: SeriesArrivals) -> None:
        # Everything that was told of is in what was seen since; what comes later calls the job back.
        outlook, known.outlook = known.outlook, None
        if outlook is None or time.monotonic() - outlook.at > JUST_NOW_S:
            outlook = self._look(known)
        if self._is_publishing(known):
            known.not_before = time.monotonic() + PUBLISHING_WAIT_S
            return
        if outlook is None:
            self._gone(known)
            return
        found, calling = outlook.found, outlook.calling_aet
        source = found.source
        if self._should_wait(known, source):
            return
        self._take_rejections(found)
        decided = [*outlook.decided, *self._decide_study(known, found)]
        self._carry_out([(d, s) for d, s in decided if not isinstance(s, NoJobYet)], known, found, calling)
        known.looks = 0
        undecided = {decision.rule: spec.why for decision, spec in decided if isinstance(spec, NoJobYet)}
        known.undecided = frozenset(undecided)
        if undecided:
            raise RulesUndecided(undecided)
        self._records.pending.settled(known.series_id)
        known.pending = known.forced = False

    def _carry_out(
        self, decided: list[tuple[Decision, JobSpec | None]], known: SeriesArrivals, found: Known, calling: str
    ) -> None:
        """Make the jobs that follow, withdraw what is wanted no more, and keep what was decided.

        All are gone through with each try, for a job may have been called back since, but what was decided already is
        neither forced nor kept once more.
        """
        decided.sort(key=lambda one: _claim(*one))
        new = []
        for decision, spec in decided:
            is_new = known.has_to_decide(decision.rule)
            forced = known.forced and is_new
            job = None if spec is None else self._make(spec, decision, found.source, calling, forced=forced)
            if is_new:
                new.append(record_of(decision, found, job))
        self._records.decisions.add(new)
        for decision, _ in decided:
            for stale in self._maker.stale(decision, found):
                self._on_withdrawn(stale, f"the source changed, and rule {decision.rule} wants it no more")
        if new:
            matched = ", ".join(record.app for record in new if record.matched) or "no rule matches"
            uid, count = found.facts.series_instance_uid, found.facts.instances
            _log.info("series %s at rest with %d instances: %s", uid, count, matched)
        if any(record.job_id for record in new) and not is_complete(known.looked, known.corroborations):
            self._ask(found, known.last, calling)

    def _should_wait(self, known: SeriesArrivals, source: SourceSeries) -> bool:
        """Whether a first look showed that something is missing in the middle."""
        looked, known.looked = known.looked, len(source.instances)
        if known.has_hole or looked == len(source.instances) or known.forced:
            return False
        known.has_hole = has_hole(instance.number for instance in source.instances)
        return known.has_hole

    def _gone(self, known: SeriesArrivals) -> None:
        """Nothing of a series is left: call back what is not published, withdraw what is."""
        why = "the source series is no longer in Orthanc, or was taken out of use"
        for subject in filter(None, (known.series_id, known.study_id)):
            self._recall(subject, why)
            for job in self._records.jobs.of_subject(subject, {JobState.DONE}):
                if known.series_id in job.spec.series_ids:
                    self._on_withdrawn(job.id, why)
        self._records.pending.settled(known.series_id)
        known.pending = known.forced = False

    def _sender(self, known: SeriesArrivals, source: SourceSeries) -> tuple[str, str]:
        """Calling and called AE title, as an event told of them, else of the first instance."""
        if known.calling_aet:
            return known.calling_aet, known.called_aet
        metadata = self._reader.client.instance_metadata(source.instances[0].id)
        return metadata.remote_aet, metadata.called_aet

    def _take_rejections(self, found: Known) -> None:
        """A rejection note of somebody else: what it names is no input any more."""
        if found.facts.own_result:
            return
        for series_id, title in take_rejections(found.headers, self._records.rejections, self._reader.client):
            self.changed(series_id, f"a rejection note took instances out of use ({title})")

    def _decide_study(self, known: SeriesArrivals, found: Known) -> list[tuple[Decision, Follows]]:
        """What study rules say, once every series of the study has come to rest."""
        rules = self._decider.study_rules
        if not rules:
            return []
        try:
            series_ids = self._reader.client.study(known.study_id).series_ids
        except NotFound:
            return []
        moving = {one.series_id for one in self.series.values() if one.is_moving}
        unreadable = {one.series_id for one in self.series.values() if one.is_unreadable}
        others = [one for one in series_ids if one != known.series_id and one not in unreadable]
        if moving.intersection(others):
            return []  # whichever comes to rest last decides
        everything = [found, *self._known(others)]
        return [self._decider.decide_study(rule, known.study_id, everything) for rule in rules]

    def _known(self, series_ids: Sequence[str]) -> list[Known]:
        found = []
        for series_id in series_ids:
            source = self._reader.series(series_id)
            if source is not None:
                arrivals = self.series.get(series_id) or SeriesArrivals(series_id, 0.0)
                found.append(self._decider.know(source, *self._sender(arrivals, source)))
        return found

    def _is_publishing(self, known: SeriesArrivals) -> bool:
        """Whether a result of the series, or of its study, is on its way out.

        It can neither be called back nor be replaced nor be withdrawn before it is out, whatever the rules say now.
        """
        subjects = filter(None, (known.series_id, known.study_id))
        return any(self._records.jobs.of_subject(subject, {JobState.PUBLISHING}) for subject in subjects)

    def _make(self, spec: JobSpec, decision: Decision, source: SourceSeries, calling_aet: str, *, forced: bool) -> str:
        """Make a job, and keep its series in mind."""
        job_id, is_new = self._maker.make(spec, decision, source, calling_aet, forced=forced)
        if is_new:
            for series_id in spec.series_ids:
                self.series.setdefault(series_id, SeriesArrivals(series_id, time.monotonic(), pending=False))
        return job_id


def _claim(decision: Decision, spec: JobSpec | None) -> tuple[bool, int]:
    """Where a rule stands among those that want the same app on the same input, and get one job between them.

    It is that of a live rule, where there is one, and of the most urgent of these.
    """
    return spec is None or spec.mode != "live", PRIORITIES[decision.priority]
