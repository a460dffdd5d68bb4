"""The PCE classifier (Eq. 4-7)."""

import pytest
import torch
from classifier_toys import MODEL, inputs, toy_classifier
from toy import toy_univdm

from paha.errors import PahaError
from paha.pce.classifier import CLASSIFIERS, ClassifierConfig, PCEClassifier, bce_loss, pool_frames, rotary_angles
from paha.pipeline.model_folder import load_part
from paha.presets import preset
from paha.univdm.conditioning import Conditioning
from paha.univdm.univdm import UniVDM

DEBUG = preset("debug")


def test_the_encoder_is_univdms_own():
    univdm, classifier = toy_univdm(DEBUG), toy_classifier()
    z, time, audio = inputs()
    null = torch.zeros(2, 1, MODEL.cross_attention_dim)
    conditioning = Conditioning(None, torch.zeros_like(z[:, 0]), null, audio)
    expected = univdm.encode(z, time, conditioning)
    torch.testing.assert_close(classifier.trunk.encode(z, time, conditioning), expected, atol=0, rtol=0)
    copied = univdm.encoder_copy().state_dict()
    assert copied.keys() == classifier.trunk.state_dict().keys()
    # One null image token is as good as the preset's number of them.
    many = Conditioning(None, torch.zeros_like(z[:, 0]), null.repeat(1, 9, 1), audio)
    torch.testing.assert_close(univdm.encode(z, time, many), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("deaf", [False, True])
def test_what_is_left_out_of_a_frozen_encoder_changes_nothing(deaf):
    """Attention to one null token, and to no audio, are constants: neither the score nor its gradient sees them."""
    classifier = toy_classifier(audio_free_encoder=deaf)
    for parameter in classifier.parameters():  # no bias and no audio attention may be zero by its initialisation
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    z, time, audio = inputs()
    found = []
    for trained in (True, False):
        classifier.requires_grad_(trained)
        own = z.clone().requires_grad_()
        logits = classifier(own, time, audio)
        found.append((logits, *torch.autograd.grad(logits.sum(), own)))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(classifier.requires_grad_(True)(z, time, audio), found[0][0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 4, 11])
@pytest.mark.parametrize("encoding", ["table", "rotary"])
def test_any_length_gives_one_logit_a_clip(frames, encoding):
    logits = toy_classifier(spatial_encoding=encoding)(*inputs(frames=frames))
    assert logits.shape == (2,)
    assert torch.isfinite(logits).all()


def test_clips_of_a_batch_do_not_see_each_other():
    classifier = toy_classifier()
    z, time, audio = inputs(clips=3)
    together = classifier(z, time, audio)
    alone = torch.cat([classifier(z[i : i + 1], time[i : i + 1], audio[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_the_score_depends_on_video_audio_time_and_order():
    classifier = toy_classifier()
    z, time, audio = inputs()
    score = classifier(z, time, audio)
    for other in (
        (z + 1, time, audio),
        (z, time + 1, audio),
        (z, time, audio.roll(2, dims=1)),
        (z.flip(1), time, audio),
    ):
        assert not torch.allclose(classifier(*other), score, atol=1e-6)


def test_positions_come_before_the_pooling():
    """E_s added after the pooling could not tell where: the same values elsewhere give other pooled features."""
    features = torch.zeros(1, 2, 12, 3, 3)
    features[..., 0, 0] = 10
    moved = features.flip(-1)
    for encoding in ("table", "rotary"):
        pooled = pool_frames(features, encoding)
        assert pooled.shape == (1, 2, 12)
        assert not torch.allclose(pooled, pool_frames(moved, encoding))
    torch.testing.assert_close(
        pool_frames(features, "table")[0, 0, :4], features[0, 0, :4].amax((1, 2)) + torch.tensor([1.0, 0, 1, 0])
    )


def test_rotary_angles_are_those_of_each_axis():
    angles = rotary_angles((4, 14, 3, 5))
    assert angles.shape == (4, 14, 3, 5)
    for axis, along in ((0, angles[:, 0, 0, 0]), (1, angles[0, 4, :, 0]), (2, angles[0, 8, 0, :])):
        torch.testing.assert_close(along, torch.arange(len(along), dtype=torch.float32), msg=str(axis))
    assert (angles[:, 12:] == 0).all()  # left over
    assert (angles[:, 2] < angles[:, 0] + 1e-6).all()  # falling frequencies
    torch.testing.assert_close(angles[:, 0], angles[:, 1])


def test_bce_is_equation_7():
    logits, target = torch.tensor([0.3, -1.0]), torch.tensor([1.0, 0.0])
    s = logits.sigmoid()
    expected = -(target * s.log() + (1 - target) * (1 - s).log()).mean()
    torch.testing.assert_close(bce_loss(logits, target), expected)


def test_a_cut_encoder_is_smaller_and_has_its_levels_weights():
    whole, cut = toy_classifier(), toy_classifier(num_levels=1)
    assert cut.trunk.num_parameters() < whole.trunk.num_parameters()
    assert cut(*inputs(size=5)).shape == (2,)  # one level halves nothing
    own = whole.trunk.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in cut.trunk.state_dict().items())
    with pytest.raises(PahaError, match="has 2 levels"):
        toy_classifier(num_levels=3)
    with pytest.raises(PahaError, match="divisible by 2"):
        toy_classifier(face_crop=3)


@pytest.mark.parametrize("region", ["face", "non_face"])
def test_it_comes_back_from_disk_as_it_was(tmp_path, region):
    classifier = toy_classifier(region, num_levels=1)
    classifier.save_pretrained(tmp_path)
    loaded = load_part(PCEClassifier, tmp_path)
    assert (loaded.region, loaded.crop) == (region, 4 if region == "face" else 0)
    assert torch.equal(loaded(*inputs()), classifier(*inputs()))


def test_the_presenters_two_classifiers_fit_the_shipped_weights():
    model = preset("presenter").model
    options = CLASSIFIERS["presenter"].model_dump(exclude={"face_crop"})
    with torch.device("meta"):
        univdm = UniVDM.from_model_config(model).num_parameters()
        trunk = model.model_dump(mode="json")
        classifier = PCEClassifier(univdm=trunk, region="face", crop=8, **options).num_parameters()
    others = 4_500_000  # bytes of the pose reader, the codec, the pose autoencoder
    assert 2 * (univdm + 2 * classifier) + others < 40_000_000
    assert 2 * classifier < 15_000_000


def test_defaults_are_those_of_the_paper_preset():
    assert CLASSIFIERS["paper"] == ClassifierConfig()
