"""Layers: tar files whose bytes depend on names and contents alone."""

import gzip
import multiprocessing
import os
import tarfile
from concurrent.futures import ProcessPoolExecutor

import pytest

from mapnode.package.layers import inflate, kept_layer, read_layer, tree, write_layer


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "files"
    (root / "deep" / "empty").mkdir(parents=True)
    (root / "plain").write_text("text")
    (root / "program").write_text("#!/bin/sh\n")
    (root / "program").chmod(0o700)
    (root / "link").symlink_to("plain")
    return root


def members(path):
    with tarfile.open(path) as tar:
        return {member.name: member for member in tar}


def test_the_same_files_give_the_same_bytes_whatever_their_times_and_owners(folder, tmp_path):
    first = write_layer(tmp_path / "a.tar", tree(folder, "/opt/x"), "a")
    os.utime(folder / "plain", (1, 1))
    (folder / "plain").chmod(0o600)
    second = write_layer(tmp_path / "b.tar", dict(reversed(tree(folder, "/opt/x").items())), "b")
    assert first.digest == second.digest
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_another_content_gives_another_digest(folder, tmp_path):
    first = write_layer(tmp_path / "a.tar", tree(folder, "/x"), "a")
    (folder / "plain").write_text("next")
    assert write_layer(tmp_path / "b.tar", tree(folder, "/x"), "b").digest != first.digest


def test_everything_belongs_to_root_and_anybody_may_read_it(folder, tmp_path):
    write_layer(tmp_path / "a.tar", tree(folder, "/opt/x"), "a")
    found = members(tmp_path / "a.tar")
    assert {(m.uid, m.gid) for m in found.values()} == {(0, 0)}
    assert {name: oct(m.mode) for name, m in found.items() if m.isfile()} == {
        "opt/x/plain": "0o644",
        "opt/x/program": "0o755",
    }
    assert {name for name, m in found.items() if m.isdir()} == {"opt", "opt/x", "opt/x/deep", "opt/x/deep/empty"}
    assert found["opt/x/link"].linkname == "plain"


def test_the_date_of_everything_can_be_set(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    write_layer(tmp_path / "a.tar", {"/a": b"b"}, "a")
    assert {m.mtime for m in members(tmp_path / "a.tar").values()} == {1_700_000_000}


def test_a_folder_comes_before_what_is_in_it(tmp_path):
    write_layer(tmp_path / "a.tar", {"/b/c/d": b"", "/b": None, "/b/c-": b""}, "a")
    names = list(members(tmp_path / "a.tar"))
    assert names.index("b") < names.index("b/c") < names.index("b/c/d")


@pytest.mark.parametrize("compressed", [True, False])
def test_a_compressed_layer_is_inflated_and_another_one_copied(tmp_path, compressed):
    (tmp_path / "in").write_bytes(gzip.compress(b"x" * 1000) if compressed else b"x" * 1000)
    inflate(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"x" * 1000


def test_a_layer_that_was_written_before_is_the_same_and_one_that_was_not_is_none(folder, tmp_path):
    written = write_layer(tmp_path / "a.tar", tree(folder, "/x"), "a")
    assert kept_layer(tmp_path / "a.tar", "a") == written == read_layer(tmp_path / "a.tar", "a")
    assert kept_layer(tmp_path / "b.tar", "b") is None


def test_a_layers_digest_is_sha_256_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    layer = read_layer(tmp_path / "abc", "FIPS 180-2, B.1")
    assert (layer.digest, layer.size) == ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3)


def test_two_processes_that_write_the_same_layer_have_both_the_same(tmp_path):
    """A build that began anew what another one was just reading gave the digest of half a layer."""
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        found = set(pool.map(digest_of_one, [tmp_path / "a.tar"] * 24))
    assert found == {read_layer(tmp_path / "a.tar", "").digest}
    assert kept_layer(tmp_path / "a.tar", "").digest in found
    assert not list(tmp_path.glob("*.part"))


def digest_of_one(path):
    return write_layer(path, {f"/{number}": bytes(100_000) for number in range(20)}, "").digest


def test_a_layer_whose_inflating_broke_off_is_not_there(folder, tmp_path):
    whole = gzip.compress(write_layer(tmp_path / "a.tar", tree(folder, "/x"), "").path.read_bytes())
    (tmp_path / "torn.gz").write_bytes(whole[:-20])
    with pytest.raises(EOFError):
        inflate(tmp_path / "torn.gz", tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()
