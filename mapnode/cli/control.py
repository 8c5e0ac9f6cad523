"""mapnode pause, drain, resume, rerun: what keeps the node from working, and what has it work again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mapnode.cli.ledger import open_ledger
from mapnode.cli.printing import print_json, print_line
from mapnode.cli.up import settings_of

if TYPE_CHECKING:
    from mapnode.jobs.ledger import Ledger

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings of the node.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in `mapnode status`.")]
App = Annotated[str | None, typer.Option("--app", metavar="APP", help="Only this app.")]


def pause(
    *, app: App = None, reason: Reason = "paused on demand", config: Config = None, as_json: AsJson = False
) -> None:
    """Start no more jobs, of all apps or of one; studies are taken, and jobs wait. What runs goes on.

    With --app results of that app that wait to go out, or to be released, are kept, too.

    Example: mapnode pause --app ct_body_composition --reason "wrong numbers in three reports"
    """
    from mapnode.records.switches import JOBS, app_switch

    _known(app, config)
    with open_ledger(config) as ledger:
        ledger.records.switches.off(JOBS if app is None else app_switch(app), reason)
        _print(ledger, as_json=as_json)


def drain(*, reason: Reason = "drained on demand", config: Config = None, as_json: AsJson = False) -> None:
    """Take no more studies (senders keep them), and bring to an end what has come: before an upgrade, for instance.

    Example: mapnode drain --reason "upgrade on Monday"
    """
    from mapnode.records.switches import INTAKE

    with open_ledger(config) as ledger:
        ledger.records.switches.off(INTAKE, reason)
        _print(ledger, as_json=as_json)


def resume(*, app: App = None, config: Config = None, as_json: AsJson = False) -> None:
    """Take studies and start jobs again; with --app only what was paused of that app.

    Example: mapnode resume
    """
    from mapnode.records.switches import INTAKE, JOBS, app_switch

    _known(app, config)
    with open_ledger(config) as ledger:
        for name in (JOBS, INTAKE) if app is None else (app_switch(app),):
            ledger.records.switches.on(name)
        _print(ledger, as_json=as_json)


def rerun(
    uids: Annotated[list[str], typer.Argument(metavar="UID...", help="Study or Series Instance UIDs.")],
    *,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Decide studies or series again, with the rules and apps of now, and run what was run before once more.

    New results supersede the earlier ones.

    Example: mapnode rerun 1.2.840.113619.2.55
    """
    with open_ledger(config) as ledger:
        ledger.rerun(uids)
    if as_json:
        print_json({"asked_for": uids})
        return
    print_line("the node decides again; `mapnode jobs list` shows what follows")


def _known(app: str | None, config: Path | None) -> None:
    """An app of that name is there, or an image that may run.

    Raises:
        WrongUse: If there is none.
    """
    from mapnode.app_catalogue import find_app

    if app is not None and app not in settings_of(config).images:
        find_app(app)


def _print(ledger: Ledger, *, as_json: bool) -> None:
    switches = ledger.records.switches.all()
    if as_json:
        print_json({"off": switches})
        return
    for name, reason in switches.items():
        print_line(f"off: {name}  {reason}")
    if not switches:
        print_line("everything is on")
