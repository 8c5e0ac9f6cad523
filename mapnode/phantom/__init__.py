"""Phantoms: digital bodies of known volume, written as DICOM series. Imports numpy, SciPy and pydicom only."""

from mapnode.phantom.anatomy import PhantomTissue
from mapnode.phantom.series import write_ct_series
from mapnode.phantom.trunk import Phantom, TrunkPhantomParameters, build_trunk_phantom

__all__ = ["Phantom", "PhantomTissue", "TrunkPhantomParameters", "build_trunk_phantom", "write_ct_series"]
