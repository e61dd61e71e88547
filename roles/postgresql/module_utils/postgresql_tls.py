# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of database servers: a private CA, what it signs, and what is wrong with one that was given. Pure.

Runs on the controller, where ansible-core itself brings the library cryptography.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_NAME = "PhysioFlow database CA"
CA_DAYS = 3650
_CLOCKS = datetime.timedelta(hours=1)  # that a host's clock may be behind the controller's
_COMMON_NAME = 64  # characters, RFC 5280
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.I)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def host_names(candidates: Iterable[str]) -> list[str]:
    """Return the names and addresses that a certificate can carry, each once, in a fixed order.

    Args:
        candidates: names of the host and addresses that it listens on; what is neither is left out.
    """
    found: set[str] = set()
    for name in candidates:
        try:
            found.add(str(ipaddress.ip_address(name)))
        except ValueError:
            if _HOST.fullmatch(name):
                found.add(name.lower())
    if found.intersection(_LOOPBACK):
        found.update(_LOOPBACK)
    return sorted(found)


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the names and addresses of a certificate's SAN; none where it has no such extension."""
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in san.get_values_for_type(x509.IPAddress)]
    return sorted([name.lower() for name in san.get_values_for_type(x509.DNSName)] + addresses)


def covers(carried: Iterable[str], name: str) -> bool:
    """Return whether names of a certificate cover a host; `*` stands for its first label (RFC 6125)."""
    wild = f"*.{name.partition('.')[2]}"
    return any(each in (name.lower(), wild.lower()) for each in carried)


def make_ca(now: datetime.datetime, mark: str) -> tuple[str, str]:
    """Make a CA of one's own.

    Args:
        now: time of the controller, with its zone.
        mark: tells this CA from those of other inventories.

    Returns:
        Certificate and key as PEM.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{CA_NAME} {mark}")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate), _pem_key(key)


def sign(ca: str, ca_key: str, names: list[str], now: datetime.datetime, days: int) -> tuple[str, str]:
    """Make a key and a certificate for a server.

    Args:
        ca: certificate of the CA as PEM.
        ca_key: its key as PEM.
        names: names and addresses of the server.
        now: time of the controller, with its zone.
        days: how long the certificate is valid; never longer than its CA.

    Returns:
        Certificate and key as PEM.
    """
    issuer = x509.load_pem_x509_certificate(ca.encode())
    issuer_key = serialization.load_pem_private_key(ca_key.encode(), None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key of the CA is not one that this role makes (elliptic curve)")
    key = ec.generate_private_key(ec.SECP256R1())
    common = next((name for name in names if name not in _LOOPBACK), "localhost")[:_COMMON_NAME]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(min(now + datetime.timedelta(days=days), issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pem(certificate), _pem_key(key)


def why_new(current: str, ca: str, names: list[str], now: datetime.datetime, renew_before: int) -> str:
    """Return why a server needs another certificate of our CA; empty where it does not.

    Args:
        current: its certificate as PEM, empty where it has none with a key that fits.
        ca: certificate of the CA as PEM; empty where it is not on this controller.
        names: names and addresses that it has to carry.
        now: time of the controller, with its zone.
        renew_before: days before its end at which it is renewed.
    """
    try:
        certificate = x509.load_pem_x509_certificate(current.encode())
    except ValueError:
        return "it has none"
    if ca and not signed_by(certificate, ca):
        return "it is not of this CA"
    if not ca and not is_of_a_ca_of_ours(current):
        return "it is not of a CA of this role"
    if names_of(certificate) != names:
        return "its names changed"
    if certificate.not_valid_after_utc - now < datetime.timedelta(days=renew_before):
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return ""


def is_of_a_ca_of_ours(current: str) -> bool:
    """Return whether a certificate says that a CA of this role signed it."""
    try:
        issuer = x509.load_pem_x509_certificate(current.encode()).issuer
    except ValueError:
        return False
    return any(str(name.value).startswith(CA_NAME) for name in issuer.get_attributes_for_oid(NameOID.COMMON_NAME))


def signed_by(certificate: x509.Certificate, ca: str) -> bool:
    """Return whether a CA signed a certificate."""
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.encode()))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def ends_on(pem: str) -> datetime.datetime:
    """Return when a certificate ends."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def given_problems(certificate: str, key: str, own: list[str], wanted: list[str], now: datetime.datetime) -> list[str]:
    """Return a sentence for each reason why a certificate of the inventory cannot be the server's.

    Args:
        certificate: PEM; the server's own first, its chain after it.
        key: PEM.
        own: names that the host is known by; one of them has to be in the certificate.
        wanted: names that all have to be in it.
        now: time of the controller, with its zone.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        return ["postgresql_tls_certificate is no certificate as PEM (-----BEGIN CERTIFICATE-----)."]
    problems = []
    try:
        public = serialization.load_pem_private_key(key.encode(), None).public_key()
        if _public(public) != _public(found.public_key()):
            problems.append("postgresql_tls_key is not the key of postgresql_tls_certificate.")
    except TypeError:
        problems.append("postgresql_tls_key has a password. Put the key without one into the vault.")
    except ValueError:
        problems.append("postgresql_tls_key is no private key as PEM (-----BEGIN PRIVATE KEY-----).")
    if found.not_valid_after_utc <= now:
        problems.append(f"postgresql_tls_certificate expired on {found.not_valid_after_utc:%Y-%m-%d}.")
    if found.not_valid_before_utc > now:
        problems.append(f"postgresql_tls_certificate is only valid from {found.not_valid_before_utc:%Y-%m-%d} on.")
    carried = names_of(found)
    missing = [name for name in wanted if not covers(carried, name)]
    if missing or not any(covers(carried, name) for name in own):
        problems.append(
            f"postgresql_tls_certificate is for {', '.join(carried) or 'no name (it has no SAN)'}, not for "
            f"{', '.join(missing) or ' or '.join(own)}; no client could verify it."
        )
    return problems


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _public(key: object) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, form)  # type: ignore[attr-defined]
    return encoded


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_key(key: ec.EllipticCurvePrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
