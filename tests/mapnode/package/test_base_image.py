"""Base images: a root file system, or an image's archive; the one of our Python alone."""

import dataclasses
import gzip
import shutil

import pytest

from mapnode.errors import WrongUse
from mapnode.package import base_image
from mapnode.package.archive import Image, write_archive
from mapnode.package.base_image import find_base_image
from mapnode.package.layers import read_layer, write_layer
from tests.mapnode.package.conftest import PYTHON


def test_a_root_file_system_is_one_layer_as_it_is(base_tar, cache):
    base = find_base_image(str(base_tar), cache)
    assert [layer.path for layer in base.layers] == [base_tar]
    assert base.environment["PATH"].endswith("/usr/bin:/sbin:/bin")


def test_a_compressed_root_file_system_is_inflated(base_tar, cache, tmp_path):
    (tmp_path / "base.tar.gz").write_bytes(gzip.compress(base_tar.read_bytes()))
    (layer,) = find_base_image(str(tmp_path / "base.tar.gz"), cache).layers
    assert layer.digest == read_layer(base_tar, "").digest


def test_an_images_archive_gives_its_layers_and_variables(base_tar, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(base_image.platform, "machine", lambda: "aarch64")
    lower = read_layer(base_tar, "")
    upper = write_layer(tmp_path / "upper.tar", {"/etc/x": b""}, "")
    config = {
        "architecture": "arm64",
        "config": {"Env": ["PATH=/here", "A=b=c", "NO_VALUE"]},
        "rootfs": {"diff_ids": [f"sha256:{layer.digest}" for layer in (lower, upper)]},
    }
    with (tmp_path / "image.tar").open("wb") as file:
        write_archive(Image("base:1", config, (lower, upper)), file)
    base = find_base_image(str(tmp_path / "image.tar"), cache)
    assert [layer.digest for layer in base.layers] == [lower.digest, upper.digest]
    assert base.environment == {"PATH": "/here", "A": "b=c"}
    assert base.architecture == "arm64"


def test_debian_packages_are_those_that_are_installed(base_tar, cache):
    assert find_base_image(str(base_tar), cache).packages == {"libc6": "2.36-9+deb12u14"}


def test_a_base_without_our_python_is_wrong_use(cache, tmp_path):
    layer = write_layer(tmp_path / "base.tar", {"/bin/sh": b"", f"{PYTHON}9": b""}, "")
    with pytest.raises(WrongUse, match=r"has no python3\.\d+, which packages would be installed for"):
        find_base_image(str(layer.path), cache)


def test_what_is_no_tar_file_is_wrong_use(cache, tmp_path):
    (tmp_path / "base.tar").write_bytes(b"text" * 1000)
    with pytest.raises(WrongUse, match="is neither a root file system nor an image"):
        find_base_image(str(tmp_path / "base.tar"), cache)


def test_an_image_that_the_engine_does_not_have_is_wrong_use_with_the_way_out(cache, monkeypatch):
    class Engine:
        program = "docker"

        def image(self, name):
            return None

    monkeypatch.setattr(base_image, "find_engine", Engine)
    with pytest.raises(WrongUse, match=r"docker has no image no:1: `map-build/base-debian FILE\.tar` makes"):
        find_base_image("no:1", cache)


def test_a_base_image_that_did_not_change_is_read_once(base_tar, cache, monkeypatch):
    first = find_base_image(str(base_tar), cache)
    monkeypatch.setattr(base_image, "_read", None)
    assert find_base_image(str(base_tar), cache) == first


def test_a_base_image_that_changed_is_read_again(base_tar, cache, tmp_path):
    path = tmp_path / "base.tar"
    path.write_bytes(base_tar.read_bytes())
    (first,) = find_base_image(str(path), cache).layers
    path.write_bytes(base_tar.read_bytes() + bytes(10240))
    (second,) = find_base_image(str(path), cache).layers
    assert first.digest != second.digest


def archive_of(layer, path, **config):
    """An image's archive of one layer."""
    with path.open("wb") as file:
        write_archive(Image("base:1", {"rootfs": {"diff_ids": [f"sha256:{layer.digest}"]}, **config}, (layer,)), file)
    return str(path)


def test_a_layer_that_is_not_the_one_that_its_digest_names_is_wrong_use_and_not_kept(base_tar, cache, tmp_path):
    """Later images of the true base would have stood on it."""
    base = read_layer(base_tar, "")
    other = write_layer(tmp_path / "other.tar", {PYTHON: b"hostile"}, "")
    false = dataclasses.replace(other, digest=base.digest)
    shutil.rmtree(cache)
    cache.mkdir()
    with pytest.raises(WrongUse, match=r"false\.tar is damaged"):
        find_base_image(archive_of(false, tmp_path / "false.tar"), cache)
    (layer,) = find_base_image(archive_of(base, tmp_path / "true.tar"), cache).layers
    assert layer.path.read_bytes() == base_tar.read_bytes()


@pytest.mark.parametrize(
    ("diff_ids", "words"), [(["sha256:../../x"], "no SHA-256"), ([], "names 0"), (["sha256:a", "sha256:b"], "names 2")]
)
def test_layers_that_the_configuration_does_not_name_as_digests_are_wrong_use(
    base_tar, cache, tmp_path, diff_ids, words
):
    archive = archive_of(read_layer(base_tar, ""), tmp_path / "a.tar", rootfs={"diff_ids": diff_ids})
    with pytest.raises(WrongUse, match=words):
        find_base_image(archive, cache)


def test_a_base_for_another_processor_is_wrong_use(base_tar, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(base_image.platform, "machine", lambda: "x86_64")
    archive = archive_of(read_layer(base_tar, ""), tmp_path / "arm.tar", architecture="arm64")
    with pytest.raises(WrongUse, match="is for arm64, the packages that would go in are for amd64"):
        find_base_image(archive, cache)
