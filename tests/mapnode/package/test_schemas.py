"""The JSON Schemas in map-build/ are those of the models that read manifests."""

import pytest

from mapnode.package.schemas import MODELS, schema_text, write_schemas
from mapnode.share import shared_folder


@pytest.mark.parametrize("name", MODELS)
def test_the_schema_in_the_repository_is_the_models(name):
    kept = (shared_folder("map-build") / name).read_text(encoding="utf-8")
    assert kept == schema_text(name), "python -m mapnode.package.schemas writes it anew"


def test_all_schemas_are_written(tmp_path):
    write_schemas(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in shared_folder("map-build").glob("*.json")
    }
