"""Parallel texts: read a file in which each line is a text and its partners, with tabs between.

Bytes     UTF-8, plain or gzip.  Every line has the same number of fields, and no field is blank.
          Blank lines and white space (text/corpus.py) around a field are dropped.
Read next text/corpus.py (read_lines)
"""
from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.corpus import File, read_lines, strip


def read_columns(source: File, least: int = 2, most: int = 2, errors: str = "strict"
                 ) -> list[list[str]]:
    """Read the columns of a file.  -> between `least` and `most` lists of N texts

    Raises a FormatError that names the line if a field is blank, or if a line has too few or too
    many fields, or not as many as the first line.
    """
    rows = []
    for number, line in enumerate(read_lines(source, errors), 1):
        if strip(line):
            rows.append([strip(field) for field in line.split("\t")])
            width = len(rows[0])
            expected = (str(width) if len(rows) > 1 else
                        str(least) if least == most else f"{least} to {most}")
            if not least <= len(rows[-1]) <= most or len(rows[-1]) != width:
                raise FormatError(source, f"line {number}", f"expected {expected} texts with tabs "
                                                            f"between them, found {len(rows[-1])}")
            if not all(rows[-1]):
                raise FormatError(source, f"line {number}", "expected a text between the tabs, "
                                                            "found nothing")
    if not rows:
        raise FormatError(source, "its lines", "expected texts with tabs between them, found none")
    return [list(column) for column in zip(*rows)]
