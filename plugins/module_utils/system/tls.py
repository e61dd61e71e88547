# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks certificates of a server: why a new one is needed, and why one is refused. Pure."""

from __future__ import annotations

import datetime
import ipaddress
import warnings
from collections.abc import Iterable
from typing import Any

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
except ImportError:  # on a host whose packages are not installed yet, nothing here is called
    x509 = None  # type: ignore[assignment]


def utc_now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.timezone.utc)  # noqa: UP017 - Ubuntu 22.04 has Python 3.10


def ends(certificate: Any) -> datetime.datetime:
    """Return when a certificate expires; cryptography 38 of Debian 12 only has the older attribute."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc  # type: ignore[no-any-return]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)  # type: ignore[no-any-return]  # noqa: UP017


def _key(text: str) -> Any:
    return serialization.load_pem_private_key(text.encode(), None)


def _certificate(text: str) -> Any:
    return x509.load_pem_x509_certificate(text.encode())


def _public(key: Any) -> bytes:
    return bytes(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def alternative_name(name: str) -> str:
    """Return a host name or address as a subject alternative name in the notation of community.crypto."""
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name.lower()}"


def names_of(certificate: Any) -> set[str]:
    """Return the names and addresses of a certificate, in the notation of `alternative_name`."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {alternative_name(str(item.value)) for item in found if isinstance(item, (x509.DNSName, x509.IPAddress))}


def signed_by(certificate: str, ca: str) -> bool:
    """Return whether the key of a CA signed a certificate (P-256 where we created it)."""
    try:
        leaf = _certificate(certificate)
        public = _certificate(ca).public_key()
        used = leaf.signature_hash_algorithm
        scheme = (padding.PKCS1v15(), used) if isinstance(public, rsa.RSAPublicKey) else (ec.ECDSA(used),)
        public.verify(leaf.signature, leaf.tbs_certificate_bytes, *scheme)
    except Exception:
        return False
    return True


def matches(certificate: str, key: str) -> bool:
    """Return whether a certificate belongs to a private key."""
    return _public(_certificate(certificate).public_key()) == _public(_key(key).public_key())


def renewal_reason(
    certificate: str, key: str, ca: str, *, names: Iterable[str], now: datetime.datetime, days_before: int
) -> str:
    """Return why a certificate of ours must be renewed; empty where it need not be.

    Args:
        certificate: PEM, empty where there is none.
        key: PEM of its key.
        ca: PEM of the CA that must have signed it.
        names: its required names.
        now: the current time.
        days_before: days before its expiry at which it is renewed.
    """
    if not certificate:
        return "it is missing"
    try:
        found = _certificate(certificate)
        same = matches(certificate, key)
    except (ValueError, TypeError):
        return "it or its key cannot be read"
    signed = signed_by(certificate, ca)
    reasons = {
        "it does not match the key": not same,
        "another CA signed it": not signed,
        "the host has other names or addresses": names_of(found) != {alternative_name(name) for name in names},
        # A new certificate would not outlive its CA either.
        f"it expires on {ends(found):%Y-%m-%d}": (
            ends_within(certificate, now, days_before) and not (signed and ends(found) >= ends(_certificate(ca)))
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def ends_within(certificate: str, now: datetime.datetime, days: int) -> bool:
    """Return whether a certificate expires within a number of days; False where none can be read."""
    try:
        return bool(ends(_certificate(certificate)) < now + datetime.timedelta(days=days))
    except ValueError:
        return False


def _same_key(first: str, second: str) -> bool:
    try:
        return _public(_certificate(first).public_key()) == _public(_certificate(second).public_key())
    except ValueError:
        return False


def ca_refusal(known: str, ca: str, reason: str, *, can_sign: bool, here: str, there: str) -> str:
    """Return why no certificate may be signed for a host; empty where one may.

    Args:
        known: PEM of the CA that the host, and so its clients, already have; empty for none.
        ca: PEM of the CA of the controller; empty for none.
        reason: why a certificate is needed; empty where none is.
        can_sign: whether the controller has the key of its CA.
        here: the folder of the CA on the controller.
        there: the folder of the certificate on the host.
    """
    if known and ca and not _same_key(known, ca):
        problem = f"The CA in {here} is not the one that clients of this host trust, {there}/ca.crt."
    elif reason and not can_sign and (known or ca):
        problem = f"The host needs a new certificate ({reason}), and the key of its CA is not here: {here}/ca.key."
    else:
        return ""
    return (
        f"{problem} Nothing was signed: clients would refuse the server. Copy ca.crt and ca.key from the controller "
        f"that made them to {here}. If they are lost, or to change the CA: rm {there}/ca.crt on the host, remove "
        f"a ca.crt without its ca.key from {here}, run again, and give the new ca.crt to all clients."
    )


def own_problems(certificate: str, key: str, names: Iterable[str], now: datetime.datetime) -> list[str]:
    """Return a sentence for each reason not to use a certificate and key of the inventory.

    Args:
        certificate: PEM, the server's own first.
        key: PEM of its private key, which is never shown.
        names: names of the host; the certificate must have one of them.
        now: the current time.
    """
    if not certificate and not key:
        return []
    if not certificate or not key:
        missing = "postgresql_tls_key" if certificate else "postgresql_tls_certificate"
        return [
            f"{missing} is empty, but the other one is set. Set both, or neither for a certificate of the private CA."
        ]
    try:
        found = _certificate(certificate)
    except ValueError:
        return ["postgresql_tls_certificate is not a PEM certificate (-----BEGIN CERTIFICATE-----)."]
    try:
        pair = matches(certificate, key)
    except (ValueError, TypeError):
        return ["postgresql_tls_key is not a PEM private key without a passphrase; keep it in the vault."]
    problems = []
    if not pair:
        problems.append("postgresql_tls_key is not the key of postgresql_tls_certificate. Set the matching pair.")
    if ends(found) <= now:
        problems.append(f"postgresql_tls_certificate expired on {ends(found):%Y-%m-%d}. Ask its CA for a new one.")
    wanted = {alternative_name(name) for name in names}
    has = names_of(found)
    wild = {name.partition(".")[2] for name in has if name.startswith("DNS:*.")}
    if not wanted & has and not {name.partition(".")[2] for name in wanted} & wild:
        problems.append(
            f"postgresql_tls_certificate is for {', '.join(sorted(has)) or 'no name'}, and the host is "
            f"{', '.join(sorted(wanted))}. Request one with a name of the host as subject alternative name, or set "
            "postgresql_tls_names."
        )
    return problems
