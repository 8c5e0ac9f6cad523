"""Measured segmentations: real and reference masks give SimpleITK's volumes and HU, and diameters by brute force."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, dcmread
from pydicom.uid import PositronEmissionTomographyImageStorage
from scipy import ndimage
from scipy.spatial.distance import pdist

from operators.measure.measure_diameters import measure_diameters
from operators.measure.measure_intensities import measure_intensities
from operators.measure.measure_shapes import measure_shapes
from operators.measure.merge_measurements import merge_measurements
from tests.builders import make_ct_series
from tests.judges import dciodvfy_errors, read_report
from tests.operators.measure.test_measure_diameters import borders
from tests.operators.write.test_write_contoured_segmentation import make_contoured_study
from tests.segmented import MASKS, SHAPE, make_seg, make_study, read

ROOT = Path(__file__).parents[1]
SAME = 1e-3
"""What the numbers may be off from an independent computation."""
REFERENCES = {
    "ct_totalseg_nifti_sm": (
        "example_seg",
        "tissue_skeletal_muscle",
        "tissue_subcutaneous_fat",
        "tissue_torso_fat",
    ),
    "ct_totalseg_nifti_full": ("example_seg_fast_force_split", "spine_totalseg", "spine_totalseg_vertebrae_body"),
}
"""Label maps and masks of a real CT; those of one folder overlap each other."""


def read_series(folder: Path) -> SimpleITK.Image:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def judged(mask: SimpleITK.Image, image: SimpleITK.Image) -> dict[str, float]:
    """Volume on the mask's grid, HU of the mask brought onto the image's."""
    shape = SimpleITK.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    moved = SimpleITK.Resample(mask, image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0)
    hu = SimpleITK.LabelIntensityStatisticsImageFilter()
    hu.Execute(moved, image)
    inside = SimpleITK.GetArrayViewFromImage(image)[SimpleITK.GetArrayViewFromImage(moved) > 0]
    return {
        "volume_ml": shape.GetPhysicalSize(1) / 1000,
        "mean_hu": hu.GetMean(1),
        "sd_hu": hu.GetStandardDeviation(1) * np.sqrt((inside.size - 1) / inside.size),
        "median_hu": float(np.median(inside)),
        "min_hu": hu.GetMinimum(1),
        "max_hu": hu.GetMaximum(1),
    }


def longest_of_all_pairs(region) -> float:
    """Over slices and pieces, the longest distance of any two points of the border."""
    lengths = []
    for plane in region.box.mask:
        labels, count = ndimage.label(plane, np.ones((3, 3)))
        lengths += [pdist(borders(labels == n) * region.grid.spacing_mm[1:]).max() for n in range(1, count + 1)]
    return max(lengths)


def measured(folder: Path):
    volume, regions = read(folder)
    diameters = measure_diameters(regions)
    merged = merge_measurements(
        measure_shapes(regions), tuple(one.measured for one in diameters), measure_intensities(volume, regions)
    )
    return regions, {m.segment_name: {v.quantity.name: v.value for v in m.values} for m in merged}


@pytest.mark.parametrize(
    ("name", "mask"), [("seg_dcmqi_ct3slice", "liver_seg.nrrd"), ("seg_dcmqi_23x38x3", "label.nrrd")]
)
def test_segs_of_dcmqi_measure_as_the_masks_that_they_were_made_of(shared_data, tmp_path, name, mask):
    for part in ("source", "seg"):
        (tmp_path / part).symlink_to(shared_data / name / part)

    regions, values = measured(tmp_path)

    (region,) = regions.regions
    made_of = SimpleITK.Cast(SimpleITK.ReadImage(str(shared_data / name / "reference" / mask)) > 0, SimpleITK.sitkUInt8)
    expected = judged(made_of, read_series(shared_data / name / "source"))
    if name == "seg_dcmqi_23x38x3":
        # These images say that their values are no HU.
        expected = {"volume_ml": expected["volume_ml"]}
    assert {key: values["liver"][key] for key in expected} == pytest.approx(expected, rel=SAME)
    assert values["liver"]["long_axis_mm"] == pytest.approx(longest_of_all_pairs(region), rel=1e-9)


def test_a_seg_without_its_images_is_not_applicable(shared_data, tmp_path):
    done = run(shared_data / "sr_dcmqi", tmp_path)

    assert (done.returncode, json.loads(done.stdout)["status"]) == (4, "not_applicable")


@pytest.fixture(scope="module", params=REFERENCES)
def references(request, shared_data, tmp_path_factory):
    """All structures and tissues of a real CT as one SEG, and their masks as SimpleITK reads them."""
    source = shared_data / request.param
    folder = tmp_path_factory.mktemp("references")
    (folder / "ct").symlink_to(source / "dicom")
    images = sorted((source / "dicom").iterdir(), key=lambda path: float(dcmread(path).ImagePositionPatient[2]))
    image = read_series(source / "dicom")
    masks = {}
    for name in REFERENCES[request.param]:
        structures = SimpleITK.Cast(SimpleITK.ReadImage(str(source / f"{name}.nii.gz")), SimpleITK.sitkInt16)
        labels = np.unique(SimpleITK.GetArrayViewFromImage(structures))
        masks |= {f"{name} {label}": structures == int(label) for label in labels if label}
    arrays = {
        name: SimpleITK.GetArrayFromImage(
            SimpleITK.Resample(mask, image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0)
        )
        for name, mask in masks.items()
    }
    make_seg(folder / "seg.dcm", images, arrays)
    return folder, masks, image


@pytest.mark.chain
def test_volumes_and_hu_of_reference_masks_are_simpleitks(references):
    folder, masks, image = references

    regions, values = measured(folder)

    assert len(regions.regions) == len(masks) > 30
    for region in regions.regions:
        expected = judged(masks[region.segment.label], image)
        found = {key: values[region.segment.name][key] for key in expected}
        assert found == pytest.approx(expected, rel=SAME), region.segment.label


@pytest.mark.chain
def test_diameters_of_reference_masks_are_the_longest_of_all_pairs(references):
    _, regions = read(references[0])

    small = [region for region in regions.regions if region.voxels < 20_000]

    assert len(small) > 25
    for region, diameters in zip(regions.regions, measure_diameters(regions), strict=True):
        if region in small:
            assert diameters.long_axis.length_mm == pytest.approx(longest_of_all_pairs(region), rel=1e-9)


def run(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mapnode", "run", "measure_segmentation", source, target, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_command_measures_a_seg_and_writes_its_report(tmp_path):
    done = run(make_study(tmp_path / "study"), tmp_path)

    document = json.loads(done.stdout)
    assert (done.returncode, document["status"]) == (0, "done")
    assert [Path(one["path"]).name for one in document["outputs"]] == ["sr.dcm"]
    assert [one["selected"] for one in document["selection"]] == [True]
    assert document["quality"]["verdict"] == "pass"
    assert dciodvfy_errors(tmp_path / "sr.dcm") == []
    values = read_report(tmp_path / "sr.dcm", tmp_path)
    volumes = {m["segment"]: m["value"] for m in document["measurements"] if m["name"] == "volume_ml"}
    assert values["kidney 1"]["Volume", ""] == pytest.approx(volumes["kidney"])


@pytest.mark.chain
def test_the_command_measures_contours_by_way_of_a_seg(tmp_path):
    done = run(make_contoured_study(tmp_path / "study"), tmp_path)

    document = json.loads(done.stdout)
    assert [Path(one["path"]).name for one in document["outputs"]] == ["seg.dcm", "sr.dcm"]
    assert dciodvfy_errors(tmp_path / "sr.dcm") == []


@pytest.mark.chain
def test_the_command_asks_for_caution_where_what_was_drawn_has_no_number(tmp_path):
    folder = make_contoured_study(tmp_path / "study")
    structure_set = dcmread(folder / "rt.dcm")
    for contour in structure_set.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "OPEN_PLANAR"
    structure_set.save_as(folder / "rt.dcm")

    quality = json.loads(run(folder, tmp_path).stdout)["quality"]

    assert quality["verdict"] == "caution"
    assert "GTV: drawn, and not measured" in " ".join(finding["message"] for finding in quality["findings"])


HALF_LIFE_S, DOSE_BQ, WEIGHT_KG = 6000, 1e8, 80
SUV_OF_BQML = WEIGHT_KG * 1000 / (DOSE_BQ / 2)
"""One half life after the injection, the dose is half of what it was."""


def as_pet(dataset, _index):
    """100 MBq at 10:00 in 80 kg, scanned one half life later."""
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
    dataset.Modality, dataset.Units, dataset.DecayCorrection = "PT", "BQML", "START"
    dataset.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "DECY"]
    for name in ("Series", "Acquisition"):
        setattr(dataset, f"{name}Date", "20250102")
        setattr(dataset, f"{name}Time", "114000")
    dataset.PatientWeight = str(WEIGHT_KG)
    agent = Dataset()
    agent.RadionuclideTotalDose, agent.RadionuclideHalfLife = str(DOSE_BQ), str(HALF_LIFE_S)
    agent.RadiopharmaceuticalStartTime = "100000"
    dataset.RadiopharmaceuticalInformationSequence = [agent]


@pytest.mark.chain
def test_the_command_measures_the_suv_of_a_pet_as_simpleitk_does(tmp_path):
    activity = np.random.default_rng(5).integers(500, 7000, SHAPE).astype(np.int16)
    study = tmp_path / "study"
    images = make_ct_series(study / "pet", spacing_mm=(3.0, 2.0, 2.0), hu=activity, edit=as_pet)
    make_seg(study / "seg.dcm", images)

    done = run(study, tmp_path)

    document = json.loads(done.stdout)
    assert (done.returncode, document["status"]) == (0, "done"), done.stderr
    values = {(m["segment"], m["name"]): m["value"] for m in document["measurements"]}
    voxel_ml = 3.0 * 2.0 * 2.0 / 1000
    statistics = SimpleITK.LabelIntensityStatisticsImageFilter()
    suv = SimpleITK.GetImageFromArray(activity * SUV_OF_BQML)
    for name, mask in (("kidney", MASKS["Kidney"]), ("lesion", MASKS["Lesion"])):
        statistics.Execute(SimpleITK.GetImageFromArray(mask.astype(np.uint8)), suv)
        tumour = activity[mask & (activity >= 0.41 * activity[mask].max())] * SUV_OF_BQML
        expected = {
            "mean_suvbw": statistics.GetMean(1),
            "max_suvbw": statistics.GetMaximum(1),
            "mtv_ml": tumour.size * voxel_ml,
            "tlg_g": tumour.sum() * voxel_ml,
        }
        found = {key: values[name, key] for key in expected}
        assert found == pytest.approx(expected, rel=SAME), name
    assert dciodvfy_errors(tmp_path / "sr.dcm") == []
