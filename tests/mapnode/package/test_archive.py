"""Image archives: written as OCI and Docker define them, read whoever wrote them."""

import hashlib
import io
import json
import tarfile

import pytest

from mapnode.errors import WrongUse
from mapnode.package.archive import Image, ImageArchive, files_of, write_archive
from mapnode.package.layers import write_layer


@pytest.fixture
def image(tmp_path):
    lower = write_layer(tmp_path / "lower.tar", {"/etc/a": b"lower", "/etc/b": b"b"}, "lower")
    upper = write_layer(tmp_path / "upper.tar", {"/etc/a": b"upper"}, "upper")
    config = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{x.digest}" for x in (lower, upper)]}}
    return Image("name:1", config, (lower, upper))


def written(image, without=()):
    file = io.BytesIO()
    write_archive(image, file, without)
    return file.getvalue()


def opened(content: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(content))


def layer(files: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    file.seek(0)
    return file


def test_every_blob_is_called_by_its_digest(image):
    with opened(written(image)) as tar:
        blobs = [name for name in tar.getnames() if name.startswith("blobs/")]
        assert len(blobs) == 4
        for name in blobs:
            assert hashlib.sha256(tar.extractfile(name).read()).hexdigest() == name.rsplit("/", 1)[-1]


def test_the_index_leads_to_manifest_configuration_and_layers(image):
    with opened(written(image)) as tar:

        def blob(descriptor):
            content = tar.extractfile("blobs/" + descriptor["digest"].replace(":", "/")).read()
            assert len(content) == descriptor["size"]
            return content

        assert json.loads(tar.extractfile("oci-layout").read()) == {"imageLayoutVersion": "1.0.0"}
        (entry,) = json.loads(tar.extractfile("index.json").read())["manifests"]
        manifest = json.loads(blob(entry))
        config = json.loads(blob(manifest["config"]))
        assert [f"sha256:{hashlib.sha256(blob(x)).hexdigest()}" for x in manifest["layers"]] == config["rootfs"][
            "diff_ids"
        ]


def test_the_same_image_gives_the_same_archive(image):
    assert written(image) == written(image)


def test_layers_that_the_reader_has_are_left_out_and_still_named(image):
    with opened(written(image, without=[image.layers[0].digest])) as tar:
        names = tar.getnames()
        assert f"blobs/sha256/{image.layers[0].digest}" not in names
        assert f"blobs/sha256/{image.layers[1].digest}" in names
        assert len(ImageArchive(tar, "x").layers) == 2


def test_an_archive_is_read_back(image):
    with opened(written(image)) as tar:
        archive = ImageArchive(tar, "x")
        assert archive.tags == ["name:1"]
        assert archive.config == image.config
        assert archive.files({"/etc/a", "/etc/b", "/etc/c"}) == {"/etc/a": b"upper", "/etc/b": b"b"}


def test_a_whiteout_takes_a_file_or_folder_away():
    lower = {"./etc/a": b"1", "etc/b/c": b"2", "etc/b/d": b"3", "etc/e": b"4"}
    upper = {"etc/.wh.a": b"", "etc/.wh.b": b""}
    assert files_of([layer(lower), layer(upper)], {"/etc/a", "/etc/b/c", "/etc/b/d", "/etc/e"}) == {"/etc/e": b"4"}


def test_an_opaque_folder_hides_what_lower_layers_have_in_it():
    lower, upper = {"etc/a": b"1", "etc2/a": b"2"}, {"etc/.wh..wh..opq": b"", "etc/b": b"3"}
    found = files_of([layer(lower), layer(upper)], {"/etc/a", "/etc2/a", "/etc/b"})
    assert found == {"/etc2/a": b"2", "/etc/b": b"3"}


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'[{"Config": "no"}]', b"[1]"])
def test_an_archive_of_something_else_is_wrong_use(content):
    with (
        tarfile.open(fileobj=layer({"manifest.json": content})) as tar,
        pytest.raises(WrongUse, match="x is no archive"),
    ):
        ImageArchive(tar, "x")


def test_an_archive_without_a_manifest_is_wrong_use():
    with tarfile.open(fileobj=layer({"a": b""})) as tar, pytest.raises(WrongUse, match="x is no archive"):
        ImageArchive(tar, "x")


def test_what_a_layer_has_itself_it_does_not_hide():
    """Markers hide what lower layers have, wherever they stand (OCI image-spec, layer.md)."""
    upper = {"etc/a": b"2", "etc/.wh..wh..opq": b"", "etc/.wh.a": b""}
    assert files_of([layer({"etc/a": b"1"}), layer(upper)], {"/etc/a"}) == {"/etc/a": b"2"}


@pytest.mark.parametrize("name", ["etc/a", "etc"])
def test_a_link_in_the_place_of_a_file_or_its_folder_hides_it(name):
    upper = io.BytesIO()
    with tarfile.open(fileobj=upper, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    upper.seek(0)
    assert files_of([layer({"etc/a": b"1"}), upper], {"/etc/a"}) == {}


def test_an_oci_layout_is_read_without_dockers_manifest(image):
    """As `podman save --format oci-archive` and BuildKit write it, the latter with a word on the making beside it."""
    with opened(written(image)) as tar:
        parts = {name: tar.extractfile(name).read() for name in tar.getnames() if name != "manifest.json"}
    index = json.loads(parts["index.json"])
    making = {"digest": f"sha256:{'0' * 64}", "platform": {"os": "unknown", "architecture": "unknown"}}
    inner = json.dumps({"manifests": [making, *index["manifests"]]}).encode()
    name = hashlib.sha256(inner).hexdigest()
    parts[f"blobs/sha256/{name}"] = inner
    parts["index.json"] = json.dumps({"manifests": [{"digest": f"sha256:{name}"}]}).encode()
    with tarfile.open(fileobj=layer(parts)) as tar:
        archive = ImageArchive(tar, "x")
        assert archive.config == image.config
        assert archive.files({"/etc/a", "/etc/b"}) == {"/etc/a": b"upper", "/etc/b": b"b"}
