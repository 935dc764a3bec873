"""pangeo_ces."""
