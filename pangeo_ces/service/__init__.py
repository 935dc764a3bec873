"""A data centre over HTTP: FDSN web services from stores and archives."""
