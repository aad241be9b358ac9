"""Key: a P-256 key pair, how it is written down, and the names that follow from its public half.

P-256 for all: gRPC's TLS refuses Ed25519 leaves (NO_COMMON_SIGNATURE_ALGORITHMS, measured with grpcio 1.85.1).
"""

from __future__ import annotations

import base64
import hashlib
from typing import NewType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from realign_daemon.cluster.facts import NodeId
from realign_daemon.errors import BadInput, Damaged

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey
SpkiHash = NewType("SpkiHash", str)  # sha256 of the SubjectPublicKeyInfo (DER), hex: the one name of a key

NODE_ID_LENGTH = 26  # characters of base32: 130 bits of the hash
MAX_REQUEST_BYTES = 16 * 1024  # a P-256 request has some 500

# How cryptography says that a certificate or a request is none, some of it only when a part of it is asked for.
UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)


def mint_key() -> PrivateKey:
    """A new key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """The key as PKCS #8, unencrypted: the file's mode protects it, as the daemon starts with nobody there to type."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def parse_key(pem: bytes, *, origin: str) -> PrivateKey:
    """The key in the text; `origin` is where it came from, for the error.

    Raises:
        Damaged: it holds no P-256 key.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Damaged(f"{origin} holds no readable key; restore it from a backup") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Damaged(f"{origin} holds a key that is not of the kind P-256; restore it from a backup")
    return key


def certificate_request(key: PrivateKey) -> bytes:
    """A request (PEM) that proves possession of the key and says nothing else: the authority sets all names."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def requested_key(request_pem: bytes) -> PublicKey:
    """The public key of a certificate request whose sender has the private half. All else in it is ignored.

    Raises:
        BadInput: it is no request, is not signed by its own key, or the key is not P-256.
    """
    advice = "upgrade the realign that asks"
    if len(request_pem) > MAX_REQUEST_BYTES:
        raise BadInput(f"the certificate request has {len(request_pem)} bytes, more than {MAX_REQUEST_BYTES}; {advice}")
    try:
        request = x509.load_pem_x509_csr(request_pem)
        public, is_signed = request.public_key(), request.is_signature_valid
    except UNREADABLE as error:
        raise BadInput(f"the certificate request cannot be read; {advice}") from error
    if not is_p256(public):
        raise BadInput(f"the certificate request is for a key that is not of the kind P-256; {advice}")
    if not is_signed:
        raise BadInput("the certificate request is not signed by its own key; ask with a key that the sender has")
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public


def is_p256(public: object) -> bool:
    """Whether this is a public key of the only kind that is used here."""
    return isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1)


def spki_hash(public: PublicKey) -> SpkiHash:
    """The key's one name, whatever certificate it is in."""
    return SpkiHash(hashlib.sha256(_spki(public)).hexdigest())


def node_id(public: PublicKey) -> NodeId:
    """The id of the node that has the key."""
    digest = hashlib.sha256(_spki(public)).digest()
    return NodeId(base64.b32encode(digest).decode().lower()[:NODE_ID_LENGTH])


def _spki(public: PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
