"""The sweep of guidance settings: its batch is the pipeline's own video, clip by clip, and what it keeps is what was
read."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from classifier_toys import toy_classifier
from toy import toy_audio, toy_image, toy_pipeline

from experiments.guidance import guidance_sweep
from experiments.guidance.guidance_scores import Scores, markdown
from experiments.guidance.settings import KEPT, read_setting
from paha.errors import PahaError
from paha.guidance.classifier_gradient import GuidanceOptions, make_guidance
from paha.guidance.equations import GuidanceStats
from paha.pce.regions import Region
from paha.pipeline.options import SampleOptions
from paha.types import Keypoints

BOXES = torch.tensor([[0.25, 0.0, 0.75, 0.5], [0.5, 0.5, 1.0, 1.0]])


@pytest.fixture(scope="module")
def pipeline():
    pipeline = toy_pipeline()
    for region in ("face", "non_face"):
        pipeline.add_classifier(toy_classifier(region))
    return pipeline


@pytest.mark.parametrize("kind", ["none", "sg", "dg"])
def test_a_batch_of_clips_is_each_clips_own_video(pipeline, kind):
    """Clips of two and one segments with other faces: the longer one goes on alone, and boxes stay with their clips."""
    options = GuidanceOptions(kind=kind, non_face_scale=30.0, face_scale=50.0, rate=1.0)
    scenes = [pipeline.encode_inputs(toy_image(i), toy_audio(1.0, i), num_frames=n) for i, n in enumerate((6, 4))]
    held = guidance_sweep.HeldOut([], scenes, BOXES, [7, 8])
    together, firsts = guidance_sweep.generate(pipeline, held, options, steps=3)
    assert [len(z) for z in together] == [6, 4]
    assert firsts.shape[:2] == (2, 4)
    for scene, box, seed, latents in zip(scenes, BOXES, held.seeds, together, strict=True):
        guidance = None
        if options.active:
            classifiers: dict[Region, Any] = {region: pipeline.classifier(region) for region in options.regions}
            guidance = make_guidance(options, classifiers, box=box, schedule=pipeline.schedule, latent_size=(4, 4))
        made = pipeline.generate(scene, SampleOptions(steps=3, seed=seed, guidance=guidance, guidance_rate=1.0))
        alone = torch.cat([output.latents[output.segment.emitted] for output in made])
        torch.testing.assert_close(latents, alone, atol=1e-4, rtol=1e-4)


def test_the_faces_of_a_batch_are_found_again(pipeline, monkeypatch):
    """Each clip's own, by the reader that read them first: found where they were, nothing changes."""
    seen = []

    def find(box, reader):
        assert box.source == "the pose reader"
        return lambda frames: seen.append(len(frames)) or np.repeat(BOXES.numpy(), len(frames) // 2, axis=0)

    monkeypatch.setattr(guidance_sweep, "find_faces_like", find)
    scenes = [pipeline.encode_inputs(toy_image(i), toy_audio(1.0, i), num_frames=4) for i in range(2)]
    held = guidance_sweep.HeldOut([], scenes, BOXES, [7, 8])
    options = GuidanceOptions(kind="sg", non_face_scale=30.0, face_scale=50.0, rate=1.0)
    still, found = (guidance_sweep.generate(pipeline, held, replace(options, redetect=n), steps=3)[1] for n in (0, 1))
    assert seen == [2 * 4] * 2  # in the second and third step, four frames of each clip
    assert torch.equal(still, found)


def test_settings_are_read():
    text = "dg/nf=3/face=10/diff=0.5/rate=1/form=literal/reuse=3/skip_first=true/deep=true"
    options = guidance_sweep.parse_setting(text)
    assert options.share_deep
    scales = (options.non_face_scale, options.face_scale, options.diff_scale)
    assert (options.kind, *scales, options.rate) == ("dg", 3, 10, 0.5, 1)
    assert (options.dg_form, options.reuse, options.skip_first) == ("literal", 3, True)
    assert guidance_sweep.parse_setting("none") == GuidanceOptions()
    with pytest.raises(PahaError, match="'speed' is no option"):
        guidance_sweep.parse_setting("sg/speed=3")


def test_readings_are_kept_by_clip(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.uniform(-40, 170, (9, 133, 2)).astype(np.float32)
    keypoints, mouth = Keypoints(points, rng.uniform(0, 1, (9, 133)).astype(np.float32)), rng.uniform(0, 1, 9)
    path = tmp_path / "sg.npz"
    guidance_sweep.save_reading(path, keypoints, mouth, height=128, lengths=np.array([5, 4]))
    tracks, mouths, others = read_setting(path)
    assert [len(m) for m in mouths] == [5, 4]
    assert others["height"] == 128
    kept = KEPT
    np.testing.assert_allclose(tracks[1].points[:, kept], points[5:, kept], atol=0.003)
    np.testing.assert_allclose(np.concatenate(mouths), mouth, atol=1e-3)
    assert (tracks[0].scores[:, 23:91] == 0).all()


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    protocol = {"steps": 3, "seeds": [1]}
    index = guidance_sweep.open_index(tmp_path, protocol)
    (tmp_path / "sweep.json").write_text(json.dumps(index))
    assert guidance_sweep.open_index(tmp_path, protocol) == index
    with pytest.raises(PahaError, match="made with another steps"):
        guidance_sweep.open_index(tmp_path, protocol | {"steps": 4})


def test_movement_is_told_apart_by_region():
    plain = torch.zeros(1, 2, 4, 8, 8)
    z = plain.clone()
    z[..., 2, 2] = 3.0  # inside the grown box
    (face, non_face) = guidance_sweep.moved(z, plain, torch.tensor([[0.2, 0.2, 0.4, 0.4]]))[0]
    assert face > 0
    assert non_face == 0


def test_ratios_are_means_by_region_and_timestep():
    told = [GuidanceStats(999, 0.1, 0.2), GuidanceStats(999, 0.3, 0.4), GuidanceStats(500, 0.2, 0.0)]
    found = guidance_sweep.ratios(told)
    assert found["non_face"] == pytest.approx(0.2)
    assert found["by_t"][999] == pytest.approx([0.2, 0.3])


def test_the_table_marks_what_is_off_zero():
    clips = {f"c{i}": i / 10 for i in range(8)}
    plain = Scores({"lip_r": clips, "bas": clips}, {}, {})
    better = Scores({"lip_r": {c: v + 0.1 for c, v in clips.items()}, "bas": clips}, {}, {"c0": 0.25})
    entry = {"seconds": 1.0, "update_ratios": {"non_face": 0.0, "face": 0.01}}
    index = {
        "protocol": {"clips": list(clips), "frames": [4] * 8, "steps": 3, "device": "cpu"},
        "settings": {"none": entry, "sg/nf=0": entry},
    }
    text = markdown(plain, {"none": plain, "sg/nf=0": better}, index)
    assert "**+0.100** [+0.100, +0.100]" in text
    assert "+0.000 [+0.000, +0.000]" in text
    assert "| 0.250 |" in text
