"""mapnode series: what is in a folder, as users and scripts meet it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.config import settings
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from typer.testing import CliRunner

from mapnode.cli import app
from mapnode.errors import WrongUse
from tests.builders import AXIAL_TURNED, make_affine, make_ct_series, make_hu

MAPNODE = Path(sys.executable).with_name("mapnode")
SERIES_KEYS = {
    "series_instance_uid",
    "description",
    "modality",
    "instances",
    "regular",
    "problems",
    "verdict",
    "volumes",
}
VOLUME_KEYS = {"shape", "spacing_mm", "affine_lps", "regular", "sum", "traits", "problems"}
PROBLEM_KEYS = {"code", "message", "instances", "files"}


@pytest.fixture(autouse=True)
def _reading_mode(monkeypatch):
    """The command changes how the whole process reads; this puts it back."""
    monkeypatch.setattr(settings, "reading_validation_mode", settings.reading_validation_mode)


def series(*arguments):
    return CliRunner().invoke(app, ["series", *map(str, arguments)])


def listed(*arguments):
    done = series(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def codes(problems):
    return [problem["code"] for problem in problems]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


def test_one_regular_series_has_the_documented_keys_and_the_values_written(tmp_path):
    paths = make_ct_series(tmp_path, slices=7, directions=AXIAL_TURNED)

    (entry,) = listed(tmp_path)

    assert set(entry) == SERIES_KEYS
    assert entry["series_instance_uid"] == dcmread(paths[0]).SeriesInstanceUID
    assert (entry["description"], entry["modality"], entry["instances"]) == ("Trunk phantom", "CT", 7)
    assert (entry["regular"], entry["problems"], entry["verdict"]) == (True, [], "usable")
    (volume,) = entry["volumes"]
    assert set(volume) == VOLUME_KEYS
    assert (volume["shape"], volume["regular"], volume["problems"]) == ([7, 6, 5], True, [])
    assert volume["spacing_mm"] == pytest.approx([3.0, 0.8, 0.6])
    assert np.allclose(volume["affine_lps"], make_affine(AXIAL_TURNED), atol=1e-9)
    assert volume["sum"] == make_hu(7).sum()


def test_every_key_is_documented():
    words = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text(encoding="utf-8")
    described = words[words.index("`mapnode series FOLDER --json`") : words.index("`mapnode run ... --json`")]

    assert {key for key in SERIES_KEYS | VOLUME_KEYS if f"`{key}`" not in described} == set()


def test_volumes_of_one_series_are_listed_one_by_one(tmp_path):
    written = {"1": make_hu(4), "2": make_hu(4) * 3}
    for number, hu in written.items():

        def join(dataset, _index, number=number):
            dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = "1.2.3", "1.2.4", "1.2.5"
            dataset.AcquisitionNumber = number

        make_ct_series(tmp_path / number, slices=4, hu=hu, uid_seed=number, edit=join)

    (entry,) = listed(tmp_path)

    assert (entry["instances"], entry["regular"], entry["verdict"]) == (8, False, "refused")
    assert codes(entry["problems"]) == ["several_volumes"]
    assert [(v["traits"], v["sum"]) for v in entry["volumes"]] == [
        ({"AcquisitionNumber": number}, hu.sum()) for number, hu in written.items()
    ]
    assert [(v["shape"], v["regular"], v["problems"]) for v in entry["volumes"]] == [([4, 6, 5], True, [])] * 2


def test_problem_says_what_is_wrong_with_which_instances(tmp_path):
    paths = make_ct_series(tmp_path, slices=8)
    uids = [str(dcmread(path).SOPInstanceUID) for path in paths]
    paths[4].unlink()

    (entry,) = listed(tmp_path)

    (problem,) = entry["problems"]
    assert set(problem) == PROBLEM_KEYS
    assert (problem["code"], problem["instances"], problem["files"]) == ("missing_slices", [uids[3], uids[5]], [])
    assert "step 3 mm, largest gap 6 mm" in problem["message"]
    assert (entry["regular"], entry["verdict"]) == (False, "refused")
    (volume,) = entry["volumes"]
    assert (volume["shape"], volume["affine_lps"], volume["regular"]) == ([7, 6, 5], None, False)
    # What is there is summed all the same.
    assert volume["sum"] == np.delete(make_hu(8), 4, axis=0).sum()


def test_regular_series_with_a_problem_is_refused(tmp_path):
    make_ct_series(tmp_path, slices=4, edit=lambda ds, _: setattr(ds, "RescaleType", "US"))

    (entry,) = listed(tmp_path)

    assert (entry["regular"], entry["verdict"], codes(entry["problems"])) == (True, "refused", ["not_hounsfield"])


def test_series_without_images_is_listed_without_volumes(shared_data):
    entries = listed(shared_data / "sr_dcmqi")

    assert sorted(entry["modality"] for entry in entries) == ["RWV", "SEG", "SR"]
    assert all(entry["volumes"] == [] and entry["verdict"] == "refused" for entry in entries)
    assert {code for entry in entries for code in codes(entry["problems"])} == {"unsupported_object"}


def test_fractional_values_are_summed_as_they_are(tmp_path):
    def rescale(dataset, _index):
        dataset.RescaleSlope, dataset.RescaleIntercept = "0.1", "0.5"

    make_ct_series(tmp_path, slices=4, edit=rescale)

    (entry,) = listed(tmp_path)

    # Stored values are HU + 1024; the sum is over the numbers, not over what float32 makes of them.
    assert entry["volumes"][0]["sum"] == pytest.approx(((make_hu(4) + 1024) * 0.1 + 0.5).sum(), rel=1e-12)


def test_dark_is_not_made_bright_and_padding_is_summed_too(tmp_path):
    def turn(dataset, _index):
        dataset.PhotometricInterpretation = "MONOCHROME1"
        # What HU -100 is stored as.
        dataset.add_new("PixelPaddingValue", "US", 924)

    make_ct_series(tmp_path, slices=4, edit=turn)

    (entry,) = listed(tmp_path)

    assert entry["volumes"][0]["sum"] == make_hu(4).sum()


@pytest.mark.parametrize("slope", [b"nan ", b"inf ", b"1e400 "])
def test_sum_that_is_no_number_is_null(tmp_path, slope):
    def damage(dataset, index):
        tag = Tag("RescaleSlope")
        if index == 2:
            dataset._dict[tag] = RawDataElement(tag, "DS", len(slope), slope, 0, False, True)

    make_ct_series(tmp_path, slices=4, edit=damage)

    done = series(tmp_path, "--json")

    # RFC 8259 knows no NaN and no Infinity: one such number would make the whole document unreadable.
    (entry,) = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert entry["volumes"][0]["sum"] is None
    assert "invalid_attribute" in codes(entry["problems"])
    assert entry["verdict"] == "refused"


def test_broken_and_foreign_files_are_named_on_stderr_and_the_rest_is_listed(tmp_path):
    paths = make_ct_series(tmp_path, slices=6, uid_seed="whole")
    (broken,) = make_ct_series(tmp_path / "other", slices=1, uid_seed="other")
    broken.write_bytes(broken.read_bytes()[:400])
    (tmp_path / "notes.txt").write_text("no DICOM")
    (tmp_path / "empty.dcm").touch()

    done = series(tmp_path, "--json")

    assert done.exit_code == 0
    named = [line for line in done.stderr.splitlines() if line.startswith("mapnode: skipped ")]
    assert sorted(line.split()[2] for line in named) == ["empty.dcm:", "notes.txt:", f"other/{broken.name}:"]
    (entry,) = json.loads(done.stdout)
    assert (entry["instances"], entry["verdict"]) == (len(paths), "usable")


def test_series_whose_pixels_cannot_be_decoded_is_listed_beside_one_that_can(tmp_path):
    make_ct_series(tmp_path / "whole", slices=4, uid_seed="whole")
    cut = make_ct_series(tmp_path / "cut", slices=4, uid_seed="cut")
    truncate(cut[2])

    entries = {entry["verdict"]: entry for entry in listed(tmp_path)}

    assert entries["usable"]["volumes"][0]["sum"] == make_hu(4).sum()
    refused = entries["refused"]
    assert codes(refused["problems"]) == ["undecodable_pixels"]
    assert refused["problems"][0]["files"] == [cut[2].name]
    assert refused["regular"] is False
    assert [(v["regular"], v["sum"], codes(v["problems"])) for v in refused["volumes"]] == [
        (False, None, ["undecodable_pixels"])
    ]


def test_hostile_number_of_rows_is_a_problem_and_takes_no_memory(tmp_path):
    def grow(dataset, _index):
        dataset.Rows, dataset.Columns = 16384, 16384

    make_ct_series(tmp_path, slices=20, edit=grow)

    (entry,) = listed(tmp_path)

    assert (entry["verdict"], entry["regular"]) == ("refused", False)
    assert {"too_large"} <= set(codes(entry["problems"])) or {"undecodable_pixels"} <= set(codes(entry["problems"]))


def test_nothing_printed_names_the_patient(tmp_path):
    def name(dataset, index):
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "DOE^JANE", f"ID{index}SECRET", "19700203"

    truncate(make_ct_series(tmp_path, slices=4, edit=name)[0])

    for options in (["--json"], [], ["--preview", tmp_path.with_suffix(".png")]):
        done = series(tmp_path, *options)
        assert done.exit_code == 0
        for secret in ("DOE", "JANE", "SECRET", "19700203"):
            assert secret not in done.stdout + done.stderr


def test_table_shows_series_volumes_and_problems(tmp_path):
    make_ct_series(tmp_path / "a", slices=8, uid_seed="a")
    make_ct_series(tmp_path / "b", slices=6, rows=9, uid_seed="b")[3].unlink()

    done = series(tmp_path)

    assert done.exit_code == 0
    assert "8 x 6 x 5" in done.stdout
    assert "5 x 9 x 5" in done.stdout
    assert "3 x 0.8 x 0.6" in done.stdout
    assert "missing_slices: " in done.stdout
    assert ("usable" in done.stdout, "refused" in done.stdout) == (True, True)


@pytest.mark.parametrize("description", ["a [/red]", "[bold]b", "[link=file:///etc]c"])
def test_description_is_printed_as_text(tmp_path, description):
    make_ct_series(tmp_path, slices=4, edit=lambda ds, _: setattr(ds, "SeriesDescription", description))

    done = series(tmp_path)

    assert (done.exit_code, done.exception) == (0, None)
    assert description in done.stdout


@pytest.mark.filterwarnings("ignore:Found unknown escape sequence:UserWarning")
def test_description_does_not_steer_the_terminal(tmp_path):
    def paint(dataset, index):
        dataset.SeriesDescription = "red\x1b[31m\x07"
        if index:
            dataset.ImagePositionPatient = [0, 0, index**2]

    make_ct_series(tmp_path, slices=4, edit=paint)

    done = series(tmp_path)

    assert done.exit_code == 0
    assert "red" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def gray_box(path):
    """Rows and columns that a picture takes on the sheet: gray, where background and letters have a tint of blue."""
    pixels = np.asarray(Image.open(path)).astype(int)
    gray = (pixels[..., 0] == pixels[..., 2]) & (pixels[..., 0] == pixels[..., 1])
    rows, columns = np.flatnonzero(gray.any(axis=1)), np.flatnonzero(gray.any(axis=0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 0]


def test_preview_shows_the_middle_slice_in_square_millimetres(tmp_path):
    hu = np.zeros((5, 20, 20), np.int16)
    # The middle slice alone is bright in its upper left quarter.
    hu[2, :10, :10] = 1000
    make_ct_series(tmp_path / "in", slices=5, hu=hu, spacing_mm=(3.0, 1.6, 0.8))

    done = series(tmp_path / "in", "--preview", tmp_path / "sheet.png")

    assert done.exit_code == 0
    assert f"mapnode: preview: {tmp_path / 'sheet.png'}" in done.stderr
    picture = gray_box(tmp_path / "sheet.png")
    height, width = picture.shape
    assert height / width == pytest.approx(2.0, abs=0.03)
    quarters = [picture[r : r + 40, c : c + 40].mean() for r in (10, height - 50) for c in (5, width - 45)]
    assert quarters == pytest.approx([255, 0, 0, 0], abs=1)


def test_preview_shows_the_lowest_value_white_where_the_image_says_so(tmp_path):
    hu = np.zeros((3, 20, 20), np.int16)
    hu[:, :10] = 1000

    def turn(dataset, _index):
        # PS3.3 C.7.6.3.1.2: the minimum is to be shown as white. The values stay as they are.
        dataset.PhotometricInterpretation = "MONOCHROME1"

    make_ct_series(tmp_path / "in", slices=3, hu=hu, spacing_mm=(3.0, 1.0, 1.0), edit=turn)

    (entry,) = listed(tmp_path / "in", "--preview", tmp_path / "sheet.png")

    picture = gray_box(tmp_path / "sheet.png")
    assert (picture[20:80].mean(), picture[-80:-20].mean()) == pytest.approx((0, 255), abs=1)
    assert entry["volumes"][0]["sum"] == hu.sum()


def test_preview_does_not_disturb_the_document_on_stdout(tmp_path):
    make_ct_series(tmp_path / "in", slices=4)

    with_preview = listed(tmp_path / "in", "--preview", tmp_path / "sheet.png")

    assert with_preview == listed(tmp_path / "in")
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_preview_shows_every_volume_that_can_be_read(shared_data, tmp_path):
    done = series(shared_data / "odd_4d", "--preview", tmp_path / "sheet.png")

    # 2 + 4 + 2 volumes, five pictures a row.
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    bright = (sheet[..., 0] == sheet[..., 2]) & (sheet[..., 0] > 100)
    rows, columns = np.diff(np.flatnonzero(bright.any(axis=1))), np.diff(np.flatnonzero(bright.any(axis=0)))
    assert done.exit_code == 0
    # Captions part the rows of pictures, narrow margins the columns.
    assert (rows > 50).sum() == 1
    assert (columns > 5).sum() == 4


def test_preview_of_nothing_readable_is_said_and_no_file_written(shared_data, tmp_path):
    done = series(shared_data / "sr_dcmqi", "--preview", tmp_path / "sheet.png")

    assert done.exit_code == 0
    assert "nothing to show" in done.stderr
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize("target", ["no/such/folder/sheet.png", "taken"])
def test_preview_that_cannot_be_written_is_wrong_use(tmp_path, target):
    make_ct_series(tmp_path / "in", slices=4)
    (tmp_path / "taken").mkdir()

    done = subprocess.run(
        [MAPNODE, "series", tmp_path / "in", "--preview", tmp_path / target],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 2
    assert done.stderr.startswith(f"mapnode: the preview cannot be written to {tmp_path / target}: ")
    assert "Traceback" not in done.stderr


def test_empty_folder_is_refused_with_an_empty_list(tmp_path):
    done = series(tmp_path, "--json")

    assert done.exit_code == 3
    assert json.loads(done.stdout) == []
    assert done.stderr == "mapnode: refused: no_dicom: the folder holds no DICOM instance: it is empty\n"


def test_folder_without_dicom_is_refused_and_says_how_many_files_it_saw(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "b.txt").write_text("hello")

    done = series(tmp_path)

    assert done.exit_code == 3
    assert "none of its 2 files is DICOM" in done.stderr


def test_broken_file_is_named_with_its_reason_where_it_is_the_only_one(tmp_path):
    (path,) = make_ct_series(tmp_path, slices=1)
    path.write_bytes(path.read_bytes()[:400])

    done = series(tmp_path)

    assert done.exit_code == 3
    assert path.name in done.stderr
    assert "does not parse" in done.stderr


def test_missing_folder_is_wrong_use(tmp_path):
    done = series(tmp_path / "nowhere")

    assert isinstance(done.exception, WrongUse)
    assert str(done.exception) == f"the folder {tmp_path / 'nowhere'} does not exist"
    assert WrongUse.exit_code == 2
