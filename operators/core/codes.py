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

SPATIAL_CONCEPT: Code = codes.SCT.SpatialAndRelationalConcept
SELECTED_REGION: Code = codes.DCM.SelectedRegion

# Anatomic regions
ABDOMINAL_CAVITY: Code = codes.SCT.AbdominalCavityStructure

# Laterality (PS3.16 CID 244)
LEFT: Code = codes.SCT.Left
RIGHT: Code = codes.SCT.Right

# Quantities, derivations, units
VOLUME: Code = codes.SCT.Volume
AREA: Code = codes.SCT.Area
RATIO: Code = codes.SCT.Ratio
ATTENUATION_COEFFICIENT: Code = codes.DCM.AttenuationCoefficient
SIGNAL_INTENSITY: Code = codes.DCM.MRSignalIntensity
SUV_BODY_WEIGHT: Code = codes.DCM.Suvbw
DISTANCE: Code = codes.DCM.Distance
LONG_AXIS: Code = codes.SCT.LongAxis
SHORT_AXIS: Code = codes.SCT.ShortAxis
METABOLIC_VOLUME: Code = codes.DCM.MetabolicVolume
TOTAL_LESION_GLYCOLYSIS: Code = codes.DCM.TotalLesionGlycolysis
MEAN: Code = codes.SCT.Mean
STANDARD_DEVIATION: Code = codes.SCT.StandardDeviation
MEDIAN: Code = codes.SCT.Median
MINIMUM: Code = codes.SCT.Minimum
MAXIMUM: Code = codes.SCT.Maximum
PEAK: Code = codes.DCM.PeakValueWithinROI
MILLIMETRE: Code = codes.UCUM.Millimeter
GRAM = Code("g", "UCUM", "gram")
NO_UNITS: Code = codes.UCUM.NoUnits
SUV_UNIT: Code = codes.UCUM.StandardizedUptakeValueBodyWeight
CUBIC_CENTIMETRE: Code = codes.UCUM.CubicCentimeter
SQUARE_CENTIMETRE: Code = codes.UCUM.SquareCentimeter
RATIO_UNIT: Code = codes.UCUM.Ratio
SQUARE_CENTIMETRE_PER_SQUARE_METRE = Code("cm2/m2", "UCUM", "square centimeter per square meter")
HOUNSFIELD_UNIT: Code = codes.UCUM.HounsfieldUnit

# Algorithm families (PS3.16 CID 7162)
MORPHOLOGICAL_OPERATIONS: Code = codes.DCM.MorphologicalOperations
ARTIFICIAL_INTELLIGENCE: Code = codes.DCM.ArtificialIntelligence
NEIGHBORHOOD_ANALYSIS: Code = codes.DCM.NeighborhoodAnalysis

# Reports
FINDING: Code = codes.DCM.Finding
FINDING_CATEGORY = Code("276214006", "SCT", "Finding category")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
APPROXIMATE_SPATIAL_LOCATION: Code = codes.DCM.ApproximateSpatialLocation
PROCEDURE_REPORTED: Code = codes.DCM.ProcedureReported
IMAGING_MEASUREMENTS: Code = codes.DCM.ImagingMeasurements
IMAGING_MEASUREMENT_REPORT: Code = codes.DCM.ImagingMeasurementReport
COMMENT: Code = codes.DCM.Comment
EQUATION: Code = codes.DCM.Equation
QUALITY_ASSESSMENT: Code = codes.DCM.QualityAssessment
QUALITY_FINDING: Code = codes.DCM.QualityFinding
PRESENCE_OF_PROPERTY: Code = codes.DCM.PresenceOfProperty

# Quantitative diagnostic imaging procedures (PS3.16 CID 100)
IMAGING_PROCEDURE: Code = codes.SCT.ImagingProcedure
CT_PROCEDURE: Code = codes.cid100.CTUnspecifiedBodyRegion
MR_PROCEDURE: Code = codes.cid100.MRIUnspecifiedBodyRegion
PET_PROCEDURE: Code = codes.cid100.PETUnspecifiedBodyRegion
NM_PROCEDURE: Code = codes.cid100.NMUnspecifiedBodyRegion
XR_PROCEDURE: Code = codes.cid100.XRUnspecifiedBodyRegion
ANGIOGRAPHY: Code = codes.SCT.Angiography

# Present or absent (PS3.16 CID 240); why there is no value (CID 42)
PRESENT: Code = codes.SCT.Present
ABSENT: Code = codes.SCT.Absent
MEASUREMENT_NOT_ATTEMPTED: Code = codes.DCM.MeasurementNotAttempted

# Why an object is rejected (PS3.16 CID 7031)
REJECTED_FOR_QUALITY: Code = codes.DCM.RejectedForQualityReasons
REJECTED_FOR_PATIENT_SAFETY: Code = codes.DCM.RejectedForPatientSafetyReasons
INCORRECT_WORKLIST_ENTRY: Code = codes.DCM.IncorrectModalityWorklistEntry
DATA_RETENTION_EXPIRED: Code = codes.DCM.DataRetentionPolicyExpired

# Private codes: where no dictionary has the concept; docs/conformance/private-codes.md lists and defines every one.
PRIVATE_SCHEME = "99MAPNODE"
QUALITY_PASS = Code("QUALITY-PASS", PRIVATE_SCHEME, "Pass: nothing found speaks against the numbers")
QUALITY_CAUTION = Code("QUALITY-CAUTION", PRIVATE_SCHEME, "Caution: numbers hold within the limits of the findings")
PERCENTILE_05 = Code("PERCENTILE-05", PRIVATE_SCHEME, "5th percentile, all voxels uncertain together")
PERCENTILE_95 = Code("PERCENTILE-95", PRIVATE_SCHEME, "95th percentile, all voxels uncertain together")
QUALITY_HOLD = Code("QUALITY-HOLD", PRIVATE_SCHEME, "Hold: numbers are held back because of the findings")
COMPONENT_COUNT = Code("COMPONENTS", PRIVATE_SCHEME, "Number of connected components")
SURFACE_AREA = Code("SURFACE-AREA", PRIVATE_SCHEME, "Surface area")
MUSCLE_INDEX = Code("MUSCLE-INDEX", PRIVATE_SCHEME, "Skeletal muscle index")
BORDER_CONTACT = Code("BORDER-CONTACT", PRIVATE_SCHEME, "Contact with the border of the field of view")
