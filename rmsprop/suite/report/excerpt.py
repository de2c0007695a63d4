"""The part of a README that the report renews: what stands between two markers."""

import re
from pathlib import Path

from rmsprop.errors import UserError
from rmsprop.suite.records.files import read_text

_EXCERPT = re.compile(r"(<!-- made by .*? -->)\n.*?(<!-- end -->)", re.DOTALL)


def split_readme(readme: Path) -> tuple[str, str]:
    """The text up to the first marker and from the second on, with them; UserError where it lacks them."""
    try:
        parts = _EXCERPT.split(read_text(readme))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{readme} cannot be read: {reason}") from error
    if len(parts) != 4:
        raise UserError(f"{readme} must hold one `<!-- made by ... -->` and, after it, one `<!-- end -->`")
    before, begin, end, after = parts
    return f"{before}{begin}", f"{end}{after}"
