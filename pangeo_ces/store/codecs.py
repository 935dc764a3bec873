"""How stored waveforms are compressed: two profiles, measured in ``docs/adr/0014-codecs.md``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.codecs.numcodecs import PCodec

from ..errors import ParameterError

#: Name of a profile and what it is for.
PROFILES = {
    "core": "codecs of the Zarr v3 specification only, fast to write: every reader opens it",
    "archive": "pcodec, a quarter smaller, slower to write: needs numcodecs and pcodec to read",
}

#: The samples of a chunk must be a multiple of this: Blosc leaves another block unshuffled.
CHUNK_MULTIPLE = 8

#: Most bytes that Blosc compresses at once.  A chunk as one block is smaller, and written and read
#: faster, than in the blocks of 32 KiB that Blosc chooses itself at this level.
_BLOCK = 2 << 20

#: All spelt out, so that the metadata say how chunks were made whatever the defaults become.
_PCODEC: dict[str, Any] = {
    "level": 8,
    "mode_spec": "auto",
    "delta_spec": "auto",
    "paging_spec": "equal_pages_up_to",
    "delta_encoding_order": None,
    "equal_pages_up_to": 262_144,
}


def compressors(profile: str, dtype: DTypeLike) -> dict[str, Any]:
    """Codecs of an array of samples, as keyword arguments of ``zarr.create_array``.

    Parameters
    ----------
    profile
        ``core`` or ``archive``, see :data:`PROFILES`.
    dtype
        Type of the samples.  pcodec knows integers and floats of 2 to 8 bytes; arrays of another
        type are compressed as in ``core``.

    Returns
    -------
    dict
        ``filters``, ``serializer`` and ``compressors``.  All are lossless, bit by bit.  Every chunk
        ends with its checksum, so that a damaged one is an error and never wrong samples.

    Raises
    ------
    ParameterError
        When there is no such profile.

    Examples
    --------
    >>> [type(codec).__name__ for codec in compressors("core", "int32")["compressors"]]
    ['BloscCodec', 'Crc32cCodec']
    >>> compressors("archive", "int32")["serializer"].codec_name
    'numcodecs.pcodec'
    """
    if profile not in PROFILES:
        raise ParameterError(f"no codec profile {profile!r}: use {' or '.join(PROFILES)}")
    of = np.dtype(dtype)
    if profile == "archive" and of.kind in "iuf" and 2 <= of.itemsize <= 8:
        return {"filters": None, "serializer": PCodec(**_PCODEC), "compressors": [Crc32cCodec()]}
    blosc = BloscCodec(
        cname="zstd", clevel=1, shuffle="bitshuffle", typesize=of.itemsize, blocksize=_BLOCK
    )
    return {"filters": None, "serializer": "auto", "compressors": [blosc, Crc32cCodec()]}
