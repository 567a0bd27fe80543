"""SIP stack without I/O: messages, transactions, dialogs, digest, registrar, RFC 3263. Knows no call and no media."""
