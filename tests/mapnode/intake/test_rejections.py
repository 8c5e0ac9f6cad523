"""Rejections: which objects take others out of use."""

import pytest
from pydicom import Dataset

from mapnode.intake.rejections import KEY_OBJECT_SELECTION, TITLES, rejected_by


def note(code="113001", scheme="DCM", sop_class=KEY_OBJECT_SELECTION) -> Dataset:
    title, reference, series, study, header = (Dataset() for _ in range(5))
    title.CodeValue, title.CodingSchemeDesignator = code, scheme
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    series.ReferencedSOPSequence, study.ReferencedSeriesSequence = [reference], [series]
    header.SOPClassUID, header.ConceptNameCodeSequence = sop_class, [title]
    header.CurrentRequestedProcedureEvidenceSequence = [study]
    return header


@pytest.mark.parametrize("code", TITLES)
def test_every_title_of_the_context_group_rejects_what_the_note_names(code):
    rejection = rejected_by(note(code))

    assert (rejection.title, rejection.sop_instance_uids) == (TITLES[code], {"1.2.3"})


@pytest.mark.parametrize(
    "header",
    [note("113000"), note(scheme="99X"), note(sop_class="1.2.840.10008.5.1.4.1.1.88.22"), Dataset()],
    ids=["of interest", "private code", "a report", "empty"],
)
def test_other_objects_reject_nothing(header):
    assert rejected_by(header) is None
