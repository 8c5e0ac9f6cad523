"""Reference building: the features that an app measures on a site's usual studies, as one reference set."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse
from mapnode.runners.process import run_app
from operators.core.contract import Progress, Status
from operators.core.reference_set import ReferenceSetError, build_reference_set

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mapnode.app_catalogue import App
    from operators.core.contract import Result
    from operators.core.reference_set import ReferenceSet


@dataclass(frozen=True)
class LeftOut:
    """A study that is not in the set, and why."""

    folder: Path
    reason: str


@dataclass(frozen=True)
class Built:
    """A reference set and what is not in it."""

    reference: ReferenceSet
    left_out: tuple[LeftOut, ...]


def build(app: App, folders: Sequence[Path], percentile: float, on_progress: Callable[[Progress], None]) -> Built:
    """Run an app on studies and make a reference set of those that it measures.

    Args:
        app: The app.
        folders: One folder a study.
        percentile: Of the studies' own distances, above which another study is unusual.
        on_progress: Hears of progress.

    Returns:
        The set, without studies that were refused or held and without copies of a study.

    Raises:
        WrongUse: If a folder is missing, the app measures no features, or too few studies are left.
    """
    scans: list[dict[str, float | None]] = []
    left_out = []
    for index, folder in enumerate(folders):

        def show(progress: Progress, index: int = index) -> None:
            fraction = (index + progress.fraction) / len(folders)
            on_progress(progress.model_copy(update={"fraction": fraction, "operator": f"study {index + 1}"}))

        with tempfile.TemporaryDirectory() as target:
            result = run_app(app, folder, Path(target), on_progress=show)
        reason = _why_not(result, scans)
        if reason is None and result.quality is not None:
            scans.append(result.quality.features)
        else:
            left_out.append(LeftOut(folder, reason or "no quality"))
    try:
        reference = build_reference_set(app.name, app.manifest.application.version, scans, percentile)
    except ReferenceSetError as error:
        reasons = "; ".join(f"{one.folder}: {one.reason}" for one in left_out)
        raise WrongUse(f"{error}{f' ({reasons})' if reasons else ''}") from error
    return Built(reference, tuple(left_out))


def _why_not(result: Result, scans: Sequence[Mapping[str, float | None]]) -> str | None:
    """Why a study is no further example of what is usual; None if it is one."""
    if result.status is not Status.DONE:
        return result.sentence
    if result.quality is None or result.quality.verdict == "hold":
        return "the numbers were held back"
    if not result.quality.features:
        return f"{result.app} measures no features (CheckDistribution)"
    # Its copies would be its nearest neighbours: thresholds shrink, and of copies alone nothing is ever unusual.
    return (
        "it is in the set already: all its features are those of another study"
        if result.quality.features in scans
        else None
    )
