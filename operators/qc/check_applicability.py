"""CheckApplicability: hold the app's limits against the headers and the pixels of a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core.quality import QualityFinding, QualityReport, Severity
from operators.core.quality_limits import InputQuantity, QualityLimits
from operators.qc.judging import Sentence, judge
from operators.qc.measure_input import Quantities
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.core.quality_limits import Range

SCALE = "HU are shifted, scaled or cut off, and every value in HU and every window of HU is wrong by as much. "
RESCALE = "Check Rescale Slope and Intercept (0028,1053, 0028,1052) and what changed the pixels after the scan."
SPACING = (
    "no adult is like that in every slice; if Pixel Spacing (0028,0030) is wrong, so are areas and volumes. "
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
    InputQuantity.PATIENT_AGE_YEARS: Sentence(
        "The patient's age",
        "years",
        "the method is made for adults and was not tested on others.",
        "no image states Patient's Age (0010,1010)",
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
    InputQuantity.MUSCLE_HU: Sentence(
        "The muscle",
        "HU",
        SCALE + RESCALE,
        "no soft tissue was found inside a skin",
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
    InputQuantity.LIMB_BONE_ML: Sentence(
        "The volume of bone in parts of the body that are narrower than a trunk",
        "mL",
        "arms seem to touch the trunk: body, bone and subcutaneous fat hold theirs, too, and muscle may. "
        "Look at the mask before you use the numbers.",
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
UNKNOWN = {InputQuantity.FAT_HU: Severity.HOLD, InputQuantity.AIR_HU: Severity.CAUTION}
"""What a scale of HU is known by. A large patient can fill the image, with no air around; a trunk always has fat."""


class CheckApplicability(Step):
    """Say where a volume is not one that the app's numbers can be trusted on.

    Headers can be wrong, and so can pixels: HU are held against the air around the body and the fat under its skin,
    spacing against the body's size, sides against the liver; noise, blur, metal, thick and missing slices have limits.
    What cannot be told on a scan is named as not checked.

    Named Input:
        input_quantities: Quantities of the volume.

    Named Output:
        applicability_quality: QualityReport; a hold where the limits of the manifest say that a value is not possible.
    """

    inputs: ClassVar[tuple[str, ...]] = ("input_quantities",)
    output: ClassVar[str] = "applicability_quality"

    def process(self, input_quantities: Quantities) -> QualityReport:
        """Judge."""
        limits: QualityLimits = self.parameters
        return check_applicability(input_quantities, limits.input)


def check_applicability(quantities: Quantities, limits: Mapping[InputQuantity, Range]) -> QualityReport:
    """Judge what was measured by limits.

    Args:
        quantities: What `measure_input` found.
        limits: Ranges of the manifest.

    Returns:
        One finding for each value outside of its range. Without fat the scale of HU is not known, which is a hold,
        unless it is known by air and muscle; without air it is known by fat alone, a caution. Any other quantity that
        could not be measured is not checked.
    """
    findings, unchecked = [], []
    for quantity, limit in limits.items():
        value, sentence = quantities[quantity], SENTENCES[quantity]
        if value is not None:
            finding = judge(quantity, value, limit, sentence)
            findings += [finding] if finding else []
        elif quantity in UNKNOWN and not _is_known_by_air_and_muscle(quantities, limits):
            message = f"{sentence.what} could not be measured: {sentence.unmeasured}. {sentence.meaning}"
            findings.append(QualityFinding(f"{quantity}_not_found", message, UNKNOWN[quantity]))
        else:
            unchecked.append(f"Not checked: {sentence.what[0].lower()}{sentence.what[1:]}; {sentence.unmeasured}.")
    return QualityReport(tuple(findings), tuple(unchecked))


def _is_known_by_air_and_muscle(quantities: Quantities, limits: Mapping[InputQuantity, Range]) -> bool:
    """Whether both were measured, and are judged."""
    both = (InputQuantity.AIR_HU, InputQuantity.MUSCLE_HU)
    return all(quantity in limits and quantities.get(quantity) is not None for quantity in both)
