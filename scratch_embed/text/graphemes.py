r"""Grapheme clusters: the characters that a reader sees as one, such as "e" and an accent.

    "e\u0301a"  ->  "e\u0301", "a"          👩 + zero-width joiner + 👧  ->  one cluster

Paper     Unicode Standard Annex #29, "Unicode Text Segmentation", rules GB3 to GB999 of Unicode 17:
          extended grapheme clusters
Equation  a cluster is the longest match, from left to right, of
          CR LF | control | prepended* core (extend | spacing mark | ZWJ)*
          core  a Hangul syllable | two regional indicators (a flag)
                | pictograph (extend* ZWJ pictograph)*
                | consonant ((extend or ZWJ)* linker (extend, ZWJ or linker)* consonant)*
                | any other character that is not a control
Cost      O(n): each character becomes the letter of its class, and one regular expression finds
          the clusters in these letters
Shapes    a text of n characters -> (begin, end) of each cluster
Differs   The classes are those of Unicode 17 for every character that Python's version of Unicode
          assigns (unicodedata.unidata_version).  A mark that is newer begins a cluster.
Read next text/precompiled.py, which needs the clusters

Where the classes come from: marks and controls are categories in unicodedata; what it lacks (which
marks do not extend, pictographs, the consonants and linkers of Indic scripts) is listed below.
"""
import re
import unicodedata
from collections.abc import Iterator

from scratch_embed.text.basic_tokenizer import Table


def _ranges(text):
    """"9BE CC7-CC8" -> {0x9BE, 0xCC7, 0xCC8}."""
    bounds = [[int(code, 16) for code in part.split("-")] for part in text.split()]
    return frozenset(code for bound in bounds for code in range(bound[0], bound[-1] + 1))


# Characters that precede their base: signs of number in Arabic, and some letters
PREPENDED = _ranges("""
    600-605 6DD 70F 890-891 8E2 D4E 110BD 110CD 111C2-111C3 113D1 1193F 11941 11A84-11A89
    11D46 11F02""")
# Characters that extend a cluster, besides the categories Mn and Me
EXTEND = _ranges("""
    9BE 9D7 B3E B57 BBE BD7 CC0 CC2 CC7-CC8 CCA-CCB CD5-CD6 D3E D57 DCF DDF 1715 1734 1B35
    1B3B 1B3D 1B43-1B44 1BAA 1BF2-1BF3 200C 302E-302F A953 A9C0 FF9E-FF9F 111C0 11235 1133E
    1134D 11357 114B0 114BD 115AF 116B6 11930 1193D 16FF0-16FF1 1D165-1D166 1D16D-1D172
    1F3FB-1F3FF E0020-E007F""")
# Spacing marks, besides the category Mc; and characters of this category that are not
SPACING = _ranges("E33 EB3 1171E")
NOT_SPACING = _ranges("""
    102B-102C 1038 1062-1064 1067-106D 1083 1087-108C 108F 109A-109C 1A61 1A63-1A64 AA7B AA7D
    11720-11721""")
# Controls that are not assigned
CONTROL = _ranges("2065 FFF0-FFF8 13439-1343F E0000 E0002-E001F E0080-E00FF E01F0-E0FFF")
LINKERS = _ranges("""
    94D 9CD ACD B4D C4D D4D 1039 17D2 1A60 1B44 1BAB A9C0 AAF6 10A3F 11133 113D0 1193E 11A47
    11A99 11F42""")
CONSONANTS = _ranges("""
    915-939 958-95F 978-97F 995-9A8 9AA-9B0 9B2 9B6-9B9 9DC-9DD 9DF 9F0-9F1 A95-AA8 AAA-AB0
    AB2-AB3 AB5-AB9 AF9 B15-B28 B2A-B30 B32-B33 B35-B39 B5C-B5D B5F B71 C15-C28 C2A-C39
    C58-C5A D15-D3A 1000-102A 103F 1050-1055 105A-105D 1061 1065-1066 106E-1070 1075-1081 108E
    1780-17B3 1A20-1A54 1B0B-1B0C 1B13-1B33 1B45-1B4C 1B83-1BA0 1BAE-1BAF 1BBB-1BBD A989-A98B
    A98F-A9B2 A9E0-A9E4 A9E7-A9EF A9FA-A9FE AA60-AA6F AA71-AA73 AA7A AA7E-AA7F AAE0-AAEA
    ABC0-ABDA 10A00 10A10-10A13 10A15-10A17 10A19-10A35 11103-11126 11144 11147 11380-11389
    1138B 1138E 11390-113B5 11900-11906 11909 1190C-11913 11915-11916 11918-1192F 11A00
    11A0B-11A32 11A50 11A5C-11A83 11F04-11F10 11F12-11F33""")
PICTOGRAPHS = _ranges("""
    A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3 23F8-23FA 24C2
    25AA-25AB 25B6 25C0 25FB-25FE 2600-2604 260E 2611 2614-2615 2618 261D 2620 2622-2623 2626
    262A 262E-262F 2638-263A 2640 2642 2648-2653 265F-2660 2663 2665-2666 2668 267B 267E-267F
    2692-2697 2699 269B-269C 26A0-26A1 26A7 26AA-26AB 26B0-26B1 26BD-26BE 26C4-26C5 26C8
    26CE-26CF 26D1 26D3-26D4 26E9-26EA 26F0-26F5 26F7-26FA 26FD 2702 2705 2708-270D 270F 2712
    2714 2716 271D 2721 2728 2733-2734 2744 2747 274C 274E 2753-2755 2757 2763-2764 2795-2797
    27A1 27B0 27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50 2B55 3030 303D 3297 3299 1F004
    1F02C-1F02F 1F094-1F09F 1F0AF-1F0B0 1F0C0 1F0CF-1F0D0 1F0F6-1F0FF 1F170-1F171 1F17E-1F17F
    1F18E 1F191-1F19A 1F1AE-1F1E5 1F201-1F20F 1F21A 1F22F 1F232-1F23A 1F23C-1F23F 1F249-1F25F
    1F266-1F321 1F324-1F393 1F396-1F397 1F399-1F39B 1F39E-1F3F0 1F3F3-1F3F5 1F3F7-1F3FA
    1F400-1F4FD 1F4FF-1F53D 1F549-1F54E 1F550-1F567 1F56F-1F570 1F573-1F57A 1F587 1F58A-1F58D
    1F590 1F595-1F596 1F5A4-1F5A5 1F5A8 1F5B1-1F5B2 1F5BC 1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE
    1F5E1 1F5E3 1F5E8 1F5EF 1F5F3 1F5FA-1F64F 1F680-1F6C5 1F6CB-1F6D2 1F6D5-1F6E5 1F6E9
    1F6EB-1F6F0 1F6F3-1F6FF 1F7DA-1F7FF 1F80C-1F80F 1F848-1F84F 1F85A-1F85F 1F888-1F88F
    1F8AE-1F8AF 1F8BC-1F8BF 1F8C2-1F8CF 1F8D9-1F8FF 1F90C-1F93A 1F93C-1F945 1F947-1F9FF
    1FA58-1FA5F 1FA6E-1FAFF 1FC00-1FFFD""")
ZWJ, ZWNJ = "\u200d", "\u200c"     # zero-width joiner and non-joiner

# The letters: r CR, n LF, c control, p prepended, s spacing mark, z ZWJ; three classes of extend: l
# linker, e what GB9c passes over, x ZWNJ, at which it ends; L V T A B Hangul (A: LV, B: LVT); F
# regional indicator; P pictograph; K consonant; "." any other
HANGUL = "L*(?:V+|AV*|B)T*|L+|T+"
CORE = rf"{HANGUL}|FF|P(?:[lex]*zP)*|K(?:[ez]*l[lez]*K)*"
TAIL = "[slexz]"
# All clusters of two characters or more; some single characters match too
CLUSTER = re.compile(rf"rn|p+(?:{CORE}|[^rnc])?{TAIL}*|(?:{CORE}){TAIL}*|[^rncFLVTABPKp]{TAIL}+|"
                     rf"F{TAIL}+")


def _class_of(c):
    code, kind = ord(c), unicodedata.category(c)
    if c in "\r\n":
        return "r" if c == "\r" else "n"
    if code in PREPENDED:
        return "p"
    if c == ZWJ or code in LINKERS:
        return "z" if c == ZWJ else "l"
    if code in EXTEND or kind in ("Mn", "Me") and code not in SPACING:
        return "x" if c == ZWNJ else "e"
    if kind in ("Cc", "Cf", "Zl", "Zp") or code in CONTROL:
        return "c"
    if code in SPACING or kind == "Mc" and code not in NOT_SPACING:
        return "s"
    if code in PICTOGRAPHS or code in CONSONANTS:
        return "P" if code in PICTOGRAPHS else "K"
    return "F" if 0x1F1E6 <= code <= 0x1F1FF else _hangul_class(code)


def _hangul_class(code):
    if 0x1100 <= code <= 0x115F or 0xA960 <= code <= 0xA97C:
        return "L"
    if 0x1160 <= code <= 0x11A7 or 0xD7B0 <= code <= 0xD7C6:
        return "V"
    if 0x11A8 <= code <= 0x11FF or 0xD7CB <= code <= 0xD7FB:
        return "T"
    if 0xAC00 <= code <= 0xD7A3:                   # a syllable: without (A) or with (B) a final
        return "B" if (code - 0xAC00) % 28 else "A"
    return "."


CLASSES = Table(_class_of)


def clusters(text: str) -> Iterator[tuple[int, int]]:
    r"""Yield (begin, end) of each cluster of two or more characters, and of some with one.

    >>> list(clusters("e\u0301a\r\n"))
    [(0, 2), (3, 5)]
    """
    for match in CLUSTER.finditer(text.translate(CLASSES)):
        yield match.span()
