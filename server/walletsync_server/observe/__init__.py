"""What an operator sees of a server: its log, its metrics, and what `doctor` finds."""
