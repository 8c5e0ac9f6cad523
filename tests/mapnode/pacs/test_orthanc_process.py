"""Orthanc as the node's process: what is checked before it starts, how it ends."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mapnode.errors import NodeError
from mapnode.pacs import OrthancProcess, PluginSettings, free_port, orthanc_process
from mapnode.pacs.errors import FolderInUse, OrthancStopped, PortInUse, ProgramMissing
from mapnode.pacs.orthanc_process import rotate_logs
from operators.core.contract import ExitCode
from tests.mapnode.pacs.helpers import eventually, orthanc_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def occupied():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def toy(tmp_path):
    """Stands for Orthanc: a program of one's own, with plugins that are only files."""

    def make(script: str):
        program = tmp_path / "toy"
        program.write_text(f"#!{sys.executable}\n{script}")
        program.chmod(0o755)
        plugins = tmp_path / "plugins"
        plugins.mkdir(exist_ok=True)
        for name in ("libOrthancDicomWeb.so", "libOrthancGdcm.so", "libOrthancPython.so"):
            (plugins / name).touch()
        return OrthancProcess(orthanc_settings(tmp_path / "orthanc", program=str(program), plugin_folder=plugins))

    return make


@pytest.mark.parametrize("setting", ["dicom_port", "http_port"])
def test_a_port_in_use_is_named_before_anything_starts(tmp_path, toy, occupied, setting):
    process = toy("")
    object.__setattr__(process.settings, setting, occupied)
    with pytest.raises(PortInUse, match=rf"port {occupied} .*orthanc\.{setting}") as refusal:
        process.start()
    assert refusal.value.exit_code == ExitCode.WRONG_USE
    assert not (tmp_path / "orthanc").exists()


def test_a_missing_program_says_what_to_install(tmp_path):
    with pytest.raises(ProgramMissing, match="apt-get install orthanc"):
        OrthancProcess(orthanc_settings(tmp_path, program="no-such-orthanc")).start()


def test_a_missing_plugin_says_what_to_install(toy):
    process = toy("")
    (process.settings.plugin_folder / "libOrthancGdcm.so").unlink()
    with pytest.raises(ProgramMissing, match=r"libOrthancGdcm\.so was not found"):
        process.start()


def test_an_end_before_readiness_shows_the_log(toy):
    process = toy("import sys; print('the reason'); sys.exit(3)")
    process.start()
    with pytest.raises(OrthancStopped, match="the reason") as end:
        process.wait_until_ready(120)
    assert end.value.exit_status == 3


def test_not_ready_in_time_shows_the_log(toy):
    process = toy("import time; print('still busy', flush=True); time.sleep(600)")
    process.start()
    try:
        assert eventually(lambda: "still busy" in process.log_tail())
        with pytest.raises(OrthancStopped, match="still busy"):
            process.wait_until_ready(0.2)
    finally:
        process.stop()


def test_what_does_not_stop_is_killed(toy):
    process = toy(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    process.start()
    assert eventually(lambda: "deaf" in process.log_tail())
    assert process.stop(grace_s=0.2) == -signal.SIGKILL


def test_an_orthanc_whose_node_died_is_taken_over(toy):
    first = toy("print('up', flush=True); import time; time.sleep(600)")
    first.start()
    assert eventually(lambda: "up" in first.log_tail())
    second = OrthancProcess(first.settings)
    second.start()
    assert second.pid == first.pid
    second.stop()
    # A process that ends loses its command line a moment before its parent hears of it.
    assert eventually(lambda: not first.is_running())
    assert not second.is_running()


def test_an_orthanc_with_other_settings_is_replaced(toy):
    first = toy("print('up', flush=True); import time; time.sleep(600)")
    first.start()
    assert eventually(lambda: "up" in first.log_tail())
    second = OrthancProcess(replace(first.settings, aet="OTHER"))
    second.start()
    assert not first.is_running()
    assert second.is_running()
    assert second.pid != first.pid
    second.stop()


def test_a_predecessor_that_does_not_go_is_refused(toy, monkeypatch):
    first = toy("print('up', flush=True); import time; time.sleep(600)")
    first.start()
    assert eventually(lambda: "up" in first.log_tail())
    monkeypatch.setattr(orthanc_process, "_end", lambda *_: None)
    second = OrthancProcess(replace(first.settings, aet="OTHER"))
    with pytest.raises(FolderInUse, match=f"process {first.pid}"):
        second.start()
    monkeypatch.undo()
    first.stop()


def test_a_process_id_that_somebody_else_has_now_is_no_predecessor(toy):
    process = toy("import time; time.sleep(600)")
    process.settings.folder.mkdir()
    (process.settings.folder / "orthanc.pid").write_text(str(os.getpid()))
    process.start()
    assert process.is_running()
    process.stop()


def test_ports_are_free_each_another_one_and_none_that_the_kernel_gives_away():
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with contextlib.ExitStack() as held:
        ports = [free_port() for _ in range(300)]
        for port in ports:
            held.enter_context(socket.socket()).bind(("127.0.0.1", port))

    assert len(set(ports)) == len(ports)
    assert max(ports) < first_of_kernel


def test_stop_without_start_is_nothing(toy):
    assert toy("").stop() is None


def test_the_environment_is_fit_for_orthanc(toy, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    process = toy("import os; print(dict(os.environ))")
    process.start()
    assert eventually(lambda: "PATH" in process.log_tail())
    assert "'TCP_NODELAY': '1'" in process.log_tail()
    assert "PYTHONPATH" not in process.log_tail()
    process.stop()


def test_secrets_are_the_owners_alone(toy):
    process = toy("")
    process.start()
    process.stop()
    for name in ("orthanc.json", "credentials.json"):
        assert stat.S_IMODE((process.settings.folder / name).stat().st_mode) == 0o600


def test_credentials_stay_the_same(toy):
    process = toy("")
    assert process.credentials == OrthancProcess(process.settings).credentials
    assert len(process.credentials.password) >= 32


def test_logs_are_rotated(tmp_path):
    log = tmp_path / "orthanc.log"
    for run in range(5):
        rotate_logs(log, 3)
        log.write_text(str(run))
    assert [p.read_text() for p in sorted(tmp_path.iterdir())] == ["4", "3", "2", "1"]


def test_errors_are_node_errors():
    assert issubclass(OrthancStopped, NodeError)


NODE = """
import sys, time
from pathlib import Path
from mapnode.pacs import OrthancProcess, OrthancSettings
folder, dicom, http = sys.argv[1:]
process = OrthancProcess(OrthancSettings(Path(folder), dicom_port=int(dicom), http_port=int(http)))
process.start()
process.wait_until_ready()
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.orthanc
def test_orthanc_outlives_a_killed_node_and_is_taken_over_by_the_next(tmp_path, kill_at_end):
    settings = orthanc_settings(tmp_path / "orthanc", modalities=())
    command = [sys.executable, "-c", NODE, settings.folder, str(settings.dicom_port), str(settings.http_port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as node:
        kill_at_end.append(node.pid)
        pid = int(node.stdout.readline())
        kill_at_end.append(pid)
        node.kill()
    successor = OrthancProcess(settings)
    successor.start()
    assert successor.pid == pid
    assert successor.wait_until_ready().aet == "MAPNODE"
    successor.stop()
    assert not successor.is_running()


@pytest.mark.orthanc
def test_start_stop_and_start_again(tmp_path):
    settings = orthanc_settings(
        tmp_path / "orthanc", plugin=PluginSettings(f"http://127.0.0.1:{free_port()}/", token="t")
    )
    process = OrthancProcess(settings)
    for _ in range(2):
        process.start()
        assert process.wait_until_ready().dicom_port == settings.dicom_port
        assert process.is_running()
        assert process.stop() == 0
        assert "Orthanc has stopped" in process.log_tail()
        assert process.pid is None


@pytest.mark.orthanc
def test_an_end_of_the_starting_thread_does_not_end_orthanc(tmp_path):
    process = OrthancProcess(orthanc_settings(tmp_path / "orthanc"))
    starter = threading.Thread(target=process.start)
    starter.start()
    starter.join()
    try:
        process.wait_until_ready()
        time.sleep(0.5)
        assert process.is_running()
        os.kill(process.pid, 0)
    finally:
        process.stop()
