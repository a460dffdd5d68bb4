"""The one exception type that reaches people: a single clear line that names the thing and the remedy."""


class PahaError(Exception):
    """Bad input or a missing part. The command line prints the message as one line and exits with status 2.

    The message names the thing (the file, the option, the key) and says what to do about it.
    """
