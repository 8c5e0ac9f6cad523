"""Orthanc elsewhere: the node writes its configuration and waits for it; who starts it is another."""

import json
import shutil
import subprocess
import threading
import time

import pytest

from mapnode.pacs import OrthancElsewhere, OrthancSettings, PluginSettings, free_port
from mapnode.pacs.errors import OrthancAbsent
from tests.node_under_test import ORTHANC


@pytest.fixture
def settings(tmp_path):
    plugin = PluginSettings(f"http://node:{free_port()}/events", "token")
    return OrthancSettings(tmp_path, dicom_port=free_port(), http_port=free_port(), plugin=plugin, host="127.0.0.2")


def test_its_rest_is_open_to_other_machines_with_a_password(settings):
    OrthancElsewhere(settings).start()

    written = json.loads(settings.configuration_path.read_text())
    assert (written["RemoteAccessAllowed"], written["AuthenticationEnabled"]) == (True, True)
    assert written["HttpBindAddresses"] == ["0.0.0.0"]
    assert settings.configuration_path.stat().st_mode & 0o077 == 0


def test_a_configuration_that_is_there_already_is_not_written_again(settings):
    OrthancElsewhere(settings).start()
    before = settings.configuration_path.stat()

    OrthancElsewhere(settings).start()

    assert settings.configuration_path.stat() == before


def test_who_waits_in_vain_is_told_what_to_start(settings):
    elsewhere = OrthancElsewhere(settings)
    elsewhere.start()

    assert not elsewhere.is_running()
    with pytest.raises(OrthancAbsent, match=r"no Orthanc answered at http://127.0.0.2:\d+ for 0.5 s; start one there"):
        elsewhere.wait_until_ready(0.5)


@pytest.mark.orthanc
def test_what_another_starts_is_found_and_left_running(settings):
    elsewhere = OrthancElsewhere(settings)
    elsewhere.start()
    started = []
    program = shutil.which(ORTHANC, path="/usr/sbin:/usr/bin") or ORTHANC

    def other():
        time.sleep(0.3)
        started.append(subprocess.Popen([program, settings.configuration_path], stderr=subprocess.DEVNULL))

    thread = threading.Thread(target=other)
    thread.start()
    try:
        assert elsewhere.wait_until_ready(30).version
        elsewhere.stop()
        assert elsewhere.is_running()
    finally:
        thread.join()
        started[0].terminate()
        started[0].wait(20)
