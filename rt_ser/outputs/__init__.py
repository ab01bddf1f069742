"""Where estimates go: terminal, lines of text, JSON Lines, CSV."""
