"""DeriveIdentity: what the results of this run are named after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from operators.core.contract import Job
from operators.core.identity import ResultIdentity, identity_sha256, source_clock
from operators.core.segmented_regions import SegmentedRegions
from operators.core.volume import Volume
from operators.runtime.step import Step

if TYPE_CHECKING:
    from operators.runtime.application import RunContext


@dataclass(frozen=True)
class DeriveIdentityParameters:
    """What the identity depends on besides the input.

    Attributes:
        app: Name of the app.
        version: Its version.
        model_digest: SHA-256 of the model.
        parameters: Effective parameters of the run.
        job: What the node says; its identity and clock come first.
    """

    app: str
    version: str
    model_digest: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    job: Job = field(default_factory=Job)

    @classmethod
    def of(cls, context: RunContext, model_digest: str) -> DeriveIdentityParameters:
        """Those of a run with a model."""
        app = context.manifest.application
        return cls(app.title, app.version, model_digest, context.identity_parameters, context.job)


class DeriveIdentity(Step):
    """Take the identity and the clock from the job, or derive them from the input.

    Besides the port below it takes on further ports (`more_inputs`) what else the run was given and measures, such as
    SegmentedRegions: their `slices` count as the volume's do.

    Named Input:
        volume: Volume, for its instances and the digests of their pixels.

    Named Output:
        identity: ResultIdentity; the same input, app, version, model and parameters give the same one.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "identity"

    def process(self, volume: Volume, **others: SegmentedRegions) -> ResultIdentity:
        """Derive."""
        parameters: DeriveIdentityParameters = self.parameters
        return derive_identity(volume, parameters, others.values())


def derive_identity(
    volume: Volume, parameters: DeriveIdentityParameters, others: Iterable[SegmentedRegions] = ()
) -> ResultIdentity:
    """Identity and clock of the results that a volume leads to, with what else was measured on it."""
    sources = [*volume.slices, *(source for other in others for source in other.slices)]
    sha256 = parameters.job.identity or identity_sha256(
        parameters.app, parameters.version, parameters.model_digest, parameters.parameters, sources
    )
    clock = parameters.job.clock or source_clock(source.header for source in sources)
    return ResultIdentity(sha256, clock, parameters.app, parameters.version)
