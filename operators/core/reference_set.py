"""ReferenceSet: features of scans that a site knows to be usual, and how far another scan lies from them.

Two distances, on features scaled by the reference's own mean and standard deviation:

- Mahalanobis distance after PCA: the length of the whitened vector of the principal components that hold 99 % of the
  variance. It knows which features go together; what is left out is mostly rounding.
- k nearest neighbours: the Euclidean distance to the k-th nearest reference scan. It sees what lies between groups, and
  directions that the components leave out.

A scan is unusual where a distance exceeds a percentile of the distances that the reference scans have from the others
(leave one out). Both follow Anthony and Kamnitsas 2023 and Sun 2022, with radiomic in place of network features.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

LEAST_STUDIES = 20
"""With fewer, a percentile of their distances is the largest one or means nothing."""
NEIGHBOURS = 5
EXPLAINED_VARIANCE = 0.99
UNVARYING = 1e-9


class ReferenceSetError(Exception):
    """A reference set that is absent, damaged, too small, or of another app."""


class Distances(BaseModel):
    """How far a scan lies from a reference set.

    Attributes:
        mahalanobis: After PCA, in standard deviations.
        neighbour: To the k-th nearest scan.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mahalanobis: float
    neighbour: float


class ReferenceSet(BaseModel):
    """What `mapnode qc reference` stores: numbers of scans, nothing of patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    app: str
    version: str
    features: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]
    """One row a scan; null where a scan does not show a feature."""
    percentile: float = Field(gt=50, lt=100)
    scores: tuple[Distances, ...]
    """Of each scan to all others."""

    @model_validator(mode="after")
    def _require_table(self) -> Self:
        if any(len(row) != len(self.features) for row in self.rows) or len(self.scores) != len(self.rows):
            raise ValueError("a reference set has one value a feature and one score a scan")
        if len(self.rows) < LEAST_STUDIES:
            raise ValueError(f"a reference set has at least {LEAST_STUDIES} scans, this one {len(self.rows)}")
        return self

    @property
    def thresholds(self) -> Distances:
        """The percentile of the scans' own distances."""
        own = np.array([[score.mahalanobis, score.neighbour] for score in self.scores])
        mahalanobis, neighbour = np.percentile(own, self.percentile, axis=0)
        return Distances(mahalanobis=float(mahalanobis), neighbour=float(neighbour))

    @property
    def counts(self) -> dict[str, int]:
        """How many of the scans show each feature."""
        shown = (~np.isnan(_array(self.rows))).sum(axis=0).tolist()
        return dict(zip(self.features, shown, strict=True))

    def distances(self, features: Mapping[str, float | None]) -> Distances:
        """How far a scan lies from all scans of the set."""
        return _distances(_array(self.rows), _array([[features.get(name) for name in self.features]]))

    def deviations(self, features: Mapping[str, float | None]) -> dict[str, float]:
        """By how many standard deviations each feature differs from the set's mean, the largest first."""
        rows = _array(self.rows)
        scaled = _scaled(rows, _array([[features.get(name) for name in self.features]]))[0]
        order = np.argsort(-np.abs(scaled))
        return {self.features[index]: float(scaled[index]) for index in order}


def build_reference_set(
    app: str, version: str, scans: Sequence[Mapping[str, float | None]], percentile: float
) -> ReferenceSet:
    """Make a reference set of the features of scans.

    Args:
        app: Name of the app that measured them.
        version: Its version.
        scans: Features of each scan by name; one that a scan does not have it does not show.
        percentile: Of the scans' own distances, above which another scan is unusual.

    Returns:
        The set.

    Raises:
        ReferenceSetError: If there are too few scans.
    """
    if len(scans) < LEAST_STUDIES:
        raise ReferenceSetError(f"a reference set needs at least {LEAST_STUDIES} scans, there are {len(scans)}")
    names = tuple(dict.fromkeys(name for scan in scans for name in scan))
    table = tuple(tuple(scan.get(name) for name in names) for scan in scans)
    rows = _array(table)
    scores = [_distances(np.delete(rows, index, axis=0), rows[index : index + 1]) for index in range(len(rows))]
    return ReferenceSet(
        app=app, version=version, features=names, rows=table, percentile=percentile, scores=tuple(scores)
    )


def read_reference_set(path: Path) -> ReferenceSet:
    """Read and check a file.

    Raises:
        ReferenceSetError: If it is absent or no reference set.
    """
    try:
        return ReferenceSet.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReferenceSetError(f"{path.name}: {error.strerror}") from error
    except ValidationError as error:
        raise ReferenceSetError(f"{path.name} is no reference set: {error.errors()[0]['msg']}") from error


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal: results depend on the set that they were held against."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _array(rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    """`(scans, features)`, NaN for null."""
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)


def _scaled(reference: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows in standard deviations of the reference; 0 where a row has no value, or where no scan of the set differs.

    A feature that no scan of the set shows, or in which all agree to the last bit, says nothing about usual spread.
    """
    shown = np.where(np.isnan(reference).all(axis=0), 0.0, reference)
    mean, deviation = np.nanmean(shown, axis=0), np.nanstd(shown, axis=0)
    known = deviation > UNVARYING * np.maximum(1.0, np.abs(mean))
    scaled = np.where(known, (rows - mean) / np.where(known, deviation, 1.0), 0.0)
    return np.nan_to_num(scaled, nan=0.0)


def _distances(reference: NDArray[np.float64], row: NDArray[np.float64]) -> Distances:
    """Both distances of one row `(1, features)`."""
    known, asked = _scaled(reference, reference), _scaled(reference, row)[0]
    away = np.sort(np.linalg.norm(known - asked, axis=1))
    return Distances(mahalanobis=_mahalanobis(known, asked), neighbour=float(away[NEIGHBOURS - 1]))


def _mahalanobis(known: NDArray[np.float64], asked: NDArray[np.float64]) -> float:
    """Length of the whitened vector of principal components, as many as hold EXPLAINED_VARIANCE of the variance.

    Args:
        known: `(scans, features)`.
        asked: `(features,)`.
    """
    centre = known.mean(axis=0)
    _, singular, components = np.linalg.svd(known - centre, full_matrices=False)
    held = np.cumsum(singular**2)
    if held[-1] == 0:
        return 0.0
    kept = int(np.searchsorted(held, EXPLAINED_VARIANCE * held[-1], side="right")) + 1
    deviations = singular[:kept] / np.sqrt(len(known) - 1)
    return float(np.linalg.norm(components[:kept] @ (asked - centre) / deviations))
