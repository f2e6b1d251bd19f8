"""The sub-commands of `daam-bench`, one module each: `add_parser` puts it into the command line."""
