"""The model that is shipped: small enough, whole, and usable at once."""

import numpy as np
import pytest

from paha.dataset.synth.character import sample_character
from paha.dataset.synth.clip import ClipPlan, plan_scene
from paha.dataset.synth.renderer import Renderer
from paha.extractors.pose import PresenterPose
from paha.media.image_io import read_image
from paha.media.video_io import iter_video
from paha.pipeline.inputs import PahaWarning
from paha.pipeline.loading import SHIPPED_MODEL
from paha.pipeline.out_of_distribution import image_distance
from paha.pipeline.pipeline import PahaPipeline
from paha.training.motion.fit_out_of_distribution import changed

IMAGES = SHIPPED_MODEL.with_name("presenter_images")


@pytest.fixture(scope="module")
def pipeline():
    return PahaPipeline.from_pretrained(SHIPPED_MODEL)


def test_weights_fit_the_limits():
    sizes = [path.stat().st_size for path in SHIPPED_MODEL.rglob("*.safetensors")]
    assert max(sizes) <= 15_000_000
    assert sum(sizes) <= 40_000_000


@pytest.mark.parametrize("name", ["amara", "boris", "chen", "dalia"])
def test_shipped_images_are_known_to_the_model(pipeline, name, recwarn):
    pipeline.encode_inputs(read_image(IMAGES / f"{name}.png"), IMAGES / "speech.wav")
    assert not [w for w in recwarn if issubclass(w.category, PahaWarning)]


@pytest.mark.parametrize("path", ["stills/astronaut.png", "stills/echomimicv2_flux_0141.png", "clips/grid_bbaf2n.mpg"])
def test_a_photograph_gets_a_warning(pipeline, shared, path):
    file = shared / "media" / path
    image = next(iter_video(file)) if file.suffix == ".mpg" else read_image(file)
    with pytest.warns(PahaWarning, match="drawn presenters"):
        pipeline.encode_inputs(image, IMAGES / "speech.wav")


def test_presenters_never_seen_get_no_warning_after_changes_either():
    rng, far = np.random.default_rng(1), 0
    for seed in range(900_100, 900_112):
        plan = ClipPlan(seed=seed, character_seed=seed, size=128, seconds=(0.5, 0.5), languages=("en",))
        image = Renderer(sample_character(seed), size=128).draw(plan_scene(plan).rig, 0).image
        distances = [image_distance(each, SHIPPED_MODEL / "pose_reader") for each in (image, changed(image, rng))]
        far += sum(distance is None or distance > 1 for distance in distances)
    assert far <= 1


def test_it_makes_frames_that_keep_the_background(pipeline):
    image = read_image(IMAGES / "amara.png")
    frames = pipeline(image, IMAGES / "speech.wav", num_frames=16, num_inference_steps=8, seed=0).frames
    assert frames.shape == (16, 128, 128, 3)
    corner = image[:64, :64].reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(frames[:, :32, :32].mean(0) - corner).mean() < 20


def test_the_pose_reader_reads_lips_of_a_presenter_never_trained_on():
    seed = 900_500
    rig = plan_scene(ClipPlan(seed=seed, character_seed=seed, size=128, seconds=(3, 3), languages=("en",))).rig
    renderer = Renderer(sample_character(seed), size=128)
    frames = np.stack([renderer.draw(rig, t).image for t in range(len(rig))])
    track = PresenterPose.load(SHIPPED_MODEL / "pose_reader").detect(frames)
    assert track.mouth_open is not None
    assert np.corrcoef(track.mouth_open, rig.mouth_open)[0, 1] > 0.9
