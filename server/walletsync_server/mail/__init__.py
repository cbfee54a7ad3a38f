"""Mails on their way out: what they say, and sending them over SMTP. What is promised about them is in `services`."""
