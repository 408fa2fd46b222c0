"""`python -m gatework`: the command line."""

from gatework.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
