"""Media plane: SDP offer/answer and the columnar engine behind its client. Knows no call and no SIP."""
