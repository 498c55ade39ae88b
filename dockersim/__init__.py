"""dockersim: build real container images one instruction at a time, and look into every step."""
