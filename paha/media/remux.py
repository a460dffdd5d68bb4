"""A fragmented mp4 to a plain one with its index first, the same packets: nothing is encoded again."""

from __future__ import annotations

from pathlib import Path

from paha.media.containers import open_media
from paha.runtime.atomic import atomic_path


def remux(source: Path, out: Path) -> None:
    """Write `source` (an mp4 of this package) to `out`, tags included. Raises PahaError if that cannot be done."""
    import av

    with open_media(source) as container, atomic_path(out) as temporary:
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", format="mp4", options=options) as copy:
            copy.metadata["comment"] = container.metadata.get("comment", "")
            streams = {stream.index: copy.add_stream_from_template(stream) for stream in container.streams}
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    copy.mux(packet)
