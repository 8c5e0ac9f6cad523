"""App manifests: app.json and pkg.json of one of our apps, from its app.yaml."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mapnode.package import layout
from mapnode.package.manifests import AppManifest, Input, Output, PackagedModel, PackageManifest, Resources
from mapnode.package.plan import HOLOSCAN, SDK
from mapnode.runners.memory import parse_memory

if TYPE_CHECKING:
    from mapnode.package.plan import Plan

DICOM_FILES = {"type": "file", "mediaType": "application/dicom"}
PLATFORM_CONFIGS = {"cpu": "cpu", "cuda": "dgpu"}
"""What the last packager called them."""


def app_manifest(plan: Plan) -> AppManifest:
    """The app.json of a planned image."""
    return AppManifest(
        api_version=layout.SPECIFICATION,
        type="application",
        command=shlex.join(layout.COMMAND),
        environment=layout.environment(plan.version_of(HOLOSCAN)),
        input=Input(path=layout.INPUT, formats=(DICOM_FILES,)),
        output=Output(path=layout.OUTPUT, format=DICOM_FILES),
        sdk="monai-deploy-app-sdk",
        sdk_version=plan.version_of(SDK),
        version=plan.app.manifest.application.version,
        working_directory=layout.WORK_DIR,
    )


def package_manifest(plan: Plan) -> PackageManifest:
    """The pkg.json of a planned image."""
    resources = plan.app.manifest.resources
    # An app may do without one; an image that was made for GPUs is given one.
    gpu = max(resources.gpu, 1) if plan.platform == "cuda" else resources.gpu
    models = () if plan.model is None else (PackagedModel(name=plan.model.name, path=plan.model.name),)
    return PackageManifest(
        api_version=layout.SPECIFICATION,
        application_root=layout.APP_ROOT,
        model_root=layout.MODEL_ROOT,
        models=models,
        resources=Resources(cpu=resources.cpu, gpu=gpu, memory=memory_size(resources.memory)),
        version=plan.app.manifest.application.version,
        platform_config=PLATFORM_CONFIGS[plan.platform],
    )


def memory_size(text: str) -> str:
    """A quantity of app.yaml in the units that the specification has, rounded up.

    Examples:
        >>> memory_size("4Gi"), memory_size("1.5Gi"), memory_size("2G")
        ('4Gi', '1536Mi', '1908Mi')
    """
    mebibytes = -(-parse_memory(text) // 2**20)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
