"""Wording of messages: a number with its noun."""


def counted(number: int, noun: str) -> str:
    """The number and its noun, which is plural unless the number is 1.

    >>> counted(1, "line"), counted(1200, "query")
    ('1 line', '1,200 queries')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} " + (noun[:-1] + "ies" if noun.endswith("y") else noun + "s")
