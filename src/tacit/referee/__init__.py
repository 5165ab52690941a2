"""Every evaluation protocol from any system's run file, without its model: ``form``, ``read``, ``write``, ``judge``."""
