"""The whole path with real parts: files in, SEG, SR, picture and result.json out, judged by programs not ours."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK
from PIL import Image
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian

from mapnode.phantom import build_trunk_phantom, write_ct_series
from tests.judges import dcentvfy_errors, dciodvfy_errors, dice, read_report, read_segments, volume_ml

pytestmark = pytest.mark.chain

APP = "ct_body_composition"
MAPNODE = Path(sys.executable).with_name("mapnode")
LABELS = {
    "body": "Body",
    "bone": "Bone",
    "subcutaneous_fat": "Subcutaneous fat",
    "visceral_fat": "Visceral fat",
    "skeletal_muscle": "Skeletal muscle",
    "intermuscular_fat": "Intermuscular fat",
}


def run(source: Path, target: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAPNODE, "run", APP, source, target, "--json", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **environment},
    )


def values(document: dict, name: str) -> dict[str, float]:
    return {m["segment"]: m["value"] for m in document["measurements"] if m["name"] == name}


@pytest.fixture(scope="module")
def phantom():
    return build_trunk_phantom()


@pytest.fixture(scope="module")
def phantom_study(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    write_ct_series(phantom.hu, phantom.affine_lps, folder, description="phantom", uid_seed="end to end")
    return folder


@pytest.fixture(scope="module")
def phantom_result(phantom_study, tmp_path_factory):
    target = tmp_path_factory.mktemp("result")
    done = run(phantom_study, target)
    assert done.returncode == 0, done.stderr
    return target, json.loads(done.stdout)


def test_every_tissue_of_the_phantom_is_measured_within_two_percent(phantom, phantom_result):
    _, document = phantom_result
    measured = values(document, "volume_ml")
    assert set(measured) == set(phantom.truth_volume_ml)
    for name, truth in phantom.truth_volume_ml.items():
        assert measured[name] == pytest.approx(truth, rel=0.02), name


def test_mean_attenuation_of_the_phantom_is_found(phantom, phantom_result):
    _, document = phantom_result
    measured = values(document, "mean_hu")
    for name in ("subcutaneous_fat", "visceral_fat", "skeletal_muscle"):
        assert measured[name] == pytest.approx(phantom.truth_mean_hu[name], abs=2), name


def test_slice_areas_add_up_to_the_volumes(phantom_result):
    _, document = phantom_result
    for name, volume in values(document, "volume_ml").items():
        # 3 mm slices: area in cm2 times 0.3 cm
        assert sum(row["area_cm2"][name] for row in document["slices"]) * 0.3 == pytest.approx(volume, rel=1e-6)


def test_the_result_has_seg_sr_picture_and_record(phantom_result):
    target, document = phantom_result
    assert sorted(path.name for path in target.iterdir()) == ["key_image.png", "result.json", "seg.dcm", "sr.dcm"]
    assert [Path(output["path"]).parent for output in document["outputs"]] == [target] * 3
    assert document["status"] == "done"
    assert document["quality"]["verdict"] == "pass"
    assert document["timings_s"]["total"] > 0
    assert document["peak_memory_mb"] > 0
    with Image.open(target / "key_image.png") as picture:
        assert picture.width > 800


def test_dciodvfy_finds_no_error_in_seg_and_sr(phantom_result):
    target, _ = phantom_result
    assert dciodvfy_errors(target / "seg.dcm") == []
    assert dciodvfy_errors(target / "sr.dcm") == []


def test_dcmqi_reads_the_numbers_of_the_result_from_the_report(phantom_result, tmp_path):
    target, document = phantom_result
    report = read_report(target / "sr.dcm", tmp_path)
    for name in LABELS:
        group = report[f"{APP}/{name}"]
        assert group["Volume", ""] == values(document, "volume_ml")[name]
        assert group["Attenuation Coefficient", "Mean"] == values(document, "mean_hu")[name]
        assert group["Attenuation Coefficient", "Standard Deviation"] == values(document, "sd_hu")[name]


def test_dcmqi_counts_the_voxels_that_the_report_states(phantom_result, tmp_path):
    target, _ = phantom_result
    report = read_report(target / "sr.dcm", tmp_path)
    segments = read_segments(target / "seg.dcm", tmp_path)
    for name, label in LABELS.items():
        assert volume_ml(segments[label]) == pytest.approx(report[f"{APP}/{name}"]["Volume", ""], rel=1e-6)


def test_results_lie_in_the_source_study_of_the_source_patient(phantom_study, phantom_result):
    target, _ = phantom_result
    source = dcmread(next(iter(sorted(phantom_study.iterdir()))))
    for name in ("seg.dcm", "sr.dcm"):
        result = dcmread(target / name)
        assert result.StudyInstanceUID == source.StudyInstanceUID
        assert (result.PatientID, result.PatientName) == (source.PatientID, source.PatientName)
        assert result.SeriesInstanceUID != source.SeriesInstanceUID


def test_the_same_run_twice_gives_identical_bytes(phantom_study, phantom_result, tmp_path):
    target, _ = phantom_result
    assert run(phantom_study, tmp_path, PYTHONHASHSEED="7").returncode == 0
    for name in ("seg.dcm", "sr.dcm", "key_image.png"):
        assert (tmp_path / name).read_bytes() == (target / name).read_bytes(), name


def test_file_names_and_their_order_do_not_matter(phantom_study, phantom_result, tmp_path):
    target, _ = phantom_result
    shuffled = tmp_path / "study" / "deep"
    shuffled.mkdir(parents=True)
    for index, path in enumerate(sorted(phantom_study.iterdir())):
        (shuffled / f"{(index * 37) % 101:03}").write_bytes(path.read_bytes())
    assert run(tmp_path / "study", tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / "seg.dcm").read_bytes() == (target / "seg.dcm").read_bytes()


def test_what_else_lies_in_the_folder_does_not_change_the_results(phantom_study, phantom_result, tmp_path):
    target, _ = phantom_result
    for path in phantom_study.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in ("seg.dcm", "sr.dcm"):
        (tmp_path / name).write_bytes((target / name).read_bytes())
    assert run(tmp_path, tmp_path / "out").returncode == 0
    for name in ("seg.dcm", "sr.dcm"):
        assert (tmp_path / "out" / name).read_bytes() == (target / name).read_bytes(), name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_child_and_no_partial_output(phantom_study, tmp_path, number):
    target = tmp_path / "out"
    command = [MAPNODE, "run", APP, phantom_study, target]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        next(line for line in process.stderr if "Segment" in line)
        process.send_signal(number)
    assert all_gone(str(target).encode())
    if number != signal.SIGKILL:
        assert not target.exists()
    assert run(phantom_study, target).returncode == 0
    assert sorted(path.name for path in target.iterdir()) == ["key_image.png", "result.json", "seg.dcm", "sr.dcm"]


def all_gone(mark: bytes, within_s: float = 20.0) -> bool:
    """Whether no process has the mark in its command line, or soon has none: a killed child takes a moment to die."""
    deadline = time.monotonic() + within_s
    while any(mark in p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_phantom_without_a_patient_is_not_applicable(phantom, tmp_path):
    air = np.full(phantom.hu.shape, -1000, dtype=np.int16)
    write_ct_series(air, phantom.affine_lps, tmp_path / "air", description="air", uid_seed="air")
    done = run(tmp_path / "air", tmp_path / "out")
    assert done.returncode == 4
    assert json.loads(done.stdout)["reasons"][0]["code"] == "anatomy_not_found"


def test_identity_and_clock_come_from_the_job_where_it_brings_them(phantom_study, phantom_result, tmp_path):
    target, document = phantom_result
    job = {"identity": "0123456789abcdef" * 4, "clock": "2031-05-06T07:08:09"}
    done = run(phantom_study, tmp_path, MAPNODE_JOB=json.dumps(job))
    assert json.loads(done.stdout)["identity"] == job["identity"] != document["identity"]
    for name in ("seg.dcm", "sr.dcm"):
        result = dcmread(tmp_path / name)
        assert (result.ContentDate, result.ContentTime) == ("20310506", "070809")
        assert result.SOPInstanceUID != dcmread(target / name).SOPInstanceUID


@pytest.fixture(scope="module")
def small_ct(shared_data, tmp_path_factory):
    target = tmp_path_factory.mktemp("sm")
    done = run(shared_data / "ct_totalseg_nifti_sm" / "dicom", target)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.parametrize(
    ("label", "reference", "least"),
    [
        ("Subcutaneous fat", "tissue_subcutaneous_fat", 0.92),
        ("Visceral fat", "tissue_torso_fat", 0.84),
        ("Skeletal muscle", "tissue_skeletal_muscle", 0.80),
    ],
)
def test_tissues_of_a_real_ct_lie_where_an_outside_reference_has_them(
    small_ct, shared_data, tmp_path, label, reference, least
):
    segments = read_segments(small_ct / "seg.dcm", tmp_path)
    mask = SimpleITK.ReadImage(str(shared_data / "ct_totalseg_nifti_sm" / f"{reference}.nii.gz"))
    assert dice(segments[label], mask) >= least


@pytest.fixture(scope="module")
def full_ct(shared_data, tmp_path_factory):
    target = tmp_path_factory.mktemp("full")
    done = run(shared_data / "ct_totalseg_nifti_full" / "dicom", target)
    assert done.returncode == 0, done.stderr
    return target, json.loads(done.stdout)


def test_a_scan_down_to_the_pelvis_says_that_it_reaches_below_the_iliac_crest(full_ct):
    _, document = full_ct
    assert document["quality"]["verdict"] == "caution"
    assert "field_of_view_below_iliac_crest" in [f["code"] for f in document["quality"]["findings"]]


def test_results_on_a_real_ct_are_valid_and_consistent(full_ct, tmp_path):
    target, document = full_ct
    assert dciodvfy_errors(target / "seg.dcm") == []
    assert dciodvfy_errors(target / "sr.dcm") == []
    segments = read_segments(target / "seg.dcm", tmp_path)
    report = read_report(target / "sr.dcm", tmp_path)
    for name, label in LABELS.items():
        assert volume_ml(segments[label]) == pytest.approx(report[f"{APP}/{name}"]["Volume", ""], rel=1e-6)
        assert values(document, "volume_ml")[name] == report[f"{APP}/{name}"]["Volume", ""]


@pytest.mark.parametrize(
    ("folder", "exit_code", "words"),
    [
        ("seg_dcmqi_ct3slice", 4, "slices: 3, at least 10 needed"),
        ("odd_two_slices", 4, "modality is MR, not CT"),
        ("ct_study_philips_phantom", 4, "body part is BRAIN"),
        ("ct_totalseg_asis", 3, "SOPClassUID (0008,0016) is absent, empty or no UID in CT.1.3.12"),
        ("derived_missing_slices", 3, "missing_slices"),
        ("derived_mixed_spacing", 3, "mixed_spacing"),
        ("derived_localizer_mixed", 3, "localizer"),
        ("derived_duplicate_positions", 3, "duplicate_position"),
        ("derived_missing_ipp", 3, "ImagePositionPatient (0020,0032) is absent or empty"),
    ],
)
def test_unfit_input_gets_its_reason_and_leaves_only_the_record(shared_data, tmp_path, folder, exit_code, words):
    done = run(shared_data / folder, tmp_path)
    assert done.returncode == exit_code
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert json.loads(done.stdout)["outputs"] == []


def test_no_patient_name_is_printed(phantom_study, tmp_path):
    done = run(phantom_study, tmp_path)
    name = str(dcmread(next(phantom_study.iterdir())).PatientName)
    assert name not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def enhanced_study(phantom_study, tmp_path_factory):
    """The phantom as one multi-frame image, made by highdicom."""
    folder = tmp_path_factory.mktemp("enhanced")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = highdicom.legacy.LegacyConvertedEnhancedCTImage(
            [dcmread(path) for path in phantom_study.iterdir()],
            series_instance_uid=UID("2.25.77"),
            series_number=9,
            sop_instance_uid=UID("2.25.78"),
            instance_number=1,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
    image.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    return folder


def test_enhanced_ct_gives_the_numbers_of_its_single_frames(phantom_result, enhanced_study, tmp_path):
    done = run(enhanced_study, tmp_path)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["measurements"] == phantom_result[1]["measurements"]
    _, verdicts = validate(tmp_path, enhanced_study)
    assert {v["path"]: v["problems"] for v in verdicts if Path(v["path"]).parent == tmp_path} == {
        str(tmp_path / name): [] for name in ("seg.dcm", "sr.dcm")
    }
    folders = {name: tmp_path / name for name in ("single", "enhanced")}
    for folder in folders.values():
        folder.mkdir()
    single = read_segments(phantom_result[0] / "seg.dcm", folders["single"])
    enhanced = read_segments(tmp_path / "seg.dcm", folders["enhanced"])
    assert {k: volume_ml(v) for k, v in enhanced.items()} == {k: volume_ml(v) for k, v in single.items()}


ALL_OBJECTS = "secondary_capture=true,report_pdf=true,presentation_state=true,rt_structure_set=true"


def validate(*paths: Path) -> tuple[int, list[dict]]:
    done = subprocess.run(
        [MAPNODE, "validate", *paths, "--json"], capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def all_objects(phantom_study, tmp_path_factory):
    target = tmp_path_factory.mktemp("objects")
    done = run(phantom_study, target, "--objects", ALL_OBJECTS)
    assert done.returncode == 0, done.stderr
    return target


def test_every_object_passes_mapnode_validate_with_its_source(phantom_study, all_objects):
    exit_code, verdicts = validate(all_objects, phantom_study)

    assert len(list(all_objects.glob("*.dcm"))) == 6
    assert {v["path"]: v["problems"] for v in verdicts if v["problems"]} == {}
    assert exit_code == 0
    asked = {Path(v["path"]).name: v["checked_by"] for v in verdicts}
    assert asked["seg.dcm"] == ["mapnode", "dcentvfy", "dciodvfy", "segimage2itkimage"]
    assert asked["sr.dcm"] == ["mapnode", "dcentvfy", "dciodvfy", "tid1500reader"]
    assert {"secondary_capture.dcm", "report_pdf.dcm", "presentation_state.dcm", "rtstruct.dcm"} <= asked.keys()


def test_object_of_another_patient_is_found_by_the_judge(phantom_study, phantom_result, tmp_path):
    target, _ = phantom_result
    seg = dcmread(target / "seg.dcm")
    seg.PatientSex = "F" if seg.PatientSex == "M" else "M"
    seg.save_as(tmp_path / "seg.dcm")

    assert dcentvfy_errors([*phantom_study.iterdir(), tmp_path / "seg.dcm"])


def test_results_moved_against_their_source_do_not_pass(phantom_study, all_objects, tmp_path):
    seg = dcmread(all_objects / "seg.dcm")
    for frame in seg.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence[0].ImagePositionPatient[2] += 3
    structures = dcmread(all_objects / "rtstruct.dcm")
    for contour in structures.ROIContourSequence[0].ContourSequence:
        contour.ContourData = [v + 3 * (i % 3 == 2) for i, v in enumerate(map(float, contour.ContourData))]
    seg.save_as(tmp_path / "seg.dcm")
    structures.save_as(tmp_path / "rtstruct.dcm")

    exit_code, verdicts = validate(tmp_path, phantom_study)

    assert exit_code == 3
    found = {Path(v["path"]).name: " ".join(v["problems"]) for v in verdicts if v["problems"]}
    assert "frames lie on another source image than the one that they refer to" in found["seg.dcm"]
    assert "contours lie outside of the source image that they refer to" in found["rtstruct.dcm"]


def test_objects_that_are_not_wanted_are_not_made(phantom_study, tmp_path):
    done = run(phantom_study, tmp_path, "--objects", "sr=false,key_image=false")

    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"seg.dcm", "result.json"}


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ("seg=labelmap", "the app makes seg as binary, not labelmap"),
        ("seg=false", "sr cannot be made without seg"),
        ("hologram=true", "--objects knows seg, sr"),
    ],
)
def test_objects_that_cannot_be_made_are_wrong_use(phantom_study, tmp_path, objects, words):
    done = run(phantom_study, tmp_path, "--objects", objects)

    assert done.returncode == 2
    assert words in done.stderr
