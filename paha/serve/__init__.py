"""`paha serve`: a page and an HTTP API that make videos, one after another, on this machine (docs/serve.md)."""
