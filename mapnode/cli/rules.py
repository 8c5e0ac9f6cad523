"""mapnode rules: is a rules file right, what would it do with a study, and what did the node decide."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapnode.cli.printing import print_error, print_json, print_line
from mapnode.cli.up import settings_of
from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from mapnode.rules import RuleSet, SeriesFacts
    from operators.core.reading import Series

rules_app = typer.Typer(
    no_args_is_help=True, help="Check rules, explain what they would decide, and show what the node decided."
)

CONFIG = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings of the node, which list its images; mapnode.yaml here."),
]
FILE = typer.Argument(metavar="FILE", help="The rules, such as rules.yaml; docs/rules.md says what may stand in it.")


@rules_app.command("check")
def check(
    file: Annotated[Path, FILE],
    *,
    config: CONFIG = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print file, valid, rules and problems as JSON.")] = False,
) -> None:
    """Check a rules file: each problem with line, key and the fix; images against the list in mapnode.yaml.

    The exit code is 2 if there is a problem. Nothing runs, and a running node is not told.

    Example: mapnode rules check rules.yaml
    """
    from mapnode.rules import RulesError

    try:
        rule_set = _load(file, config)
    except RulesError as error:
        if as_json:
            problems = [{"line": p.line, "key": p.key, "message": p.message} for p in error.problems]
            print_json({"file": str(file), "valid": False, "rules": [], "problems": problems})
        raise _refused(error) from error
    if as_json:
        print_json({"file": str(file), "valid": True, "rules": _described(rule_set), "problems": []})
        return
    print_line(f"{file}: {len(rule_set.rules)} rules, no problem")
    for rule in rule_set.rules:
        print_line(f"  {rule.name} -> {rule.runs} ({rule.priority}), {len(rule.clauses)} clauses")


@rules_app.command("explain")
def explain(
    file: Annotated[Path, FILE],
    folder: Annotated[Path, typer.Argument(metavar="STUDY_FOLDER", help="Folder with DICOM files, in any depth.")],
    *,
    config: CONFIG = None,
    calling_aet: Annotated[str, typer.Option(help="AE title that the study would come from.")] = "",
    called_aet: Annotated[str, typer.Option(help="AE title that it would be sent to.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON list, an entry a series and a study.")
    ] = False,
) -> None:
    """Explain what rules decide about each series and study of a folder: matched, or what failed and the value met.

    Nothing runs. Values of attributes that may identify a patient are withheld.

    Example: mapnode rules explain rules.yaml study/ --calling-aet CT1
    """
    from mapnode.rules import RulesError
    from operators.core.contract import ExitCode
    from operators.core.errors import InputRefused
    from operators.core.reading import read_folder

    try:
        rule_set = _load(file, config)
    except RulesError as error:
        raise _refused(error) from error
    if not folder.is_dir():
        raise WrongUse(f"the folder {folder} does not exist")
    try:
        found = read_folder(folder)
    except InputRefused as error:
        if as_json:
            print_json([])
        print_error(f"refused: {error}")
        raise typer.Exit(ExitCode.REFUSED) from error
    for skipped in found.skipped:
        print_error(f"skipped {skipped.name}: {skipped.reason}")
    _name_unknown_titles(rule_set, {"calling_aet": calling_aet, "called_aet": called_aet})
    known = [(series, _facts(rule_set, series, calling_aet, called_aet)) for series in found.series]
    entries = [_explain(rule_set, series, facts) for series, facts in known]
    entries += _explain_studies(rule_set, [facts for _, facts in known])
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        _print_entry(entry)


@rules_app.command("decided")
def decided(
    uid: Annotated[
        str | None, typer.Argument(metavar="UID", help="Study or Series Instance UID; all where absent.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="So many decisions at most.")] = 200,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings of the node.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON list, an entry a rule and series or study.")
    ] = False,
) -> None:
    """Show what the node's rules decided about what came: matched, or what failed and the value met; the newest first.

    A series is decided about once it has come to rest. Values of attributes that may identify a patient are withheld.

    Example: mapnode rules decided 1.2.840.113619.2.55
    """
    from mapnode.cli.ledger import open_ledger

    with open_ledger(config) as ledger:
        decisions = ledger.decisions(limit, uid)
    if as_json:
        print_json(decisions)
        return
    for decision in decisions:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(decision["at"]))
        print_line(f"{at}  study {decision['study_instance_uid']}  series {decision['series_instance_uid']}")
        job = f"; job {decision['job_id'][:12]}" if decision["job_id"] else ""
        print_line(f"  {decision['rule']} -> {decision['app']}: {_verdict(decision)}{job}")
    if not decisions:
        print_error("nothing was decided: it did not come, has not come to rest, or there is no rule to ask")


def _load(file: Path, config: Path | None) -> RuleSet:
    from mapnode.app_catalogue import list_apps
    from mapnode.containers.images import refusal_of
    from mapnode.rules import load_rules

    images = settings_of(config).images
    return load_rules(file, [app.name for app in list_apps()], lambda image: refusal_of(image, images))


def _refused(error: WrongUse) -> typer.Exit:
    """Each problem on a line of its own, file and line in front, as editors and CI read them."""
    sys.stderr.write(f"{error}\n")
    return typer.Exit(error.exit_code)


def _described(rule_set: RuleSet) -> list[dict[str, Any]]:
    return [
        {
            "name": rule.name,
            "app": rule.runs,
            "priority": rule.priority,
            "mode": rule.mode,
            "own_results": rule.own_results,
            "clauses": [clause.text for clause in rule.clauses],
        }
        for rule in rule_set.rules
    ]


def _name_unknown_titles(rule_set: RuleSet, titles: dict[str, str]) -> None:
    for fact in sorted(rule_set.facts):
        if titles.get(fact) == "":
            print_error(f"rules ask for {fact}, and it counts as absent here; give --{fact.replace('_', '-')}")


def _facts(rule_set: RuleSet, series: Series, calling_aet: str, called_aet: str) -> SeriesFacts:
    from mapnode.rules import facts_from_headers

    return facts_from_headers(
        [instance.header for instance in series.instances],
        calling_aet=calling_aet,
        called_aet=called_aet,
        attributes=rule_set.attributes,
    )


def _explain_studies(rule_set: RuleSet, series: list[SeriesFacts]) -> list[dict[str, Any]]:
    """An entry for each study, where there are rules about studies."""
    from dataclasses import asdict

    from mapnode.rules import decide_study

    rules = [rule for rule in rule_set.rules if rule.study is not None and rule.mode != "off"]
    studies: dict[str, list[SeriesFacts]] = {}
    for facts in series if rules else ():
        studies.setdefault(facts.study_instance_uid, []).append(facts)
    return [
        {
            "series_instance_uid": None,
            "study_instance_uid": uid,
            "modality": "study",
            "description": f"of {len(members)} series",
            "instances": sum(facts.instances for facts in members),
            "own_result": False,
            "decisions": [asdict(decide_study(rule, members)[0]) for rule in rules],
        }
        for uid, members in studies.items()
    ]


def _explain(rule_set: RuleSet, series: Series, facts: SeriesFacts) -> dict[str, Any]:
    """One entry of the list."""
    from dataclasses import asdict

    from mapnode.rules import decide

    return {
        "series_instance_uid": facts.series_instance_uid,
        "study_instance_uid": facts.study_instance_uid,
        "modality": series.modality,
        "description": str(series.first.get("SeriesDescription") or ""),
        "instances": facts.instances,
        "own_result": facts.own_result,
        "decisions": [asdict(decision) for decision in decide(rule_set, facts)],
    }


def _print_entry(entry: dict[str, Any]) -> None:
    title = entry["description"] or entry["series_instance_uid"]
    count = entry["instances"]
    print_line(f"{entry['modality']} {_printable(title)}, {count} instance{'' if count == 1 else 's'}")
    for decision in entry["decisions"]:
        print_line(f"  {decision['rule']} -> {decision['app']} ({decision['priority']}): {_verdict(decision)}")


def _verdict(decision: dict[str, Any]) -> str:
    """What a rule said, and the clause that decided."""
    clauses = decision["clauses"]
    if decision["matched"]:
        return f"matched, all {len(clauses)} clauses held"
    return f"not matched: {clauses[-1]['text']}; met: {clauses[-1]['met']}"


def _printable(text: str) -> str:
    """What a scanner wrote, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
