"""Phantoms: digital bodies of known volume, written as DICOM series. Imports numpy, SciPy and pydicom only."""

from mapnode.phantom.anatomy import PhantomTissue
from mapnode.phantom.leg_anatomy import LegShape, LegTissue
from mapnode.phantom.legs import LegPhantom, LegPhantomParameters, build_leg_phantom, leg_truth, random_leg_parameters
from mapnode.phantom.lesions import Lesion, add_lesions, random_lesion
from mapnode.phantom.series import write_ct_series
from mapnode.phantom.trunk import Phantom, TrunkPhantomParameters, build_trunk_phantom
from mapnode.phantom.vertebrae import vertebra_masks

__all__ = [
    "LegPhantom",
    "LegPhantomParameters",
    "LegShape",
    "LegTissue",
    "Lesion",
    "Phantom",
    "PhantomTissue",
    "TrunkPhantomParameters",
    "add_lesions",
    "build_leg_phantom",
    "build_trunk_phantom",
    "leg_truth",
    "random_leg_parameters",
    "random_lesion",
    "vertebra_masks",
    "write_ct_series",
]
