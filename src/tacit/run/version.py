"""The version of the package, which the build reads too, and its name on an index: ``tacit`` is taken there."""

DISTRIBUTION = "tacit-rec"
VERSION = "0.1.0"
