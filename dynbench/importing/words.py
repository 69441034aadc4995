"""What columns are called in files that people have."""

from __future__ import annotations

import re

_WORDS = {
    "src": """
        src source sourceid from fromid fromnode fromnodeid sender senderid user userid u i head subject
        caller author follower node1 id1 person1 s origin buyer payer customer customerid rater srcid nodea
        actor actor1
    """,
    "dst": """
        dst dest destination target targetid to toid tonode tonodeid receiver receiverid recipient item
        itemid v j tail object callee followee node2 id2 person2 o product productid business businessid
        seller payee ratee movie movieid dstid nodeb page pageid song songid actor2
    """,
    "time": """
        time t timestamp ts date datetime day year month created createdat sent sentat when unixtime unixts
        epoch eventtime eventdate start starttime datetimeutc
    """,
    "weight": """
        weight w count amount value duration rating strength
    """,
    "relation": """
        relation rel relationid predicate type kind relationtype edgetype action eventtype verb
    """,
}
ROLES: dict[str, frozenset[str]] = {role: frozenset(text.split()) for role, text in _WORDS.items()}

# Columns that two sides are told apart by, each numbered on its own.
TWO_SIDES = frozenset({"item", "itemid", "product", "productid", "business", "businessid", "movie", "movieid", "page",
                       "pageid", "song", "songid"})  # fmt: skip


def plain(name: str) -> str:
    """A name without case, spaces and signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
