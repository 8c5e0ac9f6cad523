"""Package: an app as a container image (MAP specification 1.0.0); what it is made from is in map-build/."""
