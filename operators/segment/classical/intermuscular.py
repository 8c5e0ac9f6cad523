"""Intermuscular: where fat lies between and inside the muscles of the trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.segment.classical.morphology import close_disc
from operators.segment.classical.spine import vertebra_zone

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.muscle import TrunkFields
    from operators.segment.classical.parameters import TrunkParameters


def intermuscular_zone(
    fields: TrunkFields, muscle: NDArray[np.bool_], parameters: TrunkParameters
) -> NDArray[np.bool_]:
    """Draw the muscle compartment: the muscles of each slice, closed over the gaps between them, inside the fascia.

    The gaps are those between the muscles of the back, and in front of the spine the planes between the layers of the
    wall.

    Fat in it is intermuscular (Goodpaster 2000: beneath the fascia, between and inside the muscles). The spine is no
    part of it: marrow, epidural fat and the fat around the roots of nerves lie between bones. Nor is the linea alba,
    behind which lies preperitoneal fat.

    Args:
        fields: What the earlier steps found.
        muscle: Where soft tissue is muscle.
        parameters: Constants of the engine.

    Returns:
        The compartment with the muscles in it, on the working grid.
    """
    soft = muscle & (fields.hu > parameters.soft_hu)
    back = fields.track.posterior_mm(soft.shape, fields.spacing_mm) > 0
    closed = close_disc(soft, parameters.intermuscular_plane_mm, fields.spacing_mm)
    # Fat as wide as between the muscles of the back lies behind those of the wall, too, and is no fat between muscles.
    closed |= back & close_disc(soft & back, parameters.intermuscular_closing_mm, fields.spacing_mm)
    return closed & fields.fascia & ~fields.bone & ~_midline(fields, parameters)


def _midline(fields: TrunkFields, parameters: TrunkParameters) -> NDArray[np.bool_]:
    """The linea alba, vertebral bodies, discs, canal, and foramina, which the joints end half way down the canal."""
    shape, spacing_mm = fields.hu.shape, fields.spacing_mm
    behind = fields.track.posterior_mm(shape, spacing_mm)
    left = np.abs(fields.track.lateral_mm(shape, spacing_mm))
    radius = fields.track.radii_mm.astype(np.float32)[:, None, None]
    beside = left <= parameters.vertebra_aspect * radius + parameters.foramen_mm
    foramina = beside & (behind > 0.5 * radius) & (behind <= radius + parameters.canal_depth_mm / 2)
    linea_alba = (left <= parameters.linea_alba_half_width_mm) & (behind < 0)
    return vertebra_zone(fields.track, shape, spacing_mm, parameters) | np.asarray(foramina | linea_alba, np.bool_)
