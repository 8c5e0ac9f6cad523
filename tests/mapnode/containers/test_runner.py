"""MAPs in containers: ours, foreign and hostile ones, each contained and reported, and nothing of them left."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from mapnode.containers.confinement import PIDS
from mapnode.containers.errors import DiskShort
from mapnode.containers.images import ANY_RESULT
from mapnode.results.check import check_files, identity_of
from mapnode.runners.warm import NodeStopping
from mapnode.runners.worker import RunCancelled, WorkerLost
from operators.core.contract import Job, Status
from tests.mapnode.containers.toy_map import found
from tests.node_under_test import wait_for

pytestmark = pytest.mark.docker

GOOD = "(OUT / 'a.dcm').write_bytes(pathlib.Path('/data/0.dcm').read_bytes())\n"


@pytest.fixture
def runs_well(site):
    """After whatever a test does, the next job is unharmed."""
    yield
    result, target = site.run(GOOD)
    assert (result.status, [path.name for path in target.iterdir()]) == (Status.DONE, ["0001.dcm", "result.json"])


def words(target) -> str:
    """All that it said."""
    return (target.parent / "log.txt").read_text().strip()


def reason(result) -> str:
    assert result.status is Status.FAILED
    return result.reasons[0].message


def test_a_foreign_map_gives_the_dicom_objects_that_it_wrote_under_neutral_names(site, other_series):
    code = """
(OUT / 'DOE^JANE').mkdir()
(OUT / 'DOE^JANE' / 'seg').write_bytes(pathlib.Path('/data/1.dcm').read_bytes())
(OUT / 'a.dcm').write_bytes(pathlib.Path('/data/0.dcm').read_bytes())
(OUT / 'numbers.json').write_text('{}')
"""
    result, target = site.run(code)

    written = [dcmread(path) for path in (other_series[1], other_series[0])]
    assert result.status is Status.DONE
    assert [one.path for one in result.outputs] == ["0001.dcm", "0002.dcm"]
    assert [one.sop_instance_uid for one in result.outputs] == [one.SOPInstanceUID for one in written]
    assert [(target / one.path).read_bytes() for one in result.outputs] == [
        other_series[1].read_bytes(), other_series[0].read_bytes()
    ]  # fmt: skip
    assert result.skipped_files[0].message == "1 files that are no DICOM objects"


def test_it_sees_the_study_and_may_write_nothing_but_output_and_temporary_files(site):
    before = {path.name: path.read_bytes() for path in site.study.glob("*.dcm")}
    code = """
def can_write(folder):
    try:
        pathlib.Path(folder, 'x').write_text('x')
    except OSError:
        return False
    return True
folders = [folder for folder, _, _ in os.walk('/') if not folder.startswith(('/proc', '/sys'))]
logs = os.environ['HOLOSCAN_LOGS_PATH']
wrote = sorted({f for f in folders if can_write(f)} - {'/dev/shm', '/dev/mqueue', '/tmp', logs})
temporary = can_write('/tmp') and can_write(logs)
sys.exit(f"{len(os.listdir('/var/holoscan/input'))} files, wrote {wrote}, {temporary}, as {os.getuid()}")
"""
    result, target = site.run(code)

    user = 1000 if os.getuid() == 0 else os.getuid()
    assert result.status is Status.FAILED
    assert words(target) == f"4 files, wrote ['/var/holoscan/output'], True, as {user}"
    assert {path.name: path.read_bytes() for path in site.study.glob("*.dcm")} == before


def test_it_has_no_capability_no_new_privilege_and_no_network(site):
    with socket.create_server(("0.0.0.0", 0)) as listener:
        code = f"""
def reached(address):
    try:
        socket.create_connection(address, timeout=1)
    except OSError:
        return False
    return True
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
port = {listener.getsockname()[1]}
said = [reached(('127.0.0.1', port)), reached(('172.17.0.1', port)), reached(('1.1.1.1', 53))]
held = [status[name].strip() for name in ('CapBnd', 'NoNewPrivs', 'Seccomp')]
sys.exit(f"{{said}} {{os.listdir('/sys/class/net')}} {{held}}")
"""
        _, target = site.run(code)

    assert words(target) == "[False, False, False] ['lo'] ['0000000000000000', '1', '2']"


def test_its_limits_hold_whatever_it_tries(site):
    code = """
import resource, signal
pathlib.Path('/tmp/run').write_text('#!/bin/sh\\n')
os.chmod('/tmp/run', 0o755)
print(os.access('/tmp/run', os.X_OK))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[1], resource.getrlimit(resource.RLIMIT_CORE)[1])
print([os.statvfs(f).f_blocks * os.statvfs(f).f_frsize >> 20 for f in ('/tmp', '/dev/shm')])
began, burning = time.monotonic(), [os.fork() for _ in range(2)]
while 0 in burning and time.monotonic() < began + 1: pass
if 0 in burning: os._exit(0)
[os.waitpid(one, 0) for one in burning]
print(os.times().children_user + os.times().children_system < 1.3 * (time.monotonic() - began))
started = 1
try:
    while started < 2000:
        if os.fork() == 0: signal.pause()
        started += 1
except OSError:
    print(started)
"""
    _, target = site.run(code, memory="1Gi")

    *said, started = words(target).split("\n")
    assert said == ["False", "4096 0", "[256, 64]", "True"]
    # Podman's own first process counts while it goes.
    assert PIDS - 2 <= int(started) <= PIDS


def test_a_fork_bomb_ends_at_its_time(site, runs_well):
    site.timeout_s = 1.0
    code = """
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
    began = time.monotonic()
    with pytest.raises(WorkerLost, match="took longer than 1 s and was killed"):
        site.run(code)
    assert time.monotonic() - began < 120


def test_one_that_eats_memory_is_told_of_its_limit(site, runs_well):
    code = "b = []\nwhile True:\n b.append(bytearray(b'x') * 2**23); print(8 * len(b))"
    result, target = site.run(code, memory="64Mi")

    assert "took more memory than its limit of 64Mi" in reason(result)
    assert int((target.parent / "log.txt").read_text().split()[-1]) < 64


def test_one_that_ignores_signals_ends_at_its_time(site):
    site.timeout_s = 1.0
    code = "import signal\nfor s in (15, 2, 1): signal.signal(s, signal.SIG_IGN)\ntime.sleep(600)"
    began = time.monotonic()
    with pytest.raises(WorkerLost, match="took longer than 1 s"):
        site.run(code)
    assert time.monotonic() - began < 120


def test_a_cancelled_run_ends(site):
    with pytest.raises(RunCancelled):
        site.run("time.sleep(600)", cancelled=lambda: True)


def test_a_node_that_stops_ends_what_runs_and_starts_nothing(site):
    (site.study / "code.py").write_text("print('here'); time.sleep(600)")
    images, image = found("obeys", site.obeys)
    folder = site.var / "jobs" / "one"
    (folder / "output").mkdir(parents=True)
    containers = site.containers(images)
    runner = containers.of(image, "one", folder)
    with ThreadPoolExecutor() as pool:
        run = pool.submit(runner.run, site.study, folder / "output", Job(), timeout_s=600)
        wait_for(lambda: (folder / "log.txt").exists() and words(folder / "output") == "here", 60, "its first word")
        containers.stop()
        with pytest.raises(NodeStopping):
            run.result(timeout=30)
    with pytest.raises(NodeStopping):
        runner.run(site.study, folder / "output", Job(), timeout_s=600)


@pytest.mark.parametrize(
    "code",
    [
        "with open(OUT / 'a.dcm', 'wb') as f:\n while True: f.write(bytes(2**20))",
        "for i in range(10**9): (OUT / str(i)).write_bytes(bytes(2**20))",
        "with open(OUT / 'a.dcm', 'wb') as f: f.truncate(10 * 2**30)",
        "for i in range(10**9): (OUT / str(i)).write_bytes(b'')",
        "os.chdir(OUT)\nwhile True: os.mkdir('d'); os.chdir('d')",
    ],
)
def test_one_that_returns_too_much_is_stopped(site, runs_well, code):
    result, target = site.run(code)

    assert "it wrote" in reason(result) or "File too large" in reason(result)
    assert [path.name for path in target.iterdir()] == ["result.json"]
    assert sum(path.stat().st_size for path in site.var.rglob("*") if path.is_file()) < 2**20


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("(OUT / 'a.dcm').symlink_to('/etc/passwd')", "links are never followed"),
        ("(OUT / 'result.json').symlink_to('/etc/passwd')", "links are never followed"),
        ("os.mkfifo(OUT / 'result.json')", "they are never opened"),
        ("s = socket.socket(socket.AF_UNIX); s.bind(str(OUT / 'a.dcm'))", "they are never opened"),
        ("os.mknod(OUT / 'a.dcm', 0o20666, os.makedev(1, 5))", "Operation not permitted"),
    ],
)
def test_what_is_no_regular_file_is_neither_followed_nor_opened(site, code, said):
    result, target = site.run(code)

    assert said in reason(result)
    assert [path.name for path in target.iterdir()] == ["result.json"]
    assert "root:" not in (target / "result.json").read_text()


def test_another_patients_result_does_not_pass_the_check(site):
    picture = dcmread(next(site.study.glob("*.dcm")))
    picture.SOPClassUID = picture.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    picture.SOPInstanceUID = picture.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    picture.SeriesInstanceUID, picture.Modality, picture.PatientID = "2.25.2", "OT", "SOMEBODY-ELSE"
    picture.save_as(site.study / "other.bin")
    result, target = site.run(GOOD.replace("/data/0.dcm", "/var/holoscan/input/other.bin"))

    source = identity_of([dcmread(path) for path in site.study.glob("*.dcm")])
    assert result.status is Status.DONE
    problems = check_files(target, result.outputs, ANY_RESULT, source)
    assert "Secondary Capture Image Storage: PatientID is not the source's" in problems


def test_exit_code_0_without_a_dicom_object_is_no_success(site):
    result, _ = site.run("print('bye')")

    assert "wrote no DICOM object" in reason(result)


def test_the_exit_code_and_last_words_of_one_that_fails_stand_in_the_reason_and_all_in_the_log(site):
    result, target = site.run("print('begun')\nraise SystemExit('the model is missing')")

    assert reason(result) == "mapnode-toy-obeys:1 ended with exit code 1; last words: the model is missing"
    # No engine keeps the order between the two streams.
    assert sorted((target.parent / "log.txt").read_text().splitlines()) == ["begun", "the model is missing"]


def test_a_flood_of_words_fills_no_disk(site, runs_well):
    result, target = site.run("for _ in range(200): print('x' * 10**6)\nsys.exit(1)")

    assert "ended with exit code 1" in reason(result)
    assert (target.parent / "log.txt").stat().st_size < 1.1 * 2**20


def test_a_container_that_outlived_its_process_goes_when_another_one_sweeps_and_no_other_does(site):
    (site.study / "code.py").write_text("print('here'); time.sleep(600)")
    code = f"""
from pathlib import Path
from mapnode.containers.runner import Containers
from operators.core.contract import Job
from tests.mapnode.containers.toy_map import found
images, image = found("obeys", "{site.obeys}")
folder = Path("{site.var}/jobs/orphan")
(folder / "output").mkdir(parents=True)
runner = Containers(images, Path("{site.var}"), "node-dead", 0).of(image, "orphan", folder)
runner.run(Path("{site.study}"), folder / "output", Job(), timeout_s=600)
"""
    log = site.var / "jobs" / "orphan" / "log.txt"
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: log.exists() and b"here" in log.read_bytes(), 60, "its first word")
    process.kill()
    process.wait()
    stranger = subprocess.run(
        ["docker", "create", "mapnode-toy-obeys:1"], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        images, _ = found("obeys", site.obeys)
        assert len(site.left()) == 2
        assert site.containers(images).sweep(lambda: {"node-dead"}) == 0
        assert site.containers(images).sweep(set) == 1
        assert site.left() == []
        subprocess.run(["docker", "inspect", stranger], capture_output=True, check=True)
    finally:
        subprocess.run(["docker", "rm", stranger], capture_output=True, check=True)


def test_an_earlier_container_of_the_same_job_goes_before_the_next_one_starts(site):
    labels = [f"mapnode.node={site.var}", "mapnode.process=node-dead", f"mapnode.job={1:032}"]
    options = [word for label in labels for word in ("--label", label)]
    subprocess.run(
        ["docker", "run", "-d", *options, "--entrypoint", "sleep", "mapnode-toy-obeys:1", "600"],
        capture_output=True,
        check=True,
    )
    result, _ = site.run("sys.exit('second')")

    assert "second" in reason(result)


def test_input_that_others_may_not_read_is_copied_for_the_container(site):
    for path in site.study.glob("*.dcm"):
        path.chmod(0o600)
    code = "print(len([p.read_bytes() for p in pathlib.Path('/var/holoscan/input').glob('*.dcm')]))\n" + GOOD
    result, target = site.run(code)

    assert result.status is Status.DONE
    assert (target.parent / "log.txt").read_text() == "3\n"
    assert {path.stat().st_mode & 0o777 for path in site.study.glob("*.dcm")} == {0o600}


def test_whatever_the_nodes_umask_the_container_reads_its_input(site):
    (site.study / "deep").mkdir()
    (site.study / "deep" / "a.dcm").write_bytes(b"a")
    mask = os.umask(0o077)
    try:
        result, _ = site.run(f"assert pathlib.Path('/var/holoscan/input/deep/a.dcm').read_bytes() == b'a'\n{GOOD}")
    finally:
        os.umask(mask)
    assert result.status is Status.DONE


def test_a_run_ends_when_the_disk_runs_short_whoever_takes_the_room(site, runs_well):
    """As by a file that is removed and still written, which lies in no folder."""
    site.min_free_mb = 1e12
    with pytest.raises(DiskShort, match=r"MB are kept free \(min_free_mb\)"):
        site.run("time.sleep(60)")
    assert site.left() == []
    site.min_free_mb = 0.0
