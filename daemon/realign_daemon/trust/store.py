"""TrustStore: this machine's key, its certificate, and whom it trusts, as files in DATA_DIR/trust.

    node.key            the machine's key, minted at the first start
    node.pem            its certificate; the machine is in a cluster when it is there
    authorities.pem     the authorities that are trusted, newest first
    authority.key       key and certificate of the authority, on the node that founded the cluster
    authority.next.key  those of the one that is to follow it, until that one is trusted

Each file is replaced in one step, node.pem last of all: a crash in the middle of joining is as if nobody had joined.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from realign_daemon.durable_file import flush_folder, private_folder, replace_file
from realign_daemon.errors import BadConfig, Damaged
from realign_daemon.trust.authority import Authority
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate, parse_certificate
from realign_daemon.trust.keys import PrivateKey, key_pem, mint_key, parse_key, spki_hash

FOLDER = "trust"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What is in the folder."""

    key: PrivateKey = field(repr=False)
    certificate: Certificate | None = None  # None: in no cluster
    bundle: Bundle = field(default_factory=Bundle)
    authority: Authority | None = None  # on the node that founded the cluster
    successor: Authority | None = None  # what is about to take its place


class TrustStore:
    """The folder. One process at a time, which holds the data directory."""

    def __init__(self, data_dir: Path) -> None:
        """The folder is made when something is first read or written."""
        self._folder = data_dir / FOLDER

    @property
    def has_key(self) -> bool:
        """Whether this machine has had a key before."""
        return (self._folder / "node.key").exists()

    def load(self) -> Holdings:
        """What is there; mints the key at the first call.

        Raises:
            BadConfig: a file with a key in it can be read by others, or belongs to another user.
            Damaged: a file holds what it should not, or does not fit the others.
        """
        private_folder(self._folder)
        key = self._key()
        authority, successor = self._authority("authority.key"), self._authority("authority.next.key")
        certificate_text = self._text("node.pem")
        if certificate_text is None:
            return Holdings(key=key)
        certificate = parse_certificate(certificate_text)
        if certificate.spki != spki_hash(key.public_key()):
            raise Damaged(f"{self._folder / 'node.pem'} is not for the key beside it; restore both from one backup")
        bundle = Bundle.parse(self._text("authorities.pem") or b"")
        if authority is None or authority.pem not in bundle.pems:  # left by a crash while another cluster was founded
            return Holdings(key=key, certificate=certificate, bundle=bundle)
        return Holdings(key=key, certificate=certificate, bundle=bundle, authority=authority, successor=successor)

    def keep_founding(self, authority: Authority, certificate_pem: bytes) -> None:
        """Makes this machine the first of a cluster."""
        self._replace("authority.key", authority.dump())
        self.keep_certificate(certificate_pem, authority.bundle)

    def keep_certificate(self, certificate_pem: bytes, bundle: Bundle) -> None:
        """Makes this machine a member, or renews what it shows."""
        self._replace("authorities.pem", bundle.text)
        self._replace("node.pem", certificate_pem)

    def keep_successor(self, authority: Authority) -> None:
        """Keeps a new authority beside the old one: before anybody is told to trust it, lest its key be lost."""
        self._replace("authority.next.key", authority.dump())

    def succeed(self) -> None:
        """Puts the successor in the old authority's place, which takes no room on the disk.

        The old key is gone after this: its endorsement of the new one, and a bundle with both, have to be kept before.
        """
        with suppress(FileNotFoundError):  # it went there before, and then the flush failed
            (self._folder / "authority.next.key").replace(self._folder / "authority.key")
        flush_folder(self._folder)

    def keep_bundle(self, bundle: Bundle) -> None:
        """Changes whom this machine trusts."""
        self._replace("authorities.pem", bundle.text)

    def forget(self) -> None:
        """Takes this machine out of its cluster. The key stays, and with it the node id that its jobs know."""
        for name in ("authority.next.key", "authority.key", "node.pem", "authorities.pem"):  # a member until the third
            (self._folder / name).unlink(missing_ok=True)
        flush_folder(self._folder)

    def replace_key(self, key: PrivateKey) -> None:
        """Makes this machine a new node, for a cluster that will not have the old one back. In no cluster only."""
        self._replace("node.key", key_pem(key))

    def _key(self) -> PrivateKey:
        text = self._private("node.key")
        if text is not None:
            return parse_key(text, origin=str(self._folder / "node.key"))
        if self._text("node.pem") is not None:
            message = f"{self._folder / 'node.key'} is missing beside its certificate; restore it from a backup"
            raise Damaged(f"{message}, or delete node.pem there and join again as a new node")
        key = mint_key()
        self._replace("node.key", key_pem(key))
        return key

    def _authority(self, name: str) -> Authority | None:
        text = self._private(name)
        return None if text is None else Authority.load(text, origin=str(self._folder / name))

    def _replace(self, name: str, content: bytes) -> None:
        private_folder(self._folder)
        replace_file(self._folder / name, content)

    def _text(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _private(self, name: str) -> bytes | None:
        """The file's content; None when there is none. The checks and the reading are of one open file."""
        path = self._folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadConfig(f"{path} cannot be opened ({error.strerror}); make it a file of this user") from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid():
                raise BadConfig(f"{path} belongs to another user; run `chown {os.geteuid()} {path}` as root")
            if stat.S_IMODE(found.st_mode) & 0o077:
                remedy = f"run `chmod 600 {path}`; if one of them may have it, have this member revoked"
                raise BadConfig(f"{path} can be used by other users of this machine; {remedy}")
            return file.read()
