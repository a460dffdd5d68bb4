"""--low-vram on the CPU: the same networks in half precision, taking turns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import toy_audio, toy_image, toy_pipeline, toy_univdm
from toy_svd import SETTINGS, write_svd

from paha.cli.options import configuration
from paha.config import PahaConfig
from paha.extractors.audio import Wav2Vec2Encoder
from paha.extractors.codec import load_svd_codec
from paha.pipeline.low_vram import DECODE_CHUNK, Turns, enable_low_vram, offload
from paha.pipeline.pipeline import PahaPipeline
from paha.univdm.initialisation import with_parts_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def svd(tmp_path_factory):
    return write_svd(tmp_path_factory.mktemp("svd"))


@pytest.fixture(scope="module")
def config(svd) -> PahaConfig:
    return with_parts_of(configuration("paper", list(SETTINGS)), svd)


def paper_pipeline(config, svd) -> PahaPipeline:
    pipeline = PahaPipeline(toy_univdm(config), load_svd_codec(svd), config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def frames(pipeline: PahaPipeline) -> np.ndarray:
    return pipeline(toy_image(), toy_audio(0.4), seed=0).frames


def test_half_precision_in_turns_gives_nearly_the_same_video(config, svd):
    plain = frames(paper_pipeline(config, svd))
    low = offload(paper_pipeline(config, svd), CPU)
    assert isinstance(low.audio_encoder, Wav2Vec2Encoder)
    assert low.univdm.dtype == low.codec.dtype == low.audio_encoder.model.dtype == torch.float16
    difference = np.abs(frames(low).astype(int) - plain)
    assert difference.mean() < 1
    assert low.device == CPU


def test_our_own_codec_works_too():
    plain, low = frames(toy_pipeline()), frames(offload(toy_pipeline(), CPU))
    assert np.abs(low.astype(int) - plain).mean() < 1


def test_on_a_cpu_it_only_decodes_in_chunks(config, svd):
    pipeline = enable_low_vram(paper_pipeline(config, svd), CPU)
    assert pipeline.univdm.dtype == torch.float32
    assert pipeline.codec.decode_chunk == DECODE_CHUNK


class Sent(torch.nn.Linear):
    """A layer that notes where it is sent."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.sent = []

    def to(self, *args, **kwargs):
        self.sent.append(str(args[0]))
        return super().to(*args, **kwargs)


def test_one_network_at_a_time_is_on_the_device():
    turns, first, second = Turns(torch.device("cpu:0")), Sent(), Sent()
    for layer in (first, second):
        turns.add(layer)
    x = torch.ones(1, 2)
    for layer in (first, first, second, first):
        layer(x)
    assert first.sent == ["cpu", "cpu:0", "cpu", "cpu:0"]
    assert second.sent == ["cpu", "cpu:0", "cpu"]
