"""The process runner keeps the contract with apps that keep it and with apps that do not."""

import json
import os
import stat
from pathlib import Path

import pytest

from mapnode.app_catalogue import App
from mapnode.errors import NodeError, WrongUse
from mapnode.runners.process import run_app
from operators.core.contract import Job, Status
from operators.core.manifest import read_manifest

ROOT = Path(__file__).parents[3]
MANIFEST = ROOT / "apps" / "ct_body_composition" / "app.yaml"

PREAMBLE = """
import json, os, sys
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out = arguments["-o"]
def result(status="done", outputs=(), **more):
    document = {"schema": "mapnode.result/1", "app": "toy", "version": "1.0.0", "status": status}
    document["outputs"] = [{"path": name} for name in outputs]
    with open(os.path.join(out, "result.json"), "w") as file:
        json.dump({**document, **more}, file)
def write(name, text="x"):
    with open(os.path.join(out, name), "w") as file:
        file.write(text)
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def toy(tmp_path):
    """Makes an app of a few lines that stands for any MAP."""

    def make(code: str) -> App:
        folder = tmp_path / "toy"
        folder.mkdir(exist_ok=True)
        (folder / "app.py").write_text(PREAMBLE + code)
        return App(folder, read_manifest(MANIFEST))

    return make


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_results_of_a_complete_run_appear_in_the_target(toy, source, tmp_path):
    app = toy("write('seg.dcm'); result(outputs=['seg.dcm'])")
    result = run_app(app, source, tmp_path / "out")
    assert result.status is Status.DONE
    assert files(tmp_path / "out") == ["result.json", "seg.dcm"]


def test_a_crash_leaves_no_partial_output_and_names_its_reason(toy, source, tmp_path):
    app = toy("write('seg.dcm'); raise RuntimeError('no luck today')")
    result = run_app(app, source, tmp_path / "out")
    assert result.status is Status.FAILED
    assert "no luck today" in result.reasons[0].message
    assert files(tmp_path / "out") == ["result.json"]
    assert json.loads((tmp_path / "out" / "result.json").read_text())["status"] == "failed"


def test_death_by_signal_is_named(toy, source, tmp_path):
    app = toy("write('seg.dcm'); os.kill(os.getpid(), 9)")
    result = run_app(app, source, tmp_path / "out")
    assert result.status is Status.FAILED
    assert "signal 9" in result.reasons[0].message
    assert files(tmp_path / "out") == ["result.json"]


def test_an_exit_code_that_contradicts_the_result_is_a_failure(toy, source, tmp_path):
    app = toy("write('seg.dcm'); result(outputs=['seg.dcm']); sys.exit(3)")
    assert run_app(app, source, tmp_path / "out").status is Status.FAILED
    assert files(tmp_path / "out") == ["result.json"]


def test_results_of_an_earlier_run_do_not_stay_beside_a_refusal(toy, source, tmp_path):
    run_app(toy("write('seg.dcm'); result(outputs=['seg.dcm'])"), source, tmp_path / "out")
    refusal = "result('refused', reasons=[{'code': 'c', 'message': 'm'}]); sys.exit(3)"
    assert run_app(toy(refusal), source, tmp_path / "out").status is Status.REFUSED
    assert files(tmp_path / "out") == ["result.json"]


def test_files_that_are_not_ours_stay_in_the_target(toy, source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    run_app(toy("write('seg.dcm'); result(outputs=['seg.dcm'])"), source, tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["../escaped.dcm", "/etc/hostname", "sub/seg.dcm"])
def test_an_app_cannot_publish_files_from_outside_its_folder(toy, source, tmp_path, name):
    with pytest.raises(NodeError, match="outside its output folder"):
        run_app(toy(f"result(outputs=[{name!r}])"), source, tmp_path / "out")
    assert not (tmp_path / "escaped.dcm").exists()


def test_a_file_that_is_named_but_not_written_is_a_defect(toy, source, tmp_path):
    with pytest.raises(NodeError, match=r"did not write: seg\.dcm"):
        run_app(toy("result(outputs=['seg.dcm'])"), source, tmp_path / "out")


def test_the_job_reaches_the_app(toy, source, tmp_path):
    app = toy("result(identity=json.loads(os.environ['MAPNODE_JOB'])['identity'])")
    assert run_app(app, source, tmp_path / "out", job=Job(identity="ab" * 32)).identity == "ab" * 32


def test_progress_lines_are_passed_on_and_other_prints_are_not(toy, source, tmp_path):
    app = toy("""
print("hello")
print(json.dumps({"operator": "Load", "fraction": 0.5, "message": ""}))
result()""")
    seen = []
    run_app(app, source, tmp_path / "out", on_progress=seen.append)
    assert [(p.operator, p.fraction) for p in seen] == [("Load", 0.5)]


def test_a_flood_on_both_channels_does_not_block_the_app(toy, source, tmp_path):
    app = toy("""
for _ in range(20000):
    print("o" * 50); print("e" * 50, file=sys.stderr)
result()""")
    assert run_app(app, source, tmp_path / "out").status is Status.DONE


def test_no_input_folder_is_wrong_use_and_leaves_no_output_folder(toy, tmp_path):
    with pytest.raises(WrongUse, match="does not exist"):
        run_app(toy("result()"), tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_output_path_that_is_a_file_is_wrong_use(toy, source, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WrongUse, match="cannot be written"):
        run_app(toy("result()"), source, tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission_is_wrong_use(toy, source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(WrongUse, match="cannot be written"):
        run_app(toy("result()"), source, tmp_path / "out")
