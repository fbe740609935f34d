"""`python -m app.cli` is `holdfast`."""

from app.cli import main

if __name__ == "__main__":
    main()
