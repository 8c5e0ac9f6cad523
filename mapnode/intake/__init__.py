"""Intake: from instances that arrive to jobs: which series grew, which have come to rest, what rules say of them."""

from mapnode.intake.completeness import Corroboration, Patience
from mapnode.intake.intake import Intake

__all__ = ["Corroboration", "Intake", "Patience"]
