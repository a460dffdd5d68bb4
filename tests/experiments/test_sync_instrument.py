"""An instrument is used on what it was trained to hear only."""

import shutil

import pytest

from experiments.guidance.sync_instrument import SyncInstrument, ears_of, load, save
from paha.errors import PahaError
from paha.pipeline.loading import SHIPPED_MODEL


def test_an_instrument_of_other_ears_is_refused(tmp_path):
    save(SyncInstrument(3, 8, "face"), tmp_path / "own", ears=ears_of(SHIPPED_MODEL))
    assert load(tmp_path / "own", model=SHIPPED_MODEL).region == "face"
    other = tmp_path / "other"
    shutil.copytree(SHIPPED_MODEL, other)
    assert ears_of(other) == ears_of(SHIPPED_MODEL)
    weights = next((other / "audio_encoder").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(PahaError, match=r"other ears than .*other; train it"):
        load(tmp_path / "own", model=other)
