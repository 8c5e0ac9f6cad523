"""SR document: what every report has around its findings: evidence, observer, procedure, marks (PS3.16 TID 1500)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from highdicom import sr
from highdicom.sr import CodedConcept
from highdicom.sr import RelationshipTypeValues as Relation
from pydicom import Dataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.uid import Comprehensive3DSRStorage

from operators.core import codes, defaults
from operators.core.header import read_text
from operators.core.identity import derived_uid
from operators.write.marking import (
    contributing_equipment,
    device_uid,
    first_source_header,
    series_description,
    stamp,
)
from operators.write.stand_ins import put_references_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from operators.core.identity import ResultIdentity
    from operators.core.label_map import Algorithm
    from operators.core.selection import Selection
    from operators.core.volume import Volume
    from operators.write.sr_groups import Group

INSTANCE_ROLE, SERIES_ROLE = "sr/instance", "sr/series"
"""Roles that the report's UIDs derive from, its predecessor's too."""
LANGUAGE = CodedConcept("en-US", "RFC5646", "English (United States)")
PROCEDURES = {
    "CT": codes.CT_PROCEDURE,
    "MR": codes.MR_PROCEDURE,
    "PT": codes.PET_PROCEDURE,
    "NM": codes.NM_PROCEDURE,
    "XA": codes.ANGIOGRAPHY,
    **dict.fromkeys(("CR", "DX", "RF", "RG"), codes.XR_PROCEDURE),
}
"""Procedure Reported by Modality (0008,0060); CID 100 has "Imaging procedure" for all others."""


def sr_document(
    volume: Volume,
    segs: Sequence[Dataset],
    algorithm: Algorithm,
    identity: ResultIdentity,
    content: sr.ContentSequence,
    predecessor: str | None = None,
    schemes: Iterable[Dataset] = (),
) -> sr.Comprehensive3DSR:
    """A TID 1500 report.

    Args:
        volume: The source; all its instances are evidence.
        segs: Segmentations that it refers to.
        algorithm: What measured.
        identity: UIDs and clock derive from it.
        content: What the root contains.
        predecessor: Identity of the result whose report is superseded.
        schemes: Items that identify coding schemes of others (PS3.3 C.12.1).

    Returns:
        The data set: complete, unverified, preliminary.
    """
    study_uid = volume.slices[0].header.StudyInstanceUID
    dataset = sr.Comprehensive3DSR(
        evidence=[*_evidence(volume), *segs],
        content=_root(),
        series_instance_uid=identity.uid(SERIES_ROLE),
        series_number=defaults.SR_SERIES_NUMBER,
        sop_instance_uid=identity.uid(INSTANCE_ROLE),
        instance_number=1,
        manufacturer=defaults.MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=[_superseded(predecessor, study_uid)] if predecessor else None,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )
    dataset.ManufacturerModelName = algorithm.name
    dataset.SoftwareVersions = algorithm.version
    dataset.DeviceSerialNumber = algorithm.digest[:16]
    dataset.CodingSchemeIdentificationSequence = [_private_scheme(), *schemes]
    _put_evidence(dataset, volume)
    # Put in here: highdicom would copy each item and look through all of them twice.
    dataset.ContentSequence = content
    stamp(dataset, identity, series_description("SR", identity))
    return dataset


def header_items(volume: Volume, algorithm: Algorithm) -> sr.ContentSequence:
    """What stands before the findings: language, observer, procedure."""
    procedure = PROCEDURES.get(str(volume.slices[0].header.get("Modality", "")), codes.IMAGING_PROCEDURE)
    return sr.ContentSequence([
        *sr.LanguageOfContentItemAndDescendants(LANGUAGE),
        *sr.ObservationContext(observer_device_context=_observer(algorithm)),
        sr.CodeContentItem(codes.PROCEDURE_REPORTED, procedure, Relation.HAS_CONCEPT_MOD),
    ])


def measurement_items(groups: Iterable[Group]) -> list[sr.ContainerContentItem]:
    """Imaging Measurements with their groups; nothing where there is no group."""
    found = list(groups)
    if not found:
        return []
    container = sr.ContainerContentItem(codes.IMAGING_MEASUREMENTS, relationship_type=Relation.CONTAINS)
    container.ContentSequence = sr.ContentSequence()
    for group in found:
        container.ContentSequence.extend(group)
    return [container]


def selection_comments(selection: Selection) -> tuple[str, ...]:
    """Research status, and why this series."""
    chosen = selection.chosen
    which = f" ({chosen.volume})" if chosen.volume else ""
    return (
        defaults.RESEARCH_STATUS,
        # Nothing here may depend on what else lies in the folder: the UIDs do not.
        f"Series measured: {chosen.series_instance_uid}{which}, {len(selection.volume.frames)} images; "
        f"it meets the app's criteria with a score of {chosen.score:g}.",
    )


def _evidence(volume: Volume) -> list[Dataset]:
    """As much evidence as highdicom needs: one header as a whole, and one instance a series."""
    first = first_source_header(volume)
    one_a_series = {read_text(source.header, "SeriesInstanceUID"): source.header for source in reversed(volume.slices)}
    return [first, *reversed(one_a_series.values())]


def _put_evidence(dataset: Dataset, volume: Volume) -> None:
    """List all instances of the source as evidence, in the order of the slices (PS3.3 C.17.2.3)."""
    for study in dataset.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            uid = series.SeriesInstanceUID
            of_series = [s for s in volume.slices if read_text(s.header, "SeriesInstanceUID") == uid]
            if of_series:
                put_references_to(series, "ReferencedSOPSequence", of_series, frames=False)


def _root() -> sr.ContainerContentItem:
    """The document's root (TID 1500), nothing in it yet."""
    root = sr.ContainerContentItem(codes.IMAGING_MEASUREMENT_REPORT, template_id="1500")
    root.ContentSequence = sr.ContentSequence()
    return root


def _observer(algorithm: Algorithm) -> sr.ObserverContext:
    """The algorithm as device observer (TID 1004)."""
    return sr.ObserverContext(
        observer_type=dictionary.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=device_uid(algorithm),
            name=algorithm.name,
            manufacturer_name=defaults.MANUFACTURER,
            model_name=algorithm.name,
            serial_number=algorithm.digest[:16],
        ),
    )


def _superseded(predecessor: str, study_uid: str) -> Dataset:
    """What Predecessor Documents Sequence (0040,A360) says of the superseded report, in the same study."""
    report = Dataset()
    report.SOPClassUID = Comprehensive3DSRStorage
    report.StudyInstanceUID = study_uid
    report.SeriesInstanceUID = derived_uid(f"{predecessor}/{SERIES_ROLE}")
    report.SOPInstanceUID = derived_uid(f"{predecessor}/{INSTANCE_ROLE}")
    return report


def _private_scheme() -> Dataset:
    """Item of Coding Scheme Identification Sequence (0008,0110) for our codes (PS3.3 C.12.1)."""
    item = Dataset()
    item.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    item.CodingSchemeName = "mapnode private codes"
    item.CodingSchemeResponsibleOrganization = defaults.MANUFACTURER
    return item
