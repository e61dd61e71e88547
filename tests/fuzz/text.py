"""Strategies for what SQL may be written with: names, literals, white space, comments."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = (
    "visits",
    '"Odd Name"',
    "lịch_hẹn",
    '"bệnh nhân"',
    '"a""b"',
    '"semi;colon"',
    '"--not"',
    '"/*not"',
    '"$$not$$"',
    "x$1",
    '"it\'s"',
    "thuốc",
)
LITERALS = (
    "'plain'",
    "'it''s; -- no comment'",
    "'/* no comment'",
    "E'it\\'s; --'",
    "E'\\\\'",
    "'back\\slash\\'",
    "$$dollar; 'quote -- no$$",
    "$t$ $$ inner $$ ; /* $t$",
    "$ế$Nguyễn Thị Bưởi$ế$",
    "U&'\\1EBF'",
    "'Đau lưng'",
    "'two\nlines; --\n'",
    "'tab\tand\rreturn'",
    "'a' -- between\n 'b'",
    "B'101'::text",
    "'%s %% {}'",
    "'{{ jinja }} {% raw %}'",
    "repeat('-- ', 3)",
    "NULL",
)
SPACES = (" ", "  ", "\n", "\t", "\f", "\r", "\n\n", " \r ")
# What stands in comments; where it is taken for SQL, `seen` shows it.
WORDS = (
    "why",
    "it's",
    'a "quote',
    ";",
    "$$",
    "$t$",
    "--",
    "INSERT INTO seen VALUES ('no', 'comment', '');",
    "DELETE FROM seen;",
    "\\",
    "Việt Nam",
    "*",
    "/",
    "BEGIN;",
    "-- Transactional: no",
    "{{ x }}",
)

words = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)
block_comments = st.recursive(
    words.map(lambda inner: f"/* {inner} */"),
    lambda inner: st.tuples(words, inner, words).map(lambda parts: f"/*{parts[0]} {parts[1]}{parts[2]} */"),
    max_leaves=3,
)
line_comments = st.tuples(words, st.sampled_from(["\n", "\r", "\n"])).map(lambda parts: f"-- {parts[0]}{parts[1]}")
spaces = st.sampled_from(SPACES)
noise = st.one_of(spaces, spaces, spaces, block_comments, line_comments)
between = st.tuples(spaces, noise).map("".join)
gaps = st.one_of(st.just(""), noise, st.lists(noise, max_size=3).map("".join))
# One comment on top of the other, ended by what looks like a comment of another kind: as people switch parts off.
switched_off = st.tuples(words, words).map(
    lambda parts: f"/* {parts[0]} /* {parts[1]} */ */\n/* /* off */\nDELETE FROM seen;\n-- */\n"
)
