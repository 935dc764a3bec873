"""The only door to ``dask.array``: kernels over blocks of whole channels.

A kernel is a numpy function on the blocks of one or more arrays.  Its first argument has the
dimensions of the waveform, ``(..., time)``; further arrays (one value a channel, one a station)
come cut to the same block.  On numpy-backed data the kernel runs at once; on Dask-backed data it
becomes one blockwise layer, which Dask fuses with its neighbours.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import normalize_token
from dask.layers import ArrayBlockwiseDep
from dask.utils import format_bytes

from . import config, timeaxis
from .errors import ParameterError
from .unfinished import kept

Kernel = Callable[..., np.ndarray]
Chunks = tuple[tuple[int, ...], ...]

#: Of a block of a small array that is sent along with every task.
_PIECE_BYTES = 16_384
#: Of a chunk of a product: its bytes, and from how many blocks.  Until it is complete its workers
#: remember the tasks of all of these, a tenth of a megabyte each, however small their results.
_PRODUCT_BYTES, _PRODUCT_BLOCKS = 2**22, 64


def map_time(
    kernel: Kernel,
    data: xr.DataArray,
    *channels: xr.DataArray,
    overlap_s: tuple[float, float] | None = None,
    dtype: Any = None,
    **options: Any,
) -> xr.DataArray:
    """Apply a kernel that keeps the shape of its block.

    Parameters
    ----------
    kernel
        ``kernel(block, *channel_blocks, **options) -> block``.
    data
        Waveform, ``(..., time)``.
    channels
        Arrays over some of the other dimensions of ``data``.
    overlap_s
        Seconds of the neighbouring blocks before and after that the kernel needs where time is
        cut into several chunks; ``None`` when it needs all of time, which is then gathered.
    dtype
        Of the result; that of ``data`` by default.
    """
    data = data.transpose(..., "time")
    dtype = data.dtype if dtype is None else np.dtype(dtype)
    if overlap_s is not None and _is_split(data):
        interval = float(timeaxis.sampling_interval(data))
        whole = data.sizes["time"]
        before, after = (min(int(np.ceil(seconds / interval)), whole) for seconds in overlap_s)
        blocks = [_block_of(x, data) for x in channels]
        shapes = tuple(block.ndim for block in blocks)
        return data.copy(
            data=da.map_overlap(
                functools.partial(_with_short_channels, kernel, shapes),
                data.data,
                # Dask aligns from the last axis, which these do not have.
                *(block[(..., *[None] * (data.ndim - block.ndim))] for block in blocks),
                depth=[{data.ndim - 1: (before, after)}, *({} for _ in channels)],
                boundary="none",
                dtype=dtype,
                meta=np.empty((0,) * data.ndim, dtype),
                align_arrays=False,
                **options,
            )
        )
    return map_blocks(
        kernel, data, *channels, dims=tuple(map(str, data.dims)), dtype=dtype, **options
    )


def _with_short_channels(
    kernel: Kernel, dims: tuple[int, ...], block: np.ndarray, *channels: np.ndarray, **options: Any
) -> np.ndarray:
    """Call a kernel with the channel blocks in so many dimensions as they had."""
    short = [x.reshape(x.shape[:ndim]) for x, ndim in zip(channels, dims, strict=True)]
    return kernel(block, *short, **options)


def map_blocks(
    kernel: Kernel,
    data: xr.DataArray,
    *channels: xr.DataArray,
    dims: Sequence[str],
    sizes: Mapping[str, int] | None = None,
    dtype: Any,
    **options: Any,
) -> xr.DataArray:
    """Apply a kernel that sees all of time and gives a block over ``dims``.

    Parameters
    ----------
    kernel
        ``kernel(block, *channel_blocks, **options) -> block``.
    data
        Waveform; time is gathered into one chunk where it is split.
    dims
        Dimensions of the result; those missing from ``data``, or listed in ``sizes``, are new.
    sizes
        Lengths of the new dimensions.
    dtype
        Of the result.

    Returns
    -------
    xr.DataArray
        With those coordinates of ``data`` whose dimensions live on unchanged.
    """
    new = dict(sizes or {})
    data = _gather(data)
    kept = [str(dim) for dim in data.dims if dim in dims and dim not in new]
    coords = {
        name: coord for name, coord in data.coords.items() if set(map(str, coord.dims)) <= set(kept)
    }
    if not isinstance(data.data, da.Array):
        blocks = [np.asarray(_aligned(x, data).data) for x in channels]
        result = kernel(np.asarray(data.data), *blocks, **options).astype(dtype, copy=False)
        return _with_index(xr.DataArray(result, dims=tuple(dims)), coords, data, kept)
    # A dimension that changes its length needs a name of its own in the graph.
    names = tuple(f"{dim}-new" if dim in new else dim for dim in dims)
    data = _whole(data, [str(dim) for dim in data.dims if dim not in kept])
    arguments: list[Any] = [data.data, tuple(map(str, data.dims))]
    for extra in channels:
        arguments += [_argument(extra, data), tuple(map(str, _aligned(extra, data).dims))]
    result = da.blockwise(
        kernel,
        names,
        *arguments,
        new_axes={f"{dim}-new": size for dim, size in new.items()},
        concatenate=True,
        align_arrays=False,
        dtype=np.dtype(dtype),
        meta=np.empty((0,) * len(names), np.dtype(dtype)),
        **options,
    )
    return _with_index(xr.DataArray(result, dims=tuple(dims)), coords, data, kept)


def consolidate(values: xr.DataArray) -> xr.DataArray:
    """Small results of many blocks as few chunks, so that what follows is few tasks.

    In a resumable run each block is kept until the run ends well.
    """
    if not isinstance(values.data, da.Array):
        return values
    blocks = kept(values.data)
    return values.copy(data=blocks.rechunk(_in_order(blocks)))


def consolidate_together(ds: xr.Dataset, dims: Sequence[str]) -> xr.Dataset:
    """The same for variables over ``dims``, and one more or none, that come of the same blocks.

    They are one result of a block, not one each: a scheduler has so many tasks less to know.  Their
    numbers must be such as float64 holds.
    """
    lazy = [str(name) for name, one in ds.data_vars.items() if isinstance(one.data, da.Array)]
    if not lazy:
        return ds
    parts = [ds[name].transpose(*dims, ...) for name in lazy]
    edges = np.cumsum([0, *(int(np.prod(part.shape[len(dims) :])) for part in parts)]).tolist()
    joined = consolidate(
        map_blocks(_joined, *parts, dims=(*dims, "joined"), sizes={"joined": edges[-1]},
                   dtype="float64", axes=len(dims))
    )  # fmt: skip
    result = {}
    for name, part, first, last in zip(lazy, parts, edges[:-1], edges[1:], strict=True):
        further = part.dims[len(dims) :]
        here = joined.isel(joined=slice(first, last) if further else first)
        here = here.rename(joined=further[0]) if further else here
        result[name] = here.astype(part.dtype).assign_attrs(ds[name].attrs).variable
    return ds.assign(result)


def _joined(*blocks: np.ndarray, axes: int) -> np.ndarray:
    """Blocks with the same first axes side by side along one more."""
    flat = [block.reshape(*block.shape[:axes], -1) for block in blocks]
    return np.concatenate(flat, axis=-1, dtype=np.float64)


def _in_order(blocks: da.Array) -> dict[int, int]:
    """Chunks of whole blocks that are complete after few shards, as these come: the last dimension
    is filled first.

    Dask's own choice cuts all dimensions, and a part of each chunk waits for the last shard.
    """
    largest = [max(sizes, default=1) or 1 for sizes in blocks.chunks]
    size = int(np.prod(largest)) * blocks.dtype.itemsize
    left = min(max(_PRODUCT_BYTES // max(size, 1), 1), _PRODUCT_BLOCKS)
    chunks = {}
    for axis in reversed(range(blocks.ndim)):
        many = min(left, blocks.numblocks[axis] or 1)
        chunks[axis] = max(1, min(many * largest[axis], blocks.shape[axis]))
        left //= many
    return chunks


def _with_index(
    result: xr.DataArray,
    coords: Mapping[Hashable, xr.DataArray],
    data: xr.DataArray,
    kept: list[str],
) -> xr.DataArray:
    """Put back the coordinates, the lazy time axis included."""
    plain = {name: coord for name, coord in coords.items() if name != "time"}
    result = result.assign_coords(plain)
    if "time" in kept and "time" in data.xindexes:
        result = result.assign_coords(xr.Coordinates.from_xindex(data.xindexes["time"]))
        result["time"].attrs.update(data["time"].attrs)
    return result


def _is_split(data: xr.DataArray) -> bool:
    return isinstance(data.data, da.Array) and len(data.variable.chunksizes["time"]) > 1


def _gather(data: xr.DataArray) -> xr.DataArray:
    if "time" not in data.dims or not _is_split(data):
        return data
    block = {d: max(c) for d, c in data.variable.chunksizes.items()} | {"time": data.sizes["time"]}
    size = int(np.prod([float(n) for n in block.values()])) * data.dtype.itemsize
    limit = config.get_bytes("max-whole-record-bytes")
    if size > limit:
        raise ParameterError(
            f"this needs whole records, and one block of them is {format_bytes(size)} (limit "
            f"{format_bytes(limit)}): cut event windows with .sel(time=slice(...)) first, or raise "
            "ces.max-whole-record-bytes"
        )
    return _whole(data, ["time"])


def _whole(data: xr.DataArray, dims: Sequence[str]) -> xr.DataArray:
    """One chunk along ``dims``; the coordinates stay as they are."""
    split = [dim for dim in dims if len(data.variable.chunksizes[dim]) > 1]
    axes = {data.get_axis_num(dim): -1 for dim in split}
    return data.copy(data=data.data.rechunk(axes)) if split else data


def _aligned(extra: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    """Dimensions in the order of the waveform's, then those of its own."""
    return extra.transpose(*(dim for dim in data.dims if dim in extra.dims), ...)


def _block_of(extra: xr.DataArray, data: xr.DataArray) -> da.Array:
    """A small array cut as the waveform is, whole along dimensions of its own."""
    extra, chunks = _cut(extra, data)
    values = extra.data
    return values.rechunk(chunks) if isinstance(values, da.Array) else da.from_array(values, chunks)


def _argument(extra: xr.DataArray, data: xr.DataArray) -> da.Array | _Pieces:
    """The same for a blockwise layer, where what is small and in memory needs no task."""
    extra, chunks = _cut(extra, data)
    largest = int(np.prod([max(sizes) for sizes in chunks])) * extra.dtype.itemsize
    if isinstance(extra.data, da.Array) or largest > _PIECE_BYTES:
        return _block_of(extra, data)
    return _Pieces(np.asarray(extra.data), chunks)


def _cut(extra: xr.DataArray, data: xr.DataArray) -> tuple[xr.DataArray, Chunks]:
    """In the order of the waveform's dimensions, and its chunks."""
    extra = _aligned(extra, data)
    cuts = data.variable.chunksizes
    return extra, tuple(cuts.get(dim, (extra.sizes[dim],)) for dim in extra.dims)


class _Pieces(ArrayBlockwiseDep):
    """Blocks of a numpy array that travel inside the tasks that use them.

    As arrays of their own they would be one task each, half of all that a scheduler has to know,
    and keep Dask from fusing the kernels they go to.
    """

    def __init__(self, values: np.ndarray, chunks: Chunks):
        super().__init__(chunks)
        self.values = values
        self._edges = [np.cumsum([0, *sizes]).tolist() for sizes in chunks]

    def __getitem__(self, block: tuple[int | Sequence[int], ...]) -> np.ndarray:
        """A block; a contracted dimension is asked for by the numbers of all of its blocks."""
        which = [(n, n) if isinstance(n, int) else (n[0], n[-1]) for n in block]
        return self.values[
            tuple(
                slice(edges[first], edges[last + 1])
                for edges, (first, last) in zip(self._edges, which, strict=True)
            )
        ]

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return normalize_token((type(self).__name__, self.chunks, self.values))
