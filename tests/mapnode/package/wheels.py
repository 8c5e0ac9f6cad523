"""Wheels: one made here, and the one of pip that Python carries."""

import base64
import ensurepip
import hashlib
import zipfile
from pathlib import Path

WHEEL_NAME = "speck-1.0-py3-none-any.whl"
WHEEL_FILES = {
    "speck/__init__.py": "WORDS = {'a', 'b', 'c', 'd', 'e'}\n",
    "speck/__init__.pyi": "",
    "speck/tests/test_speck.py": "",
    "speck.pth": "import speck\n",
    "speck-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: speck\nVersion: 1.0\nLicense: MIT\n",
    "speck-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "speck-1.0.dist-info/symlinks.txt": "speck-1.0.data/purelib/speck/libspeck.so,libspeck.so.1,0\n",
    "speck/libspeck.so.1": "ELF",
}
"""A module, and one file of each kind that no MAP needs."""


def pip_wheel() -> Path | None:
    """The wheel of pip that Python's ensurepip carries, or Debian's python3-venv."""
    folders = (Path(ensurepip.__file__).with_name("_bundled"), Path("/usr/share/python-wheels"))
    return next((path for folder in folders for path in folder.glob("pip-*.whl")), None)


def write_wheel(folder: Path) -> str:
    """Write the wheel: its SHA-256."""
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in WHEEL_FILES.items())
    path = folder / WHEEL_NAME
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in (
            *WHEEL_FILES.items(),
            ("speck-1.0.dist-info/RECORD", f"{record}speck-1.0.dist-info/RECORD,,\n"),
        ):
            wheel.writestr(zipfile.ZipInfo(name), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
