"""Defaults: everything that results carry and that comes neither from the scanner nor from an app."""

MANUFACTURER = "mapnode"
"""Manufacturer (0008,0070) and Contributing Equipment of results."""
RESEARCH_STATUS = "Research use only. Not for diagnosis."
"""Stands in every result that a person can read."""
SEG_SERIES_NUMBER = 9101
SR_SERIES_NUMBER = 9102
"""Series Numbers far above those of scanners, so that results sort behind the images."""
