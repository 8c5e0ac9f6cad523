"""`python -m mapnode` is the command line."""

from mapnode.cli import main

if __name__ == "__main__":
    main()
