"""A real Orthanc, real senders: who is let in, what the node hears of, what a resend does."""

import hashlib
import io
import time

import httpx
import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from mapnode.pacs import (
    ChangedEvent,
    ChangeFollower,
    CommitmentEvent,
    DeletedEvent,
    FilePositionStore,
    OrthancProcess,
    PluginSettings,
    attachment_path,
    free_port,
)
from mapnode.pacs.errors import NotAuthorised, NotFound, OrthancFailed, OrthancRefused
from mapnode.pacs.orthanc_client import OrthancClient
from mapnode.pacs.resources import StoreStatus
from tests.mapnode.pacs.helpers import TOKEN, eventually, orthanc_settings, run, storescu, upload

pytestmark = pytest.mark.orthanc


def test_a_registered_modality_may_send(orthanc, client, make_series):
    before = client.statistics().instances
    files = make_series("registered")
    sent = storescu(orthanc.settings, *files)
    assert sent.returncode == 0, sent.stderr
    assert client.statistics().instances == before + len(files)


def test_an_unknown_calling_ae_title_is_refused_and_logged(orthanc, make_series):
    sent = storescu(orthanc.settings, *make_series("unknown", slices=1), calling="STRANGER")
    assert sent.returncode != 0
    assert "Calling AE Title Not Recognized" in sent.stderr
    assert eventually(lambda: "STRANGER" in orthanc.log_tail())


def test_a_wrong_called_ae_title_is_refused(orthanc, make_series):
    sent = storescu(orthanc.settings, *make_series("called", slices=1), called="SOMEBODY")
    assert sent.returncode != 0
    assert "Called AE Title Not Recognized" in sent.stderr


def test_rest_needs_the_generated_credentials(orthanc):
    assert httpx.get(f"{orthanc.url}/system").status_code == 401
    with OrthancClient(orthanc.url, "mapnode", "guess") as stranger, pytest.raises(NotAuthorised):
        stranger.system()


def test_dicomweb_answers(orthanc):
    user = orthanc.credentials
    answer = httpx.get(f"{orthanc.url}/dicom-web/studies", auth=(user.user, user.password))
    assert answer.status_code == 200


def test_what_came_is_found_and_fetched_by_the_modality(orthanc, make_series, tmp_path):
    files = make_series("fetched")
    storescu(orthanc.settings, *files)
    study = pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID
    address = ["-aet", "SCANNER", "-aec", "MAPNODE", "127.0.0.1", str(orthanc.settings.dicom_port)]
    query = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]

    found = run("findscu", *query, "-k", "NumberOfStudyRelatedInstances", *address)
    assert f"[{len(files)}" in found.stderr
    run("getscu", *query, "-od", str(tmp_path), *address)
    assert len(list(tmp_path.glob("CT.*"))) == len(files)


def test_a_stranger_may_not_query(orthanc):
    address = ["-aet", "STRANGER", "-aec", "MAPNODE", "127.0.0.1", str(orthanc.settings.dicom_port)]
    assert run("findscu", "-S", "-k", "QueryRetrieveLevel=STUDY", *address).returncode != 0
    assert run("echoscu", *address).returncode != 0


def test_a_sop_class_newer_than_orthanc_is_accepted(orthanc, make_series):
    dataset = pydicom.dcmread(make_series("label map", slices=1)[0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"  # LABELMAP SEG
    sender = AE("SCANNER")
    sender.add_requested_context(dataset.SOPClassUID, pydicom.uid.ExplicitVRLittleEndian)
    association = sender.associate("127.0.0.1", orthanc.settings.dicom_port, ae_title="MAPNODE")
    assert association.send_c_store(dataset).Status == 0x0000
    association.release()


def test_the_client_reads_what_came(orthanc, client, make_series):
    files = make_series("client")
    storescu(orthanc.settings, *files)
    header = pydicom.dcmread(files[0], stop_before_pixels=True)

    (found,) = client.lookup(header.SOPInstanceUID)
    instance = client.instance(found.id)
    metadata = client.instance_metadata(found.id)
    series = client.series(instance.series_id)
    study = client.study(series.study_id)

    assert instance.sop_instance_uid == header.SOPInstanceUID
    assert (metadata.remote_aet, metadata.called_aet, metadata.origin) == ("SCANNER", "MAPNODE", "DicomProtocol")
    assert series.series_instance_uid == header.SeriesInstanceUID
    assert study.study_instance_uid == header.StudyInstanceUID
    assert study.patient_tags["PatientID"] == header.PatientID
    assert sorted(i.id for i in client.series_instances(series.id)) == sorted(series.instance_ids)
    assert len(series.instance_ids) == len(files)


def test_the_stored_file_can_be_linked(orthanc, client, make_series, tmp_path):
    files = make_series("linked", slices=1)
    storescu(orthanc.settings, *files)
    (found,) = client.lookup(pydicom.dcmread(files[0], stop_before_pixels=True).SOPInstanceUID)
    path = client.attachment_path(found.id, orthanc.settings.storage)
    (tmp_path / "linked.dcm").hardlink_to(path)
    assert (tmp_path / "linked.dcm").read_bytes() == client.instance_file(found.id)


def test_store_tells_new_from_known(client, make_series):
    content = make_series("stored", slices=1)[0].read_bytes()
    first, second = client.store(content), client.store(content)
    assert (first.status, second.status) == (StoreStatus.SUCCESS, StoreStatus.ALREADY_STORED)
    assert first.id == second.id


def test_store_of_what_is_no_dicom_is_refused(client):
    with pytest.raises(OrthancRefused) as refusal:
        client.store(b"no DICOM file")
    assert refusal.value.status == 400


def test_what_is_absent_is_not_found(client):
    for question in (client.instance, client.series, client.study, client.instance_file, client.attachment):
        with pytest.raises(NotFound):
            question("absent")
    assert client.lookup("1.2.3.4") == []


def test_events_arrive_within_200_ms(orthanc, client, received, make_series):
    files = make_series("events")
    storescu(orthanc.settings, *files)
    sent = time.time()
    (found,) = client.lookup(pydicom.dcmread(files[-1], stop_before_pixels=True).SOPInstanceUID)
    series = client.series(client.instance(found.id).series_id)
    assert eventually(lambda: set(series.instance_ids) <= set(received.instance_ids))
    assert received.times[-1] - sent < 0.2


def test_an_event_says_what_the_client_would_have_asked_for(orthanc, client, received, make_series):
    (file,) = make_series("complete event", slices=1)
    storescu(orthanc.settings, file)
    (found,) = client.lookup(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
    event = eventually(lambda: next((e for e in received.instances if e.id == found.id), None))

    asked = client.arrival(found.id)

    assert (event.calling_aet, event.called_aet, event.origin) == ("SCANNER", "MAPNODE", "dicom")
    assert event.model_copy(update={"at": asked.at}) == asked
    assert abs(event.at - asked.at) < 2
    content = attachment_path(event.file_uuid, orthanc.settings.storage).read_bytes()
    assert hashlib.md5(content).hexdigest() == event.md5
    assert client.series(event.series_id).instance_ids == (event.id,)


@pytest.mark.parametrize(("path", "origin"), [("/instances", "rest"), ("/dicom-web/studies", "plugin")])
def test_an_event_tells_rest_from_dicomweb(orthanc, received, make_series, path, origin):
    content = make_series(f"origin {origin}", slices=1)[0].read_bytes()
    uid = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).SOPInstanceUID
    upload(orthanc, path, content).raise_for_status()
    event = eventually(lambda: next((e for e in received.instances if e.sop_instance_uid == uid), None))
    assert (event.origin, event.calling_aet) == (origin, "")


def test_an_equal_resend_is_no_conflict(orthanc, received, make_series):
    files = make_series("equal")
    storescu(orthanc.settings, *files)
    time.sleep(0.2)
    before = len(received.conflicts), received.unchecked
    storescu(orthanc.settings, *files)
    time.sleep(0.5)
    assert (len(received.conflicts), received.unchecked) == before


def test_a_resend_with_another_meta_header_or_description_is_no_conflict(orthanc, received, make_series, tmp_path):
    file = make_series("header", slices=1)[0]
    storescu(orthanc.settings, file)
    changed = pydicom.dcmread(file)
    changed.file_meta.ImplementationVersionName = "ANOTHER"
    changed.SeriesDescription = "corrected by the PACS"
    changed.save_as(tmp_path / "changed.dcm")
    before = len(received.conflicts), received.unchecked
    storescu(orthanc.settings, tmp_path / "changed.dcm")
    time.sleep(0.5)
    assert (len(received.conflicts), received.unchecked) == before


def test_a_resend_in_another_transfer_syntax_is_no_conflict(orthanc, received, make_series, tmp_path):
    file = make_series("syntax", slices=1)[0]
    storescu(orthanc.settings, file)
    changed = pydicom.dcmread(file)
    changed.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    changed.save_as(tmp_path / "implicit.dcm", implicit_vr=True, little_endian=True)
    before = len(received.conflicts), received.unchecked
    storescu(orthanc.settings, tmp_path / "implicit.dcm", options=["-xi"])
    time.sleep(0.5)
    assert (len(received.conflicts), received.unchecked) == before


@pytest.mark.parametrize("pause_s", [0.0, 3.5], ids=["within a moment", "later"])
def test_a_resend_with_other_pixels_is_reported_and_changes_nothing(orthanc, client, received, make_series, pause_s):
    name = f"other pixels {pause_s}"
    files, others = make_series(name, slices=2), make_series(name, brighter=50, slices=2)
    storescu(orthanc.settings, *files)
    uids = [pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in files]
    ids = [client.lookup(uid)[0].id for uid in uids]
    stored = [client.instance_file(name) for name in ids]
    time.sleep(pause_s)
    before = len(received.conflicts)

    storescu(orthanc.settings, *others)

    assert eventually(lambda: len(received.conflicts) >= before + 2)
    conflicts = received.conflicts[before:]
    assert [(c.id, c.sop_instance_uid) for c in conflicts] == list(zip(ids, uids, strict=True))
    assert {(c.calling_aet, c.origin) for c in conflicts} == {("SCANNER", "dicom")}
    assert [client.instance_file(name) for name in ids] == stored


def report(text: str) -> bytes:
    """An object without pixels."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.BasicTextSRStorage, "1.2.826.0.1.3680043.2.1"
    dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "P", "1.2.3", "1.2.3.4"
    dataset.SeriesDescription = text
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_an_object_without_pixels_conflicts_by_its_elements(client, received):
    client.store(report("one"))
    before = len(received.conflicts), received.unchecked
    client.store(report("one"))
    time.sleep(0.3)
    assert (len(received.conflicts), received.unchecked) == before
    client.store(report("another"))
    assert eventually(lambda: len(received.conflicts) == before[0] + 1)
    assert received.conflicts[-1].origin == "rest"


def rest(orthanc, method, path, **more):
    """Orthanc's REST as an administrator uses it."""
    user = orthanc.credentials
    answer = httpx.request(method, f"{orthanc.url}{path}", auth=(user.user, user.password), timeout=30, **more)
    answer.raise_for_status()
    return answer


def stored_study(orthanc, client, files):
    """Send a series; Orthanc's identifiers of its instances, the series and the study."""
    assert storescu(orthanc.settings, *files).returncode == 0
    (found,) = client.lookup(pydicom.dcmread(files[0], stop_before_pixels=True).SOPInstanceUID)
    series = client.series(client.instance(found.id).series_id)
    return set(series.instance_ids), series.id, series.study_id


def test_a_deletion_is_told_at_every_level(orthanc, client, received, make_series):
    instances, series, study = stored_study(orthanc, client, make_series("told when deleted", slices=3))
    one = min(instances)
    rest(orthanc, "DELETE", f"/instances/{one}")
    assert eventually(lambda: [e.level for e in received.of(DeletedEvent) if e.id == one] == ["instance"])
    rest(orthanc, "DELETE", f"/studies/{study}")
    expected = {(name, "instance") for name in instances} | {(series, "series"), (study, "study")}
    assert eventually(lambda: expected <= {(e.id, e.level) for e in received.of(DeletedEvent)})


def test_a_replaced_attachment_is_told_by_the_plugin_and_by_the_log(orthanc, client, received, make_series, tmp_path):
    instances, _, _ = stored_study(orthanc, client, make_series("replaced", slices=2))
    assert eventually(lambda: instances <= set(received.instance_ids))
    assert not [e for e in received.of(ChangedEvent) if e.id in instances], "an arrival is no replacement"
    one = min(instances)
    rest(orthanc, "PUT", f"/instances/{one}/attachments/1024", content=b"notes")
    rest(orthanc, "PUT", f"/instances/{one}/metadata/1024", content=b"note")

    told = eventually(lambda: [e for e in received.of(ChangedEvent) if e.id == one][1:] and received.of(ChangedEvent))
    assert {(e.level, e.what) for e in told if e.id == one} == {("instance", "attachment"), ("instance", "metadata")}
    changed = []
    store = FilePositionStore(tmp_path / "position.json")
    follower = ChangeFollower(client, store, lambda _: True, on_changed=changed.append)
    while follower.poll_once().more:
        pass
    assert {(e.level, e.what) for e in changed if e.id == one} == {("instance", "attachment"), ("instance", "metadata")}


def test_a_merge_is_told_as_new_instances_and_deletions(orthanc, client, received, make_series):
    first, _, study = stored_study(orthanc, client, make_series("merged into", slices=2))
    second, series, _ = stored_study(orthanc, client, make_series("merged away", slices=2))
    rest(orthanc, "POST", f"/studies/{study}/merge", json={"Resources": [series]})
    gone = second | {series}
    assert eventually(lambda: gone <= {e.id for e in received.of(DeletedEvent)})
    merged = {name for s in client.study(study).series_ids for name in client.series(s).instance_ids}
    assert len(merged - first) == len(second)
    assert eventually(lambda: merged <= set(received.instance_ids))


def ask_for_commitment(settings, files):
    """Storage commitment for files (N-ACTION, PS3.4 J.3.2), as their sender."""
    wanted = pydicom.Dataset()
    wanted.TransactionUID = pydicom.uid.generate_uid()
    wanted.ReferencedSOPSequence = []
    for header in (pydicom.dcmread(file, stop_before_pixels=True) for file in files):
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
        wanted.ReferencedSOPSequence.append(item)
    sender = AE("SCANNER")
    sender.add_requested_context(StorageCommitmentPushModel)
    association = sender.associate("127.0.0.1", settings.dicom_port, ae_title=settings.aet)
    status, _ = association.send_n_action(wanted, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    association.release()
    assert status.Status == 0x0000
    return wanted.TransactionUID


def test_a_request_for_storage_commitment_is_told_with_who_asked(orthanc, received, make_series):
    files = make_series("committed")
    storescu(orthanc.settings, *files)
    asked = time.time()
    transaction = ask_for_commitment(orthanc.settings, files)
    event = eventually(lambda: next((e for e in received.of(CommitmentEvent)), None))
    assert (event.calling_aet, event.called_aet, event.transaction_uid) == ("SCANNER", "MAPNODE", transaction)
    assert abs(event.at - asked) < 2


def follow(client, folder):
    found = []
    return found, ChangeFollower(
        client, FilePositionStore(folder / "position.json"), lambda one: found.append(one) is None, page=3
    )


def test_without_the_plugin_the_change_log_tells(tmp_path, make_series):
    settings = orthanc_settings(tmp_path / "orthanc")
    files = make_series("no plugin")
    with OrthancProcess(settings) as orthanc, orthanc.client() as client:
        found, follower = follow(client, tmp_path)
        storescu(settings, *files)
        while follower.poll_once().more:
            pass
        assert len(found) == len(files)
        assert all(client.instance(name) for name in found)


def test_a_dead_receiver_does_not_slow_intake(tmp_path, make_series):
    dead = PluginSettings(event_url=f"http://127.0.0.1:{free_port()}/orthanc/events", token=TOKEN)
    settings = orthanc_settings(tmp_path / "orthanc", plugin=dead)
    files = make_series("dead receiver", slices=40)
    with OrthancProcess(settings) as orthanc, orthanc.client() as client:
        started = time.monotonic()
        assert storescu(settings, *files).returncode == 0
        assert time.monotonic() - started < 30
        found, follower = follow(client, tmp_path)
        while follower.poll_once().more:
            pass
        assert len(found) == len(files)
        assert "the node does not take events" in orthanc.log_tail(50)


def test_deleting_does_not_look_like_a_restored_backup(tmp_path, make_series):
    settings = orthanc_settings(tmp_path / "orthanc")
    files = make_series("deleted", slices=3)
    with OrthancProcess(settings) as orthanc, orthanc.client() as client:
        found, follower = follow(client, tmp_path)
        storescu(settings, *files)
        while follower.poll_once().more:
            pass
        user = orthanc.credentials
        study = client.series(client.instance(found[0]).series_id).study_id
        httpx.delete(f"{orthanc.url}/studies/{study}", auth=(user.user, user.password)).raise_for_status()
        assert follower.poll_once().state == "following"
        storescu(settings, *files)
        while follower.poll_once().more:
            pass
        assert len(found) == 2 * len(files)


def test_a_new_index_under_an_old_position_is_seen(tmp_path, make_series):
    settings = orthanc_settings(tmp_path / "orthanc")
    files = make_series("restored", slices=3)
    with OrthancProcess(settings) as orthanc, orthanc.client() as client:
        found, follower = follow(client, tmp_path)
        storescu(settings, *files)
        while follower.poll_once().more:
            pass
        orthanc.stop()
        assert follower.poll_once().state == "waiting"
        (settings.storage / "index").unlink()
        for leftover in settings.storage.glob("index-*"):
            leftover.unlink()
        orthanc.start()
        orthanc.wait_until_ready()
        assert follower.poll_once().state == "behind"
        storescu(settings, files[0])
        follower.reconcile()
        assert follower.poll_once().delivered == 1
        assert len(found) == len(files) + 1


def test_a_storage_area_that_is_away_is_an_error_of_orthancs_own_and_no_object_is_called_gone(tmp_path, make_series):
    settings = orthanc_settings(tmp_path / "orthanc")
    first, second = (path.read_bytes() for path in make_series("stored", slices=2))
    with OrthancProcess(settings) as orthanc, orthanc.client() as client:
        stored = client.store(first).id
    away = settings.storage.with_name("away")
    with OrthancProcess(settings) as orthanc, orthanc.client() as client:  # started anew, it has no file in memory
        settings.storage.rename(away)
        settings.storage.write_text("no folder")
        with pytest.raises(OrthancFailed):
            client.instance_file(stored)
        with pytest.raises(OrthancFailed):
            client.store(second)
        settings.storage.unlink()
        away.rename(settings.storage)
        assert client.instance_file(stored) == first
        assert client.store(second).status is StoreStatus.SUCCESS
