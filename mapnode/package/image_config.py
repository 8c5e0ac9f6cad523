"""Image configuration: how an image of layers is run (OCI image-spec, config.md); the Dockerfile says the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mapnode.package import layout
from mapnode.package.layers import Layer, source_date_epoch
from mapnode.package.plan import HOLOSCAN, SDK

if TYPE_CHECKING:
    from mapnode.package.base_image import BaseImage
    from mapnode.package.plan import Plan

GPU_ENVIRONMENT = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
"""What NVIDIA's container runtime asks for; a CPU image has none of it, so that no such runtime is demanded."""


def labels(plan: Plan) -> dict[str, str]:
    """Annotations of the image: the specification's, and those that the last packager wrote."""
    part = plan.app.manifest.application
    return {
        "org.opencontainers.image.title": part.title,
        "org.opencontainers.image.version": part.version,
        "org.opencontainers.image.description": part.summary,
        "org.nvidia.holoscan": plan.version_of(HOLOSCAN),
        "org.monai.deploy.app-sdk": plan.version_of(SDK),
    }


def environment(plan: Plan) -> dict[str, str]:
    """Variables of the image besides its base's."""
    gpu = GPU_ENVIRONMENT if plan.platform == "cuda" else {}
    return {**layout.environment(plan.version_of(HOLOSCAN)), **gpu}


def image_config(plan: Plan, base: BaseImage, layers: tuple[Layer, ...]) -> dict[str, Any]:
    """The configuration of an image.

    Args:
        plan: What is in it.
        base: What it stands on.
        layers: All layers, the base's among them.

    Returns:
        The document. It depends on the layers and the plan alone, so that its digest, the image's ID, does.
    """
    created = datetime.fromtimestamp(source_date_epoch(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    variables = {**base.environment, **environment(plan)}
    return {
        "architecture": base.architecture,
        "os": "linux",
        "created": created,
        "config": {
            "User": f"{layout.USER}:{layout.USER}",
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Entrypoint": [layout.ENTRY_POINT],
            "WorkingDir": layout.WORK_DIR,
            "Labels": labels(plan),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        "history": [{"created": created, "created_by": layer.description} for layer in layers],
    }
