"""The command line as users and scripts meet it: exit codes, one JSON document, clear lines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.share import APPS_VARIABLE

MAPNODE = Path(sys.executable).with_name("mapnode")


def mapnode(*arguments: object, encoding: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAPNODE, *map(str, arguments)], capture_output=True, text=True, encoding=encoding, check=False, timeout=120
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=10, spacing_mm=(5.0, 3.0, 2.0)))
    write_ct_series(phantom.hu, phantom.affine_lps, folder, description="small", uid_seed="cli")
    return folder


def test_help_answers_at_once_since_it_loads_no_large_library():
    command = [sys.executable, "-X", "importtime", "-m", "mapnode", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert {"typer", "mapnode"} <= loaded
    assert not loaded & {
        "pydicom",
        "numpy",
        "holoscan",
        "highdicom",
        "sqlalchemy",
        "dbos",
        "fastapi",
        "httpx",
        "pydantic",
    }


@pytest.mark.parametrize("command", ["run", "apps", "series", "validate"])
def test_every_command_explains_itself_with_an_example(command):
    done = mapnode(command, "--help")
    assert done.returncode == 0
    assert "Example: mapnode" in done.stdout
    assert "--json" in done.stdout


def test_apps_lists_the_manifests_as_json():
    document = json.loads(mapnode("apps", "--json").stdout)
    assert "ct_body_composition" in [app["name"] for app in document]


def test_an_app_without_weights_is_listed_as_disabled_and_refused_before_it_starts(study, tmp_path, monkeypatch):
    monkeypatch.setenv(APPS_VARIABLE, str(Path(__file__).parents[3] / "benchmarks" / "apps"))

    listed = {app["name"]: app["disabled"] for app in json.loads(mapnode("apps", "--json").stdout)}
    done = mapnode("run", "network", study, tmp_path / "out")

    assert listed["ct_body_composition"] is None
    assert "no weights and no classical default" in listed["network"]
    assert listed["network"] in mapnode("apps").stdout.replace("\n", " ")
    assert (done.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "network is disabled" in done.stderr


@pytest.mark.parametrize("content", [{}, {"README": "nothing else"}])
def test_a_model_folder_without_a_model_is_wrong_use(study, tmp_path, content):
    (tmp_path / "weights").mkdir()
    for name, text in content.items():
        (tmp_path / "weights" / name).write_text(text)

    done = mapnode("run", "ct_body_composition", study, tmp_path / "out", "--model", tmp_path / "weights")

    assert (done.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "holds no model" in done.stderr


def test_series_gives_the_geometry_that_was_written(study):
    done = mapnode("series", study, "--json")
    (entry,) = json.loads(done.stdout)
    assert done.returncode == 0
    assert (entry["modality"], entry["instances"], entry["regular"], entry["problems"]) == ("CT", 10, True, [])
    (volume,) = entry["volumes"]
    assert volume["shape"] == [10, 128, 192]
    assert volume["spacing_mm"] == pytest.approx([5.0, 3.0, 2.0])
    assert volume["affine_lps"][3] == [0, 0, 0, 1]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_words_that_the_terminal_cannot_show_are_spelled_and_json_stays_the_same(tmp_path, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    folder = tmp_path / "st\udcfcdy"  # a byte that is no UTF-8, as CDs of old have in their names
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=2, spacing_mm=(5.0, 15.0, 15.0)))
    text = {"SpecificCharacterSet": "ISO_IR 192"}
    paths = write_ct_series(
        phantom.hu, phantom.affine_lps, folder, description="Größe 胸部", uid_seed="cli", attributes=text
    )

    shown = mapnode("series", folder, encoding=encoding)
    listed = mapnode("series", folder, "--json", encoding=encoding)
    checked = mapnode("validate", *paths, "--json", encoding=encoding)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert [one["description"] for one in json.loads(listed.stdout)] == ["Größe 胸部"]
    assert [one["path"] for one in json.loads(checked.stdout)] == [str(path) for path in paths]


def test_series_names_what_is_wrong(study, tmp_path):
    for path in sorted(study.iterdir())[:4] + sorted(study.iterdir())[6:]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (entry,) = json.loads(mapnode("series", tmp_path, "--json").stdout)
    assert [problem["code"] for problem in entry["problems"]] == ["missing_slices"]
    assert (entry["regular"], entry["verdict"]) == (False, "refused")
    assert [(volume["regular"], volume["affine_lps"]) for volume in entry["volumes"]] == [(False, None)]


def test_files_that_are_no_dicom_are_named_on_stderr(study, tmp_path):
    for path in study.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "readme.txt").write_text("hello")
    done = mapnode("series", tmp_path, "--json")
    assert done.returncode == 0
    assert "skipped readme.txt" in done.stderr
    assert len(json.loads(done.stdout)) == 1


def test_validate_gives_a_verdict_a_file_and_exit_code_3_for_a_bad_one(study, tmp_path):
    good, bad = sorted(study.iterdir())[0], tmp_path / "bad.dcm"
    bad.write_text("no DICOM")
    done = mapnode("validate", good, bad, "--json")
    assert [entry["verdict"] for entry in json.loads(done.stdout)] == ["valid", "invalid"]
    assert done.returncode == 3
    assert mapnode("validate", good).returncode == 0


def test_validate_takes_folders_and_leaves_out_what_is_no_dicom(study, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "image").write_bytes(sorted(study.iterdir())[0].read_bytes())
    (tmp_path / "result.json").write_text("{}")

    done = mapnode("validate", tmp_path, tmp_path / "deep" / "image", "--json")

    assert [entry["path"] for entry in json.loads(done.stdout)] == [str(tmp_path / "deep" / "image")]
    assert done.returncode == 0


def test_validate_says_of_many_files_how_far_it_is_and_nothing_of_it_on_stdout(study):
    done = mapnode("validate", study, "--json")

    assert len(json.loads(done.stdout)) == 10
    assert "% validate" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("validate", "."), "no DICOM file in the folder"),
        (("run", "no_such_app", ".", "out"), "there is no app 'no_such_app'"),
        (("run", "ct_body_composition", "no/such/folder", "out"), "the input folder no/such/folder does not exist"),
        (("series", "no/such/folder"), "the folder no/such/folder does not exist"),
        (("validate", "no/such/file"), "no such file: no/such/file"),
        (("run", "ct_body_composition"), "Missing argument"),
        (("no-such-command",), "No such command"),
    ],
)
def test_wrong_use_is_exit_code_2_with_one_clear_message(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = mapnode(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    done = mapnode("run", "ct_body_composition", tmp_path / "in", tmp_path / "out", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["reasons"][0]["code"] == "no_dicom"
    assert done.stderr.splitlines()[-1] == (
        "mapnode: refused: no_dicom: the folder holds no DICOM instance: it is empty"
    )


@pytest.mark.parametrize("job", ["{", '{"identity": "short"}', '{"colour": "blue"}', '{"parameters": {"colour": 1}}'])
def test_a_wrong_job_is_wrong_use(job, study, tmp_path, monkeypatch):
    monkeypatch.setenv("MAPNODE_JOB", job)
    done = mapnode("run", "ct_body_composition", study, tmp_path / "out")
    assert done.returncode == 2
    assert not (tmp_path / "out").exists()
