"""up, status, jobs and rules as users and scripts meet them where no node runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mapnode.cli.status import changed_since
from mapnode.database import place_of
from mapnode.node_folder import STATE_NAME
from mapnode.pacs.orthanc_process import free_port
from mapnode.records import DecisionRecord, Records

MAPNODE = Path(sys.executable).with_name("mapnode")


def mapnode(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAPNODE, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60, cwd=cwd
    )  # fmt: skip


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "mapnode.yaml"
    path.write_text("var: var\northanc: {aet: STOPPED, dicom_port: 14242, http_port: 18042}\n")
    return path


@pytest.mark.parametrize("command", [("up",), ("status",)])
def test_a_command_explains_itself_with_an_example(command):
    done = mapnode(*command, "--help")

    assert done.returncode == 0
    assert f"Example: mapnode {' '.join(command)}" in done.stdout
    assert "--config" in done.stdout


@pytest.mark.parametrize(
    ("group", "commands"), [("jobs", ["list", "show", "retry", "cancel"]), ("rules", ["check", "explain", "decided"])]
)
def test_a_group_names_its_commands_each_of_which_explains_itself(group, commands):
    done = mapnode(group, "--help")

    assert done.returncode == 0
    for command in commands:
        assert f" {command} " in done.stdout
        explained = mapnode(group, command, "--help")
        assert explained.returncode == 0
        assert f"Example: mapnode {group} {command}" in explained.stdout
        assert "--json" in explained.stdout


def test_status_without_a_node_says_stopped_in_words(config):
    done = mapnode("status", "--config", config)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["node", "stopped"]
    assert "STOPPED at port 14242" in done.stdout


def test_status_without_a_node_is_one_json_document_of_all_parts(config):
    done = mapnode("status", "--config", config, "--json")

    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert set(document) == {
        "node", "orthanc", "queues", "workers", "processes", "passed_over", "held", "destinations", "disk",
    }  # fmt: skip
    assert (document["node"]["state"], document["node"]["url"]) == ("stopped", None)
    assert (document["orthanc"]["state"], document["orthanc"]["aet"]) == ("stopped", "STOPPED")
    assert document["orthanc"]["dicom_port"] == 14242
    assert (document["queues"], document["workers"], document["destinations"]) == ([], [], [])
    assert document["disk"]["free_bytes"] > 0


def test_status_of_a_node_whose_folder_has_no_parent_yet_is_stopped(tmp_path):
    (tmp_path / "mapnode.yaml").write_text("var: data/nodes/first\n")

    done = mapnode("status", "--config", tmp_path / "mapnode.yaml", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["disk"]["free_bytes"] > 0


@pytest.mark.parametrize("command", [("status",), ("jobs", "list")])
def test_a_database_that_is_damaged_is_named_without_a_traceback(config, tmp_path, command):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "records.sqlite").write_bytes(b"no database" * 99)

    done = mapnode(*command, "--config", config)

    assert done.stderr == f"mapnode: sqlite:///{tmp_path}/var/records.sqlite cannot be read: file is not a database\n"


def test_the_node_says_that_it_may_not_write_its_folder(config, tmp_path):
    (tmp_path / "var").write_text("a file stands there")
    (tmp_path / "rules.yaml").write_text("rules: []")

    done = mapnode("up", "--config", config)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mapnode: {tmp_path / 'var'} cannot be written: File exists; "
        "`var` has to name a folder that this user may write\n"
    )


def test_files_that_were_written_after_the_node_started_are_named(tmp_path):
    old, new = tmp_path / "mapnode.yaml", tmp_path / "rules.yaml"
    for path, written in ((old, 99.0), (new, 101.0)):
        path.write_text("")
        os.utime(path, (written, written))

    assert changed_since(100.0, [old, new, tmp_path / "absent.yaml"]) == [str(new)]


def test_status_says_that_orthanc_runs_on_without_its_node(config, tmp_path):
    folder = tmp_path / "var" / "orthanc"
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()", folder / "orthanc.json"], stdin=subprocess.PIPE) as orthanc:
        (folder / "orthanc.pid").write_text(str(orthanc.pid))
        done = mapnode("status", "--config", config, "--json")
        orthanc.communicate(b"\n")

    document = json.loads(done.stdout)
    assert (document["node"]["state"], document["orthanc"]["state"]) == ("stopped", "running")


@pytest.mark.parametrize("arguments", [("status",), ("jobs", "list")])
def test_looking_makes_no_folder(config, tmp_path, arguments):
    mapnode(*arguments, "--config", config)

    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize("left", ['{"url": "http://127.0.0.1:PORT", "pid": 1}', "{", "{}", ""])
def test_a_file_that_a_killed_node_left_does_not_make_it_run(config, tmp_path, left):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / STATE_NAME).write_text(left.replace("PORT", str(free_port())))

    done = mapnode("status", "--config", config, "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["node"]["state"] == "stopped"


def test_without_config_the_file_in_the_current_folder_counts(config, tmp_path):
    document = json.loads(mapnode("status", "--json", cwd=tmp_path).stdout)

    assert document["orthanc"]["aet"] == "STOPPED"


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_status_where_no_settings_are_says_so_for_the_node_may_be_elsewhere(tmp_path, flag):
    done = mapnode("status", *flag, cwd=tmp_path)

    assert done.returncode == 0
    assert done.stderr == (
        "mapnode: no mapnode.yaml lies in this folder: default settings count; --config FILE means another node\n"
    )


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("show", "3f2a"), ("retry", "3f2a"), ("cancel", "3f2a")]
)
def test_jobs_without_a_node_are_wrong_use_with_one_clear_line(config, tmp_path, arguments):
    done = mapnode("jobs", *arguments, "--config", config)

    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"mapnode: there is no node in {tmp_path / 'var'}: `mapnode up` makes one; --config FILE means another\n"
    )


@pytest.mark.parametrize("command", [("up",), ("status",), ("jobs", "list")])
@pytest.mark.parametrize(
    ("text", "words"),
    [("workers: many", "workers"), ("orthanc: {dicom_port: 0}", "orthanc.dicom_port"), (None, "No such")],
)
def test_wrong_settings_are_wrong_use_with_one_line_that_names_them(tmp_path, command, text, words):
    if text is not None:
        (tmp_path / "mapnode.yaml").write_text(text)

    done = mapnode(*command, "--config", tmp_path / "mapnode.yaml")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"mapnode: {tmp_path / 'mapnode.yaml'}:")
    assert words in line


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (None, "do not exist"),
        ("rules: [{name: a, app: no_such_app, when: [{attribute: Modality, equals: CT}]}]", "no_such_app"),
        (
            "rules: [{name: a, app: ct_body_composition, parameters: {colour: blue}, "
            "when: [{attribute: Modality, equals: CT}]}]",
            "has no parameter colour",
        ),
    ],
)
def test_up_refuses_wrong_rules_before_it_makes_anything(config, tmp_path, rules, words):
    if rules is not None:
        (tmp_path / "rules.yaml").write_text(rules)

    done = mapnode("up", "--config", config)

    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "var").exists()


@pytest.fixture
def decided(tmp_path):
    """A node that has decided about two series of one study."""
    (tmp_path / "var").mkdir()
    records = Records(place_of(tmp_path / "var").records)
    failed = [{"text": 'Modality equals "CT"', "held": False, "met": "MR"}]
    held = [{"text": 'Modality equals "CT"', "held": True, "met": "CT"}]
    records.decisions.add([
        DecisionRecord(0.0, "1.2", "1.2.1", "trunk", "ct", False, failed, None),
        DecisionRecord(1.0, "1.2", "1.2.2", "trunk", "ct", True, held, "3f2a" * 8),
    ])
    records.close()


def test_what_the_rules_decided_is_shown_with_the_clause_that_decided(config, decided):
    done = mapnode("rules", "decided", "1.2", "--config", config)
    lines = done.stdout.splitlines()

    assert (done.returncode, done.stderr, len(lines)) == (0, "", 4)
    assert lines[0].endswith("  study 1.2  series 1.2.2")
    assert lines[1] == "  trunk -> ct: matched, all 1 clauses held; job 3f2a3f2a3f2a"
    assert lines[3] == '  trunk -> ct: not matched: Modality equals "CT"; met: MR'


def test_what_the_rules_decided_is_one_json_list(config, decided):
    done = mapnode("rules", "decided", "1.2.1", "--config", config, "--json")

    (entry,) = json.loads(done.stdout)
    assert (entry["rule"], entry["matched"], entry["job_id"]) == ("trunk", False, None)
    assert entry["clauses"][-1]["met"] == "MR"


def test_nothing_decided_is_said(config, decided):
    done = mapnode("rules", "decided", "9.9", "--config", config)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("mapnode: nothing was decided: it did not come, has not come to rest")
