"""Current app: what a job would run now, held against what it was made for, and what it need not run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mapnode.containers.images import MapImage
from mapnode.errors import NodeError
from mapnode.records.switches import app_switch
from operators.core.contract import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapnode.app_catalogue import Runnable
    from mapnode.jobs.spec import JobSpec
    from mapnode.jobs.work import Workplace
    from mapnode.records import JobRecord


class AppChanged(NodeError):
    """App or reference set changed since the job was made: the result would be stored under another one's identity."""


class AppElsewhere(NodeError):
    """A worker lacks what a job was made for, which says nothing of the node: another process does the job."""


class AppOff(NodeError):
    """The app was switched off: nothing of it goes out before it is on again."""


def require_on(app: str, switches: Mapping[str, str]) -> None:
    """An app is not switched off.

    Args:
        app: Its name.
        switches: What is off, and why.

    Raises:
        AppOff: If it is.
    """
    if (switch := app_switch(app)) in switches:
        raise AppOff(f"{app} is switched off: {switches[switch]}; `mapnode resume --app {app}` switches it on again")


def require_unchanged(app: Runnable, spec: JobSpec) -> None:
    """What would run is what the job was made for.

    Raises:
        AppChanged: If it is not.
    """
    if app.version != spec.app_version:
        raise AppChanged(f"{spec.app} is {app.version} now, the job was made for {spec.app_version}")
    if isinstance(app, MapImage) and app.digest != spec.image:
        raise AppChanged(f"{spec.app} is pinned to another image now than the job was made for")
    if app.model_digest != spec.model_digest:
        raise AppChanged(f"{spec.app} has another model now than the job was made for")
    if app.reference_digest != spec.reference:
        raise AppChanged(f"the site's reference set for {spec.app} is not the one that the job was made for")


def kept_result(place: Workplace, app: Runnable, record: JobRecord) -> dict[str, Any] | None:
    """The results of a foreign MAP of which something may be in the PACS: it would give them other UIDs the next time.

    Raises:
        NodeError: If their files are gone.
    """
    if not isinstance(app, MapImage) or app.own is not None or not record.stored:
        return None
    try:
        text = (place.job_folder(record.id) / "output" / "result.json").read_text(encoding="utf-8")
    except OSError as error:
        raise NodeError(
            f"{app.name} would give its results other UIDs than those that were stored, whose files are gone: "
            "`mapnode rerun` makes new ones and has the earlier ones rejected"
        ) from error
    kept: dict[str, Any] = Result.model_validate_json(text).model_dump(mode="json", by_alias=True)
    return kept
