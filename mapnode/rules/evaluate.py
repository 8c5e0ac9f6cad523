"""Evaluate: what each rule says of a series, and which clause decided."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mapnode.rules.numbers import as_number
from mapnode.rules.patterns import pattern_found
from mapnode.rules.schema import WITHHELD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mapnode.rules.facts import SeriesFacts
    from mapnode.rules.schema import Clause, Priority, Range, Rule, RuleSet

ALL_HELD = "all held"
ABSENT = "(absent)"
NOT_OWN = "not written by mapnode itself (own_results: false)"
OWN = "a result of mapnode"
IN_CHAIN = "not made by this rule itself, directly or by way of others"
MET_LENGTH = 200


@dataclass(frozen=True)
class ClauseOutcome:
    """What one clause said.

    Attributes:
        text: The clause; operands on identifying attributes are withheld.
        held: Whether it held.
        met: The values met, `(absent)`, or `(withheld)`.
    """

    text: str
    held: bool
    met: str


@dataclass(frozen=True)
class Decision:
    """What one rule said of one series; `dataclasses.asdict` gives what JSON can carry.

    Attributes:
        rule: Name of the rule.
        app: App or image that it names.
        matched: Whether all clauses held.
        priority: Of the job.
        parameters: For the app.
        clauses: Each clause with its outcome, up to and with the first that failed.
        decided_by: The clause that failed, or `all held`.
    """

    rule: str
    app: str
    matched: bool
    priority: Priority
    parameters: dict[str, Any]
    clauses: tuple[ClauseOutcome, ...]
    decided_by: str

    @classmethod
    def of(cls, rule: Rule, clauses: tuple[ClauseOutcome, ...]) -> Decision:
        """The decision that clauses up to the one that decided give."""
        matched = clauses[-1].held
        return cls(
            rule=rule.name,
            app=rule.runs,
            matched=matched,
            priority=rule.priority,
            parameters=copy.deepcopy(rule.parameters),
            clauses=clauses,
            decided_by=ALL_HELD if matched else clauses[-1].text,
        )


def decide(rule_set: RuleSet, facts: SeriesFacts) -> tuple[Decision, ...]:
    """Ask every rule about a series.

    Args:
        rule_set: The rules.
        facts: The series.

    Returns:
        One decision a rule, in the order of the rules.
    """
    return tuple(
        Decision.of(rule, _rule_outcomes(rule, rule.when, facts))
        for rule in rule_set.rules
        if rule.mode != "off" and rule.study is None
    )


def decide_study(rule: Rule, series: Sequence[SeriesFacts]) -> tuple[Decision, tuple[SeriesFacts, ...]]:
    """Ask a study rule about the series of a study.

    Args:
        rule: A rule with `study`.
        series: All series of the study that have come to rest.

    Returns:
        The decision, with one outcome a requirement up to the first that no series meets, and the series that meet
        any of them.
    """
    assert rule.study is not None
    outcomes, met = [], {}
    for required in rule.study.requires:
        fitting = [facts for facts in series if _rule_outcomes(rule, required.when, facts)[-1].held]
        met.update({facts.series_instance_uid: facts for facts in fitting})
        text = f"series {required.name}: " + ", ".join(clause.text for clause in required.when)
        outcomes.append(ClauseOutcome(text, bool(fitting), f"{len(fitting)} of {len(series)} series"))
        if not fitting:
            return Decision.of(rule, tuple(outcomes)), ()
    return Decision.of(rule, tuple(outcomes)), tuple(met.values())


def _rule_outcomes(rule: Rule, clauses: Sequence[Clause], facts: SeriesFacts) -> tuple[ClauseOutcome, ...]:
    """The outcomes up to the one that decided."""
    if facts.own_result and not rule.own_results:
        return (ClauseOutcome(NOT_OWN, held=False, met=OWN),)
    if rule.name in facts.chain:
        return (ClauseOutcome(IN_CHAIN, held=False, met=" > ".join(facts.chain)),)
    outcomes = []
    for clause in clauses:
        values = _values(clause, facts)
        outcomes.append(ClauseOutcome(clause.text, _holds(clause, values), _met(clause, values)))
        if not outcomes[-1].held:
            break
    return tuple(outcomes)


def _values(clause: Clause, facts: SeriesFacts) -> tuple[str, ...]:
    """What the clause looks at; empty if it is absent."""
    if clause.attribute is not None:
        return facts.attributes.get(clause.attribute, ())
    known: Mapping[str, str] = {
        "calling_aet": facts.calling_aet,
        "called_aet": facts.called_aet,
        "instances": str(facts.instances),
    }
    value = known[clause.name]
    return (value,) if value else ()


def _holds(clause: Clause, values: tuple[str, ...]) -> bool:
    """Whether any value meets the clause; what is absent counts as one empty text."""
    if clause.exists is not None:
        return bool(values) is clause.exists
    return any(_meets(clause, value) for value in values or ("",))


def _meets(clause: Clause, value: str) -> bool:
    if clause.regex is not None:
        return pattern_found(clause.regex, value)
    if clause.range is not None:
        return _inside(clause.range, as_number(value))
    wanted = clause.in_ if clause.in_ is not None else (clause.equals,)
    return any(_equal(value, str(operand), numeric=clause.numeric) for operand in wanted)


def _equal(value: str, operand: str, *, numeric: bool) -> bool:
    number = as_number(value) if numeric else None
    return value == operand if number is None else number == as_number(operand)


def _inside(bounds: Range, number: float | None) -> bool:
    return (
        number is not None
        and (bounds.min is None or number >= bounds.min)
        and (bounds.max is None or number <= bounds.max)
    )


def _met(clause: Clause, values: tuple[str, ...]) -> str:
    """The values met, as one short printable line."""
    if not values:
        return ABSENT
    if clause.withheld:
        return WITHHELD
    text = "".join(c if c.isprintable() else "\ufffd" for c in ", ".join(values))
    return text if len(text) <= MET_LENGTH else text[: MET_LENGTH - 3] + "..."
