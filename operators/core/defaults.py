"""Defaults: everything that results carry and that comes neither from the scanner nor from an app."""

MANUFACTURER = "mapnode"
"""Manufacturer (0008,0070) and Contributing Equipment of results."""
RESEARCH_STATUS = "Research use only. Not for diagnosis."
"""Stands in every result that a person can read."""
SEG_SERIES_NUMBER = 9101
SR_SERIES_NUMBER = 9102
PRESENTATION_STATE_SERIES_NUMBER = 9105
RT_STRUCTURE_SET_SERIES_NUMBER = 9106
PARAMETRIC_MAP_SERIES_NUMBER = 9107
REJECTION_NOTE_SERIES_NUMBER = 9109
SECONDARY_CAPTURE_SERIES_NUMBER = 9111
REPORT_PDF_SERIES_NUMBER = 9112
"""Series Numbers far above those of scanners, so that results sort behind the images."""
