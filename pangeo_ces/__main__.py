"""``python -m pangeo_ces`` is ``ces``."""

from .cli import main

main()
