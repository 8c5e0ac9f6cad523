"""LegParameters: every constant of the leg engine, in mm, HU, ml, cm2 or shares, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LegParameters:
    """Constants of the leg engine; they come from anatomy and the literature, not from fitting.

    Attributes are grouped by the step that reads them; the comment beside each gives its reason.
    """

    # Legs, bones and sides are several mm thick: 3 mm resolves them; tissues are classified at full resolution.
    work_spacing_mm: float = 3.0

    # HU windows of body composition: muscle -29..150 (Mitsiopoulos 1998), fat -190..-30 (Kvist 1988, Goodpaster 2000).
    muscle_low_hu: float = -29.0
    muscle_high_hu: float = 150.0
    fat_low_hu: float = -190.0
    fat_high_hu: float = -30.0

    # Body: halfway between air (-1000) and water (0) is where a skin voxel is half filled.
    air_hu: float = -500.0
    # Shells of table tops are 1-5 mm thick.
    table_opening_mm: float = 3.0
    # Blankets and straps are thinner than two of these; the thinnest part of a leg, above the ankle, is 50 mm thick.
    body_opening_mm: float = 6.0
    # What the opening shaved from the corners comes back within one working voxel.
    body_recovery_mm: float = 3.0
    # A leg of 100 mm holds at least the shaft's cortex, 3 cm2: a table or a pad holds none.
    bone_minimum_ml: float = 10.0
    # Skin of the legs: epidermis and dermis, 1.5-2 mm.
    skin_mm: float = 2.0
    # Air and skin in the same voxel look like fat, within about 1 mm of the surface.
    surface_mm: float = 1.0

    # Bone begins where the window of muscle ends; trabecular bone of adults has 100-250 HU, marrow is filled anyway.
    bone_hu: float = 150.0
    # Calcified arteries and clips are smaller; a stretch of fibula is larger.
    bone_piece_ml: float = 0.5
    # Gaps in a thin cortex at voxels of 1-2 mm; the space between patella and femur stays open.
    bone_closing_mm: float = 2.0

    # Between the bones of both legs in the thighs and the shanks; within a leg they are at most 25 mm apart.
    between_legs_mm: float = 40.0
    # Length over which the midline is taken to run straight: longer than a knee, whose condyles nearly touch.
    midline_mm: float = 60.0
    # Legs lie on both sides of the body's middle; in a trunk the widest gap between bones is beside the spine.
    off_centre: float = 0.12
    # Both legs have a bone in nearly every slice.
    two_legs_share: float = 0.5

    # Tibia, fibula and femur are longer, a patella and the bones of the foot are shorter.
    crossing_bone_mm: float = 80.0
    # A voxel or several at each end of a bone, which lie on one side all.
    crossing_end_mm: float = 10.0

    # Knee joint: condyles and plateau are 70-85 mm wide and have 25-40 cm2, the joint space between them less.
    knee_bone_cm2: float = 18.0
    # Condyles and plateau reach their full section within this distance from the joint.
    knee_reach_mm: float = 40.0
    # How much smaller the section in the joint has to be than on both sides of it.
    knee_dip: float = 0.7
    # Femur of adults: 380-520 mm (Trotter 1952), with a margin.
    femur_shortest_mm: float = 330.0
    femur_longest_mm: float = 560.0
    # So far below its top the head (40-54 mm wide) is a round section of 10-20 cm2; an iliac crest is a strip.
    head_below_top_mm: float = 10.0
    head_narrowest_mm: float = 25.0
    head_widest_mm: float = 60.0
    head_aspect: float = 1.5

    # Pelvis: pubis and sacrum lie at the midline; the femoral heads stay 35 mm away from it.
    pelvis_midline_mm: float = 20.0
    pelvis_bone_cm2: float = 1.0
    # An ischium is larger; the patella lies far lower.
    pelvis_piece_ml: float = 5.0
    # Above this share of the scanned leg, or this far above the knee, a bone beside the femur is the pelvis's.
    pelvis_above: float = 0.5
    pelvis_above_knee_mm: float = 200.0

    # Fat and muscle in the same voxel: their middle (-100 and 50).
    soft_hu: float = -30.0
    # Veins, septa and noise in the subcutaneous fat are thinner than two of these; muscles are thicker.
    soft_opening_mm: float = 2.0
    # Smaller pieces of soft tissue in a slice are veins and lymph nodes in the fat; muscles are larger together.
    soft_piece_cm2: float = 1.5
    # The deep fascia is a taut sleeve: it bridges fat planes of up to 15 mm and the hollows between muscle groups. Over
    # a disc of 40 mm its surface sinks into such a plane by 0.7 mm.
    fascia_closing_mm: float = 40.0
