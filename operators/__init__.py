"""Reusable steps for MONAI Application Packages: imports neither apps nor mapnode."""
