"""Certificates of the role postgresql: signed, renewed in time, and refused where they are of no use."""

from __future__ import annotations

import datetime

import pytest
from ansible.module_utils.postgresql_tls import (
    matches,
    new_authority,
    new_key,
    new_request,
    own_problems,
    renewal_reason,
    sign,
    signed_by,
)

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NAMES = ["db1.example", "10.0.0.5", "::1"]
CA, CA_KEY = new_authority("test", NOW)
KEY = new_key()
CERTIFICATE = sign(new_request(KEY, NAMES), CA, CA_KEY, NOW, 365)


def later(days: int) -> datetime.datetime:
    return NOW + datetime.timedelta(days=days)


def test_a_signed_certificate_is_that_of_the_key_and_of_the_ca() -> None:
    assert matches(CERTIFICATE, KEY)
    assert not matches(CERTIFICATE, new_key())
    assert signed_by(CERTIFICATE, CA)
    assert not signed_by(CERTIFICATE, new_authority("test", NOW)[0])
    assert not signed_by("", CA)


def test_one_that_is_good_stays() -> None:
    assert renewal_reason(CERTIFICATE, KEY, CA, names=[*NAMES[::-1]], now=NOW, days_before=30) == ""
    assert renewal_reason(CERTIFICATE, KEY, CA, names=NAMES, now=later(334), days_before=30) == ""


@pytest.mark.parametrize(
    ("certificate", "key", "ca", "names", "days", "words"),
    [
        ("", KEY, CA, NAMES, 0, "there is none"),
        ("x", KEY, CA, NAMES, 0, "it cannot be read"),
        (CERTIFICATE, new_key(), CA, NAMES, 0, "it is not that of the key"),
        (CERTIFICATE, KEY, new_authority("test", NOW)[0], NAMES, 0, "another CA signed it"),
        (CERTIFICATE, KEY, CA, [*NAMES, "db2.example"], 0, "the host has other names or addresses"),
        (CERTIFICATE, KEY, CA, NAMES, 336, "it expires on 2027-01-01"),
    ],
)
def test_why_one_is_made_anew(*, certificate: str, key: str, ca: str, names: list[str], days: int, words: str) -> None:
    assert renewal_reason(certificate, key, ca, names=names, now=later(days), days_before=30) == words


def test_no_certificate_outlives_its_ca() -> None:
    late = sign(new_request(KEY, NAMES), CA, CA_KEY, later(3600), 365)
    assert renewal_reason(late, KEY, CA, names=NAMES, now=later(3600), days_before=0) == ""
    assert "expires" in renewal_reason(late, KEY, CA, names=NAMES, now=later(3651), days_before=0)


@pytest.mark.parametrize(
    ("certificate", "key", "names", "days", "words"),
    [
        (CERTIFICATE, "", NAMES, 0, "postgresql_tls_key is empty"),
        ("", KEY, NAMES, 0, "postgresql_tls_certificate is empty"),
        ("x", KEY, NAMES, 0, "is no certificate in PEM"),
        (CERTIFICATE, "x", NAMES, 0, "is no private key in PEM"),
        (CERTIFICATE, new_key(), NAMES, 0, "is not the key of postgresql_tls_certificate"),
        (CERTIFICATE, KEY, NAMES, 366, "expired on 2027-01-01"),
        (CERTIFICATE, KEY, ["db2.example"], 0, "and the host is db2.example"),
    ],
)
def test_one_of_the_inventory_is_refused(
    *, certificate: str, key: str, names: list[str], days: int, words: str
) -> None:
    (problem,) = own_problems(certificate, key, names, later(days))
    assert words in problem
    assert "PRIVATE" not in problem


def test_one_of_the_inventory_is_taken() -> None:
    assert own_problems("", "", NAMES, NOW) == []
    assert own_problems(CERTIFICATE, KEY, ["DB1.example", "other"], NOW) == []
    wild = sign(new_request(KEY, ["*.example"]), CA, CA_KEY, NOW, 365)
    assert own_problems(wild, KEY, ["db7.example"], NOW) == []
    assert own_problems(wild, KEY, ["db7.other"], NOW) != []
