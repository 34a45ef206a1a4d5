"""TLS of the station port: certificate, client certificates, revocation list, renewal."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import Server

Watched = tuple[tuple[str, int], ...]


class TlsFiles:
    """An :class:`ssl.SSLContext` from the files of a site, read again when they change.

    TLS 1.2 is the least (OCPP 2.0.1 part 2, A00.FR.312). A client certificate is asked for when
    ``client_ca`` is given and, if shown, must be valid; whether a station must show one is decided
    by its security profile. ``client_ca`` may hold revocation lists (PEM) after the certificates;
    with one, every client certificate is checked against it.

    Parameters
    ----------
    on_refused
        Told the reason of every handshake that fails on our side.
    """

    def __init__(self, server: Server, on_refused: Callable[[str], None]) -> None:
        if server.tls_certificate is None or server.tls_key is None:
            raise ConfigError("server", "tls_certificate and tls_key belong together")
        self._certificate, self._key = server.tls_certificate, server.tls_key
        self._client_ca = server.client_ca
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.sslobject_class = _watched_object(on_refused)
        self._read()
        self._seen = self._stamp()

    def renew(self) -> bool:
        """Read the files again if one has changed; new connections use them. True when it did.

        Certificates and revocation lists are added; taking an authority out of ``client_ca``
        takes a restart. Raises :class:`ConfigError` and keeps what was there when a file is bad.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        self._read()
        return True

    def _read(self) -> None:
        try:
            self.context.load_cert_chain(self._certificate, self._key)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                "server.tls_certificate", f"{self._certificate}, {self._key}: {error}"
            ) from None
        if self._client_ca is None:
            return
        try:
            self.context.load_verify_locations(cafile=str(self._client_ca))
            listed = b"-----BEGIN X509 CRL-----" in self._client_ca.read_bytes()
        except OSError as error:
            raise ConfigError("server.client_ca", f"{self._client_ca}: {error}") from None
        self.context.verify_mode = ssl.CERT_OPTIONAL
        if listed:
            self.context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF

    def _stamp(self) -> Watched:
        """Changes when a file does. A file that is being replaced may be missing for a moment."""
        files: list[Path] = [self._certificate, self._key]
        if self._client_ca is not None:
            files.append(self._client_ca)
        return tuple((str(file), file.stat().st_mtime_ns if file.exists() else 0) for file in files)


def common_name(certificate: object) -> str | None:
    """The subject's common name of what ``SSLObject.getpeercert()`` returned."""
    if not isinstance(certificate, dict):
        return None
    for name in certificate.get("subject", ()):
        for key, value in name:
            if key == "commonName":
                return str(value)
    return None


def _watched_object(on_refused: Callable[[str], None]) -> type[ssl.SSLObject]:
    """asyncio drops a failed handshake without a word; an attempt with a bad certificate is told."""

    class Watched(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLCertVerificationError as error:
                on_refused(error.verify_message)
                raise
            except ssl.SSLError as error:
                on_refused(error.reason or "handshake")
                raise

    return Watched
