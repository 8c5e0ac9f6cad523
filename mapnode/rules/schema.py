"""Schema: what rules.yaml may say. The models are data; what they mean for a series is in evaluate.py."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mapnode.rules.attributes import Kind, canonical_name, is_identifying, kind_of, vr_of
from mapnode.rules.numbers import as_number
from mapnode.rules.patterns import check_pattern

WITHHELD = "(withheld)"
"""Stands in place of what may lead to a patient."""

Priority: TypeAlias = Literal["stat", "routine", "research"]
Mode: TypeAlias = Literal["live", "shadow", "off"]
Fact: TypeAlias = Literal["calling_aet", "called_aet", "instances"]
Operator: TypeAlias = Literal["equals", "in", "regex", "range", "exists"]
OPERATORS: tuple[Operator, ...] = ("equals", "in", "regex", "range", "exists")


def _as_operand(value: object) -> object:
    """Text or a number, without padding.

    Raises:
        ValueError: If YAML read something else.
    """
    if isinstance(value, bool):
        raise ValueError("YAML reads this as true or false, not as text; put it in quotes")  # noqa: TRY004 - pydantic's way
    if value is None:
        raise ValueError('has no value; write "" for an absent or empty one')
    if not isinstance(value, str | int | float):
        raise ValueError("has to be one text or number; several go into `in: [A, B]`")  # noqa: TRY004
    return value.strip() if isinstance(value, str) else value


def _as_bound(value: object) -> object:
    """A number.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("has to be a number, without quotes and unit")  # noqa: TRY004
    return value


Operand = Annotated[str | int | float, BeforeValidator(_as_operand)]
Bound = Annotated[float, BeforeValidator(_as_bound), Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Part):
    """Bounds, both included."""

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _spans_something(self) -> Range:
        """Check that a number can lie inside.

        Raises:
            ValueError: If there is no bound, or none can.
        """
        if self.min is None and self.max is None:
            raise ValueError("has no bound; write {min: A, max: B}, or one of the two")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; swap them")
        return self

    @property
    def text(self) -> str:
        """The bounds in words."""
        bounds = (("min", self.min), ("max", self.max))
        return " ".join(f"{name} {bound:g}" for name, bound in bounds if bound is not None)


class Clause(_Part):
    """One condition: an attribute or a fact, and one operator."""

    attribute: StrictStr | None = None
    """Keyword of a DICOM attribute, or "gggg,eeee" where it has none."""
    fact: Fact | None = None
    """What is known of the series besides its attributes."""
    equals: Operand | None = None
    in_: tuple[Operand, ...] | None = Field(default=None, alias="in", min_length=1)
    regex: StrictStr | None = None
    range: Range | None = None
    exists: StrictBool | None = None

    @field_validator("attribute", mode="after")
    @classmethod
    def _known_attribute(cls, value: str | None) -> str | None:
        """The canonical name of the attribute."""
        return None if value is None else canonical_name(value)

    @field_validator("equals", "in_", "regex", "range", "exists", mode="after")
    @classmethod
    def _fits(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - the operators' types differ
        """Check that the operator can ever hold for what it is applied to."""
        operator: Operator = "in" if info.field_name == "in_" else info.field_name  # type: ignore[assignment]
        if value is None:
            _refuse_null(operator)
        attribute, fact = info.data.get("attribute"), info.data.get("fact")
        if attribute is not None:
            _check_operator(attribute, operator)
        elif fact is not None:
            _check_fact(fact, operator)
        name = attribute or fact
        if name is not None and operator in {"equals", "in"}:
            _check_operands(name, value if operator == "in" else (value,))
        return value

    @field_validator("regex", mode="after")
    @classmethod
    def _ends_in_time(cls, value: str) -> str:
        """Compile the pattern and bound its time."""
        check_pattern(value)
        return value

    @model_validator(mode="after")
    def _one_subject_one_operator(self) -> Clause:
        """Check that the clause is one condition.

        Raises:
            ValueError: If it has no subject, no operator, or several.
        """
        if (self.attribute is None) == (self.fact is None):
            raise ValueError("has to have `attribute: KEYWORD` or `fact: NAME`, and not both")
        given = [name for name in OPERATORS if ("in_" if name == "in" else name) in self.model_fields_set]
        if not given:
            raise ValueError(f"has no operator; add one of {', '.join(OPERATORS)}")
        if len(given) > 1:
            raise ValueError(
                f"has {len(given)} operators ({', '.join(given)}); make a clause of each, all have to hold"
            )
        return self

    @property
    def name(self) -> str:
        """The attribute or the fact."""
        return self.attribute or str(self.fact)

    @property
    def numeric(self) -> bool:
        """Whether values are compared as numbers."""
        return _is_number(self.name)

    @property
    def withheld(self) -> bool:
        """Whether values may lead to a patient."""
        return self.attribute is not None and is_identifying(self.attribute)

    @property
    def text(self) -> str:
        """The clause as one line; what is compared with an identifying attribute is withheld."""
        if self.exists is not None:
            return f"{self.name} exists {'true' if self.exists else 'false'}"
        operator, operand = self._operator_and_operand()
        return f"{self.name} {operator} {WITHHELD if self.withheld else operand}"

    def _operator_and_operand(self) -> tuple[Operator, str]:
        if self.regex is not None:
            return "regex", self.regex
        if self.range is not None:
            return "range", self.range.text
        if self.in_ is not None:
            return "in", json.dumps(self.in_, ensure_ascii=False)
        return "equals", json.dumps(self.equals, ensure_ascii=False)


class Requirement(_Part):
    """A series that a study rule needs."""

    name: StrictStr = Field(pattern="^[a-z][a-z0-9_]*$")
    when: tuple[Clause, ...] = Field(min_length=1)


class StudyPart(_Part):
    """What a study rule needs: a series for each requirement, and that the study has come to rest."""

    requires: tuple[Requirement, ...] = Field(min_length=1)
    quiet_s: float | None = Field(default=None, gt=0)
    """The study counts as complete when nothing arrived for it for so long; `study_quiet_s` of mapnode.yaml else."""


class Rule(_Part):
    """Which app runs on series for which all clauses hold, or on studies that have all series that it needs."""

    name: StrictStr = Field(pattern="^[a-z][a-z0-9_]*$")
    app: StrictStr | None = None
    image: StrictStr | None = None
    """Instead of an app: a container image that mapnode.yaml allows, by its name, its digest, or NAME@DIGEST."""
    priority: Priority = "routine"
    mode: Mode = "live"
    """live; shadow: results are kept by the node until somebody releases them; off: the rule is not asked."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Handed to the app."""
    own_results: StrictBool = False
    """Whether the rule may match what the node itself wrote."""
    with_sources: StrictBool = False
    """Whether the app also gets the series that the matched one refers to, as a SEG refers to its images."""
    when: tuple[Clause, ...] = Field(default=(), min_length=1)
    study: StudyPart | None = None

    @field_validator("mode", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        """YAML 1.1 reads `off` without quotes as false."""
        return "off" if value is False else value

    @model_validator(mode="after")
    def _series_or_study(self) -> Rule:
        """Check that the rule says what it is about.

        Raises:
            ValueError: If it has neither `when` nor `study`, or both.
        """
        if bool(self.when) == (self.study is not None):
            raise ValueError("has to have `when:` (one series) or `study:` (several series), and not both")
        return self

    @model_validator(mode="after")
    def _app_or_image(self) -> Rule:
        """Check that the rule says what runs.

        Raises:
            ValueError: If it names neither app nor image, or both.
        """
        if (self.app is None) == (self.image is None):
            raise ValueError("has to have `app:` or `image:` (a container image), and not both")
        return self

    @property
    def runs(self) -> str:
        """The app or image, as the rule calls it."""
        return self.app or str(self.image)

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """All clauses, wherever they stand."""
        required = self.study.requires if self.study is not None else ()
        return (*self.when, *(clause for part in required for clause in part.when))

    @field_validator("app", mode="after")
    @classmethod
    def _known_app(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Check that there is such an app, where the context says which there are.

        Raises:
            ValueError: If there is none, naming those that there are.
        """
        apps = (info.context or {}).get("apps")
        if apps is not None and value is not None and value not in apps:
            raise ValueError(f"there is no app {value!r}; there are: {', '.join(sorted(apps)) or 'none'}")
        return value

    @field_validator("image", mode="after")
    @classmethod
    def _names_an_image(cls, value: str | None) -> str | None:
        """Check that it can be an image's name or digest.

        Raises:
            ValueError: If it cannot.
        """
        if value is not None and re.fullmatch(r"[\w.:/@-]+", value) is None:
            raise ValueError(f"{value!r} is no image; write NAME:TAG, sha256:..., or NAME:TAG@sha256:...")
        return value

    @field_validator("parameters", mode="after")
    @classmethod
    def _json(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Check that the app gets what stands here: parameters travel as JSON.

        Raises:
            ValueError: If JSON would change or refuse them.
        """
        try:
            unchanged = json.loads(json.dumps(value, allow_nan=False)) == value
        except (TypeError, ValueError, RecursionError):
            unchanged = False
        if not unchanged:
            raise ValueError(
                "JSON cannot carry this; use texts as keys, and texts, numbers, true, false, lists, mappings"
            )
        return value


class RuleSet(_Part):
    """rules.yaml."""

    rules: tuple[Rule, ...]

    @property
    def attributes(self) -> frozenset[str]:
        """The attributes that decide: no other has to be read."""
        return frozenset(c.attribute for rule in self.rules for c in rule.clauses if c.attribute is not None)

    @property
    def facts(self) -> frozenset[Fact]:
        """The facts that decide."""
        return frozenset(c.fact for rule in self.rules for c in rule.clauses if c.fact is not None)


def _is_number(name: str) -> bool:
    return name == "instances" or (name not in {"calling_aet", "called_aet"} and kind_of(name) is Kind.NUMBER)


def _refuse_null(operator: Operator) -> None:
    """Refuse an operator without a value.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"has no value; write one, or remove `{operator}:`")


def _check_operator(attribute: str, operator: Operator) -> None:
    """Check that an attribute has values that an operator can look at.

    Raises:
        ValueError: If it has not.
    """
    kind, vr = kind_of(attribute), vr_of(attribute)
    if kind is Kind.OPAQUE and operator != "exists":
        raise ValueError(f"{attribute} ({vr}) has no plain value; use `exists: true` or `exists: false`")
    if kind is Kind.FORMATTED and operator == "range":
        raise ValueError(f"{attribute} ({vr}) is no plain number; use regex")


def _check_fact(fact: Fact, operator: Operator) -> None:
    """Check that an operator makes sense for a fact.

    Raises:
        ValueError: If it does not.
    """
    usable = ("equals", "in", "range") if fact == "instances" else ("equals", "in", "regex")
    if operator not in usable:
        raise ValueError(f"{fact} cannot be asked for {operator}; use {', '.join(usable)}")


def _check_operands(name: str, operands: tuple[str | int | float, ...]) -> None:
    """Check that values of an attribute or fact can be equal to the operands.

    Raises:
        ValueError: If they never can.
    """
    if _is_number(name):
        wrong = [o for o in operands if o != "" and as_number(str(o)) is None]
        if wrong:
            raise ValueError(f"{name} is a number, {wrong[0]!r} is none; write one without unit")
        return
    numbers = [o for o in operands if not isinstance(o, str)]
    if numbers:
        raise ValueError(f"{name} is text, YAML reads this as the number {numbers[0]}; put it in quotes")
