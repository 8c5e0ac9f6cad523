"""Looking ahead: a series of which all has come is not waited for, and what was seen holds until more comes."""

import pytest

from mapnode.intake import Corroboration
from mapnode.intake.deciding import identified
from mapnode.intake.source import SourceReader
from tests.mapnode.engine import APP, SERIES
from tests.mapnode.intake.steps import all_jobs, settle, states

# corroboration


def test_what_is_said_of_a_series_holds_until_another_instance_comes(make_node, orthanc, files, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    known = node.intake.series[SERIES]
    node.intake.corroborate(SERIES, known.last, Corroboration(4, "CT1"))
    before = list(known.corroborations)
    node.intake.take(orthanc.add(SERIES, files[4:]))

    assert (before, known.corroborations) == ([Corroboration(4, "CT1")], [])


def test_what_was_asked_of_a_series_before_it_grew_or_of_an_unknown_one_counts_for_nothing(
    make_node, orthanc, files, clock
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    asked = node.intake.series[SERIES].last
    clock.now += 0.1
    node.intake.take(orthanc.add(SERIES, files[4:]))

    node.intake.corroborate(SERIES, asked, Corroboration(5, "CT1"))
    node.intake.corroborate("unknown", asked, Corroboration(4, "CT1"))

    assert node.intake.series[SERIES].corroborations == []


def test_whether_a_series_is_complete_is_asked_once_a_tenth_of_the_silence_is_over(make_node, orthanc, files, clock):
    node = make_node(settle_s=0.4)
    node.intake.take(orthanc.add(SERIES, files))
    last = node.intake.series[SERIES].last
    asked = []
    for _ in range(3):
        settle(node, clock, 0.03)
        asked.append(list(node.said.asked))

    assert asked == [[], [(SERIES, last, "SCANNER")], [(SERIES, last, "SCANNER")]]
    assert node.said.outlooks == [{APP}]


def test_what_was_seen_ahead_is_decided_on_without_asking_orthanc_again(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock, 0.2)
    asked = orthanc.asked
    settle(node, clock, 0.3)

    assert (states(records), orthanc.asked) == (["queued"], asked)


def test_what_was_seen_ahead_counts_for_nothing_once_another_instance_came(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock, 0.2)
    node.intake.take(orthanc.add(SERIES, files[4:]))
    node.intake.corroborate(SERIES, node.intake.series[SERIES].last, Corroboration(5, "CT1"))
    settle(node, clock, 0.0)

    (job,) = all_jobs(records)
    digests = SourceReader(orthanc, orthanc.storage, records.rejections.among).series(SERIES).digests
    assert (len(digests), identified(job.spec, digests)) == (5, job.spec)


def test_what_was_seen_ahead_too_long_ago_is_not_decided_on(make_node, orthanc, files, records, clock):
    node = make_node(settle_s=5.0, publish_quiet_s=5.0)
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock, 1.0)
    orthanc.remove(SERIES)
    settle(node, clock, 4.0)

    assert states(records) == []


def test_a_series_of_which_somebody_says_that_all_has_come_is_not_waited_for(make_node, orthanc, files, records, clock):
    node = make_node(settle_s=10.0)
    node.intake.take(orthanc.add(SERIES, files))
    node.intake.corroborate(SERIES, node.intake.series[SERIES].last, Corroboration(5, "CT1"))
    settle(node, clock, 0.1)

    assert states(records) == ["queued"]
    assert node.said.asked == []


@pytest.mark.parametrize("counts", [[4], [6], [5, 6]])
def test_a_series_of_which_somebody_says_another_count_is_waited_for(make_node, orthanc, files, records, clock, counts):
    node = make_node(settle_s=10.0)
    node.intake.take(orthanc.add(SERIES, files))
    for count in counts:
        node.intake.corroborate(SERIES, node.intake.series[SERIES].last, Corroboration(count, "CT1"))
    settle(node, clock, 5.0)

    assert states(records) == []


def test_a_series_that_waits_already_is_not_written_down_with_every_instance(
    make_node, orthanc, files, records, clock, monkeypatch
):
    node, written = make_node(), []
    grew = records.pending.grew
    monkeypatch.setattr(records.pending, "grew", lambda ids, at: (written.append(set(ids)), grew(ids, at)))
    for file in files:
        node.intake.take(orthanc.add(SERIES, [file]))

    assert written == [{SERIES}]


def test_while_orthanc_is_silent_no_other_series_is_looked_at_ahead(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:2]))
    node.intake.take(orthanc.add("series-2", files[2:]))
    asked, orthanc.down = orthanc.asked, True
    settle(node, clock, 0.2)
    silent = orthanc.asked - asked
    orthanc.down = False
    for _ in range(3):
        settle(node, clock, 1.0)

    assert silent == 1
    assert states(records) == ["queued", "queued"]
