"""The entry point of a MAP as a plain process: what it shows, refuses, and passes on."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mapnode.share import shared_folder

ENTRY_POINT = shared_folder("map-build") / "entry-point"


@pytest.fixture
def image(tmp_path):
    """What an image holds, in a folder: entry point's variables, an app that does what its test says."""
    paths = {
        "HOLOSCAN_APPLICATION": tmp_path / "app",
        "HOLOSCAN_INPUT_PATH": tmp_path / "work/input",
        "HOLOSCAN_OUTPUT_PATH": tmp_path / "work/output",
        "HOLOSCAN_WORKDIR": tmp_path / "work",
        "HOLOSCAN_MODEL_PATH": tmp_path / "models",
        "HOLOSCAN_DOCS": tmp_path / "docs",
        "MAP_EXPORT_PATH": tmp_path / "export",
    }
    for path in paths.values():
        path.mkdir(parents=True, exist_ok=True)
    files = {
        "HOLOSCAN_APP_MANIFEST_PATH": ("app.json", '{"version": "1.2.3"}'),
        "HOLOSCAN_PKG_MANIFEST_PATH": ("pkg.json", '{"models": []}'),
        "HOLOSCAN_CONFIG_PATH": ("work/app.yaml", "application: {}"),
    }
    for name, (file, text) in files.items():
        (tmp_path / file).write_text(text)
        paths[name] = tmp_path / file
    (tmp_path / "work/input/ct.dcm").write_bytes(b"DICM")
    return {"PATH": os.environ["PATH"], "HOLOSCAN_TIMEOUT": "0", **{k: str(v) for k, v in paths.items()}}


def app(image: dict[str, str], code: str) -> None:
    Path(image["HOLOSCAN_APPLICATION"], "app.py").write_text(code)


def call(image: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENTRY_POINT, *arguments], env=image, capture_output=True, text=True, check=False, timeout=120
    )  # fmt: skip


def test_show_prints_both_manifests_as_one_document(image):
    assert json.loads(call(image, "show").stdout) == {"app": {"version": "1.2.3"}, "pkg": {"models": []}}


@pytest.mark.parametrize(("which", "document"), [("app", {"version": "1.2.3"}), ("pkg", {"models": []})])
def test_show_prints_one_manifest(image, which, document):
    assert json.loads(call(image, "show", which).stdout) == document


def test_show_of_anything_else_is_wrong_use(image):
    done = call(image, "show", "me")
    assert done.returncode == 2
    assert "show knows app and pkg, not me" in done.stderr


def test_env_prints_the_environment(image):
    assert f"HOLOSCAN_DOCS={image['HOLOSCAN_DOCS']}" in call(image, "env").stdout.splitlines()


def test_help_names_every_word(image):
    words = call(image, "help").stdout
    assert all(f"  {word}" in words for word in ("show", "show app|pkg", "env", "extract", "help"))


@pytest.mark.parametrize("code", [0, 1, 2, 4, 77])
def test_the_exit_code_is_the_applications(image, code):
    app(image, f"import sys; print('said'); sys.exit({code})")
    done = call(image)
    assert (done.returncode, done.stdout) == (code, "said\n")


def test_the_application_gets_the_arguments_and_runs_in_the_working_directory(image):
    app(image, "import os, sys; print(sys.argv[1:], os.getcwd())")
    assert call(image, "-i", "a b", "show").stdout == f"['-i', 'a b', 'show'] {image['HOLOSCAN_WORKDIR']}\n"


def test_holoscans_stack_is_there(image):
    app(image, "import resource; print(resource.getrlimit(resource.RLIMIT_STACK)[0])")
    assert int(call(image).stdout) == 32768 * 1024


@pytest.mark.parametrize("spoil", ["gone", "empty"])
def test_a_missing_input_is_said_in_one_line_with_exit_code_3(image, spoil):
    app(image, "raise SystemExit(0)")
    folder = Path(image["HOLOSCAN_INPUT_PATH"])
    (folder / "ct.dcm").unlink()
    if spoil == "gone":
        folder.rmdir()
    done = call(image)
    assert done.returncode == 3
    assert done.stderr.startswith(f"MAP: no input: mount a folder with DICOM files at {folder}")
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_output_is_said_in_one_line_with_exit_code_3(image):
    app(image, "raise SystemExit(0)")
    Path(image["HOLOSCAN_OUTPUT_PATH"]).rmdir()
    done = call(image)
    assert done.returncode == 3
    assert done.stderr.startswith(f"MAP: no output: mount a folder at {image['HOLOSCAN_OUTPUT_PATH']}")


def test_folders_given_as_arguments_are_the_applications_business(image):
    app(image, "import sys; sys.exit(2)")
    Path(image["HOLOSCAN_OUTPUT_PATH"]).rmdir()
    assert call(image, "-o", "elsewhere").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_application_and_its_answer_comes_back(image, number):
    app(
        image,
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n",
    )
    with subprocess.Popen([ENTRY_POINT], env=image, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(timeout=120) == 42


def test_an_application_beyond_its_time_is_ended_with_exit_code_124(image):
    app(image, "import time; time.sleep(600)")
    started = time.monotonic()
    done = call({**image, "HOLOSCAN_TIMEOUT": "0.5"})
    assert done.returncode == 124
    assert "timeout: sending signal TERM" in done.stderr
    assert time.monotonic() - started < 120


def test_extract_copies_all_where_the_export_folder_is_mounted(image):
    app(image, "pass")
    Path(image["HOLOSCAN_DOCS"], "README.md").write_text("read me")
    Path(image["HOLOSCAN_MODEL_PATH"], "net").mkdir()
    Path(image["HOLOSCAN_MODEL_PATH"], "net", "weights.pt").write_bytes(b"w")
    assert call(image, "extract").returncode == 0
    root = Path(image["MAP_EXPORT_PATH"])
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert found == {
        "app/app.py",
        "config/app.json",
        "config/app.yaml",
        "config/pkg.json",
        "docs/README.md",
        "models/net/weights.pt",
    }


def test_extract_copies_only_what_is_mounted(image):
    app(image, "pass")
    root = Path(image["MAP_EXPORT_PATH"])
    (root / "config").mkdir()
    assert call(image, "extract").returncode == 0
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == ["app.json", "app.yaml", "pkg.json"]


def test_extract_to_nothing_says_what_to_mount(image):
    Path(image["MAP_EXPORT_PATH"]).rmdir()
    done = call(image, "extract")
    assert done.returncode == 3
    assert "nothing is mounted below" in done.stderr
