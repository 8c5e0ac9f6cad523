"""Output: what lies in a folder is counted and judged without anything being followed or opened."""

import ctypes
import os
import tempfile
from pathlib import Path

import pytest

from mapnode.containers.output import MOST_ENTRIES, remove_folder, survey, take_over

FALLOC_FL_KEEP_SIZE = 1
"""linux/falloc.h"""


def test_files_are_found_in_any_folder_with_their_size(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"12345")
    (tmp_path / "a").write_bytes(b"123")
    found = survey(tmp_path)

    assert [str(path) for path in found.files] == ["a", "b/c"]
    assert (found.size, found.entries) == (8, 3)
    assert found.irregular() is None


def test_the_limit_itself_is_too_much_since_no_file_can_grow_beyond_it(tmp_path):
    (tmp_path / "a").write_bytes(b"123")

    assert survey(tmp_path).overflow(4) is None
    assert "output_mb" in survey(tmp_path).overflow(3)


def test_a_hole_counts_as_what_a_copy_of_it_would_take(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(10 * 2**30)

    assert survey(tmp_path).size == 10 * 2**30


def test_room_that_is_taken_beyond_the_end_of_a_file_counts(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        taken = ctypes.CDLL(None, use_errno=True).fallocate(
            file.fileno(), FALLOC_FL_KEEP_SIZE, ctypes.c_longlong(0), ctypes.c_longlong(8 << 20)
        )
    if taken != 0:
        pytest.skip(f"this file system takes no room beforehand: {os.strerror(ctypes.get_errno())}")
    found = survey(tmp_path)

    assert found.size == 0
    assert found.overflow(2 << 20) == "it wrote 2.09715 MB or more (output_mb) and was stopped"


def test_small_files_are_within_a_limit_that_their_sizes_are_within(tmp_path):
    for number in range(100):
        (tmp_path / str(number)).write_bytes(b"1")

    assert survey(tmp_path).overflow(1 << 20) is None


def test_links_are_counted_and_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").symlink_to("/etc/passwd")
    (tmp_path / "in" / "folder").symlink_to("/etc")
    (tmp_path / "in" / "loop").symlink_to("..")
    found = survey(tmp_path)

    assert (found.files, found.links, found.entries) == ([], 3, 4)
    assert found.irregular() == "its output holds 3 symbolic links; links are never followed"


def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.dcm")

    assert "1 devices, pipes or sockets" in survey(tmp_path).irregular()


def test_looking_ends_where_there_are_too_many_files(tmp_path):
    for number in range(MOST_ENTRIES + 10):
        (tmp_path / str(number)).touch()
    found = survey(tmp_path)

    assert found.entries == MOST_ENTRIES
    assert found.overflow(10**9) is not None


@pytest.mark.parametrize(("levels", "is_too_much"), [(10, False), (100, True)])
def test_folders_in_each_other_are_bounded(tmp_path, levels, is_too_much):
    tmp_path.joinpath(*"d" * levels).mkdir(parents=True)

    assert (survey(tmp_path).overflow(10**9) is not None) is is_too_much


def test_a_folder_deeper_than_a_path_can_say_is_removed(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    place = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    remove_folder(folder)

    assert not folder.exists()


def test_what_is_taken_over_is_no_longer_anybodys_to_change(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "a").chmod(0o4777)
    take_over(tmp_path / "a", tmp_path / "b")

    state = (tmp_path / "b").stat()
    assert (state.st_mode & 0o7777, state.st_uid) == (0o644, os.getuid())
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may act for somebody else")
def test_closed_folders_go_too_where_the_node_is_not_root(tmp_path):
    """Root may do anything; another user may not enter what a container of that user closed behind itself."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        room, own = Path(place) / "room", Path(place) / "own"
        own.write_text("the node's")
        own.chmod(0o444)
        (room / "a" / "b").mkdir(parents=True)
        (room / "a" / "b" / "link").hardlink_to(own)
        for path in (room / "a" / "b", room / "a", room):
            os.chown(path, 1000, 1000)
            path.chmod(0 if path != room else 0o700)
        # A process of that user's own: it could not start this Python anew.
        if (child := os.fork()) == 0:
            os.setgroups([])
            os.setgid(1000)
            os.setuid(1000)
            remove_folder(room)
            os._exit(0)
        os.waitpid(child, 0)
        assert not room.exists()
        assert own.stat().st_mode & 0o777 == 0o444
