"""up, status, jobs and rules as users and scripts meet them where no node runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mapnode.node_folder import STATE_NAME
from mapnode.pacs.orthanc_process import free_port

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
    ("group", "commands"), [("jobs", ["list", "show", "retry", "cancel"]), ("rules", ["check", "explain"])]
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


@pytest.mark.parametrize("left", [b"", b"no database"], ids=["empty", "damaged"])
def test_status_and_jobs_meet_a_database_that_is_none_without_a_traceback(config, tmp_path, left):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "jobs.sqlite").write_bytes(left)

    done = [mapnode(*arguments, "--config", config) for arguments in (("status",), ("jobs", "list"))]

    assert [one.stderr for one in done if "Traceback" in one.stderr] == []


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


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("show", "3f2a"), ("retry", "3f2a"), ("cancel", "3f2a")]
)
def test_jobs_without_a_node_are_wrong_use_with_one_clear_line(config, tmp_path, arguments):
    done = mapnode("jobs", *arguments, "--config", config)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"mapnode: there is no node in {tmp_path / 'var'}: `mapnode up` makes one\n"


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
    assert line.startswith(f"mapnode: {tmp_path / 'mapnode.yaml'}: ")
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
