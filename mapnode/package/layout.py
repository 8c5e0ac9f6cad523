"""Layout: where things lie in a MAP, and the variables that say so (MAP specification 1.0.0)."""

from __future__ import annotations

OURS = "operators"
"""The one package of ours that an app may import (docs/architecture.md); in an image it lies beside app.py."""
APP_ROOT = "/opt/holoscan/app"
MODEL_ROOT = "/opt/holoscan/models"
DOCS_ROOT = "/opt/holoscan/docs"
PACKAGES_ROOT = "/opt/holoscan/python"
"""Python packages of the app; the specification leaves their place open."""
WORK_DIR = "/var/holoscan"
INPUT = f"{WORK_DIR}/input"
OUTPUT = f"{WORK_DIR}/output"
LOGS = f"{WORK_DIR}/logs"
CONFIG = f"{WORK_DIR}/app.yaml"
ENTRY_POINT = f"{WORK_DIR}/tools"
APP_MANIFEST = "/etc/holoscan/app.json"
PKG_MANIFEST = "/etc/holoscan/pkg.json"
EXPORT_ROOT = "/run/holoscan/export"
"""The specification says /var/run, which is a link to /run: a layer must not put a folder in its place."""
COMMAND = ("python3", f"{APP_ROOT}/app.py")
USER = 1000
"""Nobody in particular, and not root; a runner may put its own in its place."""
SPECIFICATION = "1.0.0"

FOLDERS = (
    INPUT,
    OUTPUT,
    LOGS,
    MODEL_ROOT,
    DOCS_ROOT,
    *(f"{EXPORT_ROOT}/{n}" for n in ("app", "config", "models", "docs")),
)
"""Folders that are there, empty where nothing comes into them, so that they can be mounted on a read-only root."""


def environment(version: str) -> dict[str, str]:
    """The variables of a MAP.

    Args:
        version: The Holoscan SDK's.

    Returns:
        Value by name, in the order in which they are written.
    """
    return {
        "HOLOSCAN_APPLICATION": APP_ROOT,
        "HOLOSCAN_INPUT_PATH": INPUT,
        "HOLOSCAN_OUTPUT_PATH": OUTPUT,
        "HOLOSCAN_WORKDIR": WORK_DIR,
        "HOLOSCAN_MODEL_PATH": MODEL_ROOT,
        "HOLOSCAN_CONFIG_PATH": CONFIG,
        "HOLOSCAN_APP_MANIFEST_PATH": APP_MANIFEST,
        "HOLOSCAN_PKG_MANIFEST_PATH": PKG_MANIFEST,
        # The specification's names, and those that the last packager (holoscan-cli 4.2.0) set.
        "HOLOSCAN_DOCS": DOCS_ROOT,
        "HOLOSCAN_DOCS_PATH": DOCS_ROOT,
        "HOLOSCAN_LOGS": LOGS,
        "HOLOSCAN_LOGS_PATH": LOGS,
        "HOLOSCAN_TIMEOUT": "0",
        "HOLOSCAN_VERSION": version,
        "PYTHONPATH": f"{APP_ROOT}:{PACKAGES_ROOT}",
        # An app's pyc files are in the image, its root is read-only, and its results must not depend on a seed.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        # OpenBLAS has threads for each core, once for NumPy and once for SciPy, which wait for work in circles for 2^26
        # cycles, from their start on and after each product: at 2^4, the least, they fall asleep at once.
        "OPENBLAS_THREAD_TIMEOUT": "4",
        # monai.deploy asks for the user's name, which a number alone does not have.
        "USER": "holoscan",
    }
