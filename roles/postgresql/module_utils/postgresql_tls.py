# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of a server: made, signed, and looked at. Pure, apart from the random numbers of new keys."""

from __future__ import annotations

import datetime
import ipaddress
import warnings
from collections.abc import Iterable
from typing import Any

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:  # a host before its packages are installed; nothing here is called there
    x509 = None  # type: ignore[assignment]

CA_DAYS = 3650
_EARLIER = datetime.timedelta(hours=1)  # for clients whose clock is behind
_PEM = "-----BEGIN "


def utc_now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.timezone.utc)  # noqa: UP017 - Ubuntu 22.04 has Python 3.10


def ends(certificate: Any) -> datetime.datetime:
    """Return when a certificate expires; Debian 12 has cryptography 38, which knows the older name only."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc  # type: ignore[no-any-return]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)  # type: ignore[no-any-return]  # noqa: UP017


def new_key() -> str:
    """Return a new private key (P-256, as every client can do) as PEM."""
    return _key_text(ec.generate_private_key(ec.SECP256R1()))


def _key_text(key: Any) -> str:
    return str(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


def _key(text: str) -> Any:
    return serialization.load_pem_private_key(text.encode(), None)


def _certificate(text: str) -> Any:
    return x509.load_pem_x509_certificate(text.encode())


def _public(key: Any) -> bytes:
    return bytes(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def _name(text: str) -> Any:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])  # RFC 5280: 64 characters at most


def _alternative(name: str) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def names_of(certificate: Any) -> set[str]:
    """Return the names and addresses that a certificate (or request) is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(item.value).lower() for item in found if isinstance(item, (x509.DNSName, x509.IPAddress))}


def new_request(key: str, names: Iterable[str]) -> str:
    """Return a request for a certificate of a server, as PEM."""
    wanted = sorted(set(names))
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(wanted[0]))
    request = request.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in wanted]), False)
    return str(request.sign(_key(key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode())


def new_authority(name: str, now: datetime.datetime) -> tuple[str, str]:
    """Return certificate and key of a new private CA that can sign servers and nothing below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    until = now + datetime.timedelta(days=CA_DAYS)
    builder = _signed_for(_name(name), _name(name), key.public_key(), key.public_key(), now=now, until=until)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True)
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), _key_text(key)


def _signed_for(subject: Any, issuer: Any, public: Any, signer: Any, *, now: datetime.datetime, until: Any) -> Any:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), False)
    )


def sign(request: str, ca: str, ca_key: str, now: datetime.datetime, days: int) -> str:
    """Return the certificate of a server for a request, never longer valid than its CA."""
    asked = x509.load_pem_x509_csr(request.encode())
    authority = _certificate(ca)
    until = min(ends(authority), now + datetime.timedelta(days=days))
    builder = _signed_for(
        asked.subject, authority.subject, asked.public_key(), authority.public_key(), now=now, until=until
    )
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    builder = builder.add_extension(names, False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    return str(builder.sign(_key(ca_key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode())


def signed_by(certificate: str, ca: str) -> bool:
    """Return whether a certificate is signed by the key of a CA of ours."""
    try:
        leaf = _certificate(certificate)
        _certificate(ca).public_key().verify(
            leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(leaf.signature_hash_algorithm)
        )
    except Exception:
        return False
    return True


def matches(certificate: str, key: str) -> bool:
    """Return whether a certificate is that of a private key."""
    return _public(_certificate(certificate).public_key()) == _public(_key(key).public_key())


def renewal_reason(
    certificate: str, key: str, ca: str, *, names: Iterable[str], now: datetime.datetime, days_before: int
) -> str:
    """Return why a certificate of ours has to be made anew; empty where it has not.

    Args:
        certificate: PEM, empty where there is none.
        key: PEM of its key.
        ca: PEM of the CA that has to have signed it.
        names: what it has to be for.
        now: the time.
        days_before: how long before its end it is renewed.
    """
    if not certificate:
        return "there is none"
    try:
        found = _certificate(certificate)
        same = matches(certificate, key)
    except ValueError:
        return "it cannot be read"
    reasons = {
        "it is not that of the key": not same,
        "another CA signed it": not signed_by(certificate, ca),
        "the host has other names or addresses": names_of(found) != {name.lower() for name in names},
        f"it expires on {ends(found):%Y-%m-%d}": ends(found) < now + datetime.timedelta(days=days_before),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def own_problems(certificate: str, key: str, names: Iterable[str], now: datetime.datetime) -> list[str]:
    """Return a sentence for each reason not to use a certificate and key of the inventory.

    Args:
        certificate: PEM, the server's own first.
        key: PEM of its private key; no word of it is told.
        names: names of the host, of which the certificate has to have one.
        now: the time.
    """
    if not certificate and not key:
        return []
    if not certificate or not key:
        missing = "postgresql_tls_key" if certificate else "postgresql_tls_certificate"
        return [f"{missing} is empty, and the other half is set. Give both, or none for a certificate of our own CA."]
    try:
        found = _certificate(certificate)
    except ValueError:
        return ["postgresql_tls_certificate is no certificate in PEM (-----BEGIN CERTIFICATE-----)."]
    try:
        pair = matches(certificate, key)
    except (ValueError, TypeError):
        return ["postgresql_tls_key is no private key in PEM without a passphrase; keep it in the vault."]
    problems = []
    if not pair:
        problems.append(
            "postgresql_tls_key is not the key of postgresql_tls_certificate. Give the two that belong together."
        )
    if ends(found) <= now:
        problems.append(f"postgresql_tls_certificate expired on {ends(found):%Y-%m-%d}. Ask its CA for a new one.")
    wanted = {name.lower() for name in names}
    has = names_of(found)
    wild = {name.partition(".")[2] for name in has if name.startswith("*.")}
    if not wanted & has and not {name.partition(".")[2] for name in wanted} & wild:
        problems.append(
            f"postgresql_tls_certificate is for {', '.join(sorted(has)) or 'no name'}, and the host is "
            f"{', '.join(sorted(wanted))}. Ask for one with a name of the host as subject alternative name, or set "
            "postgresql_tls_names."
        )
    return problems
