"""Settings of a server: where it keeps things, who has access, and how much they may ask for."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from paha.errors import PahaError


@dataclass(frozen=True)
class ServeSettings:
    """folder: all that the server writes. model: a model folder, None for the shipped one. devices: one worker each.
    token: what clients must show; "" lets everybody in, on loopback alone. sign: the folder of a certificate that
    videos are signed by. mark: a number hidden in all of them. max_upload_mb: of one request. max_seconds: of one
    speech. max_size: of a video's longer side, pixels. max_queued: jobs that wait, of all. max_per_client: jobs of one
    address that wait or run."""

    folder: Path
    model: Path | None = None
    devices: tuple[str, ...] = ("cpu",)
    host: str = "127.0.0.1"
    port: int = 7860
    token: str = ""
    sign: Path | None = None
    mark: int | None = None
    max_upload_mb: int = 64
    max_seconds: float = 120.0
    max_size: int = 1280
    max_queued: int = 256
    max_per_client: int = 32

    def __post_init__(self) -> None:
        if not self.token and not self.on_loopback:
            raise PahaError(f"--host {self.host} lets other machines in: give --token, at least 16 characters")
        if self.token and (len(self.token) < 16 or not self.token.isascii() or not self.token.isprintable()):
            raise PahaError("--token is too short or has unusual characters; give 16 letters and digits or more")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can come."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
