"""WAV headers, for audio that comes through a pipe and for spotting truncated files.

Layout after the Microsoft RIFF specification (1994) and RFC 2361: chunks of a
four-byte name, a little-endian length and a body padded to an even length.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rt_ser.audio.pcm import RawFormat
from rt_ser.errors import InputError

MAX_HEADER_BYTES: Final = 1 << 20
"""Everything before the samples; beyond it the input is taken for something else."""

# Programs that write to a pipe cannot know the length: they leave it at nought (many), at
# the largest value (ffmpeg) or just under two to the power of 31 (sox).
_UNKNOWN_ABOVE: Final = 0x7FFF_0000

_FORMATS: Final = {
    (1, 8): "uint8",
    (1, 16): "int16",
    (1, 24): "int24",
    (1, 32): "int32",
    (3, 32): "float32",
    (3, 64): "float64",
}
_EXTENSIBLE: Final = 0xFFFE


@dataclass(frozen=True, slots=True, kw_only=True)
class WavHeader:
    """What a WAV header says.

    ``data_bytes`` is the length of the samples, or None where the writer did not
    know it. ``header_bytes`` is where they start.
    """

    raw: RawFormat
    data_bytes: int | None
    header_bytes: int


class _Body:
    """Counted reads of header bytes; what is short is an InputError."""

    def __init__(self, read: Callable[[int], bytes], name: str) -> None:
        self._read = read
        self._name = name
        self.taken = 0

    def take(self, count: int) -> bytes:
        """Return exactly ``count`` bytes."""
        if self.taken + count > MAX_HEADER_BYTES:
            raise InputError(
                f"{self._name}: no samples in the first {MAX_HEADER_BYTES} bytes: "
                "the WAV header is damaged"
            )
        data = self._read(count)
        self.taken += len(data)
        if len(data) < count:
            raise InputError(f"{self._name}: the WAV header ends after {self.taken} bytes")
        return data


def read_wav_header(read: Callable[[int], bytes], *, name: str) -> WavHeader:
    """Read everything up to the first sample.

    Parameters
    ----------
    read : callable
        ``read(n)`` returns n bytes, fewer only where the input ends.
    name : str
        What messages call the input.

    Raises
    ------
    InputError
        It is no WAV, is damaged, or holds a format that cannot be decoded.
    """
    body = _Body(read, name)
    riff = body.take(12)
    if riff[:4] not in (b"RIFF", b"RF64") or riff[8:] != b"WAVE":
        raise InputError(
            f"{name}: this is no WAV: convert it (ffmpeg -i INPUT -f wav -), "
            "or give the layout of raw samples with --raw-rate"
        )
    raw: RawFormat | None = None
    while True:
        chunk, length = struct.unpack("<4sI", body.take(8))
        if chunk == b"data":
            break
        content = body.take(length + length % 2)
        if chunk == b"fmt ":
            raw = _parse_format(content, name)
    if raw is None:
        raise InputError(f"{name}: the WAV header has no format chunk")
    known = 0 < length < _UNKNOWN_ABOVE
    return WavHeader(raw=raw, data_bytes=length if known else None, header_bytes=body.taken)


def _parse_format(content: bytes, name: str) -> RawFormat:
    """Decode a ``fmt `` chunk."""
    if len(content) < 16:
        raise InputError(f"{name}: the WAV format chunk has {len(content)} bytes, not 16 or more")
    tag, channels, rate_hz, _, align, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == _EXTENSIBLE and len(content) >= 26:
        # The real tag opens the sub-format's GUID.
        (tag,) = struct.unpack("<H", content[24:26])
    sample_format = _FORMATS.get((tag, bits))
    if sample_format is None:
        raise InputError(
            f"{name}: WAV encoding {tag} with {bits} bits is not supported on a pipe: "
            "convert it to 16-bit PCM (ffmpeg -i INPUT -c:a pcm_s16le -f wav -)"
        )
    try:
        raw = RawFormat(rate_hz=rate_hz, channels=channels, sample_format=sample_format)
    except InputError as error:
        raise InputError(str(error).replace("raw audio", name, 1)) from error
    if align != raw.frame_bytes:
        raise InputError(
            f"{name}: WAV header says {align} bytes a frame, its format has {raw.frame_bytes}"
        )
    return raw
