"""OHIF 3.13.2 shows what the app wrote: the SEG in its place, the numbers of the SR, the Secondary Capture.

Pictures of what it showed are kept in build/ohif.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PIL import Image
from pydicom import dcmread

from mapnode.pacs import OrthancProcess, OrthancSettings, free_port
from mapnode.pacs.orthanc_configuration import PLUGIN_FOLDER
from mapnode.phantom import build_trunk_phantom, write_ct_series
from operators.core.identity import ResultIdentity
from operators.core.pixels import read_volume
from operators.load.load_series import load_series
from operators.write.marking import save
from operators.write.write_secondary_capture import build_secondary_capture
from tests.builders import ALGORITHM
from tests.judges import read_segments, volume_ml
from tests.node_under_test import ORTHANC, wait_for
from tests.viewers.chromium import PROGRAM, Chromium
from tests.viewers.ohif import BUILD, VERSION, OhifPage, OhifServer, unpack

APP = "ct_body_composition"
SLICE = 32
"""The one that the app draws of the phantom, counted from 0: its picture says so, counted from 1."""
PICTURES = BUILD / "ohif"
PACKAGES = BUILD / "ohif-dist"
MISSING = [
    what
    for what, there in {
        "Debian's chromium": PROGRAM.is_file(),
        "orthanc": shutil.which(ORTHANC, path="/usr/sbin:/usr/bin") or Path(ORTHANC).is_file(),
        "orthanc-dicomweb": (PLUGIN_FOLDER / "libOrthancDicomWeb.so").is_file(),
        "npm, which fetches OHIF": shutil.which("npm") or (PACKAGES / VERSION).is_dir(),
    }.items()
    if not there
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

TRACKING_UID = "112040"
NUMBER = re.compile(r"(?P<name>.+): (?P<value>-?\d+\.\d\d) (?P<unit>\S+)")
"""A line as OHIF writes it: two decimals, whatever the SR has."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    phantom = build_trunk_phantom()
    folder = tmp_path_factory.mktemp("source")
    write_ct_series(phantom.hu, phantom.affine_lps, folder, description="phantom", uid_seed="OHIF")
    return folder


@pytest.fixture(scope="module")
def results(source, tmp_path_factory):
    """The folder with what the app wrote, and the Secondary Capture of its picture."""
    folder = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "mapnode", "run", APP, source, folder, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    identity = ResultIdentity(document["identity"], datetime.fromisoformat(document["clock"]), APP, "0.1.0")
    seg = dcmread(folder / "seg.dcm")
    (series,) = load_series(source).series
    with Image.open(folder / "key_image.png") as picture:
        capture = build_secondary_capture(
            picture.convert("RGB"), [SLICE], read_volume(series.volumes[0]), seg, ALGORITHM, identity
        )
    save(capture, folder / "secondary_capture.dcm")
    return folder


@pytest.fixture(scope="module")
def ohif(source, results, tmp_path_factory):
    """OHIF's address, with the study behind it."""
    try:
        dist = unpack(PACKAGES)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm cannot fetch OHIF: {error.stderr.decode(errors='replace')[-300:]}")
    folder = tmp_path_factory.mktemp("orthanc")
    settings = OrthancSettings(folder, program=ORTHANC, dicom_port=free_port(), http_port=free_port())
    with OrthancProcess(settings) as orthanc:
        with orthanc.client() as client:
            for path in [*source.iterdir(), *results.glob("*.dcm")]:
                client.store(path.read_bytes())
        with OhifServer(dist, orthanc.url, orthanc.credentials) as server:
            yield server.url


@pytest.fixture
def open_page(ohif, results, tmp_path):
    """Open OHIF in a browser of its own and show one of the results: OHIF forgets nothing while its page is open."""

    def open_on(name):
        result = dcmread(results / name, stop_before_pixels=True)
        page = OhifPage(browser, ohif, result.StudyInstanceUID, series=4)
        page.show(result.SeriesInstanceUID)
        return page

    with Chromium(tmp_path / "chromium") as browser:
        yield open_on


@pytest.fixture
def seg_page(open_page):
    page = open_page("seg.dcm")
    page.press("Yes")
    return page


@pytest.fixture
def sr_page(open_page):
    return open_page("sr.dcm")


@pytest.fixture
def judged(results, tmp_path):
    """The segments as dcmqi reads them."""
    return read_segments(results / "seg.dcm", tmp_path)


def planes_of(image):
    """Planes with voxels of a segment, as `OhifPage.segments` describes them."""
    array = (SimpleITK.GetArrayViewFromImage(image) > 0).astype(np.uint8)
    directions = np.reshape(image.GetDirection(), (3, 3)).T[:2].ravel().tolist()
    return [
        {
            "position": list(image.TransformIndexToPhysicalPoint((0, 0, index))),
            "directions": directions,
            "spacing": list(image.GetSpacing()[:2]),
            "voxels": int(plane.sum()),
            "sha256": hashlib.sha256(plane.tobytes()).hexdigest(),
        }
        for index, plane in enumerate(array)
        if plane.any()
    ]


def by_position(planes):
    return sorted(planes, key=lambda plane: plane["position"])


def test_segments_open_with_equal_voxel_counts(seg_page, judged):
    shown = seg_page.segments()

    seg_page.scroll_to(31)
    seg_page.browser.screenshot(PICTURES / "seg.png")
    assert {label: sum(plane["voxels"] for plane in planes) for label, planes in shown.items()} == {
        label: int(np.count_nonzero(SimpleITK.GetArrayViewFromImage(image))) for label, image in judged.items()
    }
    assert seg_page.errors == []


def test_every_voxel_of_a_segment_opens_in_its_place(seg_page, judged):
    shown = seg_page.segments()

    for label, image in judged.items():
        ours, theirs = by_position(planes_of(image)), by_position(shown[label])
        assert [plane["sha256"] for plane in theirs] == [plane["sha256"] for plane in ours], label
        for key in ("position", "directions", "spacing"):
            np.testing.assert_allclose([p[key] for p in theirs], [p[key] for p in ours], atol=1e-4, err_msg=label)


@pytest.mark.xfail(strict=True, reason="OHIF 3.13.2 halves the volumes of segments that overlap: the body takes in all")
def test_volumes_that_ohif_computes_from_the_seg_are_those_of_the_seg(seg_page, judged):
    shown = seg_page.volumes_mm3()

    expected = {label: 1000 * volume_ml(image) for label, image in judged.items()}
    assert shown == pytest.approx(expected, rel=1e-6)


def test_the_report_opens(sr_page):
    wait_for_report(sr_page)

    assert sr_page.errors == []


def test_outlines_and_points_lie_where_the_report_has_them(sr_page, source, results):
    headers = {str(h.SOPInstanceUID): h for h in (dcmread(p, stop_before_pixels=True) for p in source.iterdir())}
    places = places_of(results)
    wait_for_report(sr_page)

    shown = {(m["tracking_uid"], m["sop_instance_uid"]): m["points"] for m in sr_page.measurements()}

    assert shown.keys() == {(place["tracking_uid"], place["sop_instance_uid"]) for place in places}
    for place in places:
        expected = in_lps(place["points"], headers[place["sop_instance_uid"]])
        drawn = shown[place["tracking_uid"], place["sop_instance_uid"]]
        np.testing.assert_allclose(drawn, expected, atol=1e-3, err_msg=place["tracking_uid"])


def test_numbers_that_ohif_displays_are_those_of_the_report(sr_page, results):
    places = places_of(results)
    wait_for_report(sr_page)

    displayed = walk_through(sr_page, {place["sop_instance_uid"] for place in places})

    for uid, texts in displayed.items():
        stated = [place["numbers"] for place in places if place["sop_instance_uid"] == uid]
        shown = [numbers_in(lines) for lines in texts]
        # Each text has the numbers of one place, all of them and no other: that of a deviation would read like a mean.
        assert len(shown) == len(stated)
        for numbers in stated:
            assert any(len(numbers) == len(text) and all(contains(text, n) for n in numbers) for text in shown), numbers


def test_the_secondary_capture_shows(open_page, results):
    page = open_page("secondary_capture.dcm")
    capture = dcmread(results / "secondary_capture.dcm")
    size = [capture.Columns, capture.Rows]

    def shown():
        image = page.image()
        # The picture fills most of the canvas; a good part of it is tissue in colour.
        is_drawn = image["lit"] > 0.5 * image["pixels"] and image["coloured"] > 0.1 * image["pixels"]
        return image if image["size"] == size and is_drawn else None

    image = wait_for(shown, 120, "the Secondary Capture on the canvas")
    page.browser.screenshot(PICTURES / "secondary_capture.png")
    assert image["sha256"] == hashlib.sha256(capture.pixel_array.tobytes()).hexdigest()
    assert page.errors == []


def wait_for_report(page):
    """Until OHIF has read the report, or has failed."""
    wait_for(lambda: page.errors or any(page.written_on_image().values()), 120, "a text on the image")


def walk_through(page, images):
    """Texts by image, met along the arrows of the viewer."""
    assert page.errors == []
    displayed = {}
    for number in range(20):
        page.browser.screenshot(PICTURES / f"sr_{number}.png")
        displayed.update({uid: texts for uid, texts in page.written_on_image().items() if texts})
        if images <= displayed.keys():
            break
        page.next_measurement()
    assert images <= displayed.keys()
    return displayed


def places_of(results):
    """Where the SR points to: a region with all numbers of its group, or a point with the number that it is of."""
    report = dcmread(results / "sr.dcm")
    (measurements,) = [item for item in report.ContentSequence if name_of(item) == "Imaging Measurements"]
    places = []
    for group in measurements.ContentSequence:
        numbers = children(group, "NUM")
        owners = [(region, numbers) for region in children(group, "SCOORD")]
        owners += [(point, [number]) for number in numbers for point in children(number, "SCOORD")]
        ((place, of),) = owners
        reference = place.ContentSequence[0].ReferencedSOPSequence[0]
        places.append({
            "tracking_uid": tracking_uid(group),
            "sop_instance_uid": str(reference.ReferencedSOPInstanceUID),
            "points": np.reshape(place.GraphicData, (-1, 2)),
            "numbers": [number_of(item) for item in of],
        })
    # Six segments have a volume and a largest slice each; there is one ratio, and three of them have two sides.
    assert len(places) == 6 + 6 + 1 + 6
    return places


def children(item, value_type):
    return [child for child in item.get("ContentSequence", []) if child.ValueType == value_type]


def name_of(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning


def tracking_uid(group):
    return next(
        str(item.UID) for item in group.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == TRACKING_UID
    )


def number_of(item):
    """Name, value and unit of a NUM."""
    measured = item.MeasuredValueSequence[0]
    return name_of(item), float(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue


def numbers_in(lines):
    matches = [match for line in lines if (match := NUMBER.fullmatch(line))]
    return [(match["name"], float(match["value"]), match["unit"]) for match in matches]


def contains(numbers, number):
    """Whether a number is among others, but for the digits that OHIF leaves out."""
    name, value, unit = number
    return any((name, unit) == (n, u) and abs(value - v) <= 0.005 + 1e-9 for n, v, u in numbers)


def in_lps(points, header):
    """Image coordinates (column, row), whose origin is the corner of the first pixel (PS3.3 C.10.5.1.2), in LPS, mm."""
    between_rows, between_columns = map(float, header.PixelSpacing)
    along_row, along_column = np.reshape(header.ImageOrientationPatient, (2, 3)).astype(float)
    columns, rows = (points - 0.5).T
    origin = np.array(header.ImagePositionPatient, dtype=float)
    return origin + np.outer(columns * between_columns, along_row) + np.outer(rows * between_rows, along_column)
