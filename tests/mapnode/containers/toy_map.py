"""Tiny MAPs of a few lines of Python, with manifests as holoscan-cli 4.2.0 writes them."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapnode.containers.images import Images, MapImage
from mapnode.package.archive import Image, write_archive
from mapnode.package.base_image import find_base_image
from mapnode.package.container_engine import ContainerEngine
from mapnode.package.layers import write_layer
from mapnode.settings import ImageSettings
from tests.docker_under_test import debian_base

APP_JSON = {
    "apiVersion": "1.0.0",
    "command": '["python3", "/opt/holoscan/app"]',
    "environment": {},
    "input": {"path": "input", "formats": None},
    "output": {"path": "output", "formats": None},
    "readiness": None,
    "liveness": None,
    "sdk": "monai-deploy",
    "sdkVersion": "4.0.0",
    "timeout": 0,
    "version": "1.0.0",
    "workingDirectory": "/var/holoscan",
}
PKG_JSON = {
    "apiVersion": "1.0.0",
    "applicationRoot": "/opt/holoscan/app",
    "modelRoot": "/opt/holoscan/models",
    "models": {},
    "resources": {"cpu": 1, "gpu": 0, "memory": "256Mi", "gpuMemory": "1Gi"},
    "version": "1.0.0",
    "platformConfig": "cpu",
}
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOLOSCAN_INPUT_PATH": "/var/holoscan/input",
    "HOLOSCAN_OUTPUT_PATH": "/var/holoscan/output",
    "HOLOSCAN_WORKDIR": "/var/holoscan",
    "HOLOSCAN_LOGS_PATH": "/var/holoscan/logs",
}
OBEYS = "exec(pathlib.Path('/var/holoscan/input/code.py').read_text())"
"""A MAP that does what the study says: one image for everything that a MAP may do."""
BEGIN = "import os, pathlib, socket, sys, time\nOUT = pathlib.Path(os.environ['HOLOSCAN_OUTPUT_PATH'])\n"


@dataclass
class ToyMaps:
    """Makes images, and loads them into Docker.

    Attributes:
        folder: Where layers are written.
    """

    folder: Path

    def __post_init__(self) -> None:
        self._loaded: list[str] = []
        self.tags: list[str] = []
        self._base = find_base_image(str(debian_base()), self.folder)

    def make(
        self,
        name: str,
        code: str,
        *,
        files: dict[str, Path | bytes | None] | None = None,
        resources: dict[str, Any] | None = None,
        app: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
    ) -> str:
        """An image that runs a few lines of Python; its digest."""
        tag = f"mapnode-toy-{name}:1"
        package = {**PKG_JSON, "resources": {**PKG_JSON["resources"], **(resources or {})}}
        content = {
            "/etc/holoscan/app.json": json.dumps({**APP_JSON, **(app or {})}).encode(),
            "/etc/holoscan/pkg.json": json.dumps(package).encode(),
            **dict.fromkeys(("/var/holoscan/input", "/var/holoscan/output", "/var/holoscan/logs")),
            **(files or {}),
        }
        layers = (*self._base.layers, write_layer(self.folder / f"{name}.tar", content, "toy"))
        document = {
            "architecture": self._base.architecture,
            "os": "linux",
            "config": {
                "User": "1000:1000",
                "Env": [f"{key}={value}" for key, value in ENVIRONMENT.items()],
                "Entrypoint": ["python3", "-u", "-c", BEGIN + code],
                "WorkingDir": "/var/holoscan",
                **(config or {}),
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        }
        image = Image(tag, document, layers)
        ContainerEngine("docker").load(functools.partial(write_archive, image, without=tuple(self._loaded)))
        self._loaded = [layer.digest for layer in self._base.layers]
        self.tags.append(tag)
        return f"sha256:{image.image_id}"


def allowed(digests: dict[str, str], **settings: Any) -> Images:
    """An allow-list of toys by name."""
    return Images(
        {f"mapnode-toy-{name}:1": ImageSettings(digest=digest, **settings) for name, digest in digests.items()}, None
    )


def found(name: str, digest: str, **settings: Any) -> tuple[Images, MapImage]:
    """The allow-list of one toy, and the toy as it is found there."""
    images = allowed({name: digest}, **settings)
    return images, images.find(f"mapnode-toy-{name}:1")
