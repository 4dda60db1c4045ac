"""One command per module; each exports `command`."""
