"""The soak's judge on made samples, and a minute of the soak itself."""

import os
from pathlib import Path

import pytest

from benchmarks import soak
from benchmarks.soak_judge import restarts, trends
from benchmarks.soak_samples import folder_size, process_values


def series(name, value_of, minutes=20):
    """A sample every ten seconds."""
    return [{"at": 1000.0 + at, "load": 1.0, name: float(value_of(at))} for at in range(0, minutes * 60 + 1, 10)]


def leaks(samples):
    return [one.name for one in trends(samples) if one.is_leak]


def test_one_descriptor_a_study_is_a_leak():
    assert leaks(series("node.fds", lambda at: 60 + at // 6)) == ["node.fds"]


def test_one_percent_of_memory_a_minute_is_a_leak():
    assert leaks(series("node.rss_mb", lambda at: 200 * (1 + 0.01 * at / 60))) == ["node.rss_mb"]


def test_what_grows_only_while_warming_up_is_none():
    assert leaks(series("worker.rss_mb", lambda at: 300 + min(at, 400))) == []


def test_a_file_a_minute_that_housekeeping_leaves_behind_is_a_leak():
    assert leaks(series("stages.overdue", lambda at: at // 60)) == ["stages.overdue"]


def test_files_that_come_and_go_may_be_many():
    assert leaks(series("jobs.files", lambda at: 60 + at % 60 + at / 10)) == []


def test_single_peaks_do_not_count():
    assert leaks(series("node.threads", lambda at: 80 if at in {800, 1100, 1190} else 40)) == []


def test_rows_of_databases_may_grow():
    assert leaks(series("records.sqlite.mb", lambda at: at / 100)) == []


def test_a_short_run_judges_nothing():
    assert leaks(series("node.fds", lambda at: 60 + at, minutes=2)) == []


def test_the_slope_is_that_of_the_line():
    (one,) = trends(series("node.rss_mb", lambda at: 100 + at / 3600))
    assert one.per_hour == pytest.approx(1.0)
    assert one.growth == pytest.approx(0.2)  # 12 of 20 minutes


def test_a_process_that_was_started_again_is_told():
    assert restarts(series("worker.pid", lambda at: 7 if at < 600 else 8)) == {"worker": 1}


def test_a_process_is_seen_with_its_descriptors():
    before = process_values(os.getpid())
    ends = os.pipe()
    after = process_values(os.getpid())
    for end in ends:
        os.close(end)
    assert after["fds"] - before["fds"] == 2
    assert after["rss_mb"] > 1


def test_a_process_that_is_gone_has_no_values():
    assert process_values(2**22 + 1) == {}


def test_files_are_counted_below_a_folder_and_old_ones_are_overdue(tmp_path):
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "one", tmp_path / "a" / "two"):
        path.write_bytes(b"12345")
    os.utime(tmp_path / "one", (1.0, 1.0))
    assert folder_size(tmp_path) == (2, 10, 1)


@pytest.mark.orthanc
@pytest.mark.slow
def test_a_minute_of_the_soak_loses_no_study(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MAPNODE_APPS", "")
    assert soak.run(1, Path(tmp_path)) == 0, capsys.readouterr().out
