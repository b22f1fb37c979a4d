"""What a user gets to read when options do not fit together."""


class OptionError(ValueError):
    """Options that do not fit together."""
