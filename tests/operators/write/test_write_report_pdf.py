"""WriteReportPdf: one page that says who, what, how much and how far to trust it; poppler reads it."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from operators.core import codes
from operators.core.errors import OperatorError
from operators.core.label_map import LabelMap
from operators.core.measurements import DerivedValue, Quantity
from operators.core.object_checks import check_object
from operators.core.quality import QualityFinding, QualityReport
from operators.measure.measure_segments import measure_segments
from operators.runtime.sdk import Application
from operators.write.pdf_fonts import CANNOT_SHOW, PdfFonts
from operators.write.write_report_pdf import ANOTHER_WRITING, ReportPdfParameters, WriteReportPdf, drawn_name
from operators.write.write_segmentation import build_segmentation
from operators.write.written import WrittenFile
from tests.builders import (
    ALGORITHM,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    TISSUES,
    make_affine,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_selection,
    make_slice_areas,
    make_volume,
)
from tests.judges import dciodvfy_errors

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext is missing: apt-get install poppler-utils"
)
HAN_FONT = Path("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf")
needs_han_font = pytest.mark.skipif(
    not HAN_FONT.is_file(), reason="no font with Han characters: apt-get install fonts-droid-fallback"
)
RATIO = DerivedValue(
    Quantity("bone_to_fat", "ratio", codes.VOLUME, codes.CUBIC_CENTIMETRE),
    "Bone to fat",
    "volume of Bone / volume of Fat",
    ("bone", "fat"),
    0.6923,
)
NO_RATIO = dataclasses.replace(RATIO, label="Muscle to fat", value=None, reason="Muscle: not found")
CHARSETS = {
    "clunie/SCSH31": "Yamada, Tarou",
    "clunie/SCSI2": "Hong, Gildong",
    "clunie/SCSX1": "Wang, XiaoDong",
    "clunie/SCSX2": "Wang, XiaoDong",
    "lena/Lena-arabic.dcm": "Test-\u0635",
    "lena/Lena-cyrillic.dcm": "Test-Дћ",
    "lena/Lena-greek.dcm": "Test-Θ",
    "lena/Lena-hebrew.dcm": "Test-\u05d3",
    "lena/Lena-latin1.dcm": "Test-éüäöò",
    "lena/Lena-latin2.dcm": "Test-éüäö",
    "lena/Lena-latin3.dcm": "Test-éüäöòĝİ",
    "lena/Lena-latin4.dcm": "Test-éüäöķ",
    "lena/Lena-latin5.dcm": "Test-éüäöòİ",
    "lena/Lena-tis-620.dcm": "Test-\u0e5b",
}
"""What of a name FiraGO can draw, from the names in expected.json."""


def inputs_of(volume, **changes):
    label_map = changes.get("label_map") or make_label_map(volume)
    identity = make_identity()
    inputs = {
        "volume": volume,
        "label_map": label_map,
        "measurements": make_measurements(label_map),
        "derived": (RATIO, NO_RATIO),
        "slice_areas": make_slice_areas(volume, label_map),
        "quality": make_quality(),
        "selection": make_selection(volume),
        "seg": WrittenFile("seg.dcm", build_segmentation(volume, label_map, identity)),
        "identity": identity,
    }
    return inputs | changes


def example(tmp_path):
    return ReportPdfParameters(tmp_path), inputs_of(make_volume())


def write(folder, volume=None, fonts=(), **changes):
    """Path of the object and of the PDF in it."""
    folder.mkdir(exist_ok=True)
    inputs = inputs_of(volume or make_volume(), **changes)
    path = WriteReportPdf(Application(), ReportPdfParameters(folder, fonts)).process(**inputs).path
    dataset = dcmread(path)
    pdf = folder / "report.pdf"
    pdf.write_bytes(dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength])
    return path, pdf


def poppler(program, *arguments) -> str:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def text_of(pdf) -> str:
    """Text as pdftotext reads it, line by line; Arabic forms become letters again, marks of direction go."""
    text = unicodedata.normalize("NFKC", poppler("pdftotext", "-layout", "-enc", "UTF-8", pdf, "-"))
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pdf"))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is missing: apt-get install dicom3tools")
def test_object_is_valid_for_dciodvfy(written):
    assert dciodvfy_errors(written[0]) == []
    assert check_object(dcmread(written[0])) == []


def test_object_is_an_encapsulated_pdf_of_the_study(written):
    dataset = dcmread(written[0])
    header = make_volume().slices[0].header

    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1"
    assert (dataset.Modality, dataset.MIMETypeOfEncapsulatedDocument) == ("DOC", "application/pdf")
    assert (dataset.BurnedInAnnotation, dataset.VerificationFlag) == ("YES", "UNVERIFIED")
    assert dataset.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert "research use" in dataset.DocumentTitle
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber", "StudyDate"):
        assert dataset[keyword].value == header[keyword].value, keyword
    assert dataset.EncapsulatedDocument.startswith(b"%PDF-")
    assert len(dataset.EncapsulatedDocument) % 2 == 0
    assert dataset.ContributingEquipmentSequence[0].DeviceUID


def test_object_names_all_that_it_was_made_from(tmp_path):
    volume = make_volume()
    inputs = inputs_of(volume)

    dataset = WriteReportPdf(Application(), ReportPdfParameters(tmp_path)).process(**inputs).dataset

    named = [item.ReferencedSOPInstanceUID for item in dataset.SourceInstanceSequence]
    assert named == [s.header.SOPInstanceUID for s in volume.slices] + [inputs["seg"].dataset.SOPInstanceUID]


@needs_poppler
def test_page_says_who_what_how_much_and_how_far_to_trust_it(written):
    text = words(text_of(written[1]))

    for expected in (
        "Imaging measurements",
        "test_app 1.2.3",
        "Patient Phantom, Trunk",
        "Patient ID MAPNODE-PHANTOM",
        "Born not recorded",
        "Study date 2025-01-02",
        "Series Trunk phantom",
        "Slice 7 of 12",
        "Volume Mean Standard Deviation Area in the slice",
        "mL HU HU cm2",
        # make_measurements: volume n + 0.25, mean -100.5 n, SD 7.125 n; make_slice_areas: slice + n / 10.
        "Bone 2.2 -201.0 14.2 6.2",
        "Muscle not found",
        "Bone to fat: 0.692 ratio (volume of Bone / volume of Fat).",
        "Muscle to fat: not computed: Muscle: not found.",
        "Quality verdict: caution.",
        "The scan reaches into the thorax.",
        "Looked for and not found: Muscle.",
        "criteria with a score of 2",
        "Research use only. Not for diagnosis.",
        "Identity abababababababab",
    ):
        assert expected in text, expected


@needs_poppler
def test_page_is_one_a4_page_with_its_fonts_in_it(written):
    information = poppler("pdfinfo", written[1])
    fonts = [line.split() for line in poppler("pdffonts", written[1]).splitlines()[2:]]

    assert re.search(r"Pages: +1\n", information)
    assert "A4" in information
    assert "Thu Jan  2 10:15:30 2025" in information
    assert fonts
    # The columns behind the encoding: embedded, subset, with a map to Unicode.
    assert all(font[-5:-2] == ["yes", "yes", "yes"] for font in fonts)


@needs_poppler
def test_page_shows_the_segments_in_their_colours(tmp_path, written):
    poppler("pdftoppm", "-r", "100", "-png", written[1], tmp_path / "page")

    with Image.open(tmp_path / "page-1.png") as page:
        pixels = np.asarray(page.convert("RGB")).reshape(-1, 3).astype(int)
    for segment in TISSUES[:3]:
        assert np.count_nonzero(np.abs(pixels - segment.colour).max(axis=1) < 24) > 30, segment.name


@needs_poppler
@pytest.mark.parametrize("directions", [CORONAL, SAGITTAL, OBLIQUE], ids=["coronal", "sagittal", "oblique"])
def test_every_plane_has_a_page(tmp_path, directions):
    path, pdf = write(tmp_path, make_volume(affine_lps=make_affine(directions)))

    assert dciodvfy_errors(path) == []
    assert "Slice 7 of 12" in text_of(pdf)


@needs_poppler
@pytest.mark.parametrize("count", [30, 100])
def test_page_has_room_for_many_segments(tmp_path, count):
    segments = tuple(
        dataclasses.replace(TISSUES[1], number=n, name=f"s{n}", label=f"Segment {n}", labels=(n,))
        for n in range(1, count + 1)
    )
    volume = make_volume(np.zeros((4, 6, 5), np.int16))
    labels = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5) % count + 1
    label_map = LabelMap(labels, volume.affine_lps.copy(), segments, ALGORITHM)

    _, pdf = write(tmp_path, volume, label_map=label_map, measurements=measure_segments(volume, label_map))

    text = words(text_of(pdf))
    shown = sum(bool(re.search(rf"Segment {n} ", text)) for n in range(1, count + 1))
    said = re.search(r"(\d+) more segments: see the structured report", text)
    assert shown + int(said[1] if said else 0) == count
    assert shown >= min(count, 50)
    assert "Research use only." in text


@needs_poppler
def test_page_says_that_findings_were_left_out(tmp_path):
    findings = tuple(QualityFinding(f"f{n}", f"Finding number {n} is here.") for n in range(40))

    text = words(text_of(write(tmp_path, quality=QualityReport(findings))[1]))

    assert "Finding number 3 is here." in text
    assert "more lines: see the structured report." in text


@needs_poppler
@pytest.mark.parametrize(("name", "drawn"), CHARSETS.items())
def test_name_is_drawn_in_its_letters(tmp_path, shared_data, name, drawn):
    source = dcmread(shared_data / "charsets" / name, stop_before_pixels=True)

    def named(header, _):
        header["SpecificCharacterSet"], header["PatientName"] = source["SpecificCharacterSet"], source["PatientName"]

    path, pdf = write(tmp_path, make_volume(edit=named))

    assert str(dcmread(path).PatientName) == str(source.PatientName)
    assert f"Patient {drawn}" in words(text_of(pdf))


@needs_poppler
@needs_han_font
@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("clunie/SCSH31", "Yamada, Tarou = 山田, 太郎 = やまだ, たろう"),
        ("clunie/SCSX1", "Wang, XiaoDong = 王, 小東"),
        ("clunie/SCSX2", "Wang, XiaoDong = 王, 小东"),
    ],
)
def test_han_characters_are_drawn_with_a_font_that_the_site_names(tmp_path, shared_data, name, drawn):
    source = dcmread(shared_data / "charsets" / name, stop_before_pixels=True)

    def named(header, _):
        header["SpecificCharacterSet"], header["PatientName"] = source["SpecificCharacterSet"], source["PatientName"]

    _, pdf = write(tmp_path, make_volume(edit=named), fonts=(HAN_FONT,))

    assert f"Patient {drawn}" in words(text_of(pdf))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Doe^Jane^Q^Dr^", "Doe, Jane Q Dr"),
        ("Doe", "Doe"),
        ("", ""),
        ("^^", ""),
        ("Yamada^Tarou=山田^太郎", f"Yamada, Tarou ({ANOTHER_WRITING})"),
        ("Ali^Omar=علي^عمر", "Ali, Omar = علي, عمر"),
        ("山田^太郎", CANNOT_SHOW),
        ("=山田^太郎=やまだ^たろう", CANNOT_SHOW),
        ("शर्मा^राज", CANNOT_SHOW),
    ],
    ids=["components", "family", "none", "empty", "ideographic", "arabic", "han", "kana", "devanagari"],
)
def test_a_name_that_cannot_be_drawn_is_pointed_at(name, text):
    assert drawn_name(name, PdfFonts()) == text


@needs_poppler
def test_dates_that_are_none_stand_as_the_source_says_them(tmp_path):
    def born(header, _):
        header.add_new("PatientBirthDate", "LO", "19500000")

    assert "Born 19500000" in words(text_of(write(tmp_path, make_volume(edit=born))[1]))


def test_font_that_is_none_is_refused_by_name(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")

    with pytest.raises(OperatorError, match=r"broken\.ttf"):
        PdfFonts((tmp_path / "broken.ttf",))


TWICE = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from tests.operators.write.test_write_report_pdf import write
write(Path(sys.argv[1]))
"""


def test_same_in_same_out_in_another_process_at_another_time(tmp_path):
    path, pdf = write(tmp_path / "here")
    (tmp_path / "there").mkdir()

    subprocess.run(
        [sys.executable, "-c", TWICE, str(tmp_path / "there")],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "SOURCE_DATE_EPOCH": "86400", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
        check=True,
        timeout=120,
    )

    assert (tmp_path / "there" / pdf.name).read_bytes() == pdf.read_bytes()
    assert (tmp_path / "there" / path.name).read_bytes() == path.read_bytes()
