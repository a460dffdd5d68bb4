"""Lips as the acoustic model hears them, in sampled motion."""

from typing import Any

import numpy as np
import pytest
import torch
from people import gentle_motion, person

from paha.config import override
from paha.errors import PahaError
from paha.extractors.acoustic_model import LIPS, AcousticModel
from paha.extractors.audio import AcousticEncoder, LogMelEncoder
from paha.motion.heard_lips import with_heard_lips
from paha.motion.motion_codec import CHANNELS, MotionCodec
from paha.motion.motion_codec import LIPS as LIP_CHANNELS
from paha.pipeline.inputs import hear_lips
from paha.presets import preset

GRID = MotionCodec().grid(person())
Z = GRID.paint(gentle_motion()) + 0.05 * torch.randn(
    40, len(CHANNELS), 8, 8, generator=torch.Generator().manual_seed(0)
)
HEARD = torch.rand(40, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.1, 0.03, 0.5])


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_lips_are_the_share_asked_for_and_all_else_stays(share):
    own, read = GRID.read(Z), GRID.read(with_heard_lips(Z, HEARD, GRID, share=share))
    for place, name in enumerate(LIPS):
        heard = HEARD[:, place].numpy()
        if name == "mouth_open":
            heard = heard - GRID.geometry.state.mouth_open
        else:  # the person's own width and thickness, of which no sound tells
            heard = heard - heard.mean() + getattr(own, name).mean()
        expected = (1 - share) * getattr(own, name) + share * heard
        assert getattr(read, name) == pytest.approx(expected, abs=2e-3), name
    others = [c for c in range(len(CHANNELS)) if c not in range(*LIP_CHANNELS.indices(len(CHANNELS)))]
    assert torch.equal(with_heard_lips(Z, HEARD, GRID, share=share)[:, others], Z[:, others])


def test_no_share_is_the_sample_to_the_bit_and_a_given_frame_is_kept():
    assert with_heard_lips(Z, HEARD, GRID, share=0) is Z
    mixed = with_heard_lips(Z, HEARD, GRID, share=0.7, given_first=True)
    assert torch.equal(mixed[0], Z[0])
    assert not torch.equal(mixed[1], Z[1])


def test_lips_are_heard_in_the_units_of_motion():
    scale: dict[str, Any] = {"lip_mean": (0.04, 0.0, 0.1), "lip_deviation": (0.02, 0.01, 0.3)}
    torch.manual_seed(0)
    encoder = AcousticEncoder(AcousticModel(stem_channels=16, channels=16, phones=("a",), **scale))
    encoded = encoder.encode(np.random.default_rng(0).normal(size=48_000).astype(np.float32), 75)
    presenter = override(preset("presenter"), {"sample.heard_lips": 0.5})
    lips = hear_lips(encoder, encoded, presenter)
    assert lips is not None
    raw = encoder.model.lip_head(encoded[:, 4:].flatten(1))
    wanted = raw * torch.tensor([0.02, 0.01, 0.3]) + torch.tensor([0.04, 0.0, 0.1])
    torch.testing.assert_close(lips[24:-24], wanted[24:-24])  # where no frame sees an end


def test_a_model_that_knows_no_units_is_refused():
    encoder = AcousticEncoder(AcousticModel(stem_channels=16, channels=16, phones=("a",)))
    with pytest.raises(PahaError, match="heard_lips"):
        encoder.lips(torch.zeros(5, 6, 80))


def test_the_papers_settings_hear_no_lips_and_ears_that_read_none_are_refused():
    features = torch.zeros(5, 4, 80)
    for name in ("paper", "debug"):
        assert preset(name).sample.heard_lips == 0
        assert hear_lips(LogMelEncoder(), features, preset(name)) is None
    wanting = override(preset("presenter"), {"sample.heard_lips": 0.5, "audio.kind": "logmel"})
    with pytest.raises(PahaError, match="heard_lips"):
        hear_lips(LogMelEncoder(), features, wanting)
