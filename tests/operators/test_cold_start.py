"""What the start of an app does not pay for: libraries that few runs need, and tables that none needs as a whole."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPS = sorted(path.name for path in (ROOT / "apps").iterdir() if (path / "app.py").is_file())
RARE = (
    "scipy.signal", "scipy.stats", "scipy.interpolate", "scipy.optimize", "scipy.integrate",
    "sklearn", "pandas", "matplotlib", "nibabel", "SimpleITK", "torch", "monai.transforms",
)  # fmt: skip
LOADED = f"""
import sys
from pathlib import Path
from operators.runtime.worker import load_application, prepare_steps
load_application(Path(sys.argv[1]))
prepare_steps(None)
print([name for name in {RARE!r} if name in sys.modules])
"""


@pytest.mark.parametrize("app", APPS)
def test_an_app_is_loaded_and_rehearsed_without_libraries_that_few_runs_need(app):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED, f"apps/{app}/app.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "[]"
