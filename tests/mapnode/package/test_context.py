"""Build contexts for other builders: a Dockerfile, and what it takes."""

import dataclasses
import os

import pytest

from mapnode.errors import WrongUse
from mapnode.package.context import dockerfile, write_context
from mapnode.package.image_config import environment


@pytest.fixture
def context(plan, wheelhouse, tmp_path):
    write_context(plan, "base:1", wheelhouse, tmp_path / "context")
    return tmp_path / "context"


def test_everything_that_the_dockerfile_copies_is_there(context):
    lines = [line.split() for line in (context / "Dockerfile").read_text().splitlines()]
    copied = [word for words in lines if words[:1] == ["COPY"] and "--from" not in words[1] for word in words[1:-1]]
    assert copied
    assert all((context / name).exists() for name in copied)


def test_the_wheels_are_those_of_the_image_and_pips(context):
    assert [path.name.split("-")[0] for path in sorted((context / "wheels").iterdir())] == ["pip", "speck"]


def test_files_lie_where_they_will_lie_in_the_image(context):
    assert (context / "app/opt/holoscan/app/app.py").is_file()
    assert (context / "app/var/holoscan/tools").stat().st_mode & 0o777 == 0o755
    assert (context / "app/var/holoscan/output").is_dir()
    assert (context / "operators/opt/holoscan/app/operators/core/catalogue.yaml").is_file()


def test_the_dockerfile_says_what_the_configuration_says(plan):
    text = dockerfile(plan, "base:1")
    assert text.count("FROM base:1") == 2
    assert all(f'{name}="{value}"' in text for name, value in environment(plan).items())
    assert "USER 1000:1000" in text
    assert 'ENTRYPOINT ["/var/holoscan/tools"]' in text


def test_a_folder_that_is_there_is_left_alone(plan, wheelhouse, tmp_path):
    with pytest.raises(WrongUse, match="exists: a build context is made new"):
        write_context(plan, "base:1", wheelhouse, tmp_path)


def test_a_base_in_a_file_has_to_be_imported_first(plan, wheelhouse, base_tar, tmp_path):
    with pytest.raises(WrongUse, match="docker import"):
        write_context(plan, str(base_tar), wheelhouse, tmp_path / "context")


def test_a_wheel_that_the_wheelhouse_does_not_have_is_named(plan, tmp_path):
    (tmp_path / "wheels").mkdir()
    with pytest.raises(WrongUse, match=r"has no wheel of speck 1\.0"):
        write_context(plan, "base:1", tmp_path / "wheels", tmp_path / "context")


def test_whatever_the_umask_the_images_user_may_read_all(plan, wheelhouse, tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "weights").write_text("")
    (tmp_path / "net" / "weights").chmod(0o600)
    mask = os.umask(0o077)
    try:
        write_context(dataclasses.replace(plan, model=tmp_path / "net"), "base:1", wheelhouse, tmp_path / "context")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)
    copied = [path for part in ("app", "operators", "models") for path in (tmp_path / "context" / part).rglob("*")]
    assert copied
    assert {path.stat().st_mode & 0o777 for path in copied if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in copied if path.is_file()} <= {0o755, 0o644}
