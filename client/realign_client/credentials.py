"""Credentials: what this client shows to its cluster and whom it trusts there, in a folder of its own.

client.key        the key, which never leaves this machine
client.pem        its certificate; the client belongs to a cluster when it is there
authorities.pem   the authorities that are trusted, newest first
cluster.json      the cluster's name and the addresses of its nodes
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from realign_client.errors import Damaged, LocalFailure, NoCluster
from realign_proto.token import Token

DIRECTORY_VARIABLE = "REALIGN_CLIENT_DIR"
JOIN_AGAIN = "run `realignctl cluster join` with a new invitation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What makes this client a member of one cluster."""

    cluster: str
    addresses: tuple[str, ...]  # "host:port" of nodes, as they were last known
    key_pem: bytes = field(repr=False)
    certificate_pem: bytes = field(repr=False)
    authorities_pem: bytes = field(repr=False)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """As gRPC takes them."""
        return grpc.ssl_channel_credentials(self.authorities_pem, self.key_pem, self.certificate_pem)

    @property
    def marks(self) -> frozenset[str]:
        """What nodes of the cluster announce of it by Bonjour, one of these at least; see bonjour.mark."""
        from realign_client.bonjour import mark

        found = x509.load_pem_x509_certificates(self.authorities_pem)
        return frozenset(mark(hashlib.sha256(one.public_bytes(serialization.Encoding.DER)).digest()) for one in found)

    def refusal(self, now_unix_s: float) -> str | None:
        """Why no node will accept them at this moment; None when they are good. TLS itself would not say."""
        certificate = x509.load_pem_x509_certificate(self.certificate_pem)
        if now_unix_s > certificate.not_valid_after_utc.timestamp():
            ended = certificate.not_valid_after_utc
            return f"this client's certificate for {self.cluster!r} expired on {ended:%Y-%m-%d}; {JOIN_AGAIN}"
        if now_unix_s < certificate.not_valid_before_utc.timestamp():
            begins = certificate.not_valid_before_utc
            return f"this client's certificate is not valid before {begins:%Y-%m-%d}; set this machine's clock"
        return None

    def is_half_way(self, now_unix_s: float) -> bool:
        """Whether it is time to renew the certificate."""
        certificate = x509.load_pem_x509_certificate(self.certificate_pem)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return now_unix_s >= (begins.timestamp() + ends.timestamp()) / 2


def client_dir() -> Path:
    """The folder: REALIGN_CLIENT_DIR, or ~/.realign-client."""
    return Path(os.environ.get(DIRECTORY_VARIABLE) or Path.home() / ".realign-client").expanduser().absolute()


def load_credentials() -> Credentials | None:
    """What is in the folder; None when this client has joined no cluster.

    Raises:
        LocalFailure: others may read the key.
        Damaged: the files do not fit each other.
    """
    folder = client_dir()
    try:
        certificate_pem = (folder / "client.pem").read_bytes()
    except FileNotFoundError:
        return None
    try:
        known: Any = json.loads((folder / "cluster.json").read_bytes())
        credentials = Credentials(
            cluster=str(known["name"]),
            addresses=tuple(str(address) for address in known["addresses"]),
            key_pem=_private(folder / "client.key"),
            certificate_pem=certificate_pem,
            authorities_pem=(folder / "authorities.pem").read_bytes(),
        )
        _check(credentials)
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise Damaged(f"what this client keeps in {folder} is damaged ({error}); {JOIN_AGAIN}") from error
    return credentials


def keep_credentials(credentials: Credentials) -> None:
    """Puts them into the folder in place of others, which stay as they are where the disk is full.

    Raises:
        Damaged: the certificate is not for the key.
    """
    try:
        _check(credentials)
    except ValueError as error:
        raise Damaged(f"what the cluster sent cannot be used ({error}); {JOIN_AGAIN}") from error
    folder = client_dir()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = {"name": credentials.cluster, "addresses": list(credentials.addresses)}
    parts = (
        _written(folder / "client.key", credentials.key_pem),
        _written(folder / "authorities.pem", credentials.authorities_pem),
        _written(folder / "cluster.json", json.dumps(known, indent=2).encode() + b"\n"),
        _written(folder / "client.pem", credentials.certificate_pem),
    )
    for part in parts:
        part.replace(part.with_suffix(""))


def forget_credentials() -> None:
    """Leaves the cluster as far as this client goes; the members' list still has it until it is revoked."""
    for name in ("client.pem", "client.key", "authorities.pem", "cluster.json"):
        (client_dir() / name).unlink(missing_ok=True)


def mint_key() -> bytes:
    """A new key (PEM)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_request(key_pem: bytes) -> bytes:
    """A request (PEM) that proves possession of the key; the cluster decides on everything else."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(_key(key_pem), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def pinned_authority(answer_pem: bytes, token: Token) -> bytes:
    """The authority (PEM) that the invitation names, out of an answer that nobody vouches for.

    Raises:
        NoCluster: the answer is something else.
    """
    try:
        found = x509.load_pem_x509_certificates(answer_pem)
    except (ValueError, x509.InvalidVersion):
        found = []
    ders = [one.public_bytes(serialization.Encoding.DER) for one in found]
    if [hashlib.sha256(der).digest() for der in ders] != [token.authority_sha256]:
        raise NoCluster(
            "the cluster at that address is not the one that the invitation is for, so nothing was sent to it; "
            "check the address, and ask again whoever gave you the invitation"
        )
    return found[0].public_bytes(serialization.Encoding.PEM)


def _check(credentials: Credentials) -> None:
    """Raises ValueError when the parts do not belong together."""
    if not x509.load_pem_x509_certificates(credentials.authorities_pem):
        raise ValueError("no authority is named")
    certificate = x509.load_pem_x509_certificate(credentials.certificate_pem)
    if certificate.public_key() != _key(credentials.key_pem).public_key():
        raise ValueError("the certificate is not for this client's key")


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is of another kind than ours")  # noqa: TRY004 - the file's content is wrong, no argument
    return key


def _private(path: Path) -> bytes:
    """The file's content. The check and the reading are of one open file."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            remedy = f"run `chmod 600 {path}`; if one of them may have it, have this client revoked"
            raise LocalFailure(f"{path} can be used by other users of this machine; {remedy}")
        return file.read()


def _written(path: Path, content: bytes) -> Path:
    """The content, on disk and for nobody else to read, in a file beside the one that it is to replace."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return part
