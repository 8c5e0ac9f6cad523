"""Rejecting: the note names what it rejects, and a replay stores the same bytes."""

import pytest
from pydicom import dcmread

from mapnode.errors import NodeError
from mapnode.intake.rejections import rejected_by
from mapnode.jobs.rejecting import Title, build_note
from tests.builders import make_ct_series
from tests.mapnode.engine import make_spec

WHY = "superseded by job 3f2a"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_ct_series(tmp_path_factory.mktemp("results"), slices=2)


@pytest.fixture(scope="module")
def built(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("job") / "rejection"
    return folder, build_note(folder, [file.read_bytes() for file in files], make_spec(), Title.QUALITY, WHY)


def test_a_note_rejects_exactly_the_results(built, files):
    _, note = built
    header = dcmread(built[0] / "note.dcm")

    assert header.SOPInstanceUID == note.sop_instance_uid
    assert rejected_by(header).sop_instance_uids == {str(dcmread(file).SOPInstanceUID) for file in files}
    assert header.StudyInstanceUID == dcmread(files[0]).StudyInstanceUID


@pytest.mark.parametrize("title", Title)
def test_a_note_has_the_title_that_says_what_became_of_the_results(files, tmp_path, title):
    build_note(tmp_path / "rejection", [file.read_bytes() for file in files], make_spec(), title, WHY)

    concept = dcmread(tmp_path / "rejection" / "note.dcm").ConceptNameCodeSequence[0]
    assert (concept.CodeValue, concept.CodingSchemeDesignator) == (title, "DCM")


def test_a_note_that_was_built_is_not_built_again(built):
    folder, note = built

    assert build_note(folder, [], make_spec(), Title.PATIENT_SAFETY, "another reason") == note


def test_a_note_that_a_kill_left_half_built_is_built_anew(built, files, tmp_path):
    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected" / "7.dcm").write_bytes(b"left over")
    (tmp_path / "note.draft").write_bytes(b"half")

    note = build_note(tmp_path, [file.read_bytes() for file in files], make_spec(), Title.QUALITY, WHY)

    assert note.sop_instance_uid == built[1].sop_instance_uid


def test_what_cannot_be_rejected_says_so_without_quoting_it(tmp_path):
    with pytest.raises(NodeError, match="no rejection note could be built") as caught:
        build_note(tmp_path, [b"DOE^JANE is no DICOM"], make_spec(), Title.QUALITY, WHY)

    assert "DOE" not in str(caught.value)
