"""Signed manifests: valid as made, broken after a change, absent where nothing signed."""

import stat
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from paha.cli.main import app
from paha.cli.written import check_signing
from paha.errors import PahaError
from paha.media.provenance import CERTIFICATE, KEY, read_provenance, sign_video
from paha.media.video_io import read_video, write_video

pytest.importorskip("c2pa")
FRAMES = np.random.default_rng(0).integers(0, 256, (10, 48, 64, 3), dtype=np.uint8)


@pytest.fixture
def video(tmp_path):
    write_video(tmp_path / "a.mp4", FRAMES)
    return tmp_path / "a.mp4"


def test_unsigned_signed_and_changed(video, tmp_path):
    before = read_video(video)
    assert read_provenance(video).manifest == "none"
    assert read_provenance(video).generated
    sign_video(video, tmp_path / "me")
    found = read_provenance(video)
    assert (found.manifest, found.signer, found.trusted, found.problems) == ("valid", "PAHA local signer", False, ())
    assert np.array_equal(read_video(video), before)
    data = bytearray(video.read_bytes())
    data[data.find(b"mdat") + 3000] ^= 255
    video.write_bytes(data)
    assert read_provenance(video).manifest == "broken"
    assert read_provenance(video).problems


def test_a_video_of_others_says_nothing(tmp_path):
    write_video(tmp_path / "b.mp4", FRAMES, comment="holidays")
    found = read_provenance(tmp_path / "b.mp4")
    assert (found.manifest, found.generated, found.comment) == ("none", False, "holidays")


def test_the_identity_is_made_once_and_its_key_is_ones_own(video, tmp_path):
    sign_video(video, tmp_path / "me")
    key = (tmp_path / "me" / KEY).read_bytes()
    sign_video(video, tmp_path / "me")
    assert (tmp_path / "me" / KEY).read_bytes() == key
    assert stat.S_IMODE((tmp_path / "me" / KEY).stat().st_mode) & 0o077 == 0 or sys.platform == "win32"
    (tmp_path / "me" / CERTIFICATE).unlink()
    with pytest.raises(PahaError, match=f"needs both {CERTIFICATE} and {KEY}"):
        sign_video(video, tmp_path / "me")


def test_an_identity_is_made_when_it_signs_and_not_before(tmp_path):
    """A call that fails in between leaves nothing (found by tests/fuzz)."""
    check_signing(tmp_path / "new" / "me", streams=False)
    assert not (tmp_path / "new").exists()
    (tmp_path / KEY).write_text("a key alone")
    with pytest.raises(PahaError, match=f"needs both {CERTIFICATE} and {KEY}"):
        check_signing(tmp_path, streams=False)


def test_a_foreign_key_and_a_missing_extra_are_one_line(video, tmp_path, monkeypatch):
    sign_video(video, tmp_path / "me")
    (tmp_path / "me" / KEY).write_text("no key")
    with pytest.raises(PahaError, match="cannot sign"):
        sign_video(video, tmp_path / "me")
    assert read_provenance(video).manifest == "valid", "the file is as it was"
    with pytest.raises(PahaError, match="leave out --stream or --sign"):
        check_signing(tmp_path / "me", streams=True)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(PahaError, match=r"pip install 'paha\[provenance\]'"):
        read_provenance(video)


def test_verify_says_what_it_finds(video, tmp_path):
    run = CliRunner()
    assert "no C2PA manifest" in run.invoke(app, ["verify", str(video)]).output
    sign_video(video, tmp_path / "me")
    result = run.invoke(app, ["verify", str(video)])
    assert result.exit_code == 0
    assert "valid C2PA manifest, signed by 'PAHA local signer', whom no authority vouches for" in result.output
    assert "it says that it is generated" in result.output
    data = bytearray(video.read_bytes())
    data[data.find(b"mdat") + 3000] ^= 255
    video.write_bytes(data)
    broken = run.invoke(app, ["verify", str(video)])
    assert isinstance(broken.exception, PahaError)
