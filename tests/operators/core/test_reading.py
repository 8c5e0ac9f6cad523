"""Reading: every DICOM file below a folder is an instance; nothing disappears without a word."""

import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import DeflatedExplicitVRLittleEndian

from operators.core.errors import InputRefused
from operators.core.findings import FindingCode
from operators.core.reading import read_folder
from tests.builders import make_ct_series


def refusal_of(folder):
    with pytest.raises(InputRefused) as refused:
        read_folder(folder)
    return refused.value.findings


def test_nested_folders_and_any_file_name_are_read(tmp_path):
    paths = make_ct_series(tmp_path / "a", slices=3)
    (tmp_path / "a" / "b c" / "d").mkdir(parents=True)
    paths[1].rename(tmp_path / "a" / "b c" / "d" / "IM.0001")

    (series,) = read_folder(tmp_path).series

    assert len(series.instances) == 3
    assert {i.path.name for i in series.instances} == {"ct_0000.dcm", "IM.0001", "ct_0002.dcm"}


def test_headers_come_without_pixels(tmp_path):
    make_ct_series(tmp_path, slices=2)

    (series,) = read_folder(tmp_path).series

    assert all("PixelData" not in instance.header for instance in series.instances)


def test_series_come_in_the_order_of_their_uids(tmp_path):
    for seed in "abc":
        make_ct_series(tmp_path / seed, slices=2, uid_seed=seed)

    uids = [series.uid for series in read_folder(tmp_path).series]

    assert uids == sorted(uids)
    assert len(set(uids)) == 3


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 500, b"x" * 131])
def test_other_files_are_skipped_and_named(tmp_path, content):
    make_ct_series(tmp_path, slices=2)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.bin").write_bytes(content)

    folder = read_folder(tmp_path)

    assert [file.name for file in folder.skipped] == ["sub/other.bin"]
    assert "DICM" in folder.skipped[0].reason
    assert len(folder.series) == 1


def test_dicomdir_is_skipped_and_named(tmp_path):
    files = FileSet()
    for path in make_ct_series(tmp_path / "source", slices=2):
        files.add(path)
    files.write(tmp_path / "disc")
    files._stage["t"].cleanup()  # pydicom leaves its staging folder to the garbage collector, with a warning

    folder = read_folder(tmp_path / "disc")

    assert [file.name for file in folder.skipped] == ["DICOMDIR"]
    assert len(folder.series[0].instances) == 2


def test_empty_folder_is_refused(tmp_path):
    (finding,) = refusal_of(tmp_path)

    assert finding.code is FindingCode.NO_DICOM
    assert "it is empty" in finding.message


def test_folder_without_dicom_is_refused_with_its_files(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")

    (finding,) = refusal_of(tmp_path)

    assert finding.code is FindingCode.NO_DICOM
    assert finding.files == ("a.txt", "b.txt")


def test_broken_dicom_is_refused_by_name(tmp_path):
    paths = make_ct_series(tmp_path, slices=3)
    paths[1].write_bytes(paths[1].read_bytes()[:142])

    (finding,) = refusal_of(tmp_path)

    assert finding.code is FindingCode.BROKEN_FILE
    assert finding.files == (paths[1].name,)


def test_broken_deflated_dicom_is_refused_by_name(tmp_path):
    path = make_ct_series(tmp_path, slices=2)[1]
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    path.write_bytes(path.read_bytes()[:600])

    (finding,) = refusal_of(tmp_path)

    assert finding.code is FindingCode.BROKEN_FILE
    assert finding.files == (path.name,)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", ["in the file meta", "before the UIDs"])
def test_file_cut_off_in_its_header_is_refused_as_broken(tmp_path, place):
    paths = make_ct_series(tmp_path, slices=3)
    whole = paths[2].read_bytes()
    ends = {
        "in the file meta": 200,
        "before the UIDs": whole.index(b"\x08\x00\x60\x00"),
    }
    paths[2].write_bytes(whole[: ends[place]])

    (finding,) = refusal_of(tmp_path)

    assert finding.code is FindingCode.BROKEN_FILE
    assert finding.files == (paths[2].name,)


def test_instances_without_series_uid_are_kept(tmp_path):
    def strip(dataset, _index):
        del dataset.SeriesInstanceUID

    make_ct_series(tmp_path, slices=2, edit=strip)

    (series,) = read_folder(tmp_path).series

    assert (series.uid, len(series.instances)) == ("", 2)


def test_reading_does_not_change_a_file(tmp_path):
    paths = make_ct_series(tmp_path, slices=2)
    before = [path.read_bytes() for path in paths]

    read_folder(tmp_path)

    assert [path.read_bytes() for path in paths] == before


def test_series_knows_its_modality_and_uid(tmp_path):
    path = make_ct_series(tmp_path, slices=2)[0]

    (series,) = read_folder(tmp_path).series

    assert series.modality == "CT"
    assert series.uid == dcmread(path).SeriesInstanceUID


def test_links_to_folders_are_followed_and_loops_end(tmp_path):
    make_ct_series(tmp_path / "elsewhere", slices=3)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "series").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")

    (series,) = read_folder(tmp_path / "in").series

    assert len(series.instances) == 3
