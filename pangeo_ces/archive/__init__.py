"""Raw bytes from data centres and disks, kept by content and staged as numbered versions."""
