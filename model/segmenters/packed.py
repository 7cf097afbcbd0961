"""Masks and soft maps that wait, small, for the end of a clip."""

from __future__ import annotations

import zlib

import numpy as np

from video_types import Mask, Size, SoftMap


def packed_mask(mask: Mask) -> bytes:
    """A mask (H, W) as bytes; `unpacked_mask` needs its size."""
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def unpacked_mask(data: bytes, size: Size) -> Mask:
    bits = np.frombuffer(zlib.decompress(data), dtype=np.uint8)
    return np.unpackbits(bits, count=size[0] * size[1]).astype(np.bool_).reshape(size)


def packed_map(soft_map: SoftMap) -> bytes:
    head = np.array(soft_map.shape, dtype="<u4").tobytes()
    return zlib.compress(head + soft_map.tobytes(), 1)


def unpacked_map(data: bytes) -> SoftMap:
    raw = zlib.decompress(data)
    height, width = np.frombuffer(raw[:8], dtype="<u4")
    return np.frombuffer(raw[8:], dtype=np.uint8).reshape(int(height), int(width))
