"""Proofs of the whole: dockersim beside the real tools, under kill -9, and as the user it is made for."""
