"""The sound of a film, copied packet by packet beside new frames, without decoding it."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from io import BytesIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from gancore.errors import describe_error
from gancore.files.reading import as_unreadable
from vidgan.files.video_file import VideoFile, open_container, stream_time_base

log = logging.getLogger(__name__)


class SoundCopy:
    """The audio streams of an open film, to be written into an MP4 whose first frame is shown `start` seconds later."""

    def __init__(self, source: InputContainer, streams: list[AudioStream], *, path: str, start: Fraction):
        self.path, self.start, self.streams = path, start, streams
        self.packets = source.demux(streams)
        self.next: Packet | None = None
        self.copies: dict[int, AudioStream] = {}
        self.left_out = 0

    def attach(self, container: OutputContainer) -> None:
        """Adds a stream for each to the container."""
        self.container = container
        self.copies = {stream.index: add_copy(container, stream) for stream in self.streams}
        self._advance()

    def write_until(self, seconds: Fraction | None) -> None:
        """Writes what is heard before this time from the first frame on; all that is left if None."""
        while (packet := self.next) is not None and (seconds is None or self._time_of(packet) < seconds):
            self._write(packet)
            self._advance()

    def _time_of(self, packet: Packet) -> Fraction:
        assert packet.dts is not None
        return packet.dts * packet.time_base - self.start

    def _write(self, packet: Packet) -> None:
        assert packet.pts is not None
        assert packet.dts is not None
        shift = round(self.start / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = self.copies[packet.stream.index]
        try:
            self.container.mux(packet)
        except av.error.ArgumentError as error:  # stamps that do not ascend; a full disk is another error
            if not self.left_out:
                log.warning("%s: pieces of the sound are left out (%s)", self.path, describe_error(error))
            self.left_out += 1

    def _advance(self) -> None:
        """Looks for the next packet that has a time; where the file is broken the sound ends, which is said."""
        try:
            timed = (each for each in self.packets if each.dts is not None and each.pts is not None)
            self.next = next(timed, None)
        except av.FFmpegError as error:
            log.warning("%s: the sound ends where it cannot be read (%s)", self.path, describe_error(error))
            self.next = None


@contextmanager
def open_sound(video: object) -> Iterator[SoundCopy | None]:
    """The sound of a film that an MP4 can hold; None if there is none that fits its frames, or `video` is no film.

    A stream of another codec is left out with a warning. Raises UnreadableError if the file cannot be opened again.
    """
    if not isinstance(video, VideoFile) or not video.in_step:
        yield None
        return
    with ExitStack() as stack:
        with as_unreadable(video.path, "a video"):  # what goes wrong later, in the block, is not this file's fault
            source = stack.enter_context(open_container(video.path, video.limits))
            sound = _copy_sound(source, video)
        yield sound


def _copy_sound(source: InputContainer, video: VideoFile) -> SoundCopy | None:
    fitting = []
    for stream in source.streams.audio:
        if fits_mp4(stream):
            fitting.append(stream)
        else:
            log.warning("%s: the sound is left out, as an MP4 cannot hold %s", video.path, codec_name(stream))
    film = source.streams[video.stream]
    assert isinstance(film, VideoStream)
    start = video.origin * stream_time_base(film)
    return SoundCopy(source, fitting, path=video.path, start=start) if fitting else None


def has_sound(video: object) -> bool:
    """Whether this is a film with sound that fits its frames."""
    if not isinstance(video, VideoFile) or not video.in_step:
        return False
    with as_unreadable(video.path, "a video"), open_container(video.path, video.limits) as source:
        return bool(source.streams.audio)


def fits_mp4(stream: AudioStream) -> bool:
    """Whether an MP4 can hold the packets of a stream as they are."""
    try:
        with av.open(BytesIO(), "w", format="mp4") as trial:
            add_copy(trial, stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def add_copy(container: OutputContainer, stream: AudioStream) -> AudioStream:
    """Adds a stream for the packets of another one.

    Of PCM an MP4 must say where each channel is heard. Matroska and AVI do not: it is taken for the usual order, and
    ValueError raised if there is none for so many channels.
    """
    copied = container.add_stream_from_template(stream)
    channels = stream.layout.channels
    if codec_name(stream).startswith("pcm_") and any(channel.name == "NONE" for channel in channels):
        copied.codec_context.layout = f"{len(channels)}c"
    return copied


def codec_name(stream: AudioStream) -> str:
    """The name of the codec of a stream."""
    return stream.codec_context.name if stream.codec_context else "its codec"
