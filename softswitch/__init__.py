"""The application: settings, calls and legs, dialplan, run-time, records, command line."""
