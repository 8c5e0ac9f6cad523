"""WritePresentationState: outlines lie on the edges of the masks, values beside them (PS3.3 A.33.1, C.10.5)."""

import dataclasses
import itertools
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import MRImageStorage, PositronEmissionTomographyImageStorage
from pydicom.valuerep import DSfloat
from skimage.color import lab2rgb
from skimage.draw import polygon

from mapnode.phantom.series import write_ct_series
from operators.core.errors import GeometryError, SegmentationError
from operators.core.found_segments import found_segments
from operators.core.volume import Volume
from operators.runtime.sdk import Application
from operators.write.contours import outlines, signed_area_px
from operators.write.write_presentation_state import (
    FILE_NAME,
    MOST_POINTS,
    WINDOW_HU,
    WritePresentationState,
    build_presentation_state,
    fitting,
    sentence,
    slices_to_present,
)
from operators.write.write_segmentation import WriteParameters, save, tracking_uid
from tests.builders import (
    ALGORITHM,
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    CORONAL,
    TISSUES,
    make_affine,
    make_identity,
    make_label_map,
    make_measurements,
    make_volume,
)
from tests.enhanced import frame_of, make_enhanced_volume
from tests.judges import dciodvfy_errors

RENDERER = "dcmp2pgm"


def example(tmp_path):
    volume = make_volume()
    label_map = make_label_map(volume, landmarks={"L3": 5})
    inputs = {
        "volume": volume,
        "label_map": label_map,
        "measurements": make_measurements(label_map),
        "identity": make_identity(),
    }
    return WriteParameters(tmp_path), inputs


def build(volume, label_map, identity=None):
    return build_presentation_state(volume, label_map, make_measurements(label_map), identity or make_identity())


def write(tmp_path, volume, label_map, identity=None):
    path = tmp_path / "presentation_state.dcm"
    save(build(volume, label_map, identity), path)
    return path


def ring_map(volume):
    """Bone as a ring with an island in it, and a piece of its own, in slice 5."""
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[5, 1:8, 1:8] = 2
    labels[5, 2:7, 2:7] = 0
    labels[5, 4, 4] = 2
    labels[5, 8:, 8:] = 2
    return make_label_map(volume, labels, segments=TISSUES[1:2])


def annotations(dataset, layer):
    return [item for item in dataset.GraphicAnnotationSequence if layer == item.GraphicLayer]


def filled(annotation, shape) -> np.ndarray:
    """The pixels that lie inside an odd number of the annotation's polylines, whose centres are at halves."""
    mask = np.zeros(shape, bool)
    for item in annotation.GraphicObjectSequence:
        points = np.array(item.GraphicData).reshape(-1, 2)
        inside = np.zeros(shape, bool)
        inside[polygon(points[:, 1] - 0.5, points[:, 0] - 0.5, shape)] = True
        mask ^= inside
    return mask


def texts(dataset) -> list[str]:
    return [
        text.UnformattedTextValue
        for item in dataset.GraphicAnnotationSequence
        for text in item.get("TextObjectSequence", [])
    ]


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, CORONAL])
def test_outlines_on_an_image_are_the_masks_of_its_slice(tmp_path, directions):
    volume = make_volume(affine_lps=make_affine(directions))
    label_map = make_label_map(volume)
    index_of = {s.header.SOPInstanceUID: index for index, s in enumerate(volume.slices)}

    dataset = dcmread(write(tmp_path, volume, label_map))

    seen = set()
    for number, segment in enumerate(TISSUES[:3], start=1):
        for item in annotations(dataset, f"SEGMENT_{number}"):
            index = index_of[item.ReferencedImageSequence[0].ReferencedSOPInstanceUID]
            seen.add((number, index))
            expected = np.isin(label_map.array[index], segment.labels)
            assert np.array_equal(filled(item, expected.shape), expected)
    # Body is largest in slice 2, bone in 3, fat in 4; each slice shows what is in it.
    assert seen == {(1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)}


def test_rings_pieces_and_islands_are_drawn(tmp_path):
    volume = make_volume(np.zeros((8, 12, 12), np.int16))
    label_map = ring_map(volume)

    path = write(tmp_path, volume, label_map)

    (item,) = annotations(dcmread(path), "SEGMENT_1")
    assert len(item.GraphicObjectSequence) == 4
    assert np.array_equal(filled(item, (12, 12)), label_map.array[5] == 2)
    assert dciodvfy_errors(path) == []


def test_polylines_are_closed_unfilled_and_in_pixel_units(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    objects = [o for item in dataset.GraphicAnnotationSequence for o in item.get("GraphicObjectSequence", [])]
    assert len(objects) == 6
    for item in objects:
        assert (item.GraphicType, item.GraphicAnnotationUnits, item.GraphicFilled) == ("POLYLINE", "PIXEL", "N")
        assert list(item.GraphicData[:2]) == list(item.GraphicData[-2:])
        assert item.NumberOfGraphicPoints == len(item.GraphicData) // 2


def test_outline_at_the_border_reaches_columns_and_rows(tmp_path):
    volume = make_volume()
    labels = np.full(volume.array.shape, 2, np.uint8)

    path = write(tmp_path, volume, make_label_map(volume, labels, segments=TISSUES[1:2]))

    (item,) = annotations(dcmread(path), "SEGMENT_1")
    assert list(item.GraphicObjectSequence[0].GraphicData) == [0, 0, 5, 0, 5, 6, 0, 6, 0, 0]
    assert dciodvfy_errors(path) == []


def render(tmp_path, volume, state, index):
    """One slice as dcmtk renders it under a presentation state, and the state as dcmtk understood it."""
    assert shutil.which(RENDERER), "dcmp2pgm is missing: apt-get install dcmtk"
    (path,) = [
        path
        for path in (tmp_path / "ct").iterdir()
        if dcmread(path, stop_before_pixels=True).SOPInstanceUID == volume.slices[index].header.SOPInstanceUID
    ]
    done = subprocess.run(
        [RENDERER, "-p", state, "+S", tmp_path / "understood.dcm", path, tmp_path / "rendered.pgm"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "rendered.pgm") as image:
        return np.asarray(image), dcmread(tmp_path / "understood.dcm")


def make_rendered(tmp_path, index=5):
    """A slice with a ramp from -1000 to 900 HU along its columns, and bone on it."""
    hu = np.tile(np.linspace(-1000, 900, 39).astype(np.int16), (12, 30, 1))
    affine = make_affine(spacing_mm=(3.0, 0.8, 0.8))
    write_ct_series(hu, affine, tmp_path / "ct", uid_seed="volume")
    volume = make_volume(hu, affine)
    labels = np.zeros(hu.shape, np.uint8)
    labels[index, 5:20, 8:30] = 2
    labels[index, 8:12, 12:20] = 0
    label_map = make_label_map(volume, labels, segments=TISSUES[1:2])
    state = write(tmp_path, volume, label_map)
    return (*render(tmp_path, volume, state, index), hu[index], labels[index] == 2)


def test_dcmtk_renders_the_soft_tissue_window(tmp_path):
    rendered, _, hu, _ = make_rendered(tmp_path)

    centre, width = WINDOW_HU
    expected = np.clip((hu - (centre - 0.5)) / (width - 1) + 0.5, 0, 1) * 255
    assert np.abs(rendered - expected).max() <= 1
    assert (rendered[hu <= -161].max(), rendered[hu >= 240].min()) == (0, 255)


def test_dcmtk_understands_the_outlines(tmp_path):
    _, understood, _, mask = make_rendered(tmp_path)

    (item,) = [item for item in understood.GraphicAnnotationSequence if "GraphicObjectSequence" in item]
    assert np.array_equal(filled(item, mask.shape), mask)
    assert {layer.GraphicLayer for layer in understood.GraphicLayerSequence} == {"SEGMENT_1", "NOTES"}


@pytest.mark.parametrize("directions", [AXIAL, CORONAL])
def test_validator_finds_no_error(tmp_path, directions):
    volume = make_volume(affine_lps=make_affine(directions))

    path = write(tmp_path, volume, make_label_map(volume, landmarks={"L3": 5}))

    assert dciodvfy_errors(path) == []


def test_key_slices_are_the_largest_of_each_segment_and_the_landmarks():
    volume = make_volume()
    label_map = make_label_map(volume, landmarks={"T12": 9, "L3": 4, "L3 upper": 4})

    slices = slices_to_present(found_segments(label_map), label_map.landmarks)

    assert [key.index for key in slices] == [2, 3, 4, 9]
    assert [[each.segment.name for each in key.largest] for key in slices] == [["body"], ["bone"], ["fat"], []]
    assert [key.landmarks for key in slices] == [(), (), ("L3", "L3 upper"), ("T12",)]
    assert [each.segment.name for each in slices[3].shown] == ["body", "fat"]


def test_values_stand_once_on_the_slice_where_the_segment_is_largest(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    (bone,) = [text for text in texts(dataset) if text.startswith("Bone")]
    assert bone == (
        "Bone, whole segment: Volume 2.25 mL, Attenuation Coefficient (Mean) -201 HU, "
        "Attenuation Coefficient (Standard Deviation) 14.25 HU"
    )
    (item,) = [item for item in annotations(dataset, "SEGMENT_2") if "TextObjectSequence" in item]
    assert item.ReferencedImageSequence[0].ReferencedSOPInstanceUID == volume.slices[3].header.SOPInstanceUID


def test_segment_without_numbers_is_named():
    assert sentence("Bone", ()) == "Bone"


def test_each_key_slice_says_research_use_and_its_landmarks(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume, landmarks={"L3": 3})))

    notes = annotations(dataset, "NOTES")
    assert len(notes) == len(dataset.ReferencedSeriesSequence[0].ReferencedImageSequence) == 3
    assert all("Not for diagnosis" in n.TextObjectSequence[0].UnformattedTextValue for n in notes)
    assert [t for t in texts(dataset) if t.startswith("Landmark")] == ["Landmark: L3"]


def test_texts_on_a_slice_do_not_lie_on_each_other(tmp_path):
    volume = make_volume()
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[5, :2], labels[5, 2:4], labels[5, 4:] = 1, 2, 3

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume, labels, landmarks={"L3": 5})))

    boxes = sorted(
        (text.BoundingBoxTopLeftHandCorner[1], text.BoundingBoxBottomRightHandCorner[1])
        for item in dataset.GraphicAnnotationSequence
        for text in item.get("TextObjectSequence", [])
    )
    assert len(boxes) == 5
    assert all(upper[1] <= lower[0] + 1e-6 for upper, lower in itertools.pairwise(boxes))


def test_layers_have_the_names_and_colours_of_the_segments(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    layers = dataset.GraphicLayerSequence
    assert [layer.GraphicLayer for layer in layers] == ["SEGMENT_1", "SEGMENT_2", "SEGMENT_3", "NOTES"]
    assert [layer.GraphicLayerOrder for layer in layers] == [1, 2, 3, 4]
    for layer, segment in zip(layers[:3], TISSUES[:3], strict=True):
        scaled = np.array(layer.GraphicLayerRecommendedDisplayCIELabValue) / 65535
        # PS3.3 C.10.7.1.1: L* from 0 to 100, a* and b* from -128 to 127.
        rgb = lab2rgb([scaled[0] * 100, scaled[1] * 255 - 128, scaled[2] * 255 - 128]) * 255
        assert layer.GraphicLayerDescription == segment.label
        assert rgb == pytest.approx(segment.colour, abs=6)


def test_outlines_carry_the_tracking_uid_of_the_seg(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    for number, segment in enumerate(TISSUES[:3], start=1):
        uids = {o.TrackingUID for i in annotations(dataset, f"SEGMENT_{number}") for o in i.GraphicObjectSequence}
        assert uids == {tracking_uid(segment, make_identity())}


def test_exactly_the_key_slices_are_referenced(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume, landmarks={"L3": 8})))

    (series,) = dataset.ReferencedSeriesSequence
    uids = [item.ReferencedSOPInstanceUID for item in series.ReferencedImageSequence]
    assert series.SeriesInstanceUID == volume.slices[0].header.SeriesInstanceUID
    assert uids == [volume.slices[index].header.SOPInstanceUID for index in (2, 3, 4, 8)]
    assert {i.ReferencedImageSequence[0].ReferencedSOPInstanceUID for i in dataset.GraphicAnnotationSequence} == set(
        uids
    )


def test_frames_of_an_enhanced_image_are_named(tmp_path):
    volume = make_enhanced_volume(tmp_path)
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1, 2:4, 2:4], labels[4, 1:5, 1:4] = 2, 3
    label_map = make_label_map(volume, labels, segments=TISSUES[1:3])

    path = write(tmp_path, volume, label_map)

    dataset = dcmread(path)
    (image,) = dataset.ReferencedSeriesSequence[0].ReferencedImageSequence
    header = volume.slices[0].header
    assert (image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID) == (header.SOPClassUID, header.SOPInstanceUID)
    assert image.ReferencedFrameNumber == [frame_of(1), frame_of(4)]
    for layer, index in (("SEGMENT_1", 1), ("SEGMENT_2", 4)):
        (item,) = annotations(dataset, layer)
        assert item.ReferencedImageSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert item.ReferencedImageSequence[0].ReferencedFrameNumber == frame_of(index)
    assert dciodvfy_errors(path) == []


def test_images_with_rescales_of_their_own_get_windows_of_their_own(tmp_path):
    def pet(header, index):
        header.SOPClassUID, header.Modality = PositronEmissionTomographyImageStorage, "PT"
        header.RescaleSlope, header.RescaleIntercept, header.RescaleType = DSfloat(0.5 * (index + 1)), 0, "BQML"
        header.WindowCenter, header.WindowWidth = [3000, 10], [6000, 20]

    volume = make_volume(edit=pet)

    path = write(tmp_path, volume, make_label_map(volume))

    dataset = dcmread(path)
    assert "RescaleSlope" not in dataset
    windows = {
        item.ReferencedImageSequence[0].ReferencedSOPInstanceUID: (float(item.WindowCenter), float(item.WindowWidth))
        for item in dataset.SoftcopyVOILUTSequence
    }
    slopes = {index: 0.5 * (index + 1) for index in (2, 3, 4)}
    assert windows == {
        volume.slices[index].header.SOPInstanceUID: pytest.approx((3000 / slope, 6000 / slope))
        for index, slope in slopes.items()
    }
    assert dciodvfy_errors(path) == []


def test_other_modalities_keep_the_window_of_their_headers(tmp_path):
    def pet(header, _):
        header.SOPClassUID, header.Modality, header.RescaleType = PositronEmissionTomographyImageStorage, "PT", "BQML"
        header.WindowCenter, header.WindowWidth = 3000, 6000

    volume = make_volume(edit=pet)

    (window,) = dcmread(write(tmp_path, volume, make_label_map(volume))).SoftcopyVOILUTSequence

    assert (window.WindowCenter, window.WindowWidth) == (3000, 6000)


@pytest.mark.parametrize(
    ("centre", "width", "explanation", "window"),
    [
        (["40.5", "7"], "300", None, (40.5, 300.0, None)),
        (["40.5", "7"], ["300", "9"], "A", (40.5, 300.0, None)),
        ("0.25", "0.5", None, (0.25, 0.5, "LINEAR_EXACT")),
        ("40.5", "0", None, None),
        ("40.5", None, None, None),
    ],
)
def test_windows_that_contradict_themselves_are_made_valid_or_left_out(tmp_path, centre, width, explanation, window):
    def mr(header, _):
        header.SOPClassUID, header.Modality = MRImageStorage, "MR"
        header.WindowCenter, header.WindowWidth, header.WindowCenterWidthExplanation = centre, width, explanation

    volume = make_volume(edit=mr)

    path = write(tmp_path, volume, make_label_map(volume))

    items = dcmread(path).get("SoftcopyVOILUTSequence", [])
    assert [(i.WindowCenter, i.WindowWidth, i.get("VOILUTFunction")) for i in items] == ([window] if window else [])
    assert dciodvfy_errors(path) == []


def test_a_window_of_no_numbers_is_left_out(tmp_path):
    def mr(header, _):
        header.SOPClassUID, header.Modality = MRImageStorage, "MR"
        for keyword, data in (("WindowCenter", b"40,5"), ("WindowWidth", b"300 ")):
            header._dict[Tag(keyword)] = RawDataElement(Tag(keyword), "DS", len(data), data, 0, False, True)

    volume = make_volume(edit=mr)

    assert "SoftcopyVOILUTSequence" not in dcmread(write(tmp_path, volume, make_label_map(volume)))


@pytest.mark.parametrize(("stored", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")])
def test_polarity_is_that_of_the_images(tmp_path, stored, shape):
    volume = make_volume(edit=lambda header, _: setattr(header, "PhotometricInterpretation", stored))

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    assert dataset.PresentationLUTShape == shape


def test_pixels_keep_their_proportions(tmp_path):
    volume = make_volume()

    (area,) = dcmread(write(tmp_path, volume, make_label_map(volume))).DisplayedAreaSelectionSequence

    assert [float(v) for v in area.PresentationPixelSpacing] == [0.8, 0.6]
    assert "PresentationPixelAspectRatio" not in area
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [5, 6]


def test_a_pixel_spacing_of_too_many_digits_is_written_with_those_that_fit(tmp_path):
    def of_single_precision(header, _):
        data = b"0.800000011920929\\0.600000023841858 "
        header._dict[Tag("PixelSpacing")] = RawDataElement(Tag("PixelSpacing"), "DS", len(data), data, 0, False, True)

    volume = make_volume(edit=of_single_precision)

    assert dciodvfy_errors(write(tmp_path, volume, make_label_map(volume))) == []


def test_ring_with_more_points_than_an_element_holds_is_simplified():
    mask = np.zeros((40, 4400), bool)
    mask[20:] = True
    mask[18:20, ::2] = True
    (outline,) = outlines(mask)

    ring = fitting(outline.outer)

    assert len(outline.outer) > MOST_POINTS
    assert 4 < len(ring) <= MOST_POINTS
    assert signed_area_px(ring[:-1]) == pytest.approx(outline.pixels, rel=0.06)


def test_short_ring_stays_exact():
    (outline,) = outlines(np.ones((3, 4), bool))

    assert np.array_equal(fitting(outline.outer)[:-1], outline.outer)


def test_empty_label_map_is_refused():
    volume = make_volume()

    with pytest.raises(SegmentationError, match="no segment was found"):
        build(volume, make_label_map(volume, np.zeros(volume.array.shape, np.uint8)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_grid_that_is_not_that_of_the_images_is_refused(axis):
    volume = make_volume()
    affine = volume.affine_lps.copy()
    affine[:3, 3] += affine[:3, axis] * (volume.array.shape[axis] - 1)
    affine[:3, axis] *= -1
    flipped = Volume(volume.array, affine, volume.frame_of_reference_uid, volume.slices)

    with pytest.raises(GeometryError, match="from where its image"):
        build(flipped, make_label_map(flipped))


def test_tiles_of_a_mosaic_are_refused():
    def share(header, _):
        header.SOPInstanceUID = "1.2.3"

    mosaic = make_volume(edit=share)

    with pytest.raises(GeometryError, match="12 slices lie in 1 frames"):
        build(mosaic, make_label_map(mosaic))


def test_result_says_who_made_it_and_for_what(tmp_path):
    volume = make_volume()

    dataset = dcmread(write(tmp_path, volume, make_label_map(volume)))

    assert dataset.ContributingEquipmentSequence[0].ManufacturerModelName == ALGORITHM.name
    assert "research use" in dataset.SeriesDescription
    assert dataset.Modality == "PR"
    assert (dataset.PresentationCreationDate, dataset.PresentationCreationTime) == ("20250102", "101530")
    assert "ContentDate" not in dataset


def test_same_identity_gives_the_same_bytes_and_another_another_uid(tmp_path):
    volume = make_volume()
    label_map = make_label_map(volume)

    first = write(tmp_path, volume, label_map).read_bytes()
    second = write(tmp_path, volume, label_map).read_bytes()
    other = build(volume, label_map, dataclasses.replace(make_identity(), sha256="cd" * 32))

    assert first == second
    assert other.SOPInstanceUID != build(volume, label_map).SOPInstanceUID


def test_operator_writes_what_it_gives(tmp_path):
    parameters, inputs = example(tmp_path)

    written = WritePresentationState(Application(), parameters).process(**inputs)

    assert written.path == tmp_path / FILE_NAME
    assert dcmread(written.path).SOPInstanceUID == written.dataset.SOPInstanceUID
    assert written.record.sop_class == "Grayscale Softcopy Presentation State Storage"
