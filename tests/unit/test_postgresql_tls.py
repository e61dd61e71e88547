"""Certificates of the role postgresql: renewed in time, and refused where they are of no use."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.system.tls import (
    alternative_name,
    ca_refusal,
    ends_within,
    matches,
    own_problems,
    renewal_reason,
    signed_by,
)

from tests.certificates import certificate, new_key, pem

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NAMES = ["db1.example", "10.0.0.5", "::1"]
CA_KEY, OTHER_KEY, HOST_KEY = new_key(), new_key(), new_key()
CA = certificate(CA_KEY, CA_KEY, [], NOW, 3650)
OTHER = certificate(OTHER_KEY, OTHER_KEY, [], NOW, 3650)
KEY = pem(HOST_KEY)
CERTIFICATE = certificate(HOST_KEY, CA_KEY, NAMES, NOW, 365)


def later(days: int) -> datetime.datetime:
    return NOW + datetime.timedelta(days=days)


def test_a_signed_certificate_is_that_of_the_key_and_of_the_ca() -> None:
    assert matches(CERTIFICATE, KEY)
    assert not matches(CERTIFICATE, pem(OTHER_KEY))
    assert signed_by(CERTIFICATE, CA)
    assert not signed_by(CERTIFICATE, OTHER)
    assert not signed_by("", CA)


def test_a_ca_of_somebody_else_may_have_a_key_of_rsa() -> None:
    key = new_key("rsa")
    ca = certificate(key, key, [], NOW, 3650)
    assert signed_by(certificate(HOST_KEY, key, NAMES, NOW, 365), ca)
    assert not signed_by(CERTIFICATE, ca)


@pytest.mark.parametrize(
    ("name", "written"),
    [("DB1.example", "DNS:db1.example"), ("10.0.0.5", "IP:10.0.0.5"), ("0:0:0:0:0:0:0:1", "IP:::1")],
)
def test_a_name_is_written_in_one_way(name: str, written: str) -> None:
    assert alternative_name(name) == written


def test_one_that_is_good_stays() -> None:
    names = ["DB1.example", "0:0:0:0:0:0:0:1", "10.0.0.5"]
    assert renewal_reason(CERTIFICATE, KEY, CA, names=names, now=NOW, days_before=30) == ""
    assert renewal_reason(CERTIFICATE, KEY, CA, names=NAMES, now=later(334), days_before=30) == ""


@pytest.mark.parametrize(
    ("text", "key", "ca", "names", "days", "words"),
    [
        ("", KEY, CA, NAMES, 0, "it is missing"),
        ("x", KEY, CA, NAMES, 0, "it or its key cannot be read"),
        (CERTIFICATE, "x", CA, NAMES, 0, "it or its key cannot be read"),
        (CERTIFICATE, pem(OTHER_KEY), CA, NAMES, 0, "it does not match the key"),
        (CERTIFICATE, KEY, OTHER, NAMES, 0, "another CA signed it"),
        (CERTIFICATE, KEY, CA, [*NAMES, "db2.example"], 0, "the host has other names or addresses"),
        (CERTIFICATE, KEY, CA, NAMES, 336, "it expires on 2027-01-01"),
    ],
)
def test_why_one_is_made_anew(*, text: str, key: str, ca: str, names: list[str], days: int, words: str) -> None:
    assert renewal_reason(text, key, ca, names=names, now=later(days), days_before=30) == words


def test_one_that_ends_with_its_ca_is_not_made_anew_by_every_run() -> None:
    last = certificate(HOST_KEY, CA_KEY, NAMES, later(3640), 10)
    assert renewal_reason(last, KEY, CA, names=NAMES, now=later(3645), days_before=30) == ""
    assert ends_within(CA, later(3645), 30)
    assert not ends_within(CA, later(3600), 30)
    assert not ends_within("", NOW, 30)


@pytest.mark.parametrize(
    ("known", "ca", "reason", "can_sign", "words"),
    [
        (CA, OTHER, "", True, "The CA in /here is not the one that clients of this host trust, /there/ca.crt."),
        (CA, "x", "", True, "is not the one that clients of this host trust"),
        (CA, "", "it expires", False, "needs a new certificate (it expires), and the key of its CA is not here: /here"),
        (CA, CA, "it expires", False, "the key of its CA is not here"),
        ("", CA, "it is missing", False, "the key of its CA is not here"),
    ],
)
def test_what_clients_would_not_accept_is_not_signed(
    *, known: str, ca: str, reason: str, can_sign: bool, words: str
) -> None:
    said = ca_refusal(known, ca, reason, can_sign=can_sign, here="/here", there="/there")
    assert words in said
    assert "Nothing was signed" in said


@pytest.mark.parametrize(
    ("known", "ca", "reason", "can_sign"),
    [
        ("", "", "it is missing", False),  # the first host: a CA is made
        ("", CA, "it is missing", True),
        (CA, CA, "it expires", True),
        (CA, certificate(CA_KEY, CA_KEY, [], later(300), 3650), "", True),  # the same key with a later end
        (CA, "", "", False),  # another controller, as long as nothing has to be signed
    ],
)
def test_what_clients_accept_is_signed(*, known: str, ca: str, reason: str, can_sign: bool) -> None:
    assert ca_refusal(known, ca, reason, can_sign=can_sign, here="/here", there="/there") == ""


@pytest.mark.parametrize(
    ("text", "key", "names", "days", "words"),
    [
        (CERTIFICATE, "", NAMES, 0, "postgresql_tls_key is empty"),
        ("", KEY, NAMES, 0, "postgresql_tls_certificate is empty"),
        ("x", KEY, NAMES, 0, "is not a PEM certificate"),
        (CERTIFICATE, "x", NAMES, 0, "is not a PEM private key"),
        (CERTIFICATE, pem(OTHER_KEY), NAMES, 0, "is not the key of postgresql_tls_certificate"),
        (CERTIFICATE, KEY, NAMES, 366, "expired on 2027-01-01"),
        (CERTIFICATE, KEY, ["db2.example"], 0, "and the host is DNS:db2.example"),
    ],
)
def test_one_of_the_inventory_is_refused(*, text: str, key: str, names: list[str], days: int, words: str) -> None:
    (problem,) = own_problems(text, key, names, later(days))
    assert words in problem
    assert "PRIVATE" not in problem


def test_one_of_the_inventory_is_taken() -> None:
    assert own_problems("", "", NAMES, NOW) == []
    assert own_problems(CERTIFICATE, KEY, ["DB1.example", "other"], NOW) == []
    wild = certificate(HOST_KEY, CA_KEY, ["*.example"], NOW, 365)
    assert own_problems(wild, KEY, ["db7.example"], NOW) == []
    assert own_problems(wild, KEY, ["db7.other"], NOW) != []
