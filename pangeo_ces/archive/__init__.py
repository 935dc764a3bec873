"""Raw bytes from data centres and disks, kept by content and staged as numbered versions."""

import fsspec

# fsspec's own entry for WebDAV cannot take the server from a URL.
for _protocol in ("webdav", "webdavs"):
    fsspec.register_implementation(
        _protocol,
        "pangeo_ces.archive.webdav.WebDAV",
        clobber=True,
        errtxt="WebDAV needs the package webdav4: pip install 'pangeo_ces[webdav]'",
    )
