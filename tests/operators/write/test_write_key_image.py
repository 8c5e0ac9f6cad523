"""WriteKeyImage: the picture of the result as PNG."""

from PIL import Image

from operators.runtime.sdk import Application
from operators.write.picture import PANEL_WIDTH
from operators.write.shown_slices import PICTURE_WIDTH
from operators.write.write_key_image import WriteKeyImage
from operators.write.write_segmentation import WriteParameters
from tests.builders import (
    TISSUES,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_slice_areas,
    make_volume,
)


def example(tmp_path):
    volume = make_volume()
    label_map = make_label_map(volume)
    inputs = {
        "volume": volume,
        "label_map": label_map,
        "measurements": make_measurements(label_map),
        "slice_areas": make_slice_areas(volume, label_map),
        "quality": make_quality(),
        "identity": make_identity(),
    }
    return WriteParameters(tmp_path), inputs


def test_written_picture_is_a_png_with_picture_and_panel(tmp_path):
    parameters, inputs = example(tmp_path)

    written = WriteKeyImage(Application(), parameters).process(**inputs)

    with Image.open(written.path) as image:
        assert (image.format, image.mode, image.width) == ("PNG", "RGB", PICTURE_WIDTH + PANEL_WIDTH)
        colours = {colour for _, colour in image.getcolors(maxcolors=1 << 20)}
    assert written.dataset is None
    assert {segment.colour for segment in TISSUES} <= colours


def test_png_carries_no_text_about_the_patient(tmp_path):
    parameters, inputs = example(tmp_path)

    written = WriteKeyImage(Application(), parameters).process(**inputs)

    with Image.open(written.path) as image:
        assert image.info == {}
    assert b"Phantom" not in written.path.read_bytes()
