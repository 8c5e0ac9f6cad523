"""WriteReportPdf: one page with pictures, measurements and quality as Encapsulated PDF (PS3.3 A.45.1)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import highdicom as hd
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from operators.core import defaults
from operators.core.header import read_value
from operators.core.identity import ResultIdentity
from operators.core.label_map import Algorithm, LabelMap
from operators.core.measurements import DerivedValue, SegmentMeasurements, SliceAreas
from operators.core.quality import QualityReport, Verdict
from operators.core.selection import Selection
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.marking import (
    DATE,
    contributing_equipment,
    equipment,
    save,
    series_description,
    source_headers,
    stamp,
)
from operators.write.pdf_fonts import CANNOT_SHOW, PdfFonts
from operators.write.picture import shown_number
from operators.write.report_page import MOST_COLUMNS, PageContent, Remark, Table, draw_page
from operators.write.shown_slices import draw_slices
from operators.write.source_references import source_instance_items
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from operators.core.measurements import Quantity
    from operators.runtime.application import RunContext
    from operators.write.shown_slices import ShownSlice

FILE_NAME = "report_pdf.dcm"
MIME_TYPE = "application/pdf"
TITLE = codes.DCM.ImagingMeasurementReport
ANOTHER_WRITING = "also recorded in letters that this page cannot show"


@dataclass(frozen=True)
class ReportPdfParameters:
    """Where the report goes, and how names are drawn.

    Attributes:
        folder: Output folder, which exists.
        fonts: TrueType fonts for letters that FiraGO lacks, such as Han characters, kana and hangul.
    """

    folder: Path
    fonts: tuple[Path, ...] = ()

    @classmethod
    def of(cls, context: RunContext) -> ReportPdfParameters:
        """Those of a run."""
        return cls(context.output_folder)


class WriteReportPdf(Step):
    """Write one A4 page in the source's study, for viewers and people that read neither SEG nor SR.

    The page names the patient as the source does, because a printed page without a name is taken for anybody's. What
    cannot be drawn in a name's letters is drawn in another group of the name, or the page says so; the DICOM header
    has the name unchanged in any case.

    Named Input:
        volume: Volume, the source.
        label_map: LabelMap on its grid.
        measurements: tuple of SegmentMeasurements.
        derived: tuple of DerivedValue.
        slice_areas: tuple of SliceAreas.
        quality: QualityReport.
        selection: Selection.
        seg: WrittenFile with the SEG of that label map.
        identity: ResultIdentity.

    Named Output:
        report_pdf: WrittenFile with Encapsulated PDF Storage 1.2.840.10008.5.1.4.1.1.104.1.
    """

    inputs: ClassVar[tuple[str, ...]] = (
        "volume", "label_map", "measurements", "derived", "slice_areas", "quality", "selection", "seg", "identity",
    )  # fmt: skip
    output: ClassVar[str] = "report_pdf"

    def process(
        self,
        volume: Volume,
        label_map: LabelMap,
        measurements: tuple[SegmentMeasurements, ...],
        derived: tuple[DerivedValue, ...],
        slice_areas: tuple[SliceAreas, ...],
        quality: QualityReport,
        selection: Selection,
        seg: WrittenFile,
        identity: ResultIdentity,
    ) -> WrittenFile:
        """Draw, build and save."""
        parameters: ReportPdfParameters = self.parameters
        assert seg.dataset is not None
        fonts = PdfFonts(parameters.fonts)
        slices = draw_slices(volume, label_map)
        header = volume.slices[0].header
        content = PageContent(
            patient=patient_facts(header, fonts),
            study=_study_facts(header, selection),
            slices=slices,
            table=_table(slices, label_map, measurements, slice_areas),
            # The page has room for so many lines: what limits the numbers comes before more numbers.
            remarks=(*_remarks(label_map, measurements, quality, selection), *map(_derived, derived)),
        )
        document = draw_page(content, identity, fonts)
        dataset = build_encapsulated_pdf(document, volume, seg.dataset, label_map.algorithm, identity)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset)


def build_encapsulated_pdf(
    document: bytes, volume: Volume, seg: Dataset, algorithm: Algorithm, identity: ResultIdentity
) -> hd.SOPClass:
    """A PDF file as DICOM object (PS3.3 A.45.1).

    Args:
        document: The PDF.
        volume: The source.
        seg: The SEG that it was made from, too.
        algorithm: What measured.
        identity: UIDs and clock derive from it.

    Returns:
        The data set.
    """
    (header,) = source_headers(dataclasses.replace(volume, slices=volume.slices[:1]))
    dataset = hd.SOPClass(
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=identity.uid("pdf/series"),
        series_number=defaults.REPORT_PDF_SERIES_NUMBER,
        sop_instance_uid=identity.uid("pdf/instance"),
        sop_class_uid=EncapsulatedPDFStorage,
        instance_number=1,
        modality="DOC",
        **equipment(algorithm),
        specific_character_set=header.get("SpecificCharacterSet"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    # The name goes from header to header as it is: highdicom's constructor has opinions on names, and prints them.
    dataset.copy_patient_and_study_information(header)
    dataset.ContributingEquipmentSequence = [contributing_equipment(algorithm, identity)]
    stamp(dataset, identity, series_description("PDF", identity))
    _encapsulate(dataset, document, identity)
    # The instances alone: this IOD has no Common Instance Reference Module that would name their series.
    dataset.SourceInstanceSequence = source_instance_items(volume, seg)
    return dataset


def _encapsulate(dataset: Dataset, document: bytes, identity: ResultIdentity) -> None:
    """SC Equipment and Encapsulated Document Modules (PS3.3 C.8.6.1, C.24.2)."""
    dataset.ConversionType = hd.sc.ConversionTypeValues.WSD.value
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = f"{identity.app} {identity.version}: imaging measurements (research use)"
    dataset.ConceptNameCodeSequence = [hd.sr.CodedConcept.from_code(TITLE)]
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.MIMETypeOfEncapsulatedDocument = MIME_TYPE
    dataset.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    dataset.EncapsulatedDocumentLength = len(document)


def patient_facts(header: Dataset, fonts: PdfFonts) -> tuple[tuple[str, str], ...]:
    """Label and value of what tells patients apart, as the source says it."""
    return (
        ("Patient", drawn_name(_text(header, "PatientName"), fonts)),
        ("Patient ID", _text(header, "PatientID")),
        ("Born", _date(_text(header, "PatientBirthDate"))),
        ("Sex", _text(header, "PatientSex")),
    )


def drawn_name(name: str, fonts: PdfFonts) -> str:
    """The groups of a person's name (PS3.5 6.2.1) that can be drawn, and a remark where one cannot.

    Args:
        name: Alphabetic, ideographic and phonetic group, separated by "=".
        fonts: What it will be drawn with.

    Returns:
        The text for the page; empty where there is no name.
    """
    groups = [_plain_group(group) for group in name.split("=") if group.strip("^ ")]
    drawable = [group for group in groups if fonts.can_draw(group)]
    if not groups:
        return ""
    if not drawable:
        return CANNOT_SHOW
    return " = ".join(drawable) + (f" ({ANOTHER_WRITING})" if len(drawable) < len(groups) else "")


def _plain_group(group: str) -> str:
    """Family name, then the other components."""
    family, *others = (component.strip() for component in group.split("^"))
    return ", ".join(filter(None, (family, " ".join(filter(None, others)))))


def _study_facts(header: Dataset, selection: Selection) -> tuple[tuple[str, str], ...]:
    volume = f" ({selection.chosen.volume})" if selection.chosen.volume else ""
    return (
        ("Study date", _date(_text(header, "StudyDate"))),
        ("Study", _text(header, "StudyDescription")),
        ("Accession", _text(header, "AccessionNumber")),
        ("Series", f"{_text(header, 'SeriesDescription')}{volume}"),
    )


def _text(header: Dataset, keyword: str) -> str:
    value = read_value(header, keyword)
    return "" if value is None else str(value).strip()


def _date(text: str) -> str:
    """A DICOM date as people write it; what is none stays as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text and DATE.fullmatch(text) else text


def _table(
    slices: Sequence[ShownSlice],
    label_map: LabelMap,
    measurements: Sequence[SegmentMeasurements],
    slice_areas: Sequence[SliceAreas],
) -> Table:
    """A row a segment, a column a quantity; the area in the slice where one slice is shown."""
    quantities = _quantities(measurements)
    columns = [(_name(quantity), quantity.unit) for quantity in quantities]
    areas = slice_areas[slices[0].index].area_cm2 if len(slices) == 1 and len(columns) < MOST_COLUMNS else {}
    rows = []
    for segment, measured in zip(label_map.segments, measurements, strict=True):
        values = {m.quantity.name: shown_number(m.value) for m in measured.values}
        cells = [values.get(quantity.name, "") for quantity in quantities]
        if areas:
            cells.append(shown_number(areas[segment.name]))
        if measured.voxels == 0:
            cells = ["not found", *[""] * (len(cells) - 1)]
        rows.append((segment.colour, (segment.label, *cells)))
    return Table((*columns, *([("Area in the slice", "cm2")] if areas else [])), tuple(rows))


def _quantities(measurements: Sequence[SegmentMeasurements]) -> list[Quantity]:
    """What was measured, in the order of its first appearance, as far as the page is wide."""
    found = {m.quantity.name: m.quantity for measured in measurements for m in measured.values}
    return list(found.values())[:MOST_COLUMNS]


def _name(quantity: Quantity) -> str:
    return str((quantity.derivation or quantity.concept).meaning)


def _derived(derived: DerivedValue) -> Remark:
    """A number computed from others, or why there is none."""
    if derived.value is None:
        return Remark(f"{derived.label}: not computed: {derived.reason}.", warns=True)
    value = f"{derived.value:.3g}" if abs(derived.value) < 1000 else f"{derived.value:.1f}"
    return Remark(f"{derived.label}: {value} {derived.quantity.unit} ({derived.definition}).")


def _remarks(
    label_map: LabelMap, measurements: Sequence[SegmentMeasurements], quality: QualityReport, selection: Selection
) -> tuple[Remark, ...]:
    """Quality, what was not found, why this series."""
    labels = {segment.name: segment.label for segment in label_map.segments}
    missing = [labels[m.segment_name] for m in measurements if m.voxels == 0]
    left_out = len({m.quantity.name for of_segment in measurements for m in of_segment.values}) - MOST_COLUMNS
    chosen = selection.chosen
    return (
        Remark(f"Quality verdict: {quality.verdict}.", warns=quality.verdict is not Verdict.PASS),
        *(Remark(finding.message, warns=True) for finding in quality.findings),
        *(Remark(sentence) for sentence in quality.not_checked),
        *([Remark(f"Looked for and not found: {', '.join(missing)}.", warns=True)] if missing else []),
        *([Remark(f"{left_out} more quantities: see the structured report.")] if left_out > 0 else []),
        # Nothing here may depend on what else lies in the folder: the UIDs do not.
        Remark(
            f"Measured on {len(selection.volume.frames)} images of series {chosen.series_instance_uid}, "
            f"which meets the app's criteria with a score of {chosen.score:g}."
        ),
        Remark(f"Segmented by {label_map.algorithm.name} {label_map.algorithm.version}. Not verified by a person."),
    )
