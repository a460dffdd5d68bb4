"""Options of `paha animate`: guidance scales mean what they mean in `paha tables`, and frames of a list stay apart."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from classifier_toys import toy_classifier
from toy import toy_image, toy_pipeline

from paha.cli.animate import AnimateOptions, animate_jobs
from paha.cli.guidance_flags import Guidance, GuidanceFlags
from paha.cli.jobs import frame_folders, read_jobs
from paha.cli.tables import TableOptions
from paha.config import override
from paha.errors import PahaError
from paha.guidance.choice import SCALES, guide
from paha.media.audio_io import write_wav
from paha.media.image_io import save_png
from paha.media.video_io import read_video
from paha.pipeline.animate import animate
from paha.pipeline.loading import load_pipeline
from paha.pipeline.options import SampleOptions
from paha.pipeline.reference import ReferenceOptions
from paha.presets import preset

OWN = {"sample.guidance_scales": [5.0, 6.0, 0.7], "sample.guidance_skip_first": True}


@pytest.fixture(scope="module")
def pipeline():
    """A model whose preset has scales of its own."""
    made = toy_pipeline(override(preset("debug"), OWN))
    for region in ("face", "non_face"):
        made.add_classifier(toy_classifier(region))
    return made


@pytest.mark.parametrize(("text", "expected"), [(None, (5, 6, 0.7)), ("2,3", (2, 3, 0.7)), ("2,3,4", (2, 3, 4))])
def test_scales_that_are_not_given_are_the_models_own_in_every_verb(pipeline, tmp_path, text, expected):
    flags = GuidanceFlags(guidance=Guidance.dg, guidance_scales=text)
    choice = flags.choice((10.0, 5.0, 30.0, 25.0))
    animated = guide(SampleOptions(steps=4), pipeline, toy_image(), choice).guidance_settings
    tabled = TableOptions(tmp_path, tmp_path, guidance_scales=text).guidance(pipeline, "dg").settings()
    assert tuple(animated[name] for name in SCALES) == expected
    assert tuple(tabled[name] for name in SCALES) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, 4), ({"guidance_reuse": 1}, 1), ({"guidance_reuse": 2}, 2), ({"redetect_face": 3}, 1)],
)
def test_gradients_are_reused_as_the_model_has_it_unless_told_or_the_face_is_found_again(changes, expected):
    choice = GuidanceFlags(guidance=Guidance.sg, **changes).choice((10.0, 5.0, 30.0, 25.0))
    assert choice is not None
    own = override(override(preset("debug"), OWN), {"sample.guidance_reuse": 4, "sample.steps": 4})
    reusing = toy_pipeline(own)
    for region in ("face", "non_face"):
        reusing.add_classifier(toy_classifier(region))
    plain = replace(choice, options=replace(choice.options, redetect=0))  # a toy has nothing that finds faces
    settings = guide(SampleOptions(), reusing, toy_image(), plain).guidance_settings
    assert settings is not None
    assert settings["reuse"] == expected


def test_frames_of_equal_names_in_two_folders_stay_apart(pipeline, tmp_path):
    save_png(tmp_path / "a.png", toy_image())
    for name, seconds in (("en", 0.2), ("zh", 0.28)):
        write_wav(tmp_path / f"{name}.wav", 0.1 * np.sin(np.arange(round(16_000 * seconds))), 16_000)
    rows = "a.png,en.wav,en/a.mp4\na.png,zh.wav,zh/a.mp4\n"
    (tmp_path / "jobs.csv").write_text(f"image,audio,output\n{rows}")
    animate_jobs(pipeline, tmp_path / "jobs.csv", AnimateOptions(steps=1, save_frames=tmp_path / "frames"))
    counts = {str(p.relative_to(tmp_path / "frames")): len(list(p.glob("*.png"))) for p in tmp_path.glob("frames/*/*")}
    assert counts == {"en/a": 5, "zh/a": 7}


@pytest.mark.parametrize("kind", [Guidance.sg, Guidance.dg])
def test_the_shipped_classifiers_guide_a_photograph_of_any_size(kind, tmp_path):
    photograph, shipped = files("paha") / "assets/presenter_images/astronaut.png", load_pipeline(None, device="cpu")
    write_wav(tmp_path / "a.wav", 0.1 * np.sin(np.arange(4800)), 16_000)
    sampled, size = SampleOptions(steps=3, cfg_scale=1), ReferenceOptions(300)
    guided = guide(sampled, shipped, str(photograph), GuidanceFlags(kind).choice(), width=300)
    made = [
        read_video(
            animate(shipped, str(photograph), tmp_path / "a.wav", tmp_path / f"{i}.mp4", each, size, progress=False)
        )
        for i, each in enumerate((sampled, guided))
    ]
    assert made[0].shape == made[1].shape
    assert not np.array_equal(made[0], made[1])


@pytest.mark.parametrize(
    ("outputs", "folders"),
    [
        (("a.mp4", "b.mp4"), ("a", "b")),
        (("out/a.mp4", "out/b.mp4"), ("a", "b")),
        (("en/a.mp4", "zh/a.mp4"), ("en/a", "zh/a")),
        (("a.mp4", "x/a.mp4"), ("a", "x/a")),
        (("../a.mp4", "b.mp4"), ("a", "data/b")),
        (("/p/q/a.mp4", "/p/r/a.mp4"), ("q/a", "r/a")),
        (("a.mp4", "a.mov"), ("a.mp4", "a.mov")),
        (("only.mp4",), ("only",)),
    ],
)
def test_every_video_has_a_folder_of_its_own_below_the_one_given(outputs, folders):
    paths = [Path("/work/data") / name for name in outputs]
    assert list(frame_folders(paths).values()) == [Path(name) for name in folders]


def test_one_output_under_two_names_is_refused(tmp_path):
    (tmp_path / "jobs.csv").write_text("image,audio,output\na,b,c.mp4\na,b,x/../c.mp4\n")
    with pytest.raises(PahaError, match="rows 2 and 3 have the same output"):
        read_jobs(tmp_path / "jobs.csv")
