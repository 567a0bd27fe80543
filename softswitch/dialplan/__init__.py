"""Who rings when a number is dialled: `models` (as written), `routing` (looks up), `decision` (what comes
out)."""
