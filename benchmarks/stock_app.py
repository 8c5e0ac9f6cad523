"""Stock application: the SDK's own operators in a graph around one threshold, as a fresh process runs it.

    python -m benchmarks.stock_app INPUT OUTPUT

Writes SEG and SR into OUTPUT and prints how many seconds the threshold took. The comparison is that of
benchmarks/apps/threshold.
"""

# ruff: noqa: E402 - the operators can be imported only after their package was opened
from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "WARN")

import numpy as np
from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application, Image, Operator, OperatorSpec
from pydicom.sr.codedict import codes

from benchmarks.stock_operators import open_stock_operators

open_stock_operators()
from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator
from monai.deploy.operators.dicom_seg_writer_operator import DICOMSegmentationWriterOperator, SegmentDescription
from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator
from monai.deploy.operators.dicom_series_to_volume_operator import DICOMSeriesToVolumeOperator
from monai.deploy.operators.dicom_text_sr_writer_operator import DICOMTextSRWriterOperator
from monai.deploy.operators.dicom_utils import ModelInfo

ABOVE_HU = 150
RULES = json.dumps({"selections": [{"name": "CT", "conditions": {"Modality": "(?i)CT"}}]})
SERIES = "study_selected_series_list"


class ThresholdOperator(Operator):
    """Label what is above a value, and say how many voxels that are."""

    def setup(self, spec: OperatorSpec) -> None:
        """One image in, its labels and a sentence out."""
        spec.input("image")
        spec.output("seg_image")
        spec.output("text")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ANN401 - untyped SDK objects
        """Compare."""
        image = op_input.receive("image")
        started = time.perf_counter()
        labels = np.greater(image.asnumpy(), ABOVE_HU).view(np.uint8)
        print(json.dumps({"threshold_s": time.perf_counter() - started}), flush=True)
        op_output.emit(Image(labels, image.metadata()), "seg_image")
        op_output.emit(f"{int(labels.sum())} voxels above {ABOVE_HU} HU", "text")


class StockApp(Application):
    """Load, select, convert, compare, write."""

    def compose(self) -> None:
        """Wire the operators as the SDK's examples do."""
        folder, output = Path(sys.argv[1]), Path(sys.argv[2])
        model = ModelInfo("mapnode", "one threshold", "1.0.0", "1")
        bone = SegmentDescription(
            segment_label="bone",
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Bone,
            algorithm_name="one threshold",
            algorithm_family=codes.DCM.ArtificialIntelligence,
            algorithm_version="1.0.0",
        )
        # Without its condition the loader reads for ever.
        loader = DICOMDataLoaderOperator(self, CountCondition(self, 1), input_folder=folder, name="load")
        selector = DICOMSeriesSelectorOperator(self, rules=RULES, name="select")
        volume = DICOMSeriesToVolumeOperator(self, name="volume")
        threshold = ThresholdOperator(self, name="threshold")
        segmentation = DICOMSegmentationWriterOperator(
            self, segment_descriptions=[bone], output_folder=output, model_info=model, name="seg"
        )
        report = DICOMTextSRWriterOperator(self, output_folder=output, model_info=model, name="sr")
        self.add_flow(loader, selector, {("dicom_study_list", "dicom_study_list")})
        self.add_flow(selector, volume, {(SERIES, SERIES)})
        self.add_flow(volume, threshold, {("image", "image")})
        self.add_flow(threshold, segmentation, {("seg_image", "seg_image")})
        self.add_flow(selector, segmentation, {(SERIES, SERIES)})
        self.add_flow(threshold, report, {("text", "text")})
        self.add_flow(selector, report, {(SERIES, SERIES)})


if __name__ == "__main__":
    StockApp().run()
