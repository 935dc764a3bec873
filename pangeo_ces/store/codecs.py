"""How stored waveforms are compressed: two profiles, measured in ``docs/adr/0014-codecs.md``."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import google_crc32c
import numcodecs
import numcodecs.pcodec
import numpy as np
import zarr
from numpy.typing import DTypeLike
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec
from zarr.codecs.numcodecs import PCodec

from ..errors import ParameterError, StoreError
from . import planes

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


@dataclasses.dataclass(frozen=True)
class ChunkCodec:
    """Bytes of one chunk of a shard from its samples, and back, without Zarr's pipeline.

    ``planar`` says that they are bit planes as :mod:`planes` writes them.
    """

    codec: Any
    dtype: np.dtype
    shape: tuple[int, ...]
    planar: bool = False

    @property
    def size(self) -> int:
        """Samples of a chunk."""
        return math.prod(self.shape)

    def encode(self, chunk: np.ndarray, out: np.ndarray) -> int:
        """Write compressed samples and their checksum to bytes; how many."""
        parts: list[Any] = planes.encode(chunk) if self.planar else []
        end, checksum = 0, 0
        for part in parts or [self.codec.encode(chunk)]:
            begin, end = end, end + len(part)
            out[begin:end] = np.frombuffer(part, "uint8")
            checksum = google_crc32c.extend(checksum, bytes(part))
        out[end : end + 4] = np.frombuffer(checksum.to_bytes(4, "little"), "uint8")
        return end + 4

    @property
    def most(self) -> int:
        """Bytes that a chunk takes at most: codecs add little to what they cannot compress."""
        return 2 * self.size * self.dtype.itemsize + 4096

    def decode(self, content: bytes, first: int = 0, last: int | None = None) -> np.ndarray:
        """Samples ``first`` to ``last`` (exclusive) of a chunk, counted over all its dimensions.

        Raises
        ------
        StoreError
            When the checksum does not fit.
        """
        body = content[:-4]
        if google_crc32c.value(body) != int.from_bytes(content[-4:], "little"):
            raise StoreError(
                "a chunk is damaged (its checksum differs): copy the store again, or open an "
                "earlier version of it"
            )
        last = self.size if last is None else last
        if self.planar and planes.is_planes(body, self.size, self.dtype):
            return planes.decode(body, self.size, self.dtype, first, last)
        return np.frombuffer(self.codec.decode(body), self.dtype)[first:last]


def chunk_codec(array: zarr.Array[Any]) -> ChunkCodec | None:
    """The codec of a sharded array; ``None`` where it is none of ours, and Zarr has to."""
    outer: Any = getattr(array.metadata, "codecs", ())
    if len(outer) != 1 or not isinstance(outer[0], ShardingCodec):
        return None
    sharding = outer[0]
    usual = ShardingCodec(chunk_shape=sharding.chunk_shape)
    if (sharding.index_location, sharding.index_codecs) != ("end", usual.index_codecs):
        return None
    inner: list[Any] = list(sharding.codecs)
    if [type(codec) for codec in inner] == [BytesCodec, BloscCodec, Crc32cCodec]:
        config: Any = inner[1].to_dict()["configuration"]
        settings = {key: config[key] for key in ("cname", "clevel", "blocksize", "typesize")}
        shuffle = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}[config["shuffle"]]
        codec: Any = numcodecs.Blosc(shuffle=shuffle, **settings)
        fits = math.prod(array.chunks) * array.dtype.itemsize <= settings["blocksize"]
        planar = fits and (settings["cname"], settings["clevel"], shuffle) == ("zstd", 1, 2)
        return ChunkCodec(codec, array.dtype, array.chunks, planar)
    if [type(codec) for codec in inner] == [PCodec, Crc32cCodec]:
        settings = {key: value for key, value in inner[0].codec_config.items() if key != "id"}
        return ChunkCodec(numcodecs.pcodec.PCodec(**settings), array.dtype, array.chunks)
    return None
