"""Who may come."""

from pathlib import Path

import pytest

from paha.errors import PahaError
from paha.serve.settings import ServeSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_machine_alone_needs_no_token(host):
    assert ServeSettings(Path("x"), host=host).on_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.org"])
def test_others_need_one(host):
    with pytest.raises(PahaError, match="give --token"):
        ServeSettings(Path("x"), host=host)
    assert not ServeSettings(Path("x"), host=host, token="0123456789abcdef").on_loopback


@pytest.mark.parametrize("token", ["short", "with a space and ü long enough", "line\nbreak-0123456789"])
def test_poor_tokens_are_refused(token):
    with pytest.raises(PahaError, match="--token"):
        ServeSettings(Path("x"), token=token)
