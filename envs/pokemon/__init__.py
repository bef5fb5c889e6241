"""Pokemon battles, a package for each generation."""
