"""Making text plain: markup and control characters out, one form for each character."""

from __future__ import annotations

import re
import unicodedata

LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def _replacements() -> dict[int, str | None]:
    """What single characters become.

    Those of C1 are what Windows-1252 punctuation turns into when it is read as Latin-1; they are
    turned back. Other control characters and invisible marks go; those that end lines or part
    words stay for `clean` to see.
    """
    controls = {code for code in (*range(0x20), 0x7F) if not chr(code).isspace()} | {0x1C, 0x1D, 0x1E, 0x1F}
    invisible = {0x00AD, 0x200B, 0x2060, 0xFEFF, 0xFFFE, 0xFFFF}
    c1 = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)}
    return {**dict.fromkeys(controls | invisible), **c1}


REPLACEMENTS = _replacements()


def clean(text: str) -> str:
    """The text as it is trained on.

    ``<br />`` becomes a line break, control characters go, characters are composed (Unicode's
    NFC), and runs of blanks or of empty lines shrink to one.
    """
    if "<" in text:
        text = LINE_BREAK.sub("\n", text)
    text = text.translate(REPLACEMENTS)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
