"""Files as people have them, each with what is in it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """A file, and what an import must find in it: events as ``(source, destination, time)``, and words that it says."""

    name: str
    content: bytes
    events: list[tuple]
    says: tuple[str, ...]
    settings: dict = field(default_factory=dict)


def _text(lines: str) -> bytes:
    return "\n".join(line.strip("\n") for line in lines.strip("\n").split("\n")).encode() + b"\n"


MAILS = Sample(
    "Mails 2004.csv",
    _text("""
From,To,Date,Subject
ada@x.org,bob@x.org,2004-03-15 09:30:00,"Hello, Bob"
bob@x.org,ada@x.org,2004-03-16 10:00:00,Re: Hello
ada@x.org,ada@x.org,2004-03-16 11:00:00,Note to self
ada@x.org,bob@x.org,2004-03-15 09:30:00,"Hello, Bob"
cleo@x.org,ada@x.org,,No date
cleo@x.org,bob@x.org,2004-04-01 08:00:00,Fool
"""),
    [
        ("ada@x.org", "bob@x.org", 1079343000),
        ("bob@x.org", "ada@x.org", 1079431200),
        ("cleo@x.org", "bob@x.org", 1080806400),
    ],
    (
        "source       From",
        "time         Date: dates",
        "left out     Subject",
        "1 events from a node to itself left out",
        "1 lines that repeat another one left out",
        "1 lines without a time left out, the first is line 6",
        "2004-03-15 09:30 to 2004-04-01 08:00 UTC (16.94d)",
        "window       1d suggested",
    ),
    {"seconds": 1.0, "directed": True},
)
SNAP = Sample(
    "CollegeMsg.txt",
    _text("""
# Nodes: 3
# SRC DST UNIXTIME
1 2 1082040961
3 4 1082155839
5 2 1082414391
"""),
    [("1", "2", 1082040961), ("3", "4", 1082155839), ("5", "2", 1082414391)],
    ("separated by white space, no header", "seconds since 1970", "2 lines of comment skipped"),
    {"seconds": 1.0},
)
JODIE = Sample(
    "wikipedia.csv",
    _text("""
user_id,item_id,timestamp,state_label,comma_separated_list_of_features
0,0,0.0,0,-0.17,0.5
1,1,36.0,0,0.1,0.2
0,1,77.5,1,0.3,0.4
"""),
    [(0, 2, 0.0), (1, 3, 36.0), (0, 3, 77.5)],
    ("two sides    yes", "features     2 of each event", "left out     state_label"),
    {"bipartite": True, "seconds": 1.0},
)
MILLISECONDS = Sample(
    "calls.tsv",
    _text("""
timestamp\tcaller\tcallee\tduration
1082040961000\t7\t9\t60
1082040000000\t9\t30\t5.5
1082140961000\t7\t30\t1
"""),
    [("9", "30", 1082040000), ("7", "9", 1082040961), ("7", "30", 1082140961)],
    ("separated by tab, header in line 1", "times in ms since 1970 turned into seconds", "weight       duration",
     "were sorted"),
    {"seconds": 1.0},
)  # fmt: skip
KONECT = Sample(
    "out.opsahl",
    _text("""
% asym positive
% 3 4 4
1 2 1 1082008561
3 4 1 1082123439
2 1 3 1082381991
"""),
    [("1", "2", 1082008561), ("3", "4", 1082123439), ("2", "1", 1082381991)],
    ("weight       3", "time         4: seconds since 1970"),
)
GERMAN = Sample(
    "Anrufe.csv",
    "\r\n".join(
        ("Von;An;Datum", "Müller, Jörg;Ütz;31.12.2019 23:59", "Ütz;Weiß;01.01.2020 00:01", "Weiß;Ütz;02.01.2020 12:00")
    ).encode("cp1252"),
    [
        ("Müller, Jörg", "Ütz", 1577836740),
        ("Ütz", "Weiß", 1577836860),
        ("Weiß", "Ütz", 1577966400),
    ],
    ("separated by semicolon, header in line 1", "Windows-1252", "time         Datum: dates"),
)
FACTS = Sample(
    "icews_2014.txt",
    _text("""
Barack Obama\tMake a visit\tSouth Korea\t2014-01-01
South Korea\tHost a visit\tBarack Obama\t2014-01-01
Citizen (India)\tMake statement\tBarack Obama\t2014-01-03
South Korea\tMake statement\tCitizen (India)\t2014-01-04
"""),
    [
        ("Barack Obama", "South Korea", 1388534400),
        ("South Korea", "Barack Obama", 1388534400),
        ("Citizen (India)", "Barack Obama", 1388707200),
        ("South Korea", "Citizen (India)", 1388793600),
    ],
    ("separated by tab, no header", "relation     2", "relations replaced by numbers 0 to 2"),
)
UNSORTED = Sample(
    "visits.csv.gz",
    gzip.compress(
        _text("""
alice,bob,2004-03-15T09:30:00+02:00
bob,carol,2004-03-14T09:30:00Z
carol
alice,carol,2004-03-16T00:00:00Z
""")
    ),
    [("bob", "carol", 1079256600), ("alice", "bob", 1079335800), ("alice", "carol", 1079395200)],
    ("no header", "1 lines with too few fields left out, the first is line 3", "were sorted"),
)
TIMELESS = Sample(
    "karate.edges",
    _text("a b\nb c\nc a\na d\n"),
    [("a", "b", 0), ("b", "c", 0), ("c", "a", 0), ("a", "d", 0)],
    ("time         none: the file becomes one snapshot",),
)
SAMPLES = {
    one.name: one
    for one in (MAILS, SNAP, JODIE, MILLISECONDS, KONECT, GERMAN, FACTS, UNSORTED, TIMELESS)
}  # fmt: skip
