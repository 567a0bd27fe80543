"""What the simulator is given, and how what it has found is shown: files, options, tables, pictures, one page."""
