"""Selection of time windows in which observed and synthetic can be compared (FLEXWIN)."""
