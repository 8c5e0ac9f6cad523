"""The image of an app, whole: made without a registry, locked down, with the results of `mapnode run`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.share import import_root
from operators.core.contract import JOB_VARIABLE
from tests.docker_under_test import ENGINE

pytestmark = pytest.mark.docker

TAG = "mapnode-test-ct-body-composition:1"
GOAL_BYTES = 400e6
LOCKED_DOWN = (
    *("--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--pids-limit", "64", "--memory", "1g"),
)
"""No network, no tmpfs, nothing that may be written but the output."""
JOB = json.dumps({"version": 1, "identity": "5a" * 32, "clock": "2026-01-02T03:04:05"})
ALL_OBJECTS = json.dumps({
    "version": 1,
    "objects": {"secondary_capture": True, "report_pdf": True, "presentation_state": True, "rt_structure_set": True},
})
EVERY_LIBRARY = """
import pathlib, subprocess
missing, seen = set(), 0
for path in sorted(pathlib.Path("/opt/holoscan/python").rglob("*.so*")):
    # As ldd asks: with --list the loader ends at the first that it misses, and names none.
    said = subprocess.run(["/lib64/ld-linux-x86-64.so.2", str(path)], env={"LD_TRACE_LOADED_OBJECTS": "1"},
                          capture_output=True, text=True, check=True).stdout
    missing |= {line.split()[0].split("-")[0] for line in said.splitlines() if "not found" in line}
    seen += " => /" in said
print(*sorted(missing), seen > 50)
"""
FOUND_ELSEWHERE = "libcuda.so.1 libnvrtc.so.13 libquadmath"
"""A GPU's driver; what Holoscan's helper for GPUs compiles with; what whoever loads libgfortran of SciPy finds."""
EVERY_CODEC = """
import imagecodecs
print([name for name in ("JPEG2K", "JPEGLS", "JPEG8", "DICOMRLE") if not getattr(imagecodecs, name).available])
"""
"""Of operators/core/codecs.py; imagecodecs says that one is missing only where it is called."""


def run(*command, environment=None, check=True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*map(str, command)], env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr[-2000:]
    return done


def mapnode(*arguments, **options):
    return run(sys.executable, "-m", "mapnode", *arguments, **options)


@pytest.fixture(scope="module")
def image(base):
    """The app's image, loaded; what `mapnode package` says of it."""
    yield json.loads(mapnode("package", "ct_body_composition", "--tag", TAG, "--base-image", base, "--json").stdout)
    run(ENGINE, "rmi", "--force", TAG, check=False)


@pytest.fixture(scope="module")
def study(place):
    folder = place / "study"
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=20, spacing_mm=(5.0, 3.0, 2.0)))
    write_ct_series(phantom.hu, phantom.affine_lps, folder, description="small", uid_seed="map")
    return folder


def run_image(study, output, *arguments, job=JOB, options=(), tag=TAG):
    mounts = ("-v", f"{study}:/var/holoscan/input:ro", "-v", f"{output}:/var/holoscan/output")
    return run(ENGINE, "run", *LOCKED_DOWN, *mounts, *options, "-e", JOB_VARIABLE, tag, *arguments,
               environment={JOB_VARIABLE: job}, check=False)  # fmt: skip


def test_it_is_no_larger_than_is_promised(image):
    assert image["bytes"] <= GOAL_BYTES


def test_the_engine_has_the_image_under_the_id_that_was_computed(image):
    found = json.loads(run(ENGINE, "image", "inspect", TAG).stdout)[0]
    # Podman writes it without `sha256:`.
    assert found["Id"].removeprefix("sha256:") == image["image_id"].removeprefix("sha256:")
    assert found["RootFS"]["Layers"] == [layer["digest"] for layer in image["layers"]]


def test_locked_down_it_gives_the_bytes_of_mapnode_run(image, study, output, tmp_path):
    done = run_image(study, output)
    assert done.returncode == 0, done.stderr[-2000:]
    mapnode("run", "ct_body_composition", study, tmp_path / "ours", environment={JOB_VARIABLE: JOB})
    names = {path.name for path in output.iterdir()}
    assert names == {"seg.dcm", "sr.dcm", "key_image.png", "result.json"}
    for name in names - {"result.json"}:
        assert (output / name).read_bytes() == (tmp_path / "ours" / name).read_bytes(), name


def test_every_object_that_the_app_makes_can_be_made(image, study, output):
    done = run_image(study, output, job=ALL_OBJECTS)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list(output.glob("*.dcm"))) == 6


def test_every_shared_library_finds_those_that_it_needs(image):
    done = run(ENGINE, "run", *LOCKED_DOWN, "--entrypoint", "python3", TAG, "-c", EVERY_LIBRARY)
    assert done.stdout == f"{FOUND_ELSEWHERE} True\n"


def test_every_codec_is_there(image):
    assert run(ENGINE, "run", *LOCKED_DOWN, "--entrypoint", "python3", TAG, "-c", EVERY_CODEC).stdout == "[]\n"


def test_without_mounts_it_says_what_is_missing(image, study):
    done = run(ENGINE, "run", *LOCKED_DOWN, TAG, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("MAP: no input: mount a folder with DICOM files at /var/holoscan/input")
    done = run(ENGINE, "run", *LOCKED_DOWN, "-v", f"{study}:/var/holoscan/input:ro", TAG, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("MAP: no output: mount a folder at /var/holoscan/output that user 1000 may write")


def test_input_that_is_not_fit_ends_with_the_applications_code(image, place, output, tmp_path):
    (place / "text").mkdir()
    (place / "text" / "notes.txt").write_text("no DICOM")
    ours = mapnode("run", "ct_body_composition", place / "text", tmp_path / "ours", check=False)
    assert run_image(place / "text", output, job="").returncode == ours.returncode != 0


def test_a_stopped_container_ends_at_once(image, study, place, output):
    """The first process of a container hears no signal that nobody handles."""
    code = "import time; print('ready', flush=True); time.sleep(60)"
    (place / "app.py").write_text(code)
    mounts = ("-v", f"{study}:/var/holoscan/input:ro", "-v", f"{output}:/var/holoscan/output")
    over = ("-v", f"{place / 'app.py'}:/opt/holoscan/app/app.py:ro")
    name = f"mapnode-test-{os.getpid()}"
    with subprocess.Popen([ENGINE, "run", *LOCKED_DOWN, "--name", name, *mounts, *over, TAG], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        assert process.stdout.readline() == b"ready\n"
        run(ENGINE, "stop", "--time", "120", name)
        # Whoever does not hear the signal is killed, after those seconds: 128 + 9.
        assert process.wait(timeout=120) == 128 + 15


def test_show_and_extract_give_what_is_in_it(image, output):
    shown = json.loads(run(ENGINE, "run", *LOCKED_DOWN, TAG, "show").stdout)
    inspected = json.loads(mapnode("map", "inspect", TAG, "--json").stdout)
    assert (shown["app"], shown["pkg"]["models"]) == (inspected["app"], [])
    assert inspected["warnings"] == []
    run(ENGINE, "run", *LOCKED_DOWN, "-v", f"{output}:/var/run/holoscan/export", TAG, "extract")
    source = import_root() / "apps" / "ct_body_composition" / "app.py"
    assert (output / "app" / "app.py").read_bytes() == source.read_bytes()
    assert json.loads((output / "config" / "app.json").read_text()) == shown["app"]


def test_a_rebuild_from_an_empty_cache_has_the_same_id(image, base, tmp_path):
    wheels = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "mapnode", "package", "wheels")
    again = mapnode(
        *("package", "ct_body_composition", "--tag", TAG, "--base-image", base, "--wheelhouse", wheels),
        *("--output", tmp_path / "ct.tar", "--json"),
        environment={"XDG_CACHE_HOME": str(tmp_path)},
    )
    assert json.loads(again.stdout)["image_id"] == image["image_id"]
