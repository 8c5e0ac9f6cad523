"""The turnaround benchmark measures both sides and finds each study done once, whatever noise makes of its goals."""

import json

import pytest

from benchmarks.turnaround import main

SMOKE = "--rounds 1 --slices 6 --pace 0 --studies 2 --stock-studies 2 --burst-slices 6 --associations 2"


@pytest.mark.long
def test_a_smoke_run_measures_everything_and_finds_each_study_done_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MAPNODE_APPS", "")

    code = main(SMOKE.split(), tmp_path / "results")

    content = json.loads((tmp_path / "results" / "turnaround.json").read_text())
    figures, reached = content["figures"], [holds for holds, _ in content["goals"]]
    assert code == int(not all(reached))
    assert {row["contender"] for row in figures["rows"]} == {"ours", "ours, corroborated", "stock"}
    for row in figures["rows"]:
        assert [run["corroborated"] for run in row["runs"]] == [row["contender"] == "ours, corroborated"]
    assert set(figures["intake_s"]) == {"bare", "node", "Debian"}
    assert (figures["ours_burst"]["wrong"], figures["stock_burst"]["wrong"], figures["wrong_jobs"]) == (0, 0, 0)
    assert capsys.readouterr().out.splitlines()[-1].startswith("turnaround s computed/found:")
