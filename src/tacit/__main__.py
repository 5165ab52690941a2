"""``python -m tacit``: the command line where a module is asked for, such as by ``torchrun -m tacit run …``."""

from tacit.cli.main import main

if __name__ == "__main__":
    main()
