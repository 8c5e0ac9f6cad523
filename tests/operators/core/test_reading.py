"""Reading: every DICOM file below a folder is an instance; nothing disappears without a word."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from operators.core import reading
from operators.core.errors import InputRefused
from operators.core.findings import FindingCode
from operators.core.geometry import examine
from operators.core.pixels import read_volume
from operators.core.reading import read_files, read_folder
from tests.builders import make_ct_series, make_header, make_hu, write_image


def refusal_of(folder):
    with pytest.raises(InputRefused) as refused:
        read_folder(folder)
    return refused.value.findings


def write_in(folder, syntax, **kwargs):
    """One image of 4 x 3 pixels with a value each."""
    picture = np.arange(12, dtype="<u2").reshape(4, 3)
    return write_image(folder / "a.dcm", make_header(0), picture, syntax=syntax, **kwargs)


class TestFolder:
    """Whatever files are called and wherever they lie."""

    def test_nested_folders_and_any_file_name_are_read(self, tmp_path):
        paths = make_ct_series(tmp_path / "a", slices=3)
        (tmp_path / "a" / "b c" / "d").mkdir(parents=True)
        paths[1].rename(tmp_path / "a" / "b c" / "d" / "IM.0001")

        (series,) = read_folder(tmp_path).series

        assert len(series.instances) == 3
        assert {i.path.name for i in series.instances} == {"ct_0000.dcm", "IM.0001", "ct_0002.dcm"}

    def test_headers_come_without_pixels(self, tmp_path):
        make_ct_series(tmp_path, slices=2)

        (series,) = read_folder(tmp_path).series

        assert all("PixelData" not in instance.header for instance in series.instances)

    def test_series_come_in_the_order_of_their_uids(self, tmp_path):
        for seed in "abc":
            make_ct_series(tmp_path / seed, slices=2, uid_seed=seed)

        uids = [series.uid for series in read_folder(tmp_path).series]

        assert uids == sorted(uids)
        assert len(set(uids)) == 3

    def test_instances_without_series_uid_are_kept(self, tmp_path):
        def strip(dataset, _index):
            del dataset.SeriesInstanceUID

        make_ct_series(tmp_path, slices=2, edit=strip)

        (series,) = read_folder(tmp_path).series

        assert (series.uid, len(series.instances)) == ("", 2)

    def test_reading_does_not_change_a_file(self, tmp_path):
        paths = make_ct_series(tmp_path, slices=2)
        before = [path.read_bytes() for path in paths]

        read_folder(tmp_path)

        assert [path.read_bytes() for path in paths] == before

    def test_series_knows_its_modality_and_uid(self, tmp_path):
        path = make_ct_series(tmp_path, slices=2)[0]

        (series,) = read_folder(tmp_path).series

        assert series.modality == "CT"
        assert series.uid == dcmread(path).SeriesInstanceUID

    def test_links_to_folders_are_followed_and_loops_end(self, tmp_path):
        make_ct_series(tmp_path / "elsewhere", slices=3)
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "series").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")

        (series,) = read_folder(tmp_path / "in").series

        assert len(series.instances) == 3

    def test_only_the_files_named_are_read(self, tmp_path):
        paths = make_ct_series(tmp_path, slices=4)

        (series,) = read_files(paths[1:3], tmp_path).series

        assert [i.path for i in series.instances] == paths[1:3]


class TestReadAhead:
    """What was read before it is asked for is what would be read now."""

    @pytest.fixture
    def opened(self, monkeypatch):
        """The files whose headers were read."""
        paths, open_instance = [], reading.open_instance
        monkeypatch.setattr(reading, "open_instance", lambda path: paths.append(path) or open_instance(path))
        yield paths
        reading.forget_ahead()

    def test_hard_links_of_what_was_read_ahead_are_not_read_again(self, tmp_path, opened):
        paths = make_ct_series(tmp_path / "storage", slices=3)
        expected = read_folder(tmp_path / "storage")
        (tmp_path / "in").mkdir()
        for path in paths:
            (tmp_path / "in" / path.name).hardlink_to(path)

        reading.read_ahead(paths)
        opened.clear()
        (series,) = read_folder(tmp_path / "in").series

        assert opened == []
        assert [i.path.parent for i in series.instances] == [tmp_path / "in"] * 3
        assert [i.header for i in series.instances] == [i.header for i in expected.series[0].instances]
        assert [i.pixels for i in series.instances] == [i.pixels for i in expected.series[0].instances]

    def test_a_file_that_changed_since_is_read_again(self, tmp_path, opened):
        paths = make_ct_series(tmp_path, slices=2)
        reading.read_ahead(paths)
        dataset = dcmread(paths[0])
        dataset.PatientID = "CORRECTED"
        dataset.save_as(paths[0])

        (series,) = read_folder(tmp_path).series

        assert str(series.instances[0].header.PatientID) == "CORRECTED"

    def test_what_cannot_be_read_ahead_is_told_to_who_asks_for_it(self, tmp_path, opened):
        paths = make_ct_series(tmp_path, slices=2)
        paths[0].write_bytes(b"nothing")

        reading.read_ahead([*paths, tmp_path / "gone.dcm"])
        found = read_folder(tmp_path)

        assert (len(found.series[0].instances), [f.name for f in found.skipped]) == (1, [paths[0].name])

    def test_only_what_was_read_ahead_last_is_kept_and_only_for_one_reader(self, tmp_path, opened):
        first, second = (make_ct_series(tmp_path / name, slices=2) for name in ("first", "second"))
        reading.read_ahead(first)
        reading.read_ahead(second)
        opened.clear()

        for folder in ("first", "second", "second"):
            read_folder(tmp_path / folder)

        assert opened == [*sorted(first), *sorted(second)]


class TestSkippedFiles:
    """What cannot be used is named with its reason; the rest is read."""

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 500, b"x" * 131, b"\x08\0" * 400, b"DICM" * 50])
    def test_other_files_are_skipped_and_named(self, tmp_path, content):
        make_ct_series(tmp_path, slices=2)
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "other.bin").write_bytes(content)

        folder = read_folder(tmp_path)

        assert [file.name for file in folder.skipped] == ["sub/other.bin"]
        assert folder.skipped[0].reason
        assert len(folder.series[0].instances) == 2

    @pytest.mark.parametrize(
        ("name", "content", "suspicious"),
        [
            ("notes.txt", b"notes", False),
            ("cut.dcm", b"hello", True),
            ("empty", b"", True),
            ("cut", b"\0" * 100, True),
            ("zeros", b"\0" * 500, False),
        ],
    )
    def test_file_that_may_have_been_an_image_is_suspicious(self, tmp_path, name, content, suspicious):
        make_ct_series(tmp_path, slices=2)
        (tmp_path / name).write_bytes(content)

        (skipped,) = read_folder(tmp_path).skipped

        assert (skipped.suspicious, skipped.broken) == (suspicious, False)

    def test_dicomdir_is_skipped_and_named(self, tmp_path):
        files = FileSet()
        for path in make_ct_series(tmp_path / "source", slices=2):
            files.add(path)
        files.write(tmp_path / "disc")
        files._stage["t"].cleanup()  # pydicom leaves its staging folder to the garbage collector, with a warning

        folder = read_folder(tmp_path / "disc")

        assert [file.name for file in folder.skipped] == ["DICOMDIR"]
        assert not folder.skipped[0].suspicious
        assert len(folder.series[0].instances) == 2

    def test_empty_folder_is_refused(self, tmp_path):
        (finding,) = refusal_of(tmp_path)

        assert finding.code is FindingCode.NO_DICOM
        assert "it is empty" in finding.message

    def test_folder_without_dicom_is_refused_with_its_files(self, tmp_path):
        (tmp_path / "a.txt").write_text("a")
        (tmp_path / "b.txt").write_text("b")

        (finding,) = refusal_of(tmp_path)

        assert finding.code is FindingCode.NO_DICOM
        assert finding.files == ("a.txt", "b.txt")

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        "place", ["behind the prefix", "in the file meta", "before the UIDs", "in the last element"]
    )
    def test_file_cut_off_in_its_header_is_broken_and_the_others_are_read(self, tmp_path, place):
        paths = make_ct_series(tmp_path, slices=3)
        whole = paths[1].read_bytes()
        ends = {
            "behind the prefix": 142,
            "in the file meta": 200,
            "before the UIDs": whole.index(b"\x08\x00\x60\x00"),
            "in the last element": whole.index(b"\x20\x00\x32\x00") + 12,
        }
        paths[1].write_bytes(whole[: ends[place]])

        folder = read_folder(tmp_path)

        (skipped,) = folder.skipped
        assert (skipped.name, skipped.broken, skipped.suspicious) == (paths[1].name, True, True)
        assert skipped.finding.code is FindingCode.BROKEN_FILE
        assert skipped.finding.files == (paths[1].name,)
        assert [i.path for i in folder.series[0].instances] == [paths[0], paths[2]]

    def test_cut_deflated_file_is_broken(self, tmp_path):
        path = make_ct_series(tmp_path, slices=2)[1]
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.save_as(path)
        path.write_bytes(path.read_bytes()[:600])

        (skipped,) = read_folder(tmp_path).skipped

        assert (skipped.name, skipped.broken) == (path.name, True)

    def test_transfer_syntax_that_nobody_knows_is_broken(self, tmp_path):
        make_ct_series(tmp_path, slices=2)
        write_in(tmp_path, ExplicitVRLittleEndian)
        path = tmp_path / "a.dcm"
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"))

        folder = read_folder(tmp_path)

        assert [(f.name, f.broken) for f in folder.skipped] == [("a.dcm", True)]

    @pytest.mark.parametrize(
        ("error", "word"), [(PermissionError, "permission denied"), (FileNotFoundError, "removed")]
    )
    def test_file_that_cannot_be_opened_is_named(self, tmp_path, monkeypatch, error, word):
        paths = make_ct_series(tmp_path, slices=3)
        real = reading.open_file

        def refuse(path, *args, **kwargs):
            if path == paths[1]:
                raise error
            return real(path, *args, **kwargs)

        monkeypatch.setattr(reading, "open_file", refuse)

        folder = read_folder(tmp_path)

        (skipped,) = folder.skipped
        assert (skipped.name, skipped.suspicious) == (paths[1].name, True)
        assert word in skipped.reason
        assert len(folder.series[0].instances) == 2


class TestDamagedValues:
    """A value that is none does not stop the rest from being read."""

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        ("keyword", "vr"),
        [
            ("SeriesInstanceUID", b"UI"),
            ("StudyInstanceUID", b"UI"),
            ("SOPInstanceUID", b"UI"),
            ("SOPClassUID", b"UI"),
            ("FrameOfReferenceUID", b"UI"),
            ("Modality", b"CS"),
            ("PatientID", b"LO"),
            ("ImageType", b"CS"),
            ("Rows", b"US"),
            ("RescaleSlope", b"DS"),
            ("AcquisitionNumber", b"IS"),
        ],
    )
    @pytest.mark.parametrize("damaged", [b"FD", b"US", b"AT", b"SQ"])
    def test_attribute_with_another_vr_loses_one_file_at_most(self, tmp_path, keyword, vr, damaged):
        paths = make_ct_series(tmp_path, slices=3)
        tag = dcmread(paths[1])[keyword].tag
        start = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")
        whole = paths[1].read_bytes()
        assert whole.count(start + vr) == 1
        paths[1].write_bytes(whole.replace(start + vr, start + damaged))

        folder = read_folder(tmp_path)

        read = {i.path for series in folder.series for i in series.instances}
        assert {paths[0], paths[2]} <= read
        assert paths[1] in read or folder.skipped[0].broken
        for series in folder.series:
            assert series.modality in {"CT", ""} or series.instances[0].path == paths[1]
            examine(series)

    @pytest.mark.filterwarnings("ignore")
    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_damaged_bytes_give_a_volume_or_a_refusal(self, tmp_path, data):
        """Whatever bytes of one file change: no crash, no hang, and no volume of another shape in silence."""
        paths = make_ct_series(tmp_path, slices=3)
        damaged = bytearray(paths[1].read_bytes())
        header_bytes = damaged.index(b"\xe0\x7f\x10\x00OW")
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(128, header_bytes + 11))] = data.draw(st.integers(0, 255))
        paths[1].write_bytes(bytes(damaged))

        folder = read_folder(tmp_path)

        assert sum(len(s.instances) for s in folder.series) + len(folder.skipped) == 3
        for geometry in map(examine, folder.series):
            for volume in geometry.volumes:
                try:
                    array = read_volume(volume).array
                except InputRefused:
                    continue
                assert array.shape == volume.shape
                if geometry.usable and len(array) == 3:
                    assert np.array_equal(array[::2], make_hu(3)[::2])
