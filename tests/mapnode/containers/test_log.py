"""Log: progress is heard, the last words are kept, and no flood fills anything."""

from pathlib import Path

from mapnode.containers.log import LONGEST_LINE, MOST_BYTES, ContainerLog
from operators.core.contract import Progress


def read(pieces, path, on_progress=None) -> ContainerLog:
    log = ContainerLog(iter(pieces), path, on_progress)
    log.join(10)
    return log


def test_progress_is_heard_however_it_is_cut_into_pieces(tmp_path):
    heard = []
    line = Progress(operator="Segment", fraction=0.5).model_dump_json().encode()
    read([(line[:7], None), (line[7:] + b"\nno progress\n", None), (line, None)], tmp_path / "log", heard.append)

    assert [one.fraction for one in heard] == [0.5, 0.5]


def test_the_last_words_are_those_of_stderr_where_it_said_anything(tmp_path):
    assert read([(b"out\n", None), (None, b"first\nlast\n"), (b"more", None)], tmp_path / "log").tail[-1] == "last"
    assert read([(b"out\nmore", None)], tmp_path / "log").tail == ["out", "more"]


def test_both_stand_in_the_file_in_their_order(tmp_path):
    read([(b"a\n", None), (None, b"b\n"), (b"c\n", None)], tmp_path / "log")

    assert (tmp_path / "log").read_text() == "a\nb\nc\n"


def test_a_file_is_cut_and_says_so(tmp_path):
    read([(b"x" * 2**19, None)] * 5, tmp_path / "log")

    content = (tmp_path / "log").read_bytes()
    assert len(content) < MOST_BYTES + 100
    assert content.endswith(b"(what follows is not kept)\n")


def test_a_line_without_end_takes_no_memory(tmp_path):
    log = read([(None, b"x" * 50_000)] * 100, tmp_path / "log")

    assert all(len(line) <= LONGEST_LINE for line in log.tail)


def test_a_full_disk_costs_words_and_nobody_his_hearing():
    log = read([(b"a\n", None), (b"b\n", None)], Path("/dev/full"))

    assert log.tail == ["a", "b"]
