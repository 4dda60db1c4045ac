"""One function per stage: settings in, finished folder out, with a few rows for the summary."""
