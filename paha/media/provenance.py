"""Where a video comes from: a C2PA manifest signed by a certificate of one's own, and what a file says of itself.

C2PA (c2pa.org) binds a statement, here "made by a trained algorithm", to the bytes of a file; a changed file no longer
fits it. A certificate made here proves that the holder of its key signed, not who that is: no authority vouches for it.
"""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import dataclass
from pathlib import Path

from paha import __version__
from paha.errors import PahaError
from paha.runtime.atomic import atomic_path, write_bytes

CERTIFICATE, KEY = "certificate.pem", "key.pem"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's term for media made by a trained algorithm."""
_YEARS = 5
_UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True)
class Provenance:
    """What a file says. manifest: "none", "valid", or "broken" (changed since it was signed). signer: the certificate's
    name. trusted: whether an authority vouches for it. generated: whether manifest or tag say that it is generated.
    comment: the tag. problems: why a manifest is broken."""

    manifest: str
    signer: str
    trusted: bool
    generated: bool
    comment: str
    problems: tuple[str, ...]


def sign_video(path: Path, identity: Path, *, title: str = "") -> None:
    """Add a signed manifest to an mp4, in place. identity: a folder with certificate.pem (the signer's, then its
    issuers') and key.pem (ES256); both are made there if neither is there.

    Raises PahaError where the [provenance] extra is missing, the identity cannot be used, or the file not be written.
    """
    c2pa = _library()
    certificate, key = read_identity(identity)
    action = {"action": "c2pa.created", "digitalSourceType": GENERATED}
    manifest = {
        "claim_generator_info": [{"name": "PAHA", "version": __version__}],
        "title": title or path.name,
        "format": "video/mp4",
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    info = c2pa.C2paSignerInfo(alg=c2pa.C2paSigningAlg.ES256, sign_cert=certificate, private_key=key, ta_url=None)
    with atomic_path(path) as temporary:
        try:
            with (
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(json.dumps(manifest)) as builder,
                path.open("rb") as source,
                temporary.open("w+b") as out,
            ):
                builder.sign(signer, "video/mp4", source, out)
        except c2pa.C2paError as error:
            raise PahaError(f"cannot sign {path} by {identity}: {' '.join(str(error).split())}") from error


def read_provenance(path: Path) -> Provenance:
    """What a file says of where it comes from. Raises PahaError where it is no media or the extra is missing."""
    from paha.media.containers import open_media

    c2pa = _library()
    with open_media(path) as container:
        comment = container.metadata.get("comment", "")
    said = "AI-generated" in comment
    reader = c2pa.Reader.try_create(str(path)) if _has_manifest(path) else None
    if reader is None:
        return Provenance("none", "", False, said, comment, ())
    with reader:
        state, results = reader.get_validation_state(), reader.get_validation_results() or {}
        active = reader.get_active_manifest() or {}
    failures = results.get("activeManifest", {}).get("failure", [])
    problems = [item.get("explanation") or item["code"] for item in failures if item["code"] != _UNTRUSTED]
    trusted = state == "Trusted" and not any(item["code"] == _UNTRUSTED for item in failures)
    return Provenance(
        "broken" if problems or state == "Invalid" else "valid",
        active.get("signature_info", {}).get("common_name") or active.get("signature_info", {}).get("issuer", ""),
        trusted,
        said or GENERATED in json.dumps(active),
        comment,
        tuple(problems),
    )


def check_identity(folder: Path) -> None:
    """Raises what `read_identity` would, and makes nothing: for before a video is made."""
    _library()
    if _holds_identity(folder):
        _identity_in(folder)


def read_identity(folder: Path) -> tuple[bytes, bytes]:
    """(certificate chain, key) of a folder, made there if neither is. Raises PahaError where one is missing, or the
    extra."""
    _library()
    make_identity(folder)
    return _identity_in(folder)


def _holds_identity(folder: Path) -> bool:
    return (folder / CERTIFICATE).exists() or (folder / KEY).exists()


def _identity_in(folder: Path) -> tuple[bytes, bytes]:
    try:
        return (folder / CERTIFICATE).read_bytes(), (folder / KEY).read_bytes()
    except OSError as error:
        raise PahaError(f"{folder} needs both {CERTIFICATE} and {KEY}: {error.strerror}") from error


def make_identity(folder: Path) -> None:
    """A key, and a certificate for it by an authority made on the spot, whose key is thrown away. Nothing if either
    file is there. Raises PahaError where the folder cannot be written."""
    if _holds_identity(folder):
        return
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "PAHA")]
        )

    def usage(*, signs_certificates: bool) -> x509.KeyUsage:
        no = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        return x509.KeyUsage(
            digital_signature=not signs_certificates,
            key_cert_sign=signs_certificates,
            crl_sign=signs_certificates,
            **no,
        )

    now = datetime.datetime.now(datetime.UTC)
    issuer_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def certificate(subject: str, public, *, authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("PAHA local authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage(signs_certificates=authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if not authority:
            kinds = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(kinds, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    chain = [
        certificate("PAHA local signer", key.public_key(), authority=False),
        certificate("PAHA local authority", issuer_key.public_key(), authority=True),
    ]
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_bytes(folder / KEY, secret)
    os.chmod(folder / KEY, 0o600)
    write_bytes(folder / CERTIFICATE, b"".join(item.public_bytes(pem) for item in chain))


def _has_manifest(path: Path) -> bool:
    """Whether a file holds a C2PA box; the library raises for one without."""
    c2pa = _library()
    try:
        with c2pa.Reader(str(path)):
            return True
    except c2pa.C2paError as error:
        if (
            "ManifestNotFound" in type(error).__name__
            or "ManifestNotFound" in str(error)
            or "NotSupported" in str(error)
        ):
            return False
        raise PahaError(f"the manifest of {path} cannot be read: {' '.join(str(error).split())}") from error


def _library():
    try:
        import c2pa
        import cryptography  # noqa: F401
    except ImportError as error:
        raise PahaError(f"C2PA manifests need {error.name}: pip install 'paha[provenance]'") from error
    return c2pa
