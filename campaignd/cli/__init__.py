"""The command line: click commands only, one module per group of commands.

A command parses its options, asks the layers below, and prints. Modules are imported when their
command runs, so that `campaignd pause` does not wait for what only the daemon needs.
"""

from campaignd.cli.entry import main

__all__ = ["main"]
