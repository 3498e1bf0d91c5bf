"""Hosts of the internet that messages go to, on this machine: a proxy that answers for them.

Programs find it by ``HTTPS_PROXY``, as behind a company's proxy, and trust its certificate. So they
keep their own addresses, and their own checks of them.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Sent(NamedTuple):
    """A request that arrived at a host."""

    host: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(kw_only=True)
class Internet:
    """What arrived so far, and the variables by which programs find these hosts."""

    variables: dict[str, str]
    status: int = 200
    sent: list[Sent] = field(default_factory=list)


@contextmanager
def internet(folder: Path, *hosts: str) -> Iterator[Internet]:
    """Answer for some hosts until the block ends; certificates go into ``folder``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = _certificate(folder, hosts)
    context.load_cert_chain(certificate, folder / "key.pem")

    class Host(BaseHTTPRequestHandler):
        """Behind the proxy: what a host itself answers."""

        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            host = self.headers["Host"].partition(":")[0]
            found.sent.append(Sent(host, self.path, dict(self.headers), body))
            self.send_response(found.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    class Proxy(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_CONNECT(self) -> None:
            known = self.path.partition(":")[0] in hosts
            self.send_response(200 if known else 502)
            self.end_headers()
            if known:
                with context.wrap_socket(self.connection, server_side=True) as inside:
                    Host(inside, self.client_address, self.server)
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    found = Internet(
        variables={"HTTPS_PROXY": address, "REQUESTS_CA_BUNDLE": str(certificate)},
    )
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path, hosts: tuple[str, ...]) -> Path:
    """Write a certificate for the hosts, signed by itself, and its key; return its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(private)
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(pem))
    return path
