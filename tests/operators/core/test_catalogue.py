"""Catalogue: every segment has a name, codes of the standard, a side that fits and a colour of its own."""

import dataclasses
import itertools
import json
import pkgutil

import highdicom as hd
import numpy as np
import pytest
import yaml
from pydicom.sr._concepts_dict import concepts as dictionary
from pydicom.sr.codedict import codes
from skimage.color import deltaE_ciede2000, rgb2lab

from operators.core.catalogue import (
    CATALOGUE,
    CatalogueError,
    Entry,
    UnknownSegment,
    catalogue,
    entry,
    read_catalogue,
    segment,
)
from operators.core.label_map import Segment

CONTENT = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
CONCEPTS = CONTENT["concepts"]
ENTRIES = catalogue()

SIDES = ("left", "right")
VERTEBRAE = [
    f"vertebrae_{part}{number}"
    for part, count in {"C": 7, "T": 12, "L": 5, "S": 1}.items()
    for number in range(1, count + 1)
]
RIBS = {side: [f"rib_{side}_{number}" for number in range(1, 13)] for side in SIDES}
LOBES = [f"lung_{lobe}" for lobe in ("upper_lobe_left", "lower_lobe_left")] + [
    f"lung_{lobe}" for lobe in ("upper_lobe_right", "middle_lobe_right", "lower_lobe_right")
]
TISSUES = ["body", "bone", "subcutaneous_fat", "visceral_fat", "intermuscular_fat", "skeletal_muscle"]
LEG_TISSUES = [
    f"leg_{tissue}_{side}"
    for side in SIDES
    for tissue in ("bone", "subcutaneous_fat", "intermuscular_fat", "skeletal_muscle")
]

# The classes of TotalSegmentator's CT task "total", version 2, as its documentation lists them.
UNPAIRED = [
    "spleen",
    "gallbladder",
    "liver",
    "stomach",
    "pancreas",
    "esophagus",
    "trachea",
    "thyroid_gland",
    "small_bowel",
    "duodenum",
    "colon",
    "urinary_bladder",
    "prostate",
    "sacrum",
    "heart",
    "aorta",
    "pulmonary_vein",
    "brachiocephalic_trunk",
    "atrial_appendage_left",
    "superior_vena_cava",
    "inferior_vena_cava",
    "portal_vein_and_splenic_vein",
    "spinal_cord",
    "brain",
    "skull",
    "sternum",
    "costal_cartilages",
]
PAIRED = [
    "kidney",
    "adrenal_gland",
    "kidney_cyst",
    "subclavian_artery",
    "common_carotid_artery",
    "brachiocephalic_vein",
    "iliac_artery",
    "iliac_vena",
    "humerus",
    "scapula",
    "clavicula",
    "femur",
    "hip",
    "gluteus_maximus",
    "gluteus_medius",
    "gluteus_minimus",
    "autochthon",
    "iliopsoas",
]
TOTAL = [
    *UNPAIRED,
    *(f"{name}_{side}" for name in PAIRED for side in SIDES),
    *LOBES,
    *VERTEBRAE,
    *itertools.chain(*RIBS.values()),
]

# Not in pydicom's dictionary. Codes as read in HL7 mCODE (value set Radiotherapy Treatment Location: "Bone structure of
# first rib", "Structure of first sacral vertebra") and, the gluteal muscles, in Health New Zealand's value set AIR Body
# Site, not in the catalogue.
PUBLISHED = {
    "65985001": "S1 vertebra",
    "48535007": "First rib",
    "78247007": "Second rib",
    "25888004": "Third rib",
    "25523003": "Fourth rib",
    "15339008": "Fifth rib",
    "59558009": "Sixth rib",
    "24915002": "Seventh rib",
    "5953002": "Eighth rib",
    "22565002": "Ninth rib",
    "77644006": "Tenth rib",
    "58830002": "Eleventh rib",
    "43993008": "Twelfth rib",
    "206007": "Gluteus maximus muscle",
    "78333006": "Gluteus medius muscle",
}

# In no published dictionary at hand, only in the tables of other segmentation projects.
UNVERIFIED = {
    "110765007": "Portal vein and splenic vein",
    "75297007": "Gluteus minimus muscle",
    "68455001": "Iliopsoas muscle",
    "244849004": "Deep muscle of back",
}

# Codes that DICOM lists elsewhere than among Segmented Property Types: CID 7304 (bones), CID 7710 (muscle).
LISTED_ELSEWHERE = {"12611008", "23416004", "62413002", "127954009"}

# Labels whose words are not those of the type: ours is narrower, or the word that people use.
WORDED_OTHERWISE = {
    "body": "Entire body",
    "subcutaneous fat": "Subcutaneous tissue",
    "visceral fat": "Fat",
    "intermuscular fat": "Fat",
    "small bowel": "Small intestine",
    "urinary bladder": "Bladder",
    "cyst of kidney": "Cyst",
    "lungs": "Lung",
    "thyroid gland": "Thyroid",
    "atrial appendage": "Left auricular appendage",
    "middle lobe of lung": "Middle lobe of right lung",
    "brachiocephalic trunk": "Innominate artery",
    "brachiocephalic vein": "Innominate vein",
    "pulmonary veins": "Pulmonary vein",
    "costal cartilages": "Costal Cartilage",
    "hip bone": "Hip",
    "deep muscles of back": "Deep muscle of back",
    "bone of leg": "Bone",
    "subcutaneous fat of leg": "Subcutaneous tissue",
    "intermuscular fat of leg": "Fat",
    "skeletal muscle of leg": "Skeletal muscle",
}

# Permutation and multiplication of Verhoeff's check digit, the last digit of every SNOMED CT identifier.
PERMUTATION = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]])
DIHEDRAL = np.array([
    [(a + b) % 5 + 5 * (b > 4) if a < 5 else (a - b) % 5 + 5 * (b < 5) for b in range(10)] for a in range(10)
])


def dicom_meanings(concept: dict[str, str]) -> set[str]:
    """Meanings of a code in pydicom's dictionary: those among Segmented Property Types (CID 7151), if there are any."""
    found = [
        by_value[concept["value"]]
        for by_value in dictionary[concept["scheme"]].values()
        if concept["value"] in by_value
    ]
    of_types = {meaning for meaning, groups in found if 7151 in groups}
    return of_types or {meaning for meaning, _ in found}


def body_parts() -> dict[str, tuple[str, bool]]:
    """Meaning and whether it is paired, by code: highdicom's copy of PS3.16 Annex L."""
    rows = json.loads(pkgutil.get_data("highdicom", "_standard/anatomic_regions.json"))
    return {value: (meaning, paired) for _, value, meaning, paired in rows.values()}


def has_check_digit(value: str) -> bool:
    permuted, check = np.arange(10), 0
    for digit in reversed(value):
        check = DIHEDRAL[check, permuted[int(digit)]]
        permuted = PERMUTATION[1][permuted]
    return check == 0


def triplet(code):
    return None if code is None else (code.value, code.scheme_designator, code.meaning)


def mirrored(name: str) -> str:
    return name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")


class TestNames:
    def test_all_117_structures_of_totalsegmentator_are_there(self):
        assert len(TOTAL) == len(set(TOTAL)) == 117
        assert set(TOTAL) <= set(ENTRIES)

    def test_tissues_lungs_and_bones_of_the_limbs_are_there(self):
        limbs = [f"{bone}_{side}" for bone in ("radius", "ulna", "patella", "tibia", "fibula") for side in SIDES]

        assert set(ENTRIES) - set(TOTAL) == {*TISSUES, *LEG_TISSUES, "lung_left", "lung_right", "lungs", *limbs}

    @pytest.mark.parametrize("part", ["sources", "concepts", "segments"])
    def test_no_key_is_written_twice(self, part):
        # PyYAML keeps the last of two equal keys and says nothing.
        root = yaml.compose(CATALOGUE.read_text(encoding="utf-8"))
        node = next(value for key, value in root.value if key.value == part)
        keys = [key.value for key, _ in node.value]

        assert len(keys) == len(set(keys)) == len(CONTENT[part])

    def test_labels_differ(self):
        assert len({e.label for e in ENTRIES.values()}) == len(ENTRIES)

    def test_entries_carry_their_key_as_name(self):
        assert [e.name for e in ENTRIES.values()] == list(CONTENT["segments"])


class TestCodes:
    def test_code_and_meaning_are_those_of_dicoms_dictionary(self):
        listed = {name: c for name, c in CONCEPTS.items() if c["value"] not in PUBLISHED | UNVERIFIED}

        assert len(listed) == 86
        assert [name for name, c in listed.items() if c["meaning"] not in dicom_meanings(c)] == []
        assert [name for name, c in listed.items() if {"source", "unverified"} & set(c)] == []

    def test_code_that_dicom_does_not_list_says_where_it_was_read(self):
        others = [c for c in CONCEPTS.values() if not dicom_meanings(c)]

        assert {c["value"]: c["meaning"] for c in others} == PUBLISHED | UNVERIFIED
        assert {c["value"] for c in others if "source" in c} == set(PUBLISHED)
        assert {c["value"] for c in others if "unverified" in c} == set(UNVERIFIED)

    def test_codes_and_meanings_are_those_of_the_body_parts_of_annex_l(self):
        parts = body_parts()
        both = [c for c in CONCEPTS.values() if c["value"] in parts]

        assert len(both) > 40
        assert [c["meaning"] for c in both] == [parts[c["value"]][0] for c in both]

    def test_snomed_ct_identifiers_have_their_check_digit(self):
        assert {c["scheme"] for c in CONCEPTS.values()} == {"SCT"}
        assert [name for name, c in CONCEPTS.items() if not has_check_digit(c["value"])] == []

    @pytest.mark.parametrize("wrong", ["64033017", "46033007", "64033006"])
    def test_a_mistyped_identifier_fails_the_check_digit(self, wrong):
        assert has_check_digit("64033007")
        assert not has_check_digit(wrong)

    def test_concepts_differ_and_are_all_used(self):
        used = {
            row.get(key) for row in CONTENT["segments"].values() for key in ("category", "type", "region", "modifier")
        }

        assert len({c["value"] for c in CONCEPTS.values()}) == len(CONCEPTS)
        assert used - {None} == set(CONCEPTS)

    def test_category_is_one_of_cid_7150(self):
        assert [e.name for e in ENTRIES.values() if e.category not in codes.cid7150] == []

    def test_type_is_one_of_cid_7151_where_dicom_lists_one(self):
        beyond = {e.type.value for e in ENTRIES.values() if e.type not in codes.cid7151}

        assert beyond == {*PUBLISHED, *UNVERIFIED, *LISTED_ELSEWHERE}

    def test_entries_say_that_their_type_is_unverified(self):
        assert {e.type.value for e in ENTRIES.values() if e.unverified} == set(UNVERIFIED)

    @pytest.mark.parametrize("name", ENTRIES)
    def test_type_says_what_the_label_says(self, name):
        words = " ".join(word for word in ENTRIES[name].label.lower().split() if word not in SIDES)

        assert ENTRIES[name].type.meaning.lower() == WORDED_OTHERWISE.get(words, words).lower()

    def test_ribs_and_vertebrae_are_those_of_their_number(self):
        ordinals = "First Second Third Fourth Fifth Sixth Seventh Eighth Ninth Tenth Eleventh Twelfth"
        ribs = [f"{ordinal} rib" for ordinal in ordinals.split(" ")]

        assert [ENTRIES[name].type.meaning for name in RIBS["left"]] == ribs
        assert [ENTRIES[name].type.meaning for name in RIBS["right"]] == ribs
        assert [f"vertebrae_{ENTRIES[name].type.meaning}" for name in VERTEBRAE] == [f"{v} vertebra" for v in VERTEBRAE]

    def test_no_two_entries_mean_the_same(self):
        meanings = {(triplet(e.type), triplet(e.region), triplet(e.modifier)) for e in ENTRIES.values()}

        assert len(meanings) == len(ENTRIES)

    @pytest.mark.parametrize(
        ("name", "category", "kind", "region"),
        [
            ("body", "91723000", "38266002", None),
            ("bone", "85756007", "3138006", None),
            ("subcutaneous_fat", "85756007", "71966008", None),
            ("visceral_fat", "85756007", "55603005", "52731004"),
            ("intermuscular_fat", "85756007", "55603005", "127954009"),
            ("skeletal_muscle", "85756007", "127954009", None),
            ("leg_bone_left", "85756007", "3138006", "61685007"),
            ("leg_intermuscular_fat_right", "85756007", "55603005", "102292000"),
            ("kidney_cyst_left", "49755003", "367643001", "64033007"),
            ("subclavian_artery_left", "91723000", "36765005", None),
            ("lung_middle_lobe_right", "91723000", "72481006", None),
            ("vertebrae_L3", "91723000", "36470004", None),
        ],
    )
    def test_codes_of_tissues_and_of_what_is_easily_confused(self, name, category, kind, region):
        found = ENTRIES[name]

        assert (found.category.value, found.type.value) == (category, kind)
        assert (found.region and found.region.value) == region


class TestSides:
    @pytest.mark.parametrize("name", [n for n in ENTRIES if "_left" in n and n != "atrial_appendage_left"])
    def test_left_and_right_differ_in_their_side_only(self, name):
        left, right = ENTRIES[name], ENTRIES[mirrored(name)]

        assert left.modifier == codes.SCT.Left
        assert right.modifier == codes.SCT.Right
        assert right.label.lower() == mirrored(left.label.lower())
        assert (left.category, left.type, left.region) == (right.category, right.type, right.region)

    def test_every_side_has_its_counterpart(self):
        alone = {name for name in ENTRIES if mirrored(name) not in ENTRIES}

        assert alone == {"atrial_appendage_left", "lung_middle_lobe_right"}

    @pytest.mark.parametrize(
        ("name", "meaning"),
        [
            ("atrial_appendage_left", "Left auricular appendage"),
            ("lung_middle_lobe_right", "Middle lobe of right lung"),
        ],
    )
    def test_a_type_that_has_its_side_takes_no_modifier(self, name, meaning):
        assert ENTRIES[name].type.meaning == meaning
        assert ENTRIES[name].modifier is None

    def test_nothing_else_has_a_side(self):
        sided = {name for name, e in ENTRIES.items() if e.modifier is not None}

        assert {name for name in sided if "_left" not in name and "_right" not in name} == {"lungs"}
        assert ENTRIES["lungs"].modifier == codes.SCT.Bilateral
        assert all(e.modifier in codes.cid244 for e in ENTRIES.values() if e.modifier is not None)

    def test_annex_l_has_every_sided_type_as_paired(self):
        parts = body_parts()
        sided = {e.type.value for e in ENTRIES.values() if e.modifier is not None and e.region is None}

        # Annex L marks the innominate vein as unpaired; there is one on either side.
        assert {value for value in sided & set(parts) if not parts[value][1]} == {"8887007"}


def touching() -> list[tuple[str, str]]:
    """Structures that lie side by side in a picture: at each border two colours have to be told apart."""
    pairs = [*itertools.pairwise(VERTEBRAE), ("vertebrae_S1", "sacrum"), ("vertebrae_C1", "skull")]
    pairs += [(name, mirrored(name)) for name in ENTRIES if "_left" in name and mirrored(name) in ENTRIES]
    pairs += itertools.combinations(LOBES, 2)
    pairs += itertools.combinations(["lung_left", "lung_right", "lungs"], 2)
    for side in SIDES:
        pairs += itertools.pairwise(RIBS[side])
        pairs += [(rib, f"vertebrae_T{number}") for number, rib in enumerate(RIBS[side], start=1)]
        pairs += itertools.combinations([f"gluteus_{part}_{side}" for part in ("maximus", "medius", "minimus")], 2)
        pairs += [(f"hip_{side}", f"femur_{side}"), (f"hip_{side}", "sacrum"), (f"femur_{side}", f"tibia_{side}")]
        pairs += [(f"tibia_{side}", f"fibula_{side}"), (f"femur_{side}", f"patella_{side}")]
        pairs += [(f"radius_{side}", f"ulna_{side}"), (f"humerus_{side}", f"scapula_{side}")]
        pairs += [(f"kidney_{side}", f"adrenal_gland_{side}"), (f"kidney_{side}", f"kidney_cyst_{side}")]
        pairs += [("aorta", f"iliac_artery_{side}"), (f"iliac_artery_{side}", f"iliac_vena_{side}")]
        pairs += [("inferior_vena_cava", f"iliac_vena_{side}"), ("superior_vena_cava", f"brachiocephalic_vein_{side}")]
    pairs += [
        ("liver", organ)
        for organ in ["gallbladder", "stomach", "kidney_right", "duodenum", "inferior_vena_cava", "colon"]
    ]
    pairs += [("stomach", organ) for organ in ["spleen", "pancreas", "duodenum", "esophagus", "colon"]]
    pairs += [("spleen", "kidney_left"), ("small_bowel", "colon"), ("urinary_bladder", "prostate")]
    pairs += [("pancreas", "portal_vein_and_splenic_vein"), ("pancreas", "duodenum"), ("brain", "skull")]
    pairs += [
        ("heart", vessel) for vessel in ["aorta", "pulmonary_vein", "atrial_appendage_left", "superior_vena_cava"]
    ]
    pairs += [("aorta", vessel) for vessel in ["brachiocephalic_trunk", "subclavian_artery_left", "superior_vena_cava"]]
    pairs += [("trachea", "esophagus"), ("trachea", "thyroid_gland"), ("sternum", "costal_cartilages")]
    return pairs


def difference(first: str, second: str) -> float:
    """CIEDE2000 between the colours of two entries; about 2 is just seen side by side."""
    one, other = (rgb2lab(np.array(ENTRIES[name].colour) / 255) for name in (first, second))
    return float(deltaE_ciede2000(one, other))


class TestColours:
    def test_no_two_entries_look_alike(self):
        closest = min(difference(*pair) for pair in itertools.combinations(ENTRIES, 2))

        assert closest > 3

    @pytest.mark.parametrize("tissues", [TISSUES, LEG_TISSUES])
    def test_tissues_are_told_apart(self, tissues):
        assert [pair for pair in itertools.combinations(tissues, 2) if difference(*pair) < 12] == []

    def test_structures_that_touch_are_told_apart(self):
        pairs = touching()

        assert len(pairs) > 150
        assert [pair for pair in pairs if difference(*pair) < 15] == []


class TestEntry:
    def test_segment_has_the_catalogues_words_and_the_callers_numbers(self):
        assert segment("kidney_cyst_right", 7, (3, 4)) == Segment(
            number=7,
            name="kidney_cyst_right",
            label="Cyst of right kidney",
            labels=(3, 4),
            category=codes.SCT.MorphologicallyAbnormalStructure,
            type=codes.SCT.Cyst,
            colour=ENTRIES["kidney_cyst_right"].colour,
            region=codes.SCT.Kidney,
            modifier=codes.SCT.Right,
        )

    def test_a_segment_needs_no_side(self):
        assert Segment(1, "liver", "Liver", (1,), codes.SCT.Tissue, codes.SCT.Liver, (0, 0, 0)).modifier is None

    def test_highdicom_describes_every_entry(self):
        segments = [e.segment(number, (number,)) for number, e in enumerate(ENTRIES.values(), start=1)]

        described = [
            hd.seg.SegmentDescription(
                segment_number=found.number,
                segment_label=found.label,
                segmented_property_category=found.category,
                segmented_property_type=found.type,
                algorithm_type="MANUAL",
                anatomic_regions=[found.region] if found.region else None,
                display_color=hd.color.CIELabColor.from_rgb(*found.colour),
            )
            for found in segments
        ]

        assert [d.segmented_property_type for d in described] == [found.type for found in segments]
        assert [d.SegmentLabel for d in described] == [found.label for found in segments]

    def test_catalogue_is_read_once_and_cannot_be_changed(self):
        assert catalogue() is catalogue()
        with pytest.raises(TypeError):
            catalogue()["liver"] = entry("spleen")
        with pytest.raises(dataclasses.FrozenInstanceError):
            entry("liver").label = "Spleen"

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("left_kidney", "kidney_left"),
            ("vertebra_l3", "vertebrae_L3"),
            ("Liver", "liver"),
            ("small bowel", "small_bowel"),
        ],
    )
    def test_unknown_name_is_answered_with_the_nearest(self, wrong, right):
        with pytest.raises(UnknownSegment, match=f"no segment {wrong}.*{right}") as caught:
            entry(wrong)

        assert caught.value.nearest[0] == right
        with pytest.raises(UnknownSegment, match=right):
            segment(wrong, 1, (1,))


GOOD = {
    "sources": {"book": "A book"},
    "concepts": {
        "organ": {"value": "91723000", "scheme": "SCT", "meaning": "Anatomical Structure"},
        "liver": {"value": "10200004", "scheme": "SCT", "meaning": "Liver", "source": "book"},
    },
    "segments": {"liver": {"label": "Liver", "category": "organ", "type": "liver", "colour": [1, 2, 3]}},
}


class TestFile:
    def write(self, tmp_path, part, key, change):
        content = json.loads(json.dumps(GOOD))
        content[part][key].update(change)
        path = tmp_path / "catalogue.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def test_a_small_catalogue_is_read(self, tmp_path):
        path = self.write(tmp_path, "segments", "liver", {})

        assert read_catalogue(path) == {
            "liver": Entry("liver", "Liver", codes.SCT.AnatomicalStructure, codes.SCT.Liver, (1, 2, 3))
        }

    @pytest.mark.parametrize(
        ("part", "change", "message"),
        [
            ("segments", {"type": "lung"}, "segment liver names lung; add it to concepts"),
            ("segments", {"modifier": "left"}, "segment liver names left; add it to concepts"),
            ("segments", {"colour": [0, 0, 256]}, r"segments\.liver\.colour\.2"),
            ("segments", {"colour": [0, 0]}, r"segments\.liver\.colour\.2"),
            ("segments", {"label": "L" * 65}, r"segments\.liver\.label"),
            ("segments", {"color": [0, 0, 0]}, r"segments\.liver\.color: Extra"),
            ("concepts", {"value": 10200004}, r"concepts\.liver\.value"),
            ("concepts", {"scheme": "SRT"}, r"concepts\.liver\.scheme"),
            ("concepts", {"source": "hearsay"}, "concept liver has the source hearsay; add it to sources"),
        ],
    )
    def test_a_wrong_value_is_named(self, tmp_path, part, change, message):
        with pytest.raises(CatalogueError, match=f"catalogue.yaml: .*{message}"):
            read_catalogue(self.write(tmp_path, part, "liver", change))

    @pytest.mark.parametrize("content", [b"segments: [", b"\xff\xfe\xff"])
    def test_what_is_no_yaml_is_said(self, tmp_path, content):
        path = tmp_path / "catalogue.yaml"
        path.write_bytes(content)

        with pytest.raises(CatalogueError, match=r"catalogue\.yaml: no YAML"):
            read_catalogue(path)
