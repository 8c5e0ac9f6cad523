"""Validation: one verdict a file, from our checks, from the other files and from the judges that are installed."""

import copy
import shutil
import subprocess

import pytest
from pydicom import dcmread, dcmwrite

from mapnode import judges
from mapnode.judges import SEG_READER, find_program
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.validation import NO_PREFIX, validate_files
from tests.builders import make_affine, make_hu
from tests.results import content_named, make_results, shift_positions

needs_dicom3tools = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")


@pytest.fixture
def alone(monkeypatch):
    """Without judges, which take time, where a test is about our own checks."""
    monkeypatch.setattr("mapnode.validation.find_program", lambda _name: None)


@pytest.fixture
def image(tmp_path):
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=10, spacing_mm=(5.0, 6.0, 6.0)))
    return write_ct_series(phantom.hu, phantom.affine_lps, tmp_path, description="t", uid_seed="validation")[0]


@pytest.fixture(scope="module")
def made():
    return make_results()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The images that the results were made from, as files."""
    return write_ct_series(make_hu(), make_affine(), tmp_path_factory.mktemp("source"), uid_seed="volume")


@pytest.fixture
def results(made, tmp_path):
    """Writes results to files, changed by functions given by kind, and gives their paths by kind."""

    def write(*kinds, **changes):
        paths = {}
        for kind in kinds:
            dataset = copy.deepcopy(made[kind])
            changes.get(kind, lambda _: None)(dataset)
            paths[kind] = tmp_path / f"{kind}.dcm"
            dcmwrite(paths[kind], dataset, enforce_file_format=False)
        return paths

    return write


def problems(paths) -> dict[str, tuple[str, ...]]:
    """Problems by file name, of files that have some."""
    return {verdict.path.name: verdict.problems for verdict in validate_files(list(paths)) if verdict.problems}


def validate_file(path):
    (verdict,) = validate_files([path])
    return verdict


def test_a_valid_image_is_valid_to_everybody_asked(image):
    verdict = validate_file(image)

    assert verdict.valid, verdict.problems
    assert ("dciodvfy" in verdict.checked_by) == (shutil.which("dciodvfy") is not None)


def test_an_image_without_its_study_is_invalid(image, alone):
    dataset = dcmread(image)
    del dataset.StudyInstanceUID
    dataset.save_as(image)

    assert "mapnode: StudyInstanceUID is absent or empty" in validate_file(image).problems


@needs_dicom3tools
def test_errors_of_dciodvfy_make_a_file_invalid(image):
    dataset = dcmread(image)
    del dataset.ImageType
    dataset.save_as(image)

    assert any(problem.startswith("dciodvfy: Error") for problem in validate_file(image).problems)


def test_a_text_file_is_no_dicom(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no DICOM")

    assert validate_file(path).problems == (f"mapnode: {NO_PREFIX}",)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_truncated_file_is_invalid_and_does_not_crash(image):
    image.write_bytes(image.read_bytes()[:400])

    assert not validate_file(image).valid


def test_results_with_their_source_are_valid(results, source, alone):
    kinds = ("seg", "sr", "secondary_capture", "report_pdf", "presentation_state", "rt_structure_set", "key_object")

    assert problems([*results(*kinds).values(), *source]) == {}


def test_results_alone_are_valid(results, alone):
    assert problems(results("seg", "sr").values()) == {}
    assert problems([results("sr")["sr"]]) == {}


def test_a_segmentation_is_held_against_the_images_given_with_it(results, source, alone):
    paths = results("seg", seg=lambda seg: shift_positions(seg, (0.4, 0, 0)))

    assert problems([paths["seg"]]) == {}
    ((name, (problem,)),) = problems([paths["seg"], *source]).items()
    assert name == "seg.dcm"
    assert "lie elsewhere than the source images that they refer to: shifted" in problem


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "StudyInstanceUID"])
def test_a_result_of_another_patient_than_its_images_is_found_without_saying_who(results, source, alone, keyword):
    paths = results("sr", sr=lambda sr: setattr(sr, keyword, "2.25.4711"))

    assert problems([paths["sr"], *source]) == {
        "sr.dcm": (f"mapnode: {keyword} is not that of the images that it refers to",)
    }


def test_references_to_what_is_missing_in_a_series_given_are_found(results, source, alone):
    paths = results("sr")

    assert problems([paths["sr"], *source[:-2]]) == {
        "sr.dcm": ("mapnode: it refers to 2 instances that are not among the files given of their series",)
    }


def test_a_segment_that_the_segmentation_beside_it_has_not_is_found(results, alone):
    def change(report):
        content_named(report, "121191")[0][1].ReferencedSOPSequence[0].ReferencedSegmentNumber = 9

    found = problems(results("seg", "sr", sr=change).values())

    assert found == {
        "sr.dcm": ("mapnode: Comprehensive 3D SR Storage: it refers to the segments [9], which the SEG has not",)
    }


def test_two_files_of_one_object_are_found(results, tmp_path, alone):
    path = results("seg")["seg"]
    shutil.copy(path, tmp_path / "copy.dcm")

    assert problems([path, tmp_path / "copy.dcm"]) == dict.fromkeys(
        ("seg.dcm", "copy.dcm"), ("mapnode: another file has the same SOPInstanceUID",)
    )


@needs_dicom3tools
@pytest.mark.skipif(find_program(SEG_READER) is None, reason="dcmqi is not installed")
def test_a_label_map_and_its_report_are_valid_with_errors_known_to_be_false(results):
    def refer_to_label_map(report):
        for _, item in content_named(report, "121191"):
            item.ReferencedSOPSequence[0].ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"
        study = report.CurrentRequestedProcedureEvidenceSequence[0]
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                if instance.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4":
                    instance.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"

    paths = results("labelmap", "sr", sr=refer_to_label_map)
    (label_map,), (report,) = validate_files([paths["labelmap"]]), validate_files([paths["sr"]])

    assert (label_map.problems, len(label_map.known_errors)) == ((), 2)
    assert (report.problems, len(report.known_errors)) == ((), 3)
    assert label_map.checked_by == ("mapnode", "dciodvfy", "segimage2itkimage")
    assert report.checked_by == ("mapnode", "dciodvfy", "tid1500reader")


@needs_dicom3tools
def test_dcentvfy_is_asked_about_files_given_together(results):
    paths = results("seg", "sr", sr=lambda sr: setattr(sr, "PatientID", "ANOTHER"))

    found = problems(paths.values())

    assert any("another PatientID for the same StudyInstanceUID" in p for ps in found.values() for p in ps)
    assert "ANOTHER" not in str(found)


def test_a_judge_that_takes_too_long_does_not_make_a_file_invalid(image, monkeypatch):
    def slow(*_, **__):
        raise subprocess.TimeoutExpired("judge", 120)

    monkeypatch.setattr("mapnode.validation.find_program", lambda name: name if name == "dciodvfy" else None)
    monkeypatch.setattr(judges.subprocess, "run", slow)

    verdict = validate_file(image)

    assert (verdict.valid, verdict.checked_by) == (True, ("mapnode",))
    assert verdict.warnings == ("dciodvfy: it gave no answer (within 120 s)",)


def test_progress_reaches_its_end(source, monkeypatch):
    monkeypatch.setattr("mapnode.validation.find_program", lambda name: name if name == "dciodvfy" else None)
    monkeypatch.setattr("mapnode.validation.ask_dciodvfy", lambda *_: judges.Judgement("dciodvfy"))
    shares = []

    validate_files(source, shares.append)

    assert len(shares) == len(source)
    assert shares == sorted(shares)
    assert shares[-1] == 1
