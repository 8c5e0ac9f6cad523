"""Orthanc's configuration: what the base says, what the settings add, what is refused."""

import json

import pytest

from mapnode.pacs.errors import ProgramMissing, WrongOrthancSettings
from mapnode.pacs.orthanc_configuration import (
    Credentials,
    Modality,
    OrthancSettings,
    PluginSettings,
    load_credentials,
    read_base_configuration,
    render_configuration,
    require_plugins,
)
from mapnode.share import shared_folder

USER = Credentials("mapnode", "secret")


@pytest.fixture
def plugins(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    for name in ("libOrthancDicomWeb.so", "libOrthancGdcm.so", "libOrthancPython.so"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("DicomAlwaysAllowStore", False),
        ("DicomCheckCalledAet", True),
        ("DicomCheckModalityHost", True),
        ("RemoteAccessAllowed", False),
        ("AuthenticationEnabled", True),
        ("UnknownSopClassAccepted", True),
        ("OverwriteInstances", False),
        ("SyncStorageArea", True),
        ("StorageCompression", False),
        ("MaximumStorageSize", 0),
        ("ExecuteLuaEnabled", False),
    ],
)
def test_the_base_keeps_what_the_node_relies_on(setting, value):
    assert read_base_configuration()[setting] is value or read_base_configuration()[setting] == value


def test_comments_of_the_base_have_lines_of_their_own():
    text = (shared_folder("orthanc") / "orthanc.json").read_text()
    assert "/*" not in text
    assert all("//" not in line or line.lstrip().startswith("//") for line in text.splitlines())


def test_the_settings_fill_in_the_rest(tmp_path, plugins):
    settings = OrthancSettings(tmp_path / "orthanc", aet="NODE", dicom_port=104, http_port=8043, plugin_folder=plugins)
    rendered = render_configuration(settings, USER)
    assert (rendered["DicomAet"], rendered["DicomPort"], rendered["HttpPort"]) == ("NODE", 104, 8043)
    assert rendered["RegisteredUsers"] == {"mapnode": "secret"}
    assert rendered["StorageDirectory"] == rendered["IndexDirectory"] == str(tmp_path / "orthanc" / "storage")
    assert [path.rsplit("/", 1)[1] for path in rendered["Plugins"]] == ["libOrthancDicomWeb.so", "libOrthancGdcm.so"]
    assert rendered.keys().isdisjoint({"PythonScript", "LuaScripts"})
    assert "Mapnode" not in rendered
    json.dumps(rendered)


def test_the_plugin_gets_its_script_and_its_section(tmp_path, plugins):
    plugin = PluginSettings("http://127.0.0.1:1/events", "token", intake_free_bytes=2000, results_free_bytes=1000)
    rendered = render_configuration(OrthancSettings(tmp_path, plugin=plugin, plugin_folder=plugins), USER)
    assert rendered["PythonScript"] == str(shared_folder("orthanc") / "plugin.py")
    assert rendered["LuaScripts"] == [str(shared_folder("orthanc") / "gate.lua")]
    assert rendered["Mapnode"] == {
        "EventUrl": "http://127.0.0.1:1/events",
        "Token": "token",
        "IntakeFreeBytes": 2000,
        "ResultsFreeBytes": 1000,
    }
    assert any(path.endswith("libOrthancPython.so") for path in rendered["Plugins"])


def test_results_need_the_space_that_intake_leaves():
    with pytest.raises(WrongOrthancSettings, match="results_free_bytes"):
        PluginSettings("http://127.0.0.1:1/events", "token", intake_free_bytes=1, results_free_bytes=2)


def test_modalities_carry_permissions_and_addresses(tmp_path, plugins):
    modalities = (
        Modality("CT 1", "localhost", 11112, may_query=False),
        Modality("CT_1", "192.0.2.7"),
        Modality("VIEWER", "192.0.2.8", may_store=False),
    )
    rendered = render_configuration(OrthancSettings(tmp_path, modalities=modalities, plugin_folder=plugins), USER)
    known = rendered["DicomModalities"]
    assert [m["AET"] for m in known.values()] == ["CT 1", "CT_1", "VIEWER"]
    scanner, _, viewer = known.values()
    assert (scanner["Host"], scanner["Port"]) == ("127.0.0.1", 11112)
    assert (scanner["AllowStore"], scanner["AllowFind"], scanner["AllowMove"], scanner["AllowGet"]) == (
        True,
        False,
        False,
        False,
    )
    assert (viewer["AllowStore"], viewer["AllowFind"]) == (False, True)


@pytest.mark.parametrize("aet", ["", "SEVENTEEN_LETTERS", "A\\B", " A", "A ", "Ä", "A\n"])
def test_what_is_no_ae_title_is_refused(tmp_path, aet):
    with pytest.raises(WrongOrthancSettings, match="AE title"):
        Modality(aet, "127.0.0.1")
    with pytest.raises(WrongOrthancSettings, match="AE title"):
        OrthancSettings(tmp_path, aet=aet)


def test_an_ae_title_twice_is_refused(tmp_path):
    with pytest.raises(WrongOrthancSettings, match="CT more than once"):
        OrthancSettings(tmp_path, modalities=(Modality("CT", "192.0.2.7"), Modality("ct", "192.0.2.8")))


def test_one_port_for_both_is_refused(tmp_path):
    with pytest.raises(WrongOrthancSettings, match="both 4242"):
        OrthancSettings(tmp_path, http_port=4242)


def test_a_host_without_address_is_refused(tmp_path, plugins):
    settings = OrthancSettings(tmp_path, modalities=(Modality("CT", "no.such.host.invalid"),), plugin_folder=plugins)
    with pytest.raises(WrongOrthancSettings, match=r"no\.such\.host\.invalid"):
        render_configuration(settings, USER)


def test_a_missing_plugin_is_named(tmp_path, plugins):
    (plugins / "libOrthancPython.so").unlink()
    settings = OrthancSettings(tmp_path, plugin=PluginSettings("http://x/", "t"), plugin_folder=plugins)
    with pytest.raises(ProgramMissing, match="libOrthancPython"):
        require_plugins(settings)


def test_damaged_credentials_say_so(tmp_path):
    (tmp_path / "credentials.json").write_text("{}")
    with pytest.raises(WrongOrthancSettings, match="delete it"):
        load_credentials(tmp_path)
