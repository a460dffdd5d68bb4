"""`paha dub`: a video of a person and other speech to a video of that person saying it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from paha.errors import PahaError
from paha.media.audio_io import AudioInput, as_audio, num_video_frames
from paha.media.containers import exact_duration_s, open_media, picture_of, start_s
from paha.media.video_io import iter_video
from paha.media.video_writer import VideoWriter
from paha.motion.dubbing import FaceTrack, FaceTracker, dub_frames, mouth_motion
from paha.motion.landmarks import Detector, landmark_reader
from paha.motion.motion_reference import MotionReference
from paha.motion.person import PersonMotion
from paha.pipeline.options import SampleOptions
from paha.pipeline.reference import ReferenceOptions
from paha.types import FPS

if TYPE_CHECKING:
    from paha.pipeline.pipeline import PahaPipeline

CLOSED_SHARE = 0.1
"""The reference is taken among so large a share of the frames, those whose mouth is most closed."""


def dub(
    pipeline: PahaPipeline,
    video: Path | str,
    audio: AudioInput,
    out: Path | str,
    options: SampleOptions = SampleOptions(),
    *,
    face_box: tuple[float, float, float, float] | None = None,
    landmarks: Detector = "auto",
    label: bool = False,
    mark: int | None = None,
    stream: BinaryIO | None = None,
    advance: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> PersonMotion:
    """Write `video` with the person's lips and jaw speaking `audio` to `out`, as long as the speech, at 25 Hz.

    The largest face of the first frame that has one speaks, or the one in face_box (pixels of the video). Frames in
    which no face is read stay as they are. mark, stream: as `paha.pipeline.animate.animate` has them. advance: told of
    the progress, (stage, done, total). Returns the mouth that was asked for, T frames.
    Raises PahaError for bad inputs, a video without a face or shorter than the speech, and a model of pixels.
    """
    if pipeline.preset.codec.kind != "motion":
        raise PahaError(
            "this model makes pixels, not motion: dub with a model of motion latents, such as the shipped one"
        )
    sound = as_audio(audio)
    count = num_video_frames(len(sound[0]), sound[1])
    _refuse_short(Path(video), count)
    track, reference = _read(Path(video), count, FaceTracker(landmark_reader(landmarks), face_box), advance)
    wanted = predict_mouth(pipeline, reference, track, sound, options, landmarks=landmarks, advance=advance)
    motion = mouth_motion(wanted, track.state, track.presence)
    frames = dub_frames(iter_video(video), track, motion)
    height, width = reference[1].shape[:2]
    with VideoWriter(
        out, width=width, height=height, audio=sound, num_frames=count, label=label, mark=mark, stream=stream
    ) as writer:
        for done, frame in enumerate(frames):
            writer.write(frame[None])
            advance("frames", done + 1, count)
    return wanted


def predict_mouth(
    pipeline: PahaPipeline,
    reference: tuple[int, np.ndarray],
    track: FaceTrack,
    sound: tuple[np.ndarray, int],
    options: SampleOptions,
    *,
    landmarks: Detector = "auto",
    advance: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> PersonMotion:
    """The state of the mouth, T frames, that UniVDM gives a person with this speech. reference: index and picture of
    the frame that it counts motion from."""
    index, picture = reference
    mesh = track.meshes[index, :, :2]
    low, high = mesh.min(0), mesh.max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    inputs = pipeline.encode_inputs(picture, sound, ReferenceOptions(face_box=box, landmarks=landmarks))
    assert isinstance(inputs.reference, MotionReference)
    latents = []
    for output in pipeline.generate(inputs, options):
        latents.append(pipeline.codec_latents(inputs, output.latents[output.segment.emitted]))
        advance("speech", len(latents), len(inputs.segments))
    read = [inputs.reference.grid.read(z) for z in latents]
    motion = PersonMotion.from_array(np.concatenate([part.to_array() for part in read]))
    state = motion.after(track.state.frames(slice(index, index + 1)))
    return replace(state, mouth_open=np.maximum(state.mouth_open, 0))


def _refuse_short(video: Path, count: int) -> None:
    """Raises PahaError where the file itself says that it has fewer than `count` frames, before any is read."""
    with open_media(video) as container:
        stream = picture_of(container)
        if stream is None or (length := exact_duration_s(container, stream)) is None:
            return
        late = (stream.start_time or 0) * Fraction(stream.time_base or 0) - start_s(container)
        if (late + length) * FPS < count - 1:
            raise _too_short(video, count, float(late + length))


def _too_short(video: Path, count: int, have_s: float) -> PahaError:
    return PahaError(
        f"the speech is {count / FPS:.2f} s long, {video} only {have_s:.2f} s: give a longer video, or less speech"
    )


def _read(
    video: Path, count: int, tracker: FaceTracker, advance: Callable[[str, int, int], None]
) -> tuple[FaceTrack, tuple[int, np.ndarray]]:
    """The face through the first `count` frames; and of the reference frame its index and the picture."""
    read = 0
    for frame in islice(iter_video(video), count):
        tracker.add(frame)
        read += 1
        advance("faces", read, count)
    if read < count:
        raise _too_short(video, count, read / FPS)
    track = tracker.track()
    if track is None:
        raise PahaError(f"no face was found in {video}; give a video of a person seen from the front")
    index = reference_frame(track)
    return track, (index, _frame(iter_video(video), index))


def reference_frame(track: FaceTrack) -> int:
    """Of the frames whose mouth is most closed the one whose head is turned least from the median."""
    state = track.state
    opening = np.where(track.found, state.mouth_open, np.inf)
    closed = np.argsort(opening, kind="stable")[: max(1, int(CLOSED_SHARE * track.found.sum()))]
    turned = np.abs(state.head_rotation - np.median(state.head_rotation[track.found], axis=0)).sum(1)
    return int(closed[np.argmin(turned[closed])])


def _frame(frames: Iterator[np.ndarray], index: int) -> np.ndarray:
    return next(islice(frames, index, None))
