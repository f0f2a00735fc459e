"""String literals for statements that are written as text."""


def escape(text: str) -> str:
    """What stands between the single quotes of a literal that means `text`.

    Correct for connections in utf8mb4 whose sql_mode has no NO_BACKSLASH_ESCAPES, as `db.SESSION`
    sets them up: there only the backslash and the delimiter mean something else.
    """
    return text.replace("\\", "\\\\").replace("'", "\\'")
