"""RTP: packets, batch sockets, latching, RTCP and stream statistics. Knows no call and no SIP."""
