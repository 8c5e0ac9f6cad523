"""Images of others: MAPs with warnings, and what is no MAP."""

import gzip
import io
import tarfile

import pytest

from mapnode.errors import WrongUse
from mapnode.package import inspect_map as module
from mapnode.package.archive import Image, write_archive
from mapnode.package.inspect_map import inspect_map
from mapnode.package.layers import write_layer
from mapnode.package.manifests import ManifestInvalid
from tests.mapnode.package.test_manifests import FOREIGN_APP, FOREIGN_PKG

FILES = {"/etc/holoscan/app.json": FOREIGN_APP.encode(), "/etc/holoscan/pkg.json": FOREIGN_PKG.encode()}
LABELS = {"org.opencontainers.image.title": "A stock app", "org.opencontainers.image.version": "1.0.0"}


@pytest.fixture
def image(tmp_path):
    def make(files=FILES, **config):
        layer = write_layer(tmp_path / "layer.tar", files, "")
        document = {"config": {"User": "1000", "Entrypoint": ["/var/holoscan/tools"], "Labels": LABELS, **config}}
        with (tmp_path / "image.tar").open("wb") as file:
            write_archive(Image("a:1", document, (layer,)), file)
        return str(tmp_path / "image.tar")

    return make


def test_a_map_of_the_last_packager_is_read(image):
    found = inspect_map(image())
    assert (found.title, found.app.version) == ("A stock app", "1.0.0")
    assert found.package.resources.gpu == 1


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        ({"User": ""}, "the image runs as root"),
        ({"User": "0:0"}, "the image runs as root"),
        ({"Entrypoint": None}, "the image has neither entry point nor command"),
        ({"Labels": None}, "the label org.opencontainers.image.title is missing"),
        (
            {"Labels": {**LABELS, "org.opencontainers.image.version": "2.0.0"}},
            "the label org.opencontainers.image.version",
        ),
    ],
)
def test_what_an_image_leaves_to_be_wished_is_said(image, config, warning):
    assert any(text.startswith(warning) for text in inspect_map(image(**config)).warnings)


@pytest.mark.parametrize("missing", FILES)
def test_an_image_without_a_manifest_is_no_map(image, missing):
    files = {name: content for name, content in FILES.items() if name != missing}
    with pytest.raises(ManifestInvalid, match=f"the image is no MAP: {missing} missing"):
        inspect_map(image(files))


def test_a_wrong_manifest_is_refused(image):
    with pytest.raises(ManifestInvalid, match=r"app\.json: command: Field required"):
        inspect_map(image({**FILES, "/etc/holoscan/app.json": b'{"input": {}, "output": {}}'}))


def test_a_file_that_is_no_archive_is_wrong_use(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"no tar" * 500)
    with pytest.raises(WrongUse, match="is no archive of a container image"):
        inspect_map(str(tmp_path / "x.tar"))


def test_an_image_that_nobody_has_is_wrong_use(monkeypatch):
    class Engine:
        program = "docker"

        def image(self, name):
            return None

    monkeypatch.setattr(module, "find_engine", Engine)
    with pytest.raises(WrongUse, match="there is no file nobody:1, and docker has no image of that name"):
        inspect_map("nobody:1")


def broken(**parts):
    """An archive of an image with other parts than it should have, by their names."""
    whole = {
        "manifest.json": b'[{"Config": "c.json", "Layers": ["layer"]}]',
        "c.json": b"{}",
        "layer": gzip.compress(tar_of({name[1:]: content for name, content in FILES.items()})),
    }
    return tar_of({**whole, **{name.replace("_json", ".json"): content for name, content in parts.items()}})


def tar_of(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, None if isinstance(content, str) else io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize(
    "parts",
    [
        {"manifest_json": b"[" * 200_000},
        {"manifest_json": b'[{"Config": "c.json", "Layers": null}]'},
        {"manifest_json": b'[{"Config": "c.json", "Layers": ["gone"]}]'},
        {"c_json": b"[]"},
        {"c_json": b'{"config": []}'},
        {"c_json": b'{"config": {"Labels": ["a"]}}'},
        {"layer": "layer"},
        {"layer": b"\x28\xb5\x2f\xfd as Zstandard begins"},
        {"layer": gzip.compress(tar_of({"a": b"a" * 100_000}))[:-30]},
    ],
)
def test_a_broken_or_hostile_archive_is_wrong_use(tmp_path, parts):
    (tmp_path / "whole.tar").write_bytes(broken())
    assert inspect_map(str(tmp_path / "whole.tar")).app.version == "1.0.0"
    (tmp_path / "broken.tar").write_bytes(broken(**parts))
    with pytest.raises(WrongUse, match=r"broken\.tar is no archive of a container image"):
        inspect_map(str(tmp_path / "broken.tar"))


def test_a_manifest_that_unpacks_to_any_size_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("mapnode.package.archive.LARGEST_FILE_BYTES", 1 << 20)
    bomb = gzip.compress(tar_of({"etc/holoscan/app.json": bytes(2 << 20)}))
    (tmp_path / "bomb.tar").write_bytes(broken(layer=bomb))
    with pytest.raises(WrongUse, match=r"/etc/holoscan/app\.json has more than 1 MiB"):
        inspect_map(str(tmp_path / "bomb.tar"))
