"""`python -m simlift.cli`."""

from . import main

raise SystemExit(main())
