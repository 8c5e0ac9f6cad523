"""Stored pixels: the bytes of each frame as they lie in the file, or a refusal that names the instance."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)

from operators.core.errors import InputRefused
from operators.core.findings import FindingCode
from operators.core.frames import frames_of
from operators.core.placement import place
from operators.core.stored_pixels import drop_identical, read_frames
from tests.builders import make_header, read_only_series, write_image

NATIVE = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
}


def numbered(frames=4, rows=5, columns=3, dtype="u2") -> np.ndarray:
    return np.arange(frames * rows * columns).astype(dtype).reshape(frames, rows, columns)


def only_instance(folder):
    (instance,) = read_only_series(folder).instances
    return instance


def frames_in(folder, wanted=(1,)):
    """Copies, for native frames share a buffer."""
    return [(number, bytes(stored)) for number, stored in read_frames(only_instance(folder), list(wanted))]


def refusal_of(instance, wanted=(1,)):
    with pytest.raises(InputRefused) as refused:
        list(read_frames(instance, list(wanted)))
    (finding,) = refused.value.findings
    assert finding.code is FindingCode.UNDECODABLE_PIXELS
    assert finding.files == (instance.path.name,)
    assert finding.instances == (instance.uid,)
    assert instance.path.name in finding.message
    return finding


class TestNative:
    """Frames of equal length, one after the other."""

    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    def test_single_frame_is_the_bytes_written(self, tmp_path, syntax):
        stored = numbered(1)[0]
        write_image(tmp_path / "a.dcm", make_header(0), stored, syntax=syntax)

        order = "<" if syntax.is_little_endian else ">"
        assert frames_in(tmp_path) == [(1, stored.astype(f"{order}u2").tobytes())]

    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    @pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
    @settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(wanted=st.sets(st.integers(1, 4), min_size=1).map(sorted))
    def test_frames_wanted_come_and_no_others(self, tmp_path, syntax, dtype, wanted):
        stored = numbered(dtype=dtype)
        write_image(tmp_path / "a.dcm", make_header(0), stored, syntax=syntax)
        order = "<" if syntax.is_little_endian or dtype == "u1" else ">"

        found = frames_in(tmp_path, wanted)

        assert [number for number, _ in found] == wanted
        if not (dtype == "u1" and not syntax.is_little_endian):
            assert [data for _, data in found] == [stored[n - 1].astype(f"{order}{dtype}").tobytes() for n in wanted]

    def test_odd_length_is_padded_by_a_byte(self, tmp_path):
        write_image(tmp_path / "a.dcm", make_header(0), numbered(3, 3, 3, "u1"))

        assert frames_in(tmp_path, [3]) == [(3, numbered(3, 3, 3, "u1")[2].tobytes())]

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("Rows", 6),
            ("Columns", 2),
            ("BitsAllocated", 8),
            ("BitsAllocated", 32),
            ("NumberOfFrames", 5),
            ("SamplesPerPixel", 3),
        ],
    )
    def test_header_that_asks_for_another_length_is_refused(self, tmp_path, keyword, value):
        write_image(tmp_path / "a.dcm", make_header(0), numbered(), edit=lambda ds: setattr(ds, keyword, value))

        refusal_of(only_instance(tmp_path))

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("Rows", 0),
            ("Rows", 65535),
            ("Columns", 0),
            ("BitsAllocated", 12),
            ("BitsAllocated", 1),
            ("SamplesPerPixel", 2),
            ("SamplesPerPixel", 0),
        ],
    )
    def test_header_that_cannot_be_is_refused(self, tmp_path, keyword, value):
        write_image(tmp_path / "a.dcm", make_header(0), numbered(1)[0], edit=lambda ds: setattr(ds, keyword, value))

        refusal_of(only_instance(tmp_path))

    @pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated", "PixelData"])
    def test_header_that_does_not_say_is_refused(self, tmp_path, keyword):
        write_image(tmp_path / "a.dcm", make_header(0), numbered(1)[0], edit=lambda ds: delattr(ds, keyword))

        refusal_of(only_instance(tmp_path))

    @pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
    @pytest.mark.parametrize("missing", [1, 2, 29])
    def test_file_that_ends_in_its_pixels_is_refused(self, tmp_path, syntax, missing):
        path = write_image(tmp_path / "a.dcm", make_header(0), numbered(1)[0], syntax=syntax)
        path.write_bytes(path.read_bytes()[:-missing])

        refusal_of(only_instance(tmp_path))

    def test_length_and_count_follow_from_the_header(self, tmp_path):
        write_image(tmp_path / "a.dcm", make_header(0), numbered(4, 5, 3, "u4"))

        instance = only_instance(tmp_path)

        assert (instance.pixel_format.frames, instance.pixel_format.frame_bytes) == (4, 60)


class TestEncapsulated:
    """Codestreams in fragments (PS3.5 A.4)."""

    STREAMS = tuple(bytes([number]) * (20 + 6 * number) for number in range(1, 5))

    def write(self, path, pixel_data, frames=4):
        def put(dataset):
            dataset.PixelData = pixel_data
            dataset.NumberOfFrames = frames

        return write_image(path, make_header(0), numbered(), syntax=JPEGLosslessSV1, codestreams=self.STREAMS, edit=put)

    @staticmethod
    def fragment(data) -> bytes:
        return b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data

    END = b"\xfe\xff\xdd\xe0\0\0\0\0"

    @pytest.mark.parametrize("has_bot", [True, False])
    @pytest.mark.parametrize("wanted", [(1, 2, 3, 4), (3,), (2, 4)])
    def test_frames_wanted_come(self, tmp_path, has_bot, wanted):
        self.write(tmp_path / "a.dcm", encapsulate(list(self.STREAMS), has_bot=has_bot))

        assert frames_in(tmp_path, wanted) == [(n, self.STREAMS[n - 1]) for n in wanted]

    def test_frames_in_several_fragments_are_put_together(self, tmp_path):
        self.write(tmp_path / "a.dcm", encapsulate(list(self.STREAMS), fragments_per_frame=2, has_bot=True))

        assert [data.rstrip(b"\0") for _, data in frames_in(tmp_path, (1, 2, 3, 4))] == list(self.STREAMS)

    def test_single_frame_in_several_fragments_is_put_together(self, tmp_path):
        data = self.fragment(b"") + self.fragment(b"ab") + self.fragment(b"cdef") + self.fragment(b"gh") + self.END
        self.write(tmp_path / "a.dcm", data, frames=1)

        assert frames_in(tmp_path) == [(1, b"abcdefgh")]

    def test_extended_offset_table_does_not_hinder(self, tmp_path):
        data, _, _ = encapsulate_extended(list(self.STREAMS))
        self.write(tmp_path / "a.dcm", data)

        assert frames_in(tmp_path, (1, 4)) == [(1, self.STREAMS[0]), (4, self.STREAMS[3])]

    def test_missing_frame_is_refused(self, tmp_path):
        self.write(tmp_path / "a.dcm", encapsulate(list(self.STREAMS[:3])), frames=4)

        refusal_of(only_instance(tmp_path), (1, 2, 3, 4))

    @pytest.mark.filterwarnings("ignore")
    def test_file_cut_in_its_fragments_never_gives_other_frames(self, tmp_path):
        path = self.write(tmp_path / "a.dcm", encapsulate(list(self.STREAMS)))
        whole = path.read_bytes()
        begin = whole.index(b"\xe0\x7f\x10\x00OB") + 12

        for length in range(begin, len(whole) - 8):
            path.write_bytes(whole[:length])
            try:
                found = frames_in(tmp_path, (1, 2, 3, 4))
            except InputRefused:
                continue
            # A codestream that was cut is found by its codec.
            assert [data for _, data in found[:3]] == list(self.STREAMS[:3])
            assert self.STREAMS[3].startswith(found[3][1])

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\0" * 64,
            b"\xfe\xff\x00\xe0\xff\xff\xff\x7f",
            b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\xfe\xff\xff\xff" + b"a" * 30,
            b"\xfe\xff\x00\xe0\x04\0\0\0\xff\xff\xff\x7f\xfe\xff\xdd\xe0\0\0\0\0",
            b"\xfe\xff\xdd\xe0\0\0\0\0",
            b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 9,
        ],
        ids=[
            "empty",
            "no items",
            "table beyond the file",
            "fragment beyond the file",
            "offset beyond",
            "no fragment",
            "nested",
        ],
    )
    def test_fragments_that_lie_are_refused_or_given_as_they_are(self, tmp_path, data):
        path = self.write(tmp_path / "a.dcm", encapsulate(list(self.STREAMS)))
        whole = path.read_bytes()
        begin = whole.index(b"\xe0\x7f\x10\x00OB") + 12
        path.write_bytes(whole[:begin] + data)

        try:
            found = frames_in(tmp_path, (1, 2, 3, 4))
        except InputRefused:
            return
        assert sum(len(one) for _, one in found) <= len(data)

    def test_few_bytes_that_cannot_hold_a_large_picture_are_refused(self, tmp_path):
        def lie(dataset):
            dataset.Rows = dataset.Columns = 16000
            dataset.NumberOfFrames = 4

        write_image(
            tmp_path / "a.dcm", make_header(0), numbered(), syntax=RLELossless, codestreams=self.STREAMS, edit=lie
        )

        refusal_of(only_instance(tmp_path))


class TestChangedFiles:
    """A file is the one whose header was read, or refused."""

    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    def test_replaced_file_is_refused(self, tmp_path, syntax):
        path = write_image(tmp_path / "a.dcm", make_header(0), numbered(1)[0], syntax=syntax)
        instance = only_instance(tmp_path)
        other = write_image(tmp_path / "other" / "a.dcm", make_header(0), numbered(1)[0] + 1, syntax=syntax)
        other.replace(path)

        assert "changed" in refusal_of(instance).message

    def test_file_written_over_is_refused(self, tmp_path):
        path = write_image(tmp_path / "a.dcm", make_header(0), numbered(1)[0])
        instance = only_instance(tmp_path)
        data = path.read_bytes()
        path.write_bytes(data[:-2] + b"\xff\xff")
        state = path.stat()
        os.utime(path, ns=(state.st_atime_ns, instance.stamp[1] + 1))

        assert "changed" in refusal_of(instance).message

    @pytest.mark.parametrize("length", [0, 200, -1])
    def test_truncated_file_is_refused(self, tmp_path, length):
        path = write_image(tmp_path / "a.dcm", make_header(0), numbered(1)[0])
        instance = only_instance(tmp_path)
        path.write_bytes(path.read_bytes()[:length])

        refusal_of(instance)

    def test_file_that_becomes_shorter_while_it_is_read_is_refused(self, tmp_path):
        path = write_image(tmp_path / "a.dcm", make_header(0), numbered())
        frames = read_frames(only_instance(tmp_path), [1, 4])
        next(frames)
        os.truncate(path, 300)

        with pytest.raises(InputRefused):
            list(frames)

    def test_removed_file_is_refused(self, tmp_path):
        path = write_image(tmp_path / "a.dcm", make_header(0), numbered(1)[0])
        instance = only_instance(tmp_path)
        path.unlink()

        refusal_of(instance)

    def test_folder_in_place_of_the_file_is_refused(self, tmp_path):
        path = write_image(tmp_path / "a.dcm", make_header(0), numbered(1)[0])
        instance = only_instance(tmp_path)
        path.unlink()
        path.mkdir()

        refusal_of(instance)


class TestDropIdentical:
    """Copies, to the last bit, of another frame at the same position."""

    @staticmethod
    def placements(folder, pictures):
        for index, (height, picture) in enumerate(pictures):
            header = make_header(index, position=(0, 0, height))
            write_image(folder / f"{index}.dcm", header, np.full((5, 3), picture, np.int16))
        instances = sorted(read_only_series(folder).instances, key=lambda i: i.path.name)
        return [place(frame) for instance in instances for frame in frames_of(instance)]

    def test_without_copies_all_are_kept(self, tmp_path):
        found = self.placements(tmp_path, [(0, 1), (3, 1), (6, 2)])

        kept, dropped = drop_identical(found)

        assert (set(map(id, kept)), dropped) == (set(map(id, found)), [])

    def test_equal_pictures_of_neighbouring_thin_slices_are_no_copies(self, tmp_path):
        """Air above the patient: slices 0.3 mm apart may be equal to the last bit."""
        found = self.placements(tmp_path, [(0, -1000), (0.3, -1000), (0.6, -1000)])

        assert drop_identical(found)[1] == []

    def test_copy_with_the_lowest_uid_is_kept_whatever_the_order(self, tmp_path):
        found = self.placements(tmp_path, [(0, 1), (3, 2), (3, 2), (3, 2)])
        lowest = min(found[1:], key=lambda p: p.frame.instance.uid)

        for given_order in (found, found[::-1]):
            kept, dropped = drop_identical(given_order)

            assert lowest in kept
            assert len(dropped) == 2

    def test_other_pictures_at_one_position_are_all_kept(self, tmp_path):
        found = self.placements(tmp_path, [(0, 1), (3, 2), (3, 9)])

        kept, dropped = drop_identical(found)

        assert (len(kept), dropped) == (3, [])

    def test_image_that_cannot_be_read_is_no_copy(self, tmp_path):
        found = self.placements(tmp_path, [(0, 1), (3, 2), (3, 2)])
        (tmp_path / "2.dcm").unlink()

        assert drop_identical(found)[1] == []

    def test_equal_bytes_of_other_bits_stored_are_no_copies(self, tmp_path):
        self.placements(tmp_path, [(3, 2), (3, 2)])
        path = tmp_path / "1.dcm"
        dataset = dcmread(path)
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.save_as(path)
        again = [place(frame) for i in read_only_series(tmp_path).instances for frame in frames_of(i)]

        assert drop_identical(again)[1] == []
