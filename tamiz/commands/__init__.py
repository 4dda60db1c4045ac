"""One command to a file; each exports `command`."""
