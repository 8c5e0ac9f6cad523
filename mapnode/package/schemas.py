"""Schemas: the JSON Schemas of app.json and pkg.json in map-build/, as the models give them.

python -m mapnode.package.schemas        writes them anew
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mapnode.package.manifests import AppManifest, PackageManifest
from mapnode.share import shared_folder

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

MODELS: dict[str, type[BaseModel]] = {"app.schema.json": AppManifest, "pkg.schema.json": PackageManifest}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text(name: str) -> str:
    """The schema of that file name, as it lies in map-build/."""
    return json.dumps({"$schema": DIALECT, **MODELS[name].model_json_schema()}, indent=2) + "\n"


def write_schemas(folder: Path) -> None:
    """Write all schemas into a folder."""
    for name in MODELS:
        (folder / name).write_text(schema_text(name), encoding="utf-8")


if __name__ == "__main__":
    write_schemas(shared_folder("map-build"))
