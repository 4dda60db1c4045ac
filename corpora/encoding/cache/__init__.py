"""Words encoded once and looked up afterwards: tables, caches and the scans that cut text into words."""
