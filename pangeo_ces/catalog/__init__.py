"""Static STAC catalogues of stores and archives."""
