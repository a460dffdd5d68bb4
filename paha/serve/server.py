"""Running the server: its folder, its workers, its port."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable

from paha.errors import PahaError
from paha.serve.settings import ServeSettings

GRACE_S = 2
MIN_FREE_BYTES = 200 * 2**20


def serve(settings: ServeSettings, *, say: Callable[[str], None] = print) -> None:
    """Serve until interrupted. say: told the address.

    Raises PahaError where the [serve] extra is missing, the folder cannot be written or is served already, or the port
    is taken.
    """
    try:
        import fastapi  # noqa: F401
        import multipart  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise PahaError(f"the server needs {error.name}: pip install 'paha[serve]'") from error
    from paha.media.provenance import read_identity
    from paha.serve.api import make_app
    from paha.serve.preview import warm_up
    from paha.serve.store import JobStore
    from paha.serve.workers import Workers

    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(settings.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise PahaError(f"cannot write {settings.folder}: {error.strerror}; give another --folder") from error
    with os.fdopen(lock, "rb+"):
        _lock(lock, settings)
        if shutil.disk_usage(settings.folder).free < MIN_FREE_BYTES:
            raise PahaError(f"{settings.folder} has less than 200 MB free; give another --folder")
        if settings.sign is not None:
            read_identity(settings.sign)  # made once, before several workers would
        store = JobStore(settings.folder)
        store.sweep()
        workers = Workers(settings, store)
        config = uvicorn.Config(
            make_app(settings, store, workers),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        config.load()
        # The port first: a worker takes seconds to start.
        with _bind(settings) as listening, workers:
            threading.Thread(target=warm_up, daemon=True).start()
            port = listening.getsockname()[1]
            query = f"/?token={settings.token}" if settings.token else "/"
            say(f"http://{settings.host}:{port}{query} (Ctrl-C ends it; videos are in {settings.folder})")
            uvicorn.Server(config).run(sockets=[listening])


def _bind(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        raise PahaError(
            f"cannot serve at {settings.host}:{settings.port}: {error.strerror}; give another --port"
        ) from error
    bound.set_inheritable(True)
    return bound


def _lock(file: int, settings: ServeSettings) -> None:
    """Two servers on one folder would take each other's running jobs for those of a dead worker."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise PahaError(f"{settings.folder} is served already; end that server or give another --folder") from error
