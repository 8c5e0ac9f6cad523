"""ct_body_composition at the levels of a vertebra map, from files to results, judged against the phantom's truth."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from benchmarks.readings import allowed_of, shells_cm2, volume_of
from mapnode.phantom import PhantomTissue, TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.phantom.anatomy import TISSUE_OF_MATERIAL, material_plane
from mapnode.phantom.shapes import Plane
from mapnode.phantom.vertebrae import CENTRES_MM, vertebra_masks
from operators.core.catalogue import entry
from operators.core.levels import L3
from operators.measure.measure_key_slices import measure_key_slices
from operators.measure.measure_slice_areas import measure_slice_areas
from operators.segment import TrunkEngine
from tests.judges import dciodvfy_errors, dcmqi
from tests.results import content_items, content_named
from tests.segmented import make_seg

pytestmark = pytest.mark.chain

MAPNODE = Path(sys.executable).with_name("mapnode")
PARAMETERS = TrunkPhantomParameters(slices=42, spacing_mm=(4.0, 1.5, 1.5))
HEIGHT_M = 1.75
WHOLE = ("L2", "L3", "L4")
"""Of the vertebrae in this stack; the highest and the lowest are cut."""
TISSUES = ("skeletal_muscle", "subcutaneous_fat", "visceral_fat", "intermuscular_fat")
FINDING_SITE, AREA = "363698007", "42798000"


def as_totalsegmentator(seg):
    """The codes that TotalSegmentator gives vertebrae."""
    for item in seg.SegmentSequence:
        type_ = entry(str(item.SegmentLabel)).type
        (code,) = item.SegmentedPropertyTypeCodeSequence
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = type_.value, "SCT", type_.meaning


def write_study(phantom, folder, masks, flips=(), **attributes):
    """The phantom and its vertebra map as they are stored with some of the array's axes backwards."""
    affine = phantom.affine_lps.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (phantom.hu.shape[axis] - 1)
        affine[:3, axis] *= -1
    images = write_ct_series(
        np.flip(phantom.hu, flips), affine, folder / "ct", uid_seed=f"levels {flips}", attributes=attributes
    )
    flipped = {name: np.flip(mask, flips) for name, mask in masks.items()}
    if flipped:
        make_seg(folder / "vertebrae.dcm", images, flipped, edit=as_totalsegmentator)
    return folder


def run(source, target):
    target.mkdir(exist_ok=True)
    done = subprocess.run(
        [MAPNODE, "run", "ct_body_composition", source, target, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def phantom():
    return build_trunk_phantom(PARAMETERS)


@pytest.fixture(scope="module")
def result(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    write_study(phantom, folder / "in", vertebra_masks(phantom))
    return folder / "out", run(folder / "in", folder / "out")


def at_level(document, name, level):
    (row,) = [k for k in document["key_slices"] if (k["segment"], k["role"]) == (name, f"vertebra_{level.lower()}")]
    return row


def derived(document):
    return {value["name"]: value for value in document["derived"]}


def index_of(phantom, level):
    """The slice nearest to the middle of a vertebral body."""
    heights = phantom.affine_lps[2, 3] + PARAMETERS.spacing_mm[0] * np.arange(PARAMETERS.slices)
    return int(np.abs(heights - CENTRES_MM[f"vertebrae_{level}"]).argmin())


def true_area_cm2(phantom, name, index):
    return np.count_nonzero(phantom.truth_labels[index] == PhantomTissue[name.upper()]) * 1.5 * 1.5 / 100


@pytest.mark.parametrize("level", WHOLE)
@pytest.mark.parametrize("name", TISSUES)
def test_area_at_every_whole_vertebra_is_that_of_the_slice_through_its_body(phantom, result, level, name):
    row = at_level(result[1], name, level)

    truth = phantom.truth_labels == PhantomTissue[name.upper()]
    # Two slices may be as near to the middle.
    nearest = [i for i in range(row["index"] - 1, row["index"] + 2) if abs(i - index_of(phantom, level)) <= 1]
    assert row["index"] in nearest
    area = true_area_cm2(phantom, name, row["index"])
    shell = float(shells_cm2(truth[row["index"]][None], 1.5)[0])
    assert row["values"]["area_cm2"] == pytest.approx(area, abs=allowed_of(area, shell))


@pytest.mark.parametrize("level", WHOLE)
def test_density_of_muscle_and_ratio_of_fats_are_stated_at_every_level(phantom, result, level):
    _, document = result
    index = at_level(document, "skeletal_muscle", level)["index"]

    ratio = derived(document)[f"vat_sat_ratio_vertebra_{level.lower()}"]

    assert at_level(document, "skeletal_muscle", level)["values"]["mean_hu"] == pytest.approx(55, abs=2)
    true = true_area_cm2(phantom, "visceral_fat", index) / true_area_cm2(phantom, "subcutaneous_fat", index)
    assert ratio["value"] == pytest.approx(true, rel=0.03)


def test_muscle_index_is_the_stated_area_over_the_square_of_the_height(result):
    index = derived(result[1])["skeletal_muscle_index_cm2_m2"]

    area = at_level(result[1], "skeletal_muscle", "L3")["values"]["area_cm2"]
    assert index["value"] == pytest.approx(area / HEIGHT_M**2, rel=1e-9)
    assert (index["unit"], index["level"]) == ("cm2/m2", "vertebra_l3")


def test_sides_of_a_symmetric_body_are_equal_and_add_up(phantom, result):
    values = {name: value["value"] for name, value in derived(result[1]).items()}
    volumes = {m["segment"]: m["value"] for m in result[1]["measurements"] if m["name"] == "volume_ml"}

    for name in ("skeletal_muscle", "subcutaneous_fat", "intermuscular_fat"):
        left, right = values[f"{name}_left_ml"], values[f"{name}_right_ml"]
        assert left + right == pytest.approx(volumes[name], rel=1e-6)
        assert left / right == pytest.approx(1, abs=0.03)
    rows = result[1]["slices"]
    assert all(
        row["left_cm2"][name] + row["right_cm2"][name] == pytest.approx(row["area_cm2"][name])
        for row in rows
        for name in row["left_cm2"]
    )


def test_vertebrae_at_the_ends_have_no_level_and_the_result_says_whose_levels_they_are(phantom, result):
    quality = result[1]["quality"]

    shown = {name.removeprefix("vertebrae_") for name in vertebra_masks(phantom)}
    roles = {row["role"] for row in result[1]["key_slices"]} - {"largest_area"}
    assert roles == {f"vertebra_{level.lower()}" for level in WHOLE}
    assert quality["verdict"] == "pass"
    text = " ".join(quality["not_checked"])
    assert all(f"{level} vertebra" in text for level in shown - set(WHOLE))
    assert str(dcmread(result[0].parent / "in" / "vertebrae.dcm").SOPInstanceUID) in text
    assert "Intermuscular fat is exploratory" in text


def test_report_has_a_planar_group_for_each_tissue_and_level_with_the_vertebra_as_site(result):
    report = dcmread(result[0] / "sr.dcm")

    sites = [
        (parent, item.ConceptCodeSequence[0].CodeValue)
        for parent, item in content_named(report, FINDING_SITE)
        if item.ConceptCodeSequence[0].CodeValue == entry("vertebrae_L3").type.value
    ]
    areas = [parent for parent, _ in sites if content_named(parent, AREA)]
    (index,) = [item for item in content_items(report, "NUM") if _meaning(item) == "Skeletal muscle index"]
    # Body and bone have one as well.
    assert len(areas) == len(TISSUES) + 2
    assert index.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "cm2/m2"


def _meaning(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning


def test_dciodvfy_and_dcmqi_read_the_results(result, tmp_path):
    target, _ = result

    assert dciodvfy_errors(target / "seg.dcm") == []
    assert dciodvfy_errors(target / "sr.dcm") == []
    dcmqi("tid1500reader", "--inputDICOM", target / "sr.dcm", "--outputMetadata", tmp_path / "sr.json")


def test_storage_order_does_not_change_a_number(phantom, result, tmp_path):
    flips = (0, 2)
    write_study(phantom, tmp_path / "in", vertebra_masks(phantom), flips)

    document = run(tmp_path / "in", tmp_path / "out")

    assert {name: value["value"] for name, value in derived(document).items()} == pytest.approx(
        {name: value["value"] for name, value in derived(result[1]).items()}, rel=1e-9
    )


def test_without_a_vertebra_map_or_with_an_impossible_height_there_is_a_reason_and_no_number(phantom, tmp_path):
    part = build_trunk_phantom(TrunkPhantomParameters(slices=16, spacing_mm=(5.0, 3.0, 3.0)))
    write_study(part, tmp_path / "plain", {})
    write_study(part, tmp_path / "tall", vertebra_masks(part), PatientSize="175")

    plain, tall = (
        derived(run(tmp_path / name, tmp_path / f"{name} out"))["skeletal_muscle_index_cm2_m2"]
        for name in ("plain", "tall")
    )

    assert (plain["value"], plain["reason_code"]) == (None, "no_level")
    assert (tall["value"], tall["reason_code"]) == (None, "implausible_height")


def areas_through_l3(pixel_mm, slice_mm):
    """Areas in cm2 and muscle's mean HU in the slice at z = 0 mm, and areas counted on points 0.25 mm apart."""
    slices = 2 * round(40 / slice_mm) + 1
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=slices, spacing_mm=(slice_mm, pixel_mm, pixel_mm)))
    volume = volume_of(phantom.hu, phantom.affine_lps)
    found = TrunkEngine(version="1").segment(volume, lambda _fraction, _step: None)
    label_map = replace(found, landmarks={L3: slices // 2})
    rows = measure_key_slices(volume, label_map, measure_slice_areas(volume, label_map))
    return {row.segment_name: {m.quantity.name: m.value for m in row.values} for row in rows if row.role == L3}


@pytest.mark.parametrize(("pixel_mm", "slice_mm"), [(0.75, 2.0), (1.5, 4.0), (3.0, 8.0)])
def test_half_and_double_resolution_keep_areas_at_a_level_within_two_percent_or_half_a_pixel(pixel_mm, slice_mm):
    points = np.arange(-180, 180, 0.25)
    tissues = TISSUE_OF_MATERIAL[material_plane(Plane(points, points, 0.0), table=False)]

    measured = areas_through_l3(pixel_mm, slice_mm)

    for name in TISSUES:
        inside = tissues == PhantomTissue[name.upper()]
        area = np.count_nonzero(inside) * 0.25**2 / 100
        shell = float(shells_cm2(inside[None], 0.25)[0]) * pixel_mm / 0.25
        assert measured[name]["area_cm2"] == pytest.approx(area, abs=allowed_of(area, shell)), name
    assert measured["skeletal_muscle"]["mean_hu"] == pytest.approx(55, abs=2)
