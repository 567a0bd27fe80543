"""What is heard on a stream: digits, tones, speech, machines."""
