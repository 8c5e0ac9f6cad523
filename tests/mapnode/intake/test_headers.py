"""Headers: each file is read once, by whatever name, and another content is another file."""

import pytest

from mapnode.intake import headers as module
from mapnode.intake.headers import Headers
from tests.builders import make_ct_series
from tests.mapnode.engine import Clock


@pytest.fixture
def read(monkeypatch):
    """The files that were opened."""
    opened = []
    real = module.open_instance

    def open_instance(path):
        opened.append(path.name)
        return real(path)

    monkeypatch.setattr(module, "open_instance", open_instance)
    return opened


@pytest.fixture
def file(tmp_path):
    return make_ct_series(tmp_path / "series", slices=2)[0]


@pytest.fixture
def headers():
    return Headers()


def test_a_hard_link_of_a_file_that_was_read_is_not_read_again(headers, file, read, tmp_path):
    (tmp_path / "link.dcm").hardlink_to(file)

    first, second = headers.read(file), headers.read(tmp_path / "link.dcm")

    assert first is second
    assert read == [file.name]


def test_a_file_that_was_replaced_is_read_again(headers, file, read, tmp_path):
    headers.read(file)
    other = make_ct_series(tmp_path / "other", slices=2)[1]
    other.replace(file)

    assert headers.read(file).InstanceNumber == 2
    assert len(read) == 2


def test_what_was_read_ahead_is_not_read_again(headers, file, read):
    headers.read_ahead(file)

    headers.read(file)

    assert read == [file.name]


def test_a_file_that_does_not_parse_is_left_to_whoever_needs_it(headers, tmp_path):
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"nothing")
    headers.read_ahead(broken)

    with pytest.raises(module.PARSE_ERRORS):
        headers.read(broken)


def test_headers_beyond_the_limit_go_the_least_recently_used_first(headers, tmp_path, read, monkeypatch):
    monkeypatch.setattr(module, "MOST_HEADERS", 2)
    first, second, third = make_ct_series(tmp_path / "three", slices=3)
    for path in (first, second, first, third, first, second):
        headers.read(path)

    assert read == [path.name for path in (first, second, third, second)]


def test_headers_that_nobody_used_for_a_while_are_dropped(headers, file, read, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    headers.read(file)
    clock.now += module.KEPT_S + 1
    headers.forget()
    headers.read(file)

    assert len(read) == 2
