"""Known rules: rules.yaml held against the apps and images that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapnode.app_catalogue import App, list_apps
from mapnode.errors import NodeError, WrongUse
from mapnode.rules import load_rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mapnode.containers.images import Images
    from mapnode.rules import RuleSet


def load_known_rules(path: Path, models: Mapping[str, Path], images: Images) -> RuleSet:
    """The rules, held against the manifests of the apps and images that they name, and the weights that apps need.

    Raises:
        WrongUse: If they are wrong, or an image must not be run.
    """
    apps = {app.name: app for app in list_apps(models)}
    if not path.is_file():
        raise WrongUse(f"the rules {path} do not exist; docs/rules.md has an example")
    rules = load_rules(path, apps)
    for rule in rules.rules:
        if rule.image is not None and rule.mode == "off":
            continue
        try:
            known = apps[str(rule.app)] if rule.image is None else images.find(rule.image)
        except NodeError as error:
            raise WrongUse(f"{path}: rule {rule.name}: {error}, or set the rule's mode to off") from error
        unknown = sorted(set(rule.parameters) - set(known.parameters))
        if unknown:
            raise WrongUse(f"{path}: rule {rule.name}: {rule.runs} has no parameter {', '.join(unknown)}")
        if rule.mode != "off" and isinstance(known, App) and (reason := known.disabled):
            raise WrongUse(
                f"{path}: rule {rule.name}: {reason} (models in mapnode.yaml), or set the rule's mode to off"
            )
    return rules
