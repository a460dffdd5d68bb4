"""The model that is shipped: small enough, whole, and usable at once, without MediaPipe."""

import numpy as np
import pytest

from paha.dataset.synth.character import sample_character
from paha.dataset.synth.clip import ClipPlan, plan_scene
from paha.dataset.synth.renderer import Renderer
from paha.errors import PahaError
from paha.extractors.choose import PRESENTER_READER
from paha.extractors.pose import PresenterPose
from paha.media.image_io import read_image
from paha.motion.blinks import drawn_blinks
from paha.motion.landmarks import find_landmarks
from paha.motion.motion_reference import fit_size
from paha.pipeline.loading import SHIPPED_MODEL
from paha.pipeline.options import SampleOptions
from paha.pipeline.pipeline import PahaPipeline
from paha.pipeline.reference import ReferenceOptions

IMAGES = SHIPPED_MODEL.with_name("presenter_images")


@pytest.fixture(scope="module")
def pipeline():
    return PahaPipeline.from_pretrained(SHIPPED_MODEL)


def made(pipeline, name, *, num_frames=40):
    """The inputs, the frames and the motion of a shipped image speaking its recording."""
    options = ReferenceOptions(256, 256, landmarks="own")
    inputs = pipeline.encode_inputs(
        IMAGES / f"{name}.png", IMAGES / f"{name}_speech.ogg", options, num_frames=num_frames
    )
    outputs = list(pipeline.generate(inputs, SampleOptions(seed=0, steps=2)))
    return inputs, np.concatenate([output.frames for output in outputs]), outputs


def test_a_reading_begun_ahead_is_the_one_that_is_used(pipeline):
    hum = np.sin(np.arange(16_000) / 20).astype(np.float32)
    image, sound = read_image(IMAGES / "rosa.png"), (hum, 16_000)
    options = ReferenceOptions(256, 256, landmarks="own").begun(image, pipeline.preset)
    assert options.begun(image, pipeline.preset).reading is options.reading
    reference = pipeline.encode_inputs(image, sound, options).reference
    assert options.reading is not None
    assert reference.landmarks is options.reading.landmarks
    assert "mask" not in vars(reference.landmarks)  # which only frames need
    again = find_landmarks(fit_size(image, 256), detector="own")
    assert np.array_equal(reference.landmarks.points, again.points)
    assert np.array_equal(reference.landmarks.mask, again.mask)
    nobody = ReferenceOptions().begun(np.full((200, 200, 3), 128, np.uint8), pipeline.preset)
    with pytest.raises(PahaError, match="no face"):
        pipeline.encode_inputs(np.full((200, 200, 3), 128, np.uint8), sound, nobody)


def test_weights_fit_the_limits():
    sizes = [path.stat().st_size for path in SHIPPED_MODEL.parent.rglob("*.safetensors")]
    assert max(sizes) <= 15_000_000
    assert sum(sizes) <= 40_000_000


@pytest.mark.parametrize("name", ["astronaut", "rosa"])
def test_a_photograph_and_a_drawing_speak(pipeline, name):
    inputs, frames, outputs = made(pipeline, name)
    assert frames.shape == (40, 256, 256, 3)
    still = inputs.reference.image
    assert (frames[:, :8, :8] == still[:8, :8]).all()  # outside the person's reach: to the bit
    face = inputs.reference.geometry.face_box().astype(int)
    window = (slice(None), slice(face[1], face[3]), slice(face[0], face[2]))
    assert 2 < np.abs(frames[window].astype(float) - still[window[1:]]).mean() < 40
    motion = inputs.reference.grid.read(outputs[0].latents)
    assert motion.mouth_open.std() > 0.005
    assert np.abs(motion.head_rotation).max() < 0.6


def test_speech_opens_the_mouth_more_than_silence(pipeline):
    options = ReferenceOptions(256, 256, landmarks="own")
    rng = np.random.default_rng(0)
    spoken = made(pipeline, "astronaut")
    silence = (1e-5 * rng.standard_normal(16_000 * 2)).astype(np.float32), 16_000
    inputs = pipeline.encode_inputs(IMAGES / "astronaut.png", silence, options, num_frames=32)
    quiet = next(iter(pipeline.generate(inputs, SampleOptions(seed=0, steps=2))))
    moved = [inputs.reference.grid.read(z).mouth_open.std() for z in (quiet.latents, spoken[2][0].latents)]
    assert moved[0] < 0.6 * moved[1]


def test_the_pose_reader_reads_lips_of_a_presenter_never_trained_on():
    seed = 900_500
    rig = plan_scene(ClipPlan(seed=seed, character_seed=seed, size=128, seconds=(3, 3), languages=("en",))).rig
    renderer = Renderer(sample_character(seed), size=128)
    frames = np.stack([renderer.draw(rig, t).image for t in range(len(rig))])
    track = PresenterPose.load(PRESENTER_READER).detect(frames)
    assert track.mouth_open is not None
    assert np.corrcoef(track.mouth_open, rig.mouth_open)[0, 1] > 0.9


def test_eyes_blink_where_the_seed_says_and_a_segment_knows_of_none_before(pipeline):
    inputs, _, outputs = made(pipeline, "astronaut", num_frames=120)
    lids = drawn_blinks(120, seed=0, open_at=[*(segment.start for segment in inputs.segments), 119])
    state, read = inputs.reference.geometry.state.lids[0], inputs.reference.grid.read
    latents = np.concatenate([state + read(o.latents[o.segment.emitted]).lids for o in outputs])
    assert (lids > 0.99).any()
    assert latents[lids > 0.99].min() > 0.95
    assert latents[lids == 0].max() < 0.5
