"""Rehearsal: one small SEG and SR for nothing, for the first ones of a process take half a second longer."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from operators.core import catalogue, codes
from operators.core.identity import ResultIdentity, derived_uid
from operators.core.label_map import Algorithm, LabelMap
from operators.core.volume import SourceSlice, Volume

SLICES, SIDE = 2, 4
IDENTITY = ResultIdentity("0" * 64, datetime.datetime(2000, 1, 1), "rehearsal", "0.0.0")


def rehearsal_volume() -> Volume:
    """A CT of two black slices, of nobody."""
    affine = np.eye(4)[[2, 1, 0, 3]]
    slices = tuple(SourceSlice(Path(f"{index}.dcm"), _header(index), "0" * 64) for index in range(SLICES))
    array = np.zeros((SLICES, SIDE, SIDE), dtype=np.int16)
    return Volume(array, affine, slices[0].header.FrameOfReferenceUID, slices)


def rehearsal_label_map(volume: Volume) -> LabelMap:
    """One segment that fills the volume."""
    algorithm = Algorithm("rehearsal", IDENTITY.version, "0" * 64, codes.MORPHOLOGICAL_OPERATIONS)
    labels = np.ones(volume.array.shape, dtype=np.uint8)
    return LabelMap(labels, volume.affine_lps, (catalogue.segment("bone", 1, (1,)),), algorithm)


def _header(index: int) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, derived_uid(f"rehearsal/{index}")
    for level in ("StudyInstance", "SeriesInstance", "FrameOfReference"):
        setattr(header, f"{level}UID", derived_uid(f"rehearsal/{level}"))
    header.Modality, header.PositionReferenceIndicator = "CT", ""
    header.Rows = header.Columns = SIDE
    header.ImagePositionPatient, header.PixelSpacing = [0, 0, index], [1, 1]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.SliceThickness = 1
    return header
