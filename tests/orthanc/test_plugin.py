"""The plugin inside a fake Orthanc: it takes note, posts, compares, and never holds anything up."""

import time

import pytest
from mapnode_plugin import outbox, sender

from tests.orthanc.conftest import SCRIPT
from tests.orthanc.fakes import TOKEN, UUID, arrive, configuration, eventually


def test_without_a_section_it_is_idle(load):
    fake, module = load({})
    assert module.PLUGIN is None
    assert fake.callbacks == {}
    assert "no section" in fake.log[0]


def test_the_node_is_told_of_the_start(load, node, tmp_path):
    fake, _ = load(configuration(node.url, tmp_path))
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STARTED, 4, "")
    assert eventually(lambda: node.batches)
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STOPPED, 4, "")
    assert [event.kind for event in node.batches[0].events] == ["started"]


def test_only_plain_http_is_taken(load, tmp_path):
    with pytest.raises(ValueError, match="EventUrl"):
        load(configuration("https://127.0.0.1/", tmp_path))


def test_new_instances_are_posted_with_the_token_on_one_connection(started, node):
    fake, _ = started
    for name in "abc":
        arrive(fake, name)
        assert eventually(lambda name=name: name in [event.id for event in node.events])
    assert [event.id for event in node.events] == ["a", "b", "c"]
    assert set(node.tokens) == {TOKEN}
    assert len(node.connections) == 1
    assert abs(node.events[0].at - time.time()) < 5


def test_an_instance_is_told_with_what_orthanc_knows_of_it(started, node):
    fake, _ = started
    arrive(fake, "a")
    assert eventually(lambda: node.events)
    event = node.events[0]
    assert (event.series_id, event.sop_instance_uid) == ("series of a", "1.2.a")
    assert (event.file_uuid, event.md5) == (UUID, "d1")
    assert (event.calling_aet, event.called_aet, event.origin) == ("CT", "MAPNODE", "dicom")


def test_an_instance_that_orthanc_has_no_more_is_told_bare(started, node):
    fake, _ = started
    fake.gone.add("a")
    for name in "ab":
        arrive(fake, name)
    assert eventually(lambda: len(node.events) == 2)
    assert [(event.id, event.series_id) for event in node.events] == [("a", ""), ("b", "series of b")]


def test_a_compressed_file_is_not_offered_for_linking(started, node):
    fake, _ = started
    fake.stored_md5 = "another"
    arrive(fake, "a")
    assert eventually(lambda: node.events)
    assert (node.events[0].file_uuid, node.events[0].md5) == ("", "d1")


def test_events_that_the_node_will_never_take_do_not_block_the_others(started, node):
    fake, _ = started
    node.status = 422
    arrive(fake, "a")
    assert eventually(lambda: node.tokens)
    node.status = 204
    arrive(fake, "b")
    assert eventually(lambda: [event.id for event in node.events] == ["b"])
    assert eventually(lambda: sum(batch.dropped for batch in node.batches) == 1)
    assert len(node.tokens) <= 3  # what is refused is not posted once more


def test_what_gathers_goes_together(started, node):
    fake, _ = started
    for number in range(200):
        arrive(fake, f"{number}")
    assert eventually(lambda: len(node.events) == 200)
    assert len(node.batches) < 20


def test_other_changes_are_nobodys_business(started, node):
    fake, _ = started
    fake.callbacks["change"](fake.ChangeType.NEW_SERIES, 2, "s")
    arrive(fake, "a")
    assert eventually(lambda: node.events)
    assert [event.id for event in node.events] == ["a"]


def test_what_was_deleted_or_replaced_is_told_with_its_level(started, node):
    fake, _ = started
    kinds = fake.ChangeType
    for change, level, name in (
        (kinds.DELETED, 3, "a"),
        (kinds.DELETED, 1, "b"),
        (kinds.UPDATED_ATTACHMENT, 3, "c"),
        (kinds.UPDATED_METADATA, 2, "d"),
    ):
        fake.callbacks["change"](change, level, name)
    assert eventually(lambda: len(node.events) == 4)
    assert [(event.kind, event.level, event.id) for event in node.events] == [
        ("deleted", "instance", "a"),
        ("deleted", "study", "b"),
        ("changed", "instance", "c"),
        ("changed", "series", "d"),
    ]
    assert [event.what for event in node.events[2:]] == ["attachment", "metadata"]


def test_a_request_for_storage_commitment_is_told_and_other_jobs_are_not(started, node):
    fake, _ = started
    content = {"RemoteAet": "CT", "CalledAet": "MAPNODE", "TransactionUid": "1.2.3"}
    fake.jobs = {
        "a": {"Type": "ResourceModification", "Content": {}},
        "b": {"Type": "StorageCommitmentScp", "Content": content},
    }
    for name in ("a", "b", "forgotten"):
        fake.callbacks["change"](fake.ChangeType.JOB_SUBMITTED, 4, name)
    arrive(fake, "c")
    assert eventually(lambda: len(node.events) == 2)
    event = node.events[0]
    assert (event.kind, event.id, event.calling_aet) == ("commitment", "b", "CT")
    assert (event.called_aet, event.transaction_uid) == ("MAPNODE", "1.2.3")


def test_what_waits_at_the_end_is_still_posted(load, node, monkeypatch, tmp_path):
    fake, module = load(configuration(node.url, tmp_path))
    monkeypatch.setattr(sender, "BATCH_S", 600)
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STARTED, 4, "")
    assert eventually(lambda: node.batches)
    arrive(fake, "a")
    started = time.monotonic()
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STOPPED, 4, "")
    assert time.monotonic() - started < 60
    assert [event.id for event in node.events] == ["a"]
    assert not module.PLUGIN.sender.is_alive()
    assert not module.PLUGIN.comparer.is_alive()


def test_a_node_that_does_not_take_events_is_told_of_once_and_gets_their_number_later(started, node):
    fake, _ = started
    node.status = 503
    for name in "abc":
        arrive(fake, name)
    assert eventually(lambda: len(node.tokens) >= 3)
    node.status = 204
    assert eventually(lambda: sum(batch.dropped for batch in node.batches) == 3)
    assert node.events == []
    assert len([line for line in fake.log if "does not take events" in line]) == 1
    assert eventually(lambda: any("takes events again" in line for line in fake.log))


def test_a_dead_node_costs_a_callback_nothing(load, tmp_path):
    fake, module = load(configuration("http://127.0.0.1:1/", tmp_path))
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STARTED, 4, "")
    started = time.thread_time()  # the machine's other work is not the callbacks'
    for number in range(60_000):
        arrive(fake, f"{number}")
    assert time.thread_time() - started < 3
    assert len(module.PLUGIN.outbox._events) <= outbox.QUEUE_EVENTS + len(["started"])
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STOPPED, 4, "")


def test_the_folder_is_no_package():
    assert not (SCRIPT.parent / "__init__.py").exists()
