"""Reading a video file: what it holds, and its pictures upright at constant 24 frames a second.

Times are seconds from the first picture of the file.  Only presentation times count: a rate
noted in the file is a guess of whoever wrote it and is not used to place a picture.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Generic, TypeVar

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, VideoReformatter

from annotation_store.errors import IngestError

CLIP_FPS = 24
MOST_MISSED_S = Fraction(1, 10)
"""How long a clip may show its first whole picture before that picture's time."""
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,apng,"
    "h264,hevc,m4v,ivf,nut,wtv,dv,mxf,yuv4mpegpipe"
)
"""Containers that hold their own pictures.  Playlists and scripts, which make the reader open
other files and addresses, are not among them."""

Image = npt.NDArray[np.uint8]
"""(H, W, 3) BGR, as OpenCV wants it."""

T = TypeVar("T")


@dataclass(frozen=True)
class Crop:
    """The part of the upright picture that is kept, in its pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class SourceInfo:
    """What a video file holds, as a player would show it.

    `width` and `height` count square pixels of the upright picture: a source whose pixels are
    not square is stretched in width, as players do, and a turned one is turned.
    """

    path: Path
    width: int
    height: int
    duration_s: float | None  # None: the file does not say
    rotation: int  # clockwise degrees the stored picture must be turned: 0, 90, 180 or 270
    mirrored: bool  # whether it must be mirrored left to right before that
    stored_width: int
    stored_height: int

    @property
    def frame_count(self) -> int | None:
        """How many frames the whole file becomes at 24 a second; None: not known beforehand."""
        return None if self.duration_s is None else frames_until(Fraction(self.duration_s))


@dataclass(frozen=True)
class Timed(Generic[T]):
    """Something shown from `start_s` on, and for `length_s` if nothing follows."""

    start_s: Fraction
    length_s: Fraction
    shown: T


@dataclass(frozen=True)
class Shown(Generic[T]):
    """What the frames `first` to `last` of a clip show; `source_s` is its time in the source."""

    first: int
    last: int
    source_s: float
    shown: T


def frames_until(time_s: Fraction) -> int:
    """How many frames of a clip have their middle, (n + 0.5) / 24, at or before `time_s`.

    >>> frames_until(Fraction(1)), frames_until(Fraction(1, 48)), frames_until(Fraction(1, 49))
    (24, 1, 0)
    """
    return max(0, math.floor(CLIP_FPS * time_s + Fraction(1, 2)))


def at_constant_rate(
    pictures: Iterable[Timed[T]],
    start_s: Fraction = Fraction(0),
    stop_s: Fraction | None = None,
) -> Iterator[Shown[T]]:
    """Which clip frames show which picture: frame n shows the last with t < (n + 0.5) / 24.

    `t` counts from `start_s`; pictures at or after `stop_s` are not asked for.  A picture no
    frame shows is left out, one that several frames show comes once.  At least one frame comes
    of any source that has a picture before `stop_s`.

    >>> slides = [Timed(Fraction(n, 10), Fraction(1, 10), "abc"[n]) for n in range(3)]
    >>> [(s.first, s.last, s.shown) for s in at_constant_rate(slides)]
    [(0, 1, 'a'), (2, 4, 'b'), (5, 6, 'c')]
    """
    held: Timed[T] | None = None
    end = start_s
    count = 0
    for picture in pictures:
        if held is not None and picture.start_s < held.start_s:
            continue  # a broken source steps back in time; players skip the picture as well
        until = frames_until(min(picture.start_s, stop_s or picture.start_s) - start_s)
        if held is not None and until > count:
            yield Shown(count, until - 1, float(held.start_s), held.shown)
            count = until
        if stop_s is not None and picture.start_s >= stop_s:
            return
        held = picture
        end = picture.start_s + picture.length_s
    if held is None or end <= start_s:
        return
    until = frames_until(min(end, stop_s or end) - start_s)
    until = max(until, 1)
    if until > count:
        yield Shown(count, until - 1, float(held.start_s), held.shown)


def probe(path: Path) -> SourceInfo:
    """What the video at `path` holds.

    Raises:
        IngestError: it is missing, empty, no video, or damaged beyond its first picture.
    """
    with _opened(path) as (container, stream), _explained(path):
        return _describe(path, container, stream, _first_picture(path, container, stream))


def shown_pictures(
    info: SourceInfo, start_s: Fraction = Fraction(0), stop_s: Fraction | None = None
) -> Generator[Shown[av.VideoFrame], None, None]:
    """The decoded pictures between two times, each with the clip frames that show it.

    Raises:
        IngestError: the file is damaged, begins without a whole picture or ends before the time
            it names, or its pictures carry no times, or change their size.
    """
    with _opened(info.path) as (container, stream), _explained(info.path):
        pictures = _timed_pictures(info, container, stream, start_s)
        yield from at_constant_rate(_whole(info, pictures), start_s, stop_s)


class Uprighter:
    """Turns decoded pictures into upright images of square pixels; one per thread."""

    def __init__(self, info: SourceInfo, crop: Crop | None) -> None:
        self._info = info
        self._crop = crop
        self._reformatter = VideoReformatter()

    def image(self, picture: av.VideoFrame) -> Image:
        """(H, W, 3) BGR of the crop, or of the whole picture; alpha is dropped."""
        info = self._info
        lying = info.rotation in (90, 270)
        width, height = (info.height, info.width) if lying else (info.width, info.height)
        wide = picture.width >= 1280 or picture.height > 576
        unnamed = picture.colorspace == _UNSPECIFIED and wide
        converted = self._reformatter.reformat(
            picture,
            width=width,
            height=height,
            format="bgr24",
            # Files that do not name their colours: high definition means BT.709, as in players.
            src_colorspace=Colorspace.ITU709 if unnamed else None,
            threads=1,
        )
        image: Any = converted.to_ndarray()
        if info.mirrored:
            image = cv2.flip(image, 1)
        if info.rotation:
            image = cv2.rotate(image, _TURNS[info.rotation])
        return cropped(image, self._crop)


def cropped(image: Image, crop: Crop | None) -> Image:
    """The part of `image` that `crop` keeps."""
    if crop is None:
        return image
    part = image[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    return np.ascontiguousarray(part)


_DURATION = re.compile(r"([0-9]{1,4}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{0,12})?)")
"""Matroska's "00:00:09.743000000".  Anyone can write a tag: what is none says nothing."""
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_UNREADABLE = (
    "“{name}” cannot be read as a video: it is damaged, cut short, or no video at all. "
    "Expected a file that a video player opens, such as MP4, MOV, MKV, WebM or AVI."
)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns the decoder's errors into a sentence for the person."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise IngestError(
            f"“{path.name}” is damaged: decoding stopped with “{error.strerror}”. "
            "Copy or download the file again, or convert it to MP4 with a video editor first."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    if not path.is_file():
        raise IngestError(f"There is no file “{path}”.")
    if path.stat().st_size == 0:
        raise IngestError(
            f"“{path.name}” is empty (0 bytes). Copy or download it again; the transfer "
            "probably stopped before it began."
        )
    try:
        container = av.open(
            str(path), options={"format_whitelist": FORMATS, "protocol_whitelist": "file"}
        )
    except (av.error.FFmpegError, UnicodeError) as error:
        raise IngestError(_UNREADABLE.format(name=path.name)) from error
    with container:
        streams = [
            stream
            for stream in container.streams.video
            if not stream.disposition & av.stream.Disposition.attached_pic
        ]
        if not streams and container.streams.audio:
            raise IngestError(f"“{path.name}” holds only sound; a file with a video is needed.")
        if not streams:
            raise IngestError(_UNREADABLE.format(name=path.name))
        stream = streams[0]
        stream.thread_type = "AUTO"
        yield container, stream


def _first_picture(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream
) -> av.VideoFrame:
    try:
        for picture in container.decode(stream):
            return picture
    except av.error.FFmpegError as error:
        raise IngestError(_UNREADABLE.format(name=path.name)) from error
    raise IngestError(_UNREADABLE.format(name=path.name))


def _describe(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    picture: av.VideoFrame,
) -> SourceInfo:
    rotation, mirrored = _orientation(picture)
    width, height = picture.width, picture.height
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        width = max(1, round(width * aspect))
    if rotation in (90, 270):
        width, height = height, width
    duration = _duration(container, stream)
    return SourceInfo(
        path=path,
        width=width,
        height=height,
        duration_s=None if duration is None else float(duration),
        rotation=rotation,
        mirrored=mirrored,
        stored_width=picture.width,
        stored_height=picture.height,
    )


def _orientation(picture: av.VideoFrame) -> tuple[int, bool]:
    """Clockwise degrees to turn a stored picture, and whether to mirror it first."""
    if "DISPLAYMATRIX" not in [data.type.name for data in picture.side_data]:
        return 0, False
    matrix = np.frombuffer(bytes(picture.side_data["DISPLAYMATRIX"]), dtype=np.int32)
    a, b, c, d = (float(matrix[place]) for place in (0, 1, 3, 4))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    quarter_turns = round(math.degrees(math.atan2(b, a)) / 90)
    return quarter_turns % 4 * 90, mirrored


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """How long the video lasts by what the file says of it; None if it says nothing certain."""
    if stream.duration is not None and stream.time_base is not None:
        return Fraction(stream.duration * stream.time_base)
    noted = _DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    if noted is not None:
        hours, minutes, seconds = (Fraction(part) for part in noted.groups())
        end_s = seconds + 60 * minutes + 3600 * hours
        return end_s - (stream.start_time or 0) * (stream.time_base or Fraction(0))
    if container.duration and not container.streams.audio:
        return Fraction(container.duration, av.time_base)
    return None


def _timed_pictures(
    info: SourceInfo,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    start_s: Fraction,
) -> Iterator[Timed[av.VideoFrame]]:
    """Decoded pictures with their times; those well before `start_s` may be left out."""
    time_base = stream.time_base or Fraction(1, 1)
    origin = stream.start_time
    if origin is None:
        origin = _ticks(info, _first_picture(info.path, container, stream))
        container.seek(origin, stream=stream)
    if start_s > 0:
        wanted = origin + math.floor(start_s / time_base)
        container.seek(wanted, stream=stream)
        landed = next(container.decode(stream), None)
        # Some containers land behind, some between two whole pictures.
        missed = landed is None or _ticks(info, landed) > wanted or not _is_whole(landed)
        container.seek(origin if missed else wanted, stream=stream)
    usual_s = 1 / stream.average_rate if stream.average_rate else Fraction(1, CLIP_FPS)
    reordered = bool(stream.codec_context.has_b_frames)
    last_s = Fraction(0)
    begun = False
    for picture in container.decode(stream):
        if (picture.width, picture.height) != (info.stored_width, info.stored_height):
            raise IngestError(
                f"“{info.path.name}” changes its picture size from {info.stored_width}x"
                f"{info.stored_height} to {picture.width}x{picture.height} on the way. "
                "Cut it at the change, or convert it to one size first."
            )
        time_s = (_ticks(info, picture) - origin) * time_base
        length_s = picture.duration * time_base if picture.duration else usual_s
        if reordered and time_s > last_s:
            # The noted durations are then those of the coding order, not of the picture shown.
            length_s = min(length_s, time_s - last_s)
        last_s = time_s
        if not begun:
            # What comes before is drawn over nothing: a decoder makes up the rest of it.
            begun = _is_whole(picture)
            if begun:
                _require_near(info, time_s, start_s)
        elif picture.is_corrupt and time_s + length_s > start_s:
            raise IngestError(
                f"“{info.path.name}” is damaged at {float(time_s):.2f} s. Copy or download it "
                f"again, or trim it to a part without that picture."
            )
        if begun:
            yield Timed(time_s, length_s, picture)


def _is_whole(picture: av.VideoFrame) -> bool:
    """Whether a picture needs no other before it, and nothing of it is missing."""
    return bool(picture.key_frame) and not picture.is_corrupt


def _require_near(info: SourceInfo, whole_s: Fraction, start_s: Fraction) -> None:
    if whole_s > start_s + MOST_MISSED_S:
        raise IngestError(
            f"“{info.path.name}” has no whole picture before {float(whole_s):.2f} s: it was cut "
            f"in the middle, or its beginning is damaged. Trim it from {float(whole_s):.2f} s on."
        )


def _ticks(info: SourceInfo, picture: av.VideoFrame) -> int:
    if picture.pts is None:
        raise IngestError(
            f"“{info.path.name}” does not say when its pictures are shown, as raw streams do "
            "not. Put it into an MP4 or MKV file first."
        )
    return int(picture.pts)


def _whole(info: SourceInfo, pictures: Iterable[Timed[T]]) -> Iterator[Timed[T]]:
    """`pictures`, refusing a source that ends before the time the file names."""
    end_s = length_s = Fraction(0)
    for picture in pictures:
        end_s, length_s = picture.start_s + picture.length_s, picture.length_s
        yield picture
    if info.duration_s is None:
        return
    expected_s = Fraction(info.duration_s)
    tolerance_s = max(Fraction(1, 4), 2 * length_s, expected_s / 100)
    if end_s < expected_s - tolerance_s:
        raise IngestError(
            f"“{info.path.name}” is cut short: it should last {float(expected_s):.2f} s, but its "
            f"pictures end at {float(end_s):.2f} s. Copy or download the file again, or trim it "
            f"to end before {float(end_s):.2f} s."
        )
