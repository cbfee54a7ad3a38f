"""Programs that the repository needs and that nobody installs."""
