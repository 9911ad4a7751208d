"""`python -m edgedistil` is the command line."""

from edgedistil.cli import main

if __name__ == "__main__":
    main(prog_name="edgedistil")
