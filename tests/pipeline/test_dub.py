"""A filmed person speaks other words."""

from pathlib import Path

import av
import numpy as np
import pytest
from toy import toy_audio, toy_pipeline

from paha.errors import PahaError
from paha.media.audio_io import read_audio
from paha.media.video_io import iter_video, read_image, read_video, write_video
from paha.motion.dubbing import FaceTracker, lower_face
from paha.motion.landmarks import has_mediapipe, landmark_reader
from paha.pipeline.dub import dub
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.runtime.statistics import lip_r

CLIPS = Path(__file__).parents[3] / "shared/media/clips"
SPEECH = SHIPPED_MODEL.with_name("presenter_images") / "astronaut_speech.ogg"


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline(None, device="cpu")


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Half a second of a photograph that a camera drifts over."""
    picture = read_image(SHIPPED_MODEL.with_name("presenter_images") / "astronaut.png")
    path = tmp_path_factory.mktemp("dub") / "in.mp4"
    write_video(path, np.stack([picture[k : k + 448, 2 * k : 2 * k + 448] for k in range(13)]), crf=8)
    return path


def test_the_lips_move_and_the_rest_stays(pipeline, video: Path, tmp_path):
    samples, rate_hz = read_audio(SPEECH)
    speech = samples[: round(0.4 * rate_hz)], rate_hz
    stages = []
    wanted = dub(
        pipeline, video, speech, tmp_path / "out.mp4", landmarks="own", advance=lambda *stage: stages.append(stage)
    )
    before, after = read_video(video)[:10].astype(int), read_video(tmp_path / "out.mp4").astype(int)
    assert len(wanted) == 10
    assert after.shape == before.shape
    assert {("faces", 10, 10), ("speech", 1, 1), ("frames", 10, 10)} <= set(stages)
    tracker = FaceTracker(landmark_reader("own"))
    tracker.add(before[5].astype(np.uint8))
    track = tracker.track()
    assert track is not None
    mesh = track.meshes[0]
    mouth = lower_face(mesh, before.shape[1:3], float(np.linalg.norm(mesh[10, :2] - mesh[152, :2]))) > 0.5
    change = np.abs(after - before).mean(-1)  # the picture moves by two pixels a frame: the mask fits them all
    assert change[:, mouth].mean(1).max() > 2 * change[:, ~mouth].mean()
    assert change[:, ~mouth].mean() < 2


@pytest.mark.parametrize("ending", [".mp4", ".ts"])
def test_speech_longer_than_the_video_is_refused(pipeline, video: Path, tmp_path, ending):
    source, told = tmp_path / f"in{ending}", []
    with av.open(str(video)) as film, av.open(str(source), "w") as copy:
        stream = copy.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    with pytest.raises(PahaError, match=r"the speech is 0.80 s long, .*in\.\w+ only 0.52 s: give a longer video"):
        dub(
            pipeline,
            source,
            toy_audio(0.8),
            tmp_path / "out.mp4",
            landmarks="own",
            advance=lambda stage, done, total: told.append(stage),
        )
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    assert bool(told) == (ending == ".ts")  # where the file says how long it is, nothing is read first


def test_a_video_without_a_face_and_a_model_of_pixels_are_refused(pipeline, tmp_path):
    write_video(tmp_path / "grey.mp4", np.full((10, 96, 96, 3), 128, np.uint8))
    with pytest.raises(PahaError, match=r"no face was found in .*grey\.mp4"):
        dub(pipeline, tmp_path / "grey.mp4", toy_audio(0.4), tmp_path / "out.mp4", landmarks="own")
    with pytest.raises(PahaError, match="makes pixels, not motion"):
        dub(toy_pipeline(), tmp_path / "grey.mp4", toy_audio(0.4), tmp_path / "out.mp4")


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["grid_bbaf2n.mpg", "grid_lbax4n.mpg", "grid_swiz3n.mpg"])
def test_real_people_speak_what_is_asked(pipeline, tmp_path, clip):
    if not (CLIPS / clip).is_file() or not has_mediapipe():
        pytest.skip("needs the clips of ../shared/media and MediaPipe's models")
    samples, rate_hz = read_audio(SPEECH)
    speech = samples[: 3 * rate_hz], rate_hz
    wanted = dub(pipeline, CLIPS / clip, speech, tmp_path / "out.mp4", landmarks="mediapipe")
    tracker = FaceTracker(landmark_reader("mediapipe"))
    for frame in iter_video(tmp_path / "out.mp4"):
        tracker.add(frame)
    track = tracker.track()
    assert track is not None
    assert lip_r(track.state.mouth_open, wanted.mouth_open) > 0.8
