"""Input quantities: all that is measured on a volume before its numbers are believed, and how it is told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from operators.core.quality_limits import InputQuantity
from operators.qc import header_quantities, pixel_quantities
from operators.qc.judging import Sentence
from operators.qc.outline import find_outline

if TYPE_CHECKING:
    from operators.core.volume import Volume
    from operators.qc.outline import Outline

Quantities = dict[InputQuantity, float | None]
SCALE = "HU are shifted, scaled or cut off, and every value in HU and every window of HU is wrong by as much. "
RESCALE = "Check Rescale Slope and Intercept (0028,1053, 0028,1052) and what changed the pixels after the scan."
SPACING = (
    "no adult's trunk is like that in every slice; if Pixel Spacing (0028,0030) is wrong, so are areas and volumes. "
    "Check it against the scanner, or the body region against the app."
)
SENTENCES: dict[InputQuantity, Sentence] = {
    InputQuantity.SLICE_THICKNESS_MM: Sentence(
        "The slice thickness",
        "mm",
        "tissues mix in slices that thick, and thin ones lose volume. Measure thinner slices of the same scan.",
        "no image states its slice thickness",
    ),
    InputQuantity.SLICE_STEP: Sentence(
        "The distance of the slices over their thickness",
        "",
        "there is tissue between the slices that no image shows. Look for images that did not arrive.",
        "no image states its slice thickness",
    ),
    InputQuantity.UNSEEN_INSTANCES: Sentence(
        "The number of images that are missing up to the highest Instance Number (0020,0013)",
        "",
        "the scan seems to reach farther, or to be denser, than what was measured. "
        "Look for images that did not arrive.",
        "the images are not numbered one by one",
    ),
    InputQuantity.AIR_HU: Sentence(
        "The air around the body",
        "HU",
        SCALE + RESCALE,
        "no air was found around a body",
    ),
    InputQuantity.FAT_HU: Sentence(
        "The fat under the skin",
        "HU",
        SCALE + RESCALE,
        "no tissue was found under a skin",
    ),
    InputQuantity.TOP_HU: Sentence(
        "The highest value",
        "HU",
        "the images are cut off at the top, and bone, contrast medium and metal look alike. "
        "Measure the images as the scanner wrote them, not a windowed copy.",
    ),
    InputQuantity.METAL_ML: Sentence(
        "The volume of metal",
        "mL",
        "streaks change the HU around it, by more than fat and muscle differ: numbers of slices near it are not "
        "reliable. Measure slices away from it, or a reconstruction with metal artifact reduction.",
    ),
    InputQuantity.NOISE_HU: Sentence(
        "The noise",
        "HU",
        "voxels leave the windows of fat and muscle by chance, and their volumes are too small. "
        "Measure thicker slices or a smoother kernel.",
        "too little soft tissue was found",
    ),
    InputQuantity.EDGE_MM: Sentence(
        "The width of the skin's edge",
        "mm",
        "thin layers mix with their neighbours: fat and muscle lose volume at each border. Measure a sharper series.",
        "no side of the body has an edge to air",
    ),
    InputQuantity.BODY_DIAMETER_MM: Sentence("The effective diameter of the body", "mm", SPACING, "no body was found"),
    InputQuantity.BODY_ASPECT: Sentence(
        "The width of the body over its depth",
        "",
        SPACING,
        "no body was found",
    ),
    InputQuantity.LIVER_RATIO: Sentence(
        "The largest soft organ on the right over that on the left",
        "",
        "the liver seems to lie on the left: the images may be mirrored, and left and right exchanged. "
        "Check orientation against a scout, or the patient for situs inversus.",
        "no organ as large as a liver lies in the scan",
    ),
}


def measure_input(volume: Volume) -> Quantities:
    """Everything that is known of a volume; None where the scan does not show it.

    Args:
        volume: An axial CT in HU, `(slices, rows, columns)` in whatever orientation it was stored.

    Returns:
        One value for each InputQuantity.
    """
    outline = find_outline(volume)
    return {
        InputQuantity.SLICE_THICKNESS_MM: header_quantities.slice_thickness_mm(volume),
        InputQuantity.SLICE_STEP: header_quantities.slice_step(volume),
        InputQuantity.UNSEEN_INSTANCES: header_quantities.unseen_instances(volume),
        InputQuantity.TOP_HU: pixel_quantities.top_hu(volume),
        InputQuantity.METAL_ML: pixel_quantities.metal_ml(volume),
        InputQuantity.AIR_HU: pixel_quantities.air_hu(outline),
        **_of_body(volume, outline),
    }


def _of_body(volume: Volume, outline: Outline) -> Quantities:
    depth_mm = outline.depth_mm
    size = pixel_quantities.body_size_mm(outline)
    return {
        InputQuantity.FAT_HU: pixel_quantities.fat_hu(outline, depth_mm),
        InputQuantity.NOISE_HU: pixel_quantities.noise_hu(volume, outline, depth_mm),
        InputQuantity.EDGE_MM: pixel_quantities.edge_mm(volume, outline),
        InputQuantity.BODY_DIAMETER_MM: None if size is None else math.sqrt(size[0] * size[1]),
        InputQuantity.BODY_ASPECT: None if size is None else size[1] / size[0],
        InputQuantity.LIVER_RATIO: pixel_quantities.liver_ratio(outline),
    }
