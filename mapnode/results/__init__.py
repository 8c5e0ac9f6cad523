"""Results: are they what they claim to be, and into the PACS with them, or into quarantine."""
