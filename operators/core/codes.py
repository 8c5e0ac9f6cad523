"""Codes: the coded concepts that mapnode uses, by the names of the dictionaries that pydicom carries."""

from __future__ import annotations

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

# Segmented Property Categories (PS3.16 CID 7150)
ANATOMICAL_STRUCTURE: Code = codes.SCT.AnatomicalStructure
TISSUE: Code = codes.SCT.Tissue

# Segmented Property Types (PS3.16 CID 7151, 7166)
ENTIRE_BODY: Code = codes.SCT.EntireBody
BONE: Code = codes.SCT.BoneTissue
SUBCUTANEOUS_TISSUE: Code = codes.SCT.SubcutaneousTissue
FAT: Code = codes.SCT.AdiposeTissue
SKELETAL_MUSCLE: Code = codes.SCT.SkeletalMuscle

# Anatomic regions
ABDOMINAL_CAVITY: Code = codes.SCT.AbdominalCavityStructure

# Quantities, derivations, units
VOLUME: Code = codes.SCT.Volume
ATTENUATION_COEFFICIENT: Code = codes.DCM.AttenuationCoefficient
MEAN: Code = codes.SCT.Mean
STANDARD_DEVIATION: Code = codes.SCT.StandardDeviation
CUBIC_CENTIMETRE: Code = codes.UCUM.CubicCentimeter
HOUNSFIELD_UNIT: Code = codes.UCUM.HounsfieldUnit

# Algorithm families (PS3.16 CID 7162)
MORPHOLOGICAL_OPERATIONS: Code = codes.DCM.MorphologicalOperations

# Reports
COMPUTED_TOMOGRAPHY: Code = codes.SCT.ComputedTomography
COMMENT: Code = codes.DCM.Comment
IMAGE_QUALITY_ANALYSIS: Code = codes.SCT.ImageQualityAnalysis
