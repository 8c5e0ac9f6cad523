"""TrunkParameters: every constant of the trunk engine, in mm, HU, ml, cm2 or degrees, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrunkParameters:
    """Constants of the trunk engine; they come from anatomy and the literature, not from raising a Dice.

    Attributes are grouped by the step that reads them; the comment beside each gives its reason.
    """

    # Working grid: compartments (fascia, inner wall, spine) are several mm thick, so 3 mm resolves them.
    work_spacing_mm: float = 3.0

    # HU windows of body composition: muscle -29..150 (Mitsiopoulos 1998), SAT and IMAT -190..-30, VAT -150..-50 (Vehmas
    # 1996, Mourtzakis 2008).
    muscle_low_hu: float = -29.0
    muscle_high_hu: float = 150.0
    sat_low_hu: float = -190.0
    sat_high_hu: float = -30.0
    vat_low_hu: float = -150.0
    vat_high_hu: float = -50.0
    intermuscular_low_hu: float = -190.0
    intermuscular_high_hu: float = -30.0

    # Body: halfway between air (-1000) and water (0) is where a skin voxel is half filled.
    air_hu: float = -500.0
    # Edges in a CT are blurred over 1-3 mm: so far from the surface lies what the body is beside, air or a cushion.
    edge_mm: float = 3.0
    # Shells of table tops are 1-5 mm thick; the chest wall of a lean person is above 8 mm.
    table_opening_mm: float = 3.0
    # Blankets, tubes and fingers are thinner than two of these; limbs and trunk are thicker.
    body_opening_mm: float = 6.0
    # What the opening shaved from the corners of the body comes back within one working voxel.
    body_recovery_mm: float = 3.0
    # Less than a litre in one piece is no trunk.
    body_minimum_ml: float = 1000.0
    # Skin of the trunk: epidermis and dermis, 1.5-2.5 mm.
    skin_mm: float = 2.0

    # Bone begins where the window of muscle ends; trabecular bone of adults has 100-250 HU, marrow is filled anyway.
    bone_hu: float = 150.0
    # Well inside bone so much is marrow, though its cortex be open: osteoporosis begins at 110 HU (Pickhardt 2013),
    # discs and muscle have less.
    marrow_hu: float = 110.0
    # Gaps in a thin cortex at 3 mm voxels; the canal (15-25 mm) stays open, foramina close.
    bone_closing_mm: float = 4.5
    # Calcified vessels, stones and clips are smaller; the smallest rib piece in a slice stack is larger.
    bone_minimum_ml: float = 0.5
    # Of a bone that the field cuts there may be less: the section of a rib (8 x 15 mm) tells it from a stone.
    bone_section_cm2: float = 0.9
    # Marrow lies below a cortex; what the closing filled at the surface itself is a crevice.
    bone_shell_mm: float = 3.0
    # Vertebral bodies are at most so wide (35-55 mm) and so deep (25-40 mm).
    vertebra_width_mm: float = 55.0
    vertebra_depth_mm: float = 40.0
    # Seen from the middle, the basivertebral foramen (15 mm) opens 60 of 360 degrees.
    vertebra_enclosure: float = 0.8
    # At the far side of a vertebral body (25 mm from its middle) so many rays are 10 mm apart.
    vertebra_directions: int = 16
    # A cortex thinner than a voxel is missed here and there; the rim of a disc is open for more than that.
    vertebra_gaps_ahead: int = 1
    # A lumbar vertebra with its disc.
    vertebra_height_mm: float = 40.0
    # The furrow of the back, over the tips of the spinous processes, is 10-20 mm wide.
    furrow_half_width_mm: float = 10.0
    # A vertebral body is 25-35 mm deep: so much bone in front makes a hole in bone the canal, not marrow.
    canal_behind_bone_mm: float = 20.0

    # So far inside the wall nothing is bone but the spine: enhanced kidneys, vessels and bowel are.
    bone_depth_mm: float = 5.0
    # Osteophytes, and the rounding of the disc to working voxels, reach this far beyond the vertebral body.
    osteophyte_mm: float = 4.0

    # Spine: a vertebral body is 25-40 mm deep and 35-55 mm wide, within 40 mm of the body's midline.
    spine_midline_mm: float = 40.0
    spine_minimum_radius_mm: float = 10.0
    # Longer than one vertebra with its disc (35-45 mm), so discs and processes do not move the track.
    spine_smoothing_mm: float = 45.0
    # Width over depth of lumbar vertebral bodies is 1.3-1.5 (Zhou 2000).
    vertebra_aspect: float = 1.35
    # Disc annulus bulges and osteophytes reach a few mm beyond the inscribed disc.
    vertebra_rim_mm: float = 2.0
    # Lumbar canal: 15-18 mm deep, 22-30 mm wide; behind it 3-5 mm of ligamentum flavum.
    canal_depth_mm: float = 20.0
    canal_half_width_mm: float = 12.0
    canal_width_mm: float = 30.0

    # Lungs are aerated tissue (-950..-500); bowel gas is pure air below that, even at 3 mm.
    lung_median_low_hu: float = -960.0
    lung_minimum_ml: float = 50.0
    # Above half the inside the chest, not the abdomen, is what is measured.
    thorax_fraction: float = 0.5

    # Iliac crest. A rib (8 x 15 mm) cut at 20 degrees is below 4 cm2, the wing (60-90 x 8 mm) above 5 cm2.
    iliac_section_cm2: float = 5.0
    # The opposite wing, cut nearer to its crest when the pelvis is tilted.
    iliac_other_side_cm2: float = 2.0
    # Transverse processes of L4/L5 and the sacrum reach 40-45 mm from the midline, the crest's top lies 60-90 mm out.
    iliac_lateral_mm: float = 45.0
    # Marrow is darker than its cortex by more than this share, contrast in bowel is as bright within as at its edge.
    iliac_texture: float = 0.15
    # Cortex at 3 mm voxels; enhanced kidney stays below 250 HU.
    iliac_cortex_hu: float = 300.0
    # The crest's tip, below this it may be partial volume.
    iliac_tip_cm2: float = 0.3
    # A rib climbs at least this much from a cut through it to its joint at the spine; a crest at its top does not.
    iliac_low_rise_mm: float = 30.0

    # Fascia: gaps between muscles (linea semilunaris, lumbar triangle, intercostal) are 20-50 mm wide.
    fascia_closing_mm: float = 24.0
    # Linea alba with diastasis and the umbilicus, up to the width between both recti.
    fascia_front_closing_mm: float = 75.0
    # Fat and muscle in the same voxel: their middle (-100 and 50).
    soft_hu: float = -30.0
    # The dermis and the partial volume under it, taken off before the wall is looked for.
    fascia_under_skin_mm: float = 4.5

    # Inner wall: sampling of the rays; a step of 2 degrees is 5 mm at the radius of a trunk.
    ray_step_degrees: float = 2.0
    ray_step_mm: float = 1.0
    # Rays are averaged with their neighbours along the wall, not across it: noise falls, edges stay where they are.
    ray_average_mm: float = 3.0
    ray_average_degrees: float = 2.0
    # The wall (three flat muscles, or a rectus) is 10-40 mm thick, also in muscular people.
    wall_maximum_mm: float = 40.0
    # Fat planes between wall muscles are 1-3 mm; behind the wall lies more.
    wall_dark_run_mm: float = 5.0
    # The linea alba is an aponeurosis of 1-3 mm, with preperitoneal fat behind it.
    linea_alba_mm: float = 3.0
    # Innermost intercostal and endothoracic fascia behind a rib.
    rib_inner_mm: float = 2.0
    # Latissimus, serratus and pectoralis over the lower ribs; bright things deeper than this are no ribs.
    rib_depth_mm: float = 25.0
    # The thinnest layer of the flank (transversus) has 3-5 mm: a depth that is further from its neighbours' is another
    # structure, a bowel loop or a gap.
    wall_outlier_mm: float = 4.0
    # Neighbourhood of that comparison: twice a bowel loop or stomach against the wall (40-50 mm, 20-25 degrees).
    wall_median_degrees: float = 45.0
    wall_median_mm: float = 60.0
    # Scales (mm along the body, degrees around it) of the smoothing that fills unmeasured rays: near ones first.
    wall_scales: tuple[tuple[float, float], ...] = ((6.0, 4.0), (12.0, 10.0), (30.0, 25.0), (90.0, 90.0))
    # Half a working voxel: so far a smoothed surface may miss the edge that a voxel's own HU shows.
    surface_tolerance_mm: float = 1.5
    # Where no ray was measured anywhere: the mean lateral wall of adults.
    wall_default_mm: float = 20.0

    # Muscle seeds, in mm from the vertebral body.
    paraspinal_near_mm: float = 10.0
    paraspinal_far_mm: float = 45.0
    paraspinal_behind_mm: float = 15.0
    psoas_near_mm: float = 4.0
    psoas_far_mm: float = 16.0
    # The crura and the diaphragm, also beside the vertebra, are sheets of up to 10 mm; the psoas is thicker.
    psoas_depth_mm: float = 5.0
    # Aorta and vena cava lie on the front of the vertebral bodies.
    vessel_front_mm: float = 4.0
    # The psoas reaches 60-70 mm from the midline; beyond it and in front of the great vessels lie organs.
    organ_lateral_mm: float = 45.0
    organ_front_mm: float = 15.0
    organ_depth_mm: float = 15.0
    seed_depth_mm: float = 3.0
    # Costal cartilage and enhanced organs are brighter than muscle by more than this or 4 MAD (about 2.7 SD).
    muscle_above_median_hu: float = 28.0
    muscle_above_mad: float = 4.0
    # Standard deviation of the average over the thickness of cartilage (6-10 mm): 7 mm wide at half its height.
    muscle_smoothing_mm: float = 3.0
    # Fat between erector spinae, quadratus and the transverse processes lies in gaps of up to 25 mm.
    paraspinal_closing_mm: float = 12.0
    # Nerve roots and their fat leave beside the vertebral body.
    foramen_mm: float = 8.0

    # Intermuscular fat: the same gaps in the back, elsewhere the planes of 1-3 mm between the layers of the wall, which
    # working voxels of 3 mm may show as wide as two of them.
    intermuscular_closing_mm: float = 12.0
    intermuscular_plane_mm: float = 3.0
    # The linea alba is up to 22 mm wide above the umbilicus (Beer 2009).
    linea_alba_half_width_mm: float = 11.0
    # Surfaces are found to one working voxel: fat as near to the fascia as that may be subcutaneous, fat as near to the
    # cavity visceral.
    intermuscular_margin_mm: float = 3.0

    # No fat is as dark as this (fat ends at -190): part of the voxel is gas.
    gas_hu: float = -300.0
    # Bowel: wall thickness 1-3 mm, with the partial volume at gas that looks like fat.
    gas_margin_mm: float = 3.0
    # Stool and folds between gas bubbles in a colon of 30-50 mm.
    gas_closing_mm: float = 12.0
    # Smaller fat islands in the cavity are stool, bowel wall or noise.
    vat_minimum_ml: float = 0.5
