"""Hostile folders: what is no regular file, what cannot be read, and what changes while it is read."""

import os
import shutil
import tempfile
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from operators.core import reading, stored_pixels
from operators.core.errors import InputRefused
from operators.core.geometry import examine
from operators.core.pixels import read_volume
from operators.core.reading import read_folder
from tests.fuzz.case import LONGEST_S, Case, run_case, time_limit
from tests.fuzz.corpus import corpus
from tests.fuzz.elements import META, Element, read_file, write_element, write_elements, write_file

NATIVE = next(entry for entry in corpus() if entry.name == "native")
COUNT = len(NATIVE.files)
NOBODY = 65534
NO_TEXT = os.fsdecode(b"\xff\xfe.dcm")


@pytest.fixture
def folder():
    """A folder that others may enter, with the four slices of the native series."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        for name, data in NATIVE.files.items():
            (Path(made) / name).write_bytes(data)
        yield Path(made)


@pytest.fixture
def as_nobody():
    """Rights matter to others than root only."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def read(folder):
    """What is in a folder, within the time that a case has."""
    with time_limit():
        return read_folder(folder)


def names_of(found) -> set[str]:
    return {file.name for file in found.skipped}


def instances_of(found) -> int:
    return sum(len(series.instances) for series in found.series)


def test_a_pipe_named_like_an_image_does_not_block(folder):
    os.mkfifo(folder / "9.dcm")

    found = read(folder)

    assert instances_of(found) == COUNT


def test_a_pipe_named_like_an_image_is_named(folder):
    os.mkfifo(folder / "9.dcm")

    assert names_of(read(folder)) == {"9.dcm"}


def test_a_link_to_nothing_is_named(folder):
    (folder / "9.dcm").symlink_to(folder / "gone.dcm")

    assert names_of(read(folder)) == {"9.dcm"}


def test_a_link_to_itself_is_named(folder):
    (folder / "9.dcm").symlink_to(folder / "9.dcm")

    assert names_of(read(folder)) == {"9.dcm"}


def test_a_link_to_the_folder_itself_reads_no_file_twice(folder):
    (folder / "again").symlink_to(folder)

    assert instances_of(read(folder)) == COUNT


def test_links_in_a_circle_read_no_file_twice(folder):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    (folder / "a" / "to_b").symlink_to(folder / "b")
    (folder / "b" / "to_a").symlink_to(folder / "a")
    shutil.move(folder / "0.dcm", folder / "a" / "0.dcm")

    assert instances_of(read(folder)) == COUNT


def test_a_folder_named_like_an_image_is_entered(folder):
    (folder / "more.dcm").mkdir()
    shutil.move(folder / "0.dcm", folder / "more.dcm" / "0.dcm")

    assert instances_of(read(folder)) == COUNT


def test_an_unreadable_file_is_named(folder, as_nobody):
    with _root():
        (folder / "0.dcm").chmod(0)

    found = read(folder)

    assert names_of(found) == {"0.dcm"}


def test_an_unreadable_folder_is_named(folder, as_nobody):
    with _root():
        (folder / "secret").mkdir()
        shutil.move(folder / "0.dcm", folder / "secret" / "0.dcm")
        (folder / "secret").chmod(0)

    found = read(folder)

    assert any(name.startswith("secret") for name in names_of(found))


def test_a_folder_that_may_be_listed_and_not_entered_is_named(folder, as_nobody):
    with _root():
        (folder / "secret").mkdir()
        shutil.move(folder / "0.dcm", folder / "secret" / "0.dcm")
        (folder / "secret").chmod(0o444)

    found = read(folder)

    assert any(name.startswith("secret") for name in names_of(found))


class _root:  # noqa: N801 - reads as a word
    """Root again, where the tests run as root, to take rights away."""

    def __enter__(self):
        self.before = os.geteuid()
        if os.getuid() == 0:
            os.seteuid(0)

    def __exit__(self, *_):
        if os.getuid() == 0:
            os.seteuid(self.before)


def test_a_name_that_is_no_text_is_read(folder):
    (folder / "0.dcm").rename(folder / NO_TEXT)

    found = read(folder)

    assert instances_of(found) == COUNT


def test_a_file_with_a_name_that_is_no_text_is_named_in_text(folder):
    (folder / NO_TEXT).write_bytes(b"nothing")

    (name,) = names_of(read(folder))

    assert name.encode("utf-8")


def volume_after(folder, change):
    """The volume of a folder in which something changes between headers and pixels."""
    geometry = examine(read(folder).series[0])
    change()
    with time_limit():
        return read_volume(geometry.volumes[0])


def refused_after(folder, change):
    with pytest.raises(InputRefused):
        volume_after(folder, change)


def test_a_file_replaced_after_its_header_was_read_is_refused(folder):
    def replace():
        (folder / "new").write_bytes(NATIVE.files["1.dcm"])
        (folder / "new").replace(folder / "0.dcm")

    refused_after(folder, replace)


def test_a_file_cut_after_its_header_was_read_is_refused(folder):
    refused_after(folder, lambda: os.truncate(folder / "0.dcm", 900))


def test_a_file_removed_after_its_header_was_read_is_refused(folder):
    refused_after(folder, (folder / "0.dcm").unlink)


def test_a_file_replaced_by_a_pipe_after_its_header_was_read_does_not_block(folder):
    def replace():
        (folder / "0.dcm").unlink()
        os.mkfifo(folder / "0.dcm")

    waited = threading.Event()

    def let_go():
        """Give a reader that waits for a writer the end of the file, so that the test fails instead of waiting."""
        waited.set()
        os.close(os.open(folder / "0.dcm", os.O_RDWR | os.O_NONBLOCK))

    timer = threading.Timer(2, let_go)
    timer.start()
    refused_after(folder, replace)
    timer.cancel()

    assert not waited.is_set(), "it waits for somebody to write into the pipe"


def test_a_file_replaced_by_a_folder_after_its_header_was_read_is_refused(folder):
    def replace():
        (folder / "0.dcm").unlink()
        (folder / "0.dcm").mkdir()

    refused_after(folder, replace)


def test_a_file_cut_after_its_state_was_asked_is_refused(folder, monkeypatch):
    geometry = examine(read(folder).series[0])
    ask = os.fstat

    def ask_and_cut(number):
        state = ask(number)
        os.truncate(f"/proc/self/fd/{number}", 900)
        return state

    monkeypatch.setattr(stored_pixels.os, "fstat", ask_and_cut)

    with pytest.raises(InputRefused), time_limit():
        read_volume(geometry.volumes[0])


def test_a_file_rewritten_while_its_header_is_read_is_refused_or_whole(folder, monkeypatch):
    ask = os.fstat
    other = write_file(_moved(read_file(NATIVE.files["0.dcm"])))

    def ask_and_rewrite(number):
        state = ask(number)
        if Path(f"/proc/self/fd/{number}").resolve().name == "0.dcm":
            os.utime(folder / "0.dcm", ns=(1, 1))
            (folder / "0.dcm").write_bytes(other)
        return state

    monkeypatch.setattr(reading.os, "fstat", ask_and_rewrite)
    found = read(folder)
    monkeypatch.undo()
    geometry = examine(found.series[0])

    with pytest.raises(InputRefused):
        read_volume(geometry.volumes[0])


def _moved(file):
    pixels = file.get("PixelData")
    return file.put(Element(pixels.tag, pixels.vr, pixels.value[::-1]))


def test_files_that_are_replaced_all_the_time_make_one_volume_or_none(folder, tmp_path):
    first, second = NATIVE.files["0.dcm"], write_file(_moved(read_file(NATIVE.files["0.dcm"])))
    before = volume_after(folder, lambda: None).array
    (folder / "0.dcm").write_bytes(second)
    after = volume_after(folder, lambda: None).array
    stop = threading.Event()

    def replace_all_the_time():
        for number in range(10**9):
            if stop.is_set():
                return
            (tmp_path / "new").write_bytes((first, second)[number % 2])
            (tmp_path / "new").replace(folder / "0.dcm")

    thread = threading.Thread(target=replace_all_the_time)
    thread.start()
    try:
        for _ in range(100):
            try:
                array = read_volume(examine(read_folder(folder).series[0]).volumes[0]).array
            except InputRefused:
                continue
            assert np.array_equal(array, before) or np.array_equal(array, after)
    finally:
        stop.set()
        thread.join(LONGEST_S)


def hostile(folder, entry_name, change):
    """The problems of a series of which all files are changed."""
    entry = next(e for e in corpus() if e.name == entry_name)
    changed = {name: write_file(change(read_file(data))) for name, data in entry.files.items()}
    for path in folder.iterdir():
        path.unlink()
    return run_case(Case(entry_name, entry, changed, len(changed)), folder).problems


def deflate_bomb(data: bytes, mebibytes: int) -> bytes:
    """A deflated file with a private element of many zeros."""
    file = read_file(data)
    begin = write_elements(tuple(e for e in file.elements if e.tag < BOMB), file.encoding)
    end = write_elements(tuple(e for e in file.elements if e.tag > BOMB), file.encoding)
    head = write_element(Element(BOMB, "OB", b"", length=mebibytes * 2**20), file.encoding)
    # Behind a full flush nothing refers back: one block of zeros can be written many times.
    blocks = [_flushed(begin + head), _flushed(b"\0" * 2**24) * (mebibytes // 16), _flushed(end)]
    return file.preamble + write_elements(file.meta, META) + b"".join(blocks)


BOMB = 0x00091002


def _flushed(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush(zlib.Z_FULL_FLUSH)


@pytest.mark.parametrize("mebibytes", [192, 1920, 4000])
def test_a_small_file_that_inflates_to_gigabytes_fills_no_memory(mebibytes, folder):
    entry = next(e for e in corpus() if e.name == "deflated")
    files = {name: deflate_bomb(data, mebibytes) for name, data in entry.files.items()}
    for path in folder.iterdir():
        path.unlink()
    assert max(map(len, files.values())) < 5 * 2**20

    assert run_case(Case("bomb", entry, files, len(files)), folder).problems == []


@pytest.mark.parametrize(
    "entry", ["native", "rle", "jpeg_2000", "deflated", "enhanced_ct", "enhanced_rle", "radiograph"]
)
def test_a_matrix_that_no_file_holds_takes_no_memory(entry, folder):
    def huge(file):
        for keyword in ("Rows", "Columns"):
            element = file.get(keyword)
            file = file.put(Element(element.tag, "US", b"\x00\x40"))
        return file

    assert hostile(folder, entry, huge) == []


def test_a_length_of_gigabytes_takes_no_memory(folder):
    def lie(file):
        element = file.get("SeriesDescription")
        return file.put(Element(element.tag, "UT", b"Fuzz", length=0xFFFFFFF0))

    assert hostile(folder, "native", lie) == []
